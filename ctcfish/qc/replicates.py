"""Scored slides that repeat one another: declared in the sheet, or the same slide in several runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ctcfish import tables
from ctcfish.errors import UsageError
from ctcfish.store.manifest import sha256_of
from ctcfish.store.results import read_slide_json
from ctcfish.store.tablefiles import read_parquet

FACTORS = ("site", "operator", "scanner", "probe_lot", "day", "run")
"""What may differ between two readings, outermost first."""


@dataclass(frozen=True)
class Scored:
    """One slide as one run scored it.

    Attributes
    ----------
    name : str
        Run and slide.
    slide_id, patient_id : str
    repeats : str
        Slide it repeats; its own where it repeats none.
    factors : tuple of (str, str or None)
        Of :data:`FACTORS`.
    cells : pandas.DataFrame
    inputs : frozenset of str
        SHA-256 of every input file.
    outputs : tuple of str
        SHA-256 of its tables.
    configuration : str
        Hash of the run's configuration.
    """

    name: str
    slide_id: str
    patient_id: str
    repeats: str
    factors: tuple[tuple[str, str | None], ...]
    cells: pd.DataFrame
    inputs: frozenset[str]
    outputs: tuple[str, ...]
    configuration: str


def slide_folders(run: Path) -> list[Path]:
    """Folders of the slides of a run, by name; the folder of one slide is a run of one.

    Raises
    ------
    UsageError
        No scored slide.
    """
    found = [run] if (run / "slide.json").is_file() else sorted(file.parent for file in run.glob("*/slide.json"))
    if not found:
        raise UsageError(f"{run} holds no scored slide: give the folder of a run, or of one slide in it.")
    return found


def read_scored(runs: Sequence[Path]) -> list[Scored]:
    """Every slide of some runs, in their order.

    Raises
    ------
    UsageError
        A run without slides, or one given twice.
    """
    places = [run.resolve() for run in runs]
    if len(set(places)) < len(places):
        raise UsageError("one run is given twice: give different runs, or one run whose sheet declares replicates.")
    named = [
        run.name if [p.name for p in places].count(run.name) == 1 else f"{run.parent.name}/{run.name}" for run in places
    ]
    return [_read(folder, name) for run, name in zip(places, named, strict=True) for folder in slide_folders(run)]


def _read(folder: Path, run: str) -> Scored:
    said = read_slide_json(folder)
    row = said["slide"]
    slide_id = str(row["slide_id"])
    return Scored(
        name=f"{run}/{slide_id}",
        slide_id=slide_id,
        patient_id=str(row["patient_id"]),
        repeats=row.get("replicate_of") or slide_id,
        factors=tuple((name, row.get(name)) for name in FACTORS),
        cells=read_parquet(folder / "cells.parquet", tables.CELLS),
        inputs=frozenset(said["inputs_sha256"].values()),
        outputs=tuple(sha256_of(folder / f"{name}.csv") for name in ("cells", "spots", "if_cells")),
        configuration=str(said["configuration_sha256"]),
    )


def groups(scored: Sequence[Scored]) -> list[tuple[Scored, ...]]:
    """Slides that repeat one another, the repeated one first; slides without repeats are left out.

    Raises
    ------
    UsageError
        Nothing repeats anything.
    """
    by_name: dict[str, list[Scored]] = {}
    for slide in scored:
        by_name.setdefault(slide.repeats, []).append(slide)
    found = []
    for name, own in sorted(by_name.items()):
        first = next((slide for slide in own if slide.slide_id == name), own[0])
        if len(own) > 1:
            found.append((first, *(slide for slide in own if slide is not first)))
    if not found:
        raise UsageError(
            "no slide repeats another: fill in `replicate_of` in the study sheet, or give two runs of the same slides."
        )
    return found
