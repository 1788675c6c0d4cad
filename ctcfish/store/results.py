"""One slide's folder, and what stands beside the slides in a run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ctcfish import tables
from ctcfish.store.atomic import atomic_file, write_json, write_text
from ctcfish.store.labels import write_labels
from ctcfish.store.pictures import Picture, write_pictures
from ctcfish.store.tablefiles import read_parquet, read_parquets, rewrite_parquet, write_both, write_csv
from ctcfish.types import SlideResult

SLIDE_TABLES = (tables.CELLS, tables.SPOTS, tables.IF_CELLS)
RUN_TABLES = (
    tables.SLIDES,
    tables.PATIENTS,
    tables.HETEROGENEITY,
    tables.SENSITIVITY,
    tables.STUDY_MEASURES,
    tables.FAILURES,
)
DECLARED = (*SLIDE_TABLES, *RUN_TABLES, tables.POWER)


def write_slide(result: SlideResult, about: Mapping[str, Any], pictures: Mapping[str, Picture], folder: Path) -> None:
    """Write tables, labels, pictures and ``slide.json`` into a folder.

    Parameters
    ----------
    result : SlideResult
    about : mapping
        What ``slide.json`` says besides the result: the inputs' hashes and the result's identity.
    pictures : mapping of str to Picture
    folder : Path
        An empty folder.
    """
    for table, frame in zip(SLIDE_TABLES, (result.cells, result.spots, result.if_cells), strict=True):
        write_both(frame, table, folder / f"{table.name}.csv", folder / f"{table.name}.parquet")
    write_labels(result.nuclei, folder / "labels.ome.zarr")
    write_pictures(pictures, folder / "pictures.zarr")
    write_json(folder / "slide.json", dict(result.summary) | {"failure": result.failure} | dict(about))


def read_slide_json(folder: Path) -> dict[str, Any]:
    """``slide.json`` of a slide's folder."""
    summary: dict[str, Any] = json.loads((folder / "slide.json").read_text(encoding="utf-8"))
    return summary


def slides_table(summaries: list[dict[str, Any]]) -> pd.DataFrame:
    """Rows of :data:`ctcfish.tables.SLIDES` from the slides' summaries."""
    rows = [summary["slide"] for summary in summaries]
    return tables.SLIDES.check(pd.DataFrame(rows)) if rows else tables.SLIDES.empty()


def read_cells(folder: Path) -> pd.DataFrame:
    """Every cell of a slide's folder."""
    return read_parquet(folder / "cells.parquet", tables.CELLS)


def rewrite_cells(cells: pd.DataFrame, columns: Sequence[str], folder: Path) -> None:
    """Put other values into some columns of the cells of a slide's folder, each file in one rename.

    Parameters
    ----------
    cells : pandas.DataFrame
        The same cells in the same order, as the table's check returns them.
    columns : sequence of str
        Columns that may have other values.
    folder : Path
    """
    stored = folder / "cells.parquet"
    with atomic_file(folder / "cells.csv") as csv, atomic_file(stored) as parquet:
        write_csv(cells, tables.CELLS, csv)
        rewrite_parquet(cells, columns, tables.CELLS, stored, parquet)


def read_ctc(folders: Sequence[Path]) -> pd.DataFrame:
    """Declared columns of the CTC of slides, slide by slide in the order of their folders."""
    files = [folder / "cells.parquet" for folder in folders]
    return read_parquets(files, tables.CELLS, "kind = 'ctc'") if files else tables.CELLS.empty()


def write_run_tables(frames: Mapping[str, pd.DataFrame], out: Path) -> None:
    """Write the tables beside the slides, by their names, and the data dictionary."""
    for table in RUN_TABLES:
        write_text(out / f"{table.name}.csv", table.check(frames[table.name]).to_csv(index=False, lineterminator="\n"))
    rows = [row for table in DECLARED for row in table.dictionary()]
    write_json(out / "data_dictionary.json", {"columns": rows})
