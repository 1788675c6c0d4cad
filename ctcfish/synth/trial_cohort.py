"""A whole cohort as tables: a folder that reads as a run, with the clinical tables in ``clinical/``."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from ctcfish.config import read_toml
from ctcfish.errors import UsageError
from ctcfish.synth.cohort import CohortSpec
from ctcfish.synth.spec import parse_spec
from ctcfish.synth.trial_course import clinical_tables
from ctcfish.synth.trial_run import VISIT, cells_of, run_tables, screen, screened_of
from ctcfish.synth.trial_spec import TableCohort


def read_any_cohort(path: Path) -> CohortSpec | TableCohort:
    """Read a cohort's specification from TOML: of images, or of tables where it says ``level = "tables"``.

    Raises
    ------
    ConfigError
        The file cannot be read, is no TOML, or a key or value is wrong.
    """
    if read_toml(path).get("level") == "tables":
        return parse_spec(path, TableCohort)
    return parse_spec(path, CohortSpec)


def cohort_tables(cohort: TableCohort) -> tuple[dict[str, pd.DataFrame], dict[str, pd.DataFrame]]:
    """Return the tables of the run (``cells``, ``slides``, ``patients``) and the clinical tables."""
    people = screen(cohort)
    cells = cells_of(cohort, people)
    return {"cells": cells} | run_tables(people, cells), clinical_tables(cohort, people)


def simulate_tables(cohort: TableCohort, out: Path) -> Path:
    """Write a cohort of tables.

    Raises
    ------
    UsageError
        The folder exists.
    """
    if out.exists():
        raise UsageError(f"{out.name}: exists already; choose another output folder.")
    run, clinical = cohort_tables(cohort)
    part = out.with_name(f".{out.name}.part")
    (part / "clinical").mkdir(parents=True)
    for folder, frames in ((part, run), (part / "clinical", clinical)):
        for name, frame in frames.items():
            frame.to_csv(folder / f"{name}.csv", index=False, lineterminator="\n")
    part.rename(out)
    return out


def simulate_clinical(slides: pd.DataFrame, cohort: TableCohort, out: Path) -> Path:
    """Write a simulated clinical course for the patients of a run, for demonstration.

    Counts of visits that have a slide are left to the run; those of the other visits are simulated.

    Parameters
    ----------
    slides : pandas.DataFrame
        Slides of the run; screened is who has one of the visit :data:`~ctcfish.synth.trial_run.VISIT`, or of none.
    cohort : TableCohort
    out : Path
        Folder to make.

    Raises
    ------
    UsageError
        The folder exists.
    """
    if out.exists():
        raise UsageError(f"{out.name}: exists already; choose another output folder.")
    out.mkdir(parents=True)
    first = slides["visit"].isna() | (slides["visit"] == VISIT)
    scanned = set(zip(slides["patient_id"], slides["visit"].fillna(VISIT), strict=True))
    for name, frame in clinical_tables(cohort, screened_of(slides[first], cohort), scanned).items():
        frame.to_csv(out / f"{name}.csv", index=False, lineterminator="\n")
    return out
