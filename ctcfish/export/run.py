"""One run into one format."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, assert_never

from ctcfish.errors import UsageError
from ctcfish.store.atomic import atomic_folder
from ctcfish.store.runfiles import read_manifest

Format = Literal["csv", "parquet", "geojson", "ome-zarr", "napari", "anndata", "rocrate"]


def export_run(run: Path, to: Format, out: Path, study: Path | None = None) -> None:
    """Write a finished run in another format, whole or not at all.

    Identifiers are those of the study sheet, and no folder of the machine is named.

    Parameters
    ----------
    run : Path
        Folder of a run.
    to : {"csv", "parquet", "geojson", "ome-zarr", "napari", "anndata", "rocrate"}
    out : Path
        A folder that does not exist.
    study : Path or None
        What was scored; OME-Zarr then holds its pixels, else reduced views.

    Raises
    ------
    UsageError
        ``out`` exists, or a study for a format that takes no pixels.
    InputError
        ``run`` is no finished run, or the study is not the one that was scored.
    """
    if out.exists():
        raise UsageError(f"{out} exists and is left alone; give another --out, or remove it first.")
    if study is not None and to != "ome-zarr":
        raise UsageError(f"--study gives pixels, and {to} holds none; leave it out.")
    read_manifest(run)
    with atomic_folder(out) as folder:
        match to:
            case "csv" | "parquet":
                from ctcfish.export.tables import export_tables

                export_tables(run, folder, to)
            case "geojson":
                from ctcfish.export.geojson import export_geojson

                export_geojson(run, folder)
            case "ome-zarr":
                from ctcfish.export.omezarr import export_omezarr

                export_omezarr(run, folder, study)
            case "napari":
                from ctcfish.export.napari import export_napari

                export_napari(run, folder)
            case "anndata":
                from ctcfish.export.annotated import export_anndata

                export_anndata(run, folder)
            case "rocrate":
                from ctcfish.export.crate import export_crate

                export_crate(run, folder)
            case _:
                assert_never(to)
