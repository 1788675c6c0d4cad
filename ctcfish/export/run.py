"""One run into one format."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, assert_never

from ctcfish.errors import UsageError
from ctcfish.store.atomic import atomic_folder
from ctcfish.store.runfiles import read_manifest

Format = Literal["csv", "parquet", "geojson"]


def export_run(run: Path, to: Format, out: Path) -> None:
    """Write a finished run in another format, whole or not at all.

    Identifiers are those of the study sheet, and no folder of the machine is named.

    Parameters
    ----------
    run : Path
        Folder of a run.
    to : {"csv", "parquet", "geojson"}
    out : Path
        A folder that does not exist.

    Raises
    ------
    UsageError
        ``out`` exists.
    InputError
        ``run`` is no finished run.
    """
    if out.exists():
        raise UsageError(f"{out} exists and is left alone; give another --out, or remove it first.")
    read_manifest(run)
    with atomic_folder(out) as folder:
        match to:
            case "csv" | "parquet":
                from ctcfish.export.tables import export_tables

                export_tables(run, folder, to)
            case "geojson":
                from ctcfish.export.geojson import export_geojson

                export_geojson(run, folder)
            case _:
                assert_never(to)
