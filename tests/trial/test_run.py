"""What the trial reads of a run: patients' own slides, one row a CTC."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from ctcfish.errors import InputError
from ctcfish.synth.trial_cohort import simulate_tables
from ctcfish.synth.trial_spec import TableCohort
from ctcfish.trial.run import read_run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return simulate_tables(TableCohort(patients=30, seed=2), tmp_path / "run")


def repeated(folder: Path, **told: str) -> str:
    """Declare the slide with most CTC a repeat or a control; its name."""
    slides = pd.read_csv(folder / "slides.csv", dtype=str)
    which = slides["n_ctc"].astype(float).idxmax()
    for column, text in told.items():
        slides[column] = slides[column].astype(object)
        slides.loc[which, column] = text
    slides.to_csv(folder / "slides.csv", index=False)
    return str(slides.loc[which, "slide_id"])


@pytest.mark.parametrize("told", [{"replicate_of": "P0001-S1"}, {"control": "cell line"}])
def test_repeats_and_controls_are_no_patients(folder: Path, told: dict[str, str]) -> None:
    before = read_run(folder)
    name = repeated(folder, **told)
    after = read_run(folder)
    assert len(after.slides) == len(before.slides) - 1
    assert name not in set(after.slides["slide_id"])
    assert (before.ctc["slide_id"] == name).sum() > 0
    assert (after.ctc["slide_id"] == name).sum() == 0
    assert len(after.ctc) == len(before.ctc) - (before.ctc["slide_id"] == name).sum()


def test_cells_may_lie_in_each_slide_s_folder(folder: Path) -> None:
    whole = read_run(folder)
    cells = pd.read_csv(folder / "cells.csv", dtype=str, keep_default_na=False)
    for name in whole.slides["slide_id"]:
        (folder / name).mkdir()
        cells[cells["slide_id"] == name].to_csv(folder / name / "cells.csv", index=False)
    (folder / "cells.csv").unlink()
    split = read_run(folder)
    pd.testing.assert_frame_equal(
        split.ctc.sort_values("cell_id", ignore_index=True), whole.ctc.sort_values("cell_id", ignore_index=True)
    )


def test_a_slide_without_cells_is_named_unless_it_is_a_repeat(folder: Path) -> None:
    (folder / "cells.csv").unlink()
    with pytest.raises(InputError, match=r"no cells\.csv of slides \['P0001-S1', 'P0002-S1'"):
        read_run(folder)


def test_only_ctc_are_read(folder: Path) -> None:
    cells = pd.read_csv(folder / "cells.csv", dtype=str, keep_default_na=False)
    cells.loc[cells.index % 3 == 0, "kind"] = "wbc"
    cells.to_csv(folder / "cells.csv", index=False)
    assert len(read_run(folder).ctc) == (cells["kind"] == "ctc").sum()


@pytest.mark.parametrize("column", ["kind", "call", "her2_protein_class"])
def test_a_missing_column_is_named(folder: Path, column: str) -> None:
    pd.read_csv(folder / "cells.csv", dtype=str).drop(columns=column).to_csv(folder / "cells.csv", index=False)
    with pytest.raises(InputError, match=rf"no columns \['{column}'\]"):
        read_run(folder)
