"""Tables of a run as the trial reads them: CSV only, never an image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ctcfish import tables
from ctcfish.errors import InputError
from ctcfish.schema import Table
from ctcfish.trial.tables import REPRODUCIBILITY

CELL_COLUMNS = [
    "cell_id",
    "slide_id",
    "kind",
    "her2_count",
    "cep17_count",
    "ratio",
    "call",
    "call_guarded",
    "reason",
    "flags",
    "her2_protein_class",
]
_TEXT = dict.fromkeys(("slide_id", "patient_id", "visit", "cell_id", "scene", "if_scene"), str)


@dataclass(frozen=True, slots=True)
class Run:
    """What a run knows of patients.

    Attributes
    ----------
    slides : pandas.DataFrame
        As declared in :mod:`ctcfish.tables`, without repeated scans and control slides.
    patients, sensitivity : pandas.DataFrame
        As declared there.
    ctc : pandas.DataFrame
        CTC of all slides, :data:`CELL_COLUMNS`.
    reproducibility : pandas.DataFrame
        :data:`ctcfish.trial.tables.REPRODUCIBILITY`; no rows where quality control left none.
    """

    slides: pd.DataFrame
    patients: pd.DataFrame
    sensitivity: pd.DataFrame
    ctc: pd.DataFrame
    reproducibility: pd.DataFrame


def read_run(folder: Path, reproducibility: Path | None = None) -> Run:
    """Read a run: its tables, and the cells from one ``cells.csv`` beside them or from each slide's folder.

    Parameters
    ----------
    folder : Path
    reproducibility : Path, optional
        Folder of a reproducibility study with its ``statistics.csv``.

    Raises
    ------
    InputError
        A table or a slide's cells are absent, or not what they should be.
    """
    slides = _read(folder, tables.SLIDES, needed=True)
    slides = slides[slides["replicate_of"].isna() & slides["control"].isna()].reset_index(drop=True)
    files = [folder / "cells.csv"] if (folder / "cells.csv").is_file() else _cell_files(folder, slides)
    frames = [frame for frame in map(_cells, files) if len(frame)]
    whole = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=CELL_COLUMNS)
    return Run(
        slides,
        _read(folder, tables.PATIENTS, needed=True),
        _read(folder, tables.SENSITIVITY, needed=False),
        whole[(whole["kind"] == "ctc") & whole["slide_id"].isin(slides["slide_id"])]
        .drop(columns="kind")
        .reset_index(drop=True),
        REPRODUCIBILITY.empty() if reproducibility is None else _read(reproducibility, REPRODUCIBILITY, needed=True),
    )


def _cell_files(folder: Path, slides: pd.DataFrame) -> list[Path]:
    files = [folder / str(slide) / "cells.csv" for slide in slides["slide_id"]]
    absent = [path.parent.name for path in files if not path.is_file()]
    if absent:
        raise InputError(
            folder.name, f"no cells.csv of slides {absent[:5]}", "one in every slide's folder", "Score them again."
        )
    return files


def _cells(path: Path) -> pd.DataFrame:
    header = pd.read_csv(path, nrows=0).columns
    missing = [name for name in CELL_COLUMNS if name not in header]
    if missing:
        raise InputError(f"{path.parent.name}/{path.name}", f"no columns {missing}", "a table of cells", "Score again.")
    return pd.read_csv(path, usecols=CELL_COLUMNS, dtype=_TEXT, keep_default_na=False, na_values=[""])[CELL_COLUMNS]


def _read(folder: Path, table: Table, needed: bool) -> pd.DataFrame:
    path = folder / f"{table.name}.csv"
    if not path.is_file():
        if needed:
            raise InputError(
                folder.name, f"no {path.name}", "the folder of a run", "Give the output of 'ctcfish batch'."
            )
        return table.empty()
    frame = pd.read_csv(path, dtype=_TEXT, keep_default_na=False, na_values=[""])
    if "flags" in frame.columns:
        frame["flags"] = frame["flags"].fillna("")  # no doubt is an empty text, not a missing one
    return table.check(frame[[name for name in table.names if name in frame.columns]])
