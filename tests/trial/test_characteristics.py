"""Who the patients are, counted by hand."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from ctcfish.trial.characteristics import COLUMNS, characteristics
from tests.make_trial import Rows, row, run_of, slide, study

PATIENTS = [
    # patient, treated, first dose, age, receptor, ECOG, CTC, evaluable, amplified
    ("P1", "yes", "2015-01-20", 50, "positive", 0, 9, 9, 2),
    ("P2", "yes", "2015-01-20", 70, "negative", 2, 30, 20, 5),
    ("P3", "no", "", 61, "positive", "", 4, 4, 1),
    ("P4", "no", "", "", "", 1, 0, 0, 0),
]


@pytest.fixture
def table(tmp_path: Path) -> pd.DataFrame:
    rows: Rows = {"patients": []}
    slides = []
    for patient, treated, dose, age, receptor, ecog, ctc, evaluable, amplified in PATIENTS:
        rows["patients"].append(row("patients", patient, "2015-01-05", "yes", treated, dose, age, receptor, ecog))
        slides.append(slide(patient, ctc, evaluable, amplified))
    return characteristics(study(tmp_path, rows, run_of(slides)))


NUMBERS = [
    # population, characteristic, patients, known, median, least, most
    ("screened", "age, years", 4, 3, 61, 50, 70),
    ("screened", "ECOG", 4, 3, 1, 0, 2),
    ("screened", "CTC per 7.5 mL", 4, 4, 6.5, 0, 30),
    ("with amplified CTC", "age, years", 3, 3, 61, 50, 70),
    ("with amplified CTC", "ECOG", 3, 2, 1, 0, 2),
    ("treated", "age, years", 2, 2, 60, 50, 70),
]


@pytest.mark.parametrize(("population", "name", "n", "known", "median", "least", "most"), NUMBERS)
def test_numbers(
    table: pd.DataFrame, population: str, name: str, n: int, known: int, median: float, least: float, most: float
) -> None:
    own = table.set_index(["population", "characteristic"]).loc[(population, name)]
    assert (own["n"], own["known"]) == (n, known)
    assert (own["median"], own["least"], own["most"]) == (median, least, most)
    assert pd.isna(own["count"])


CLASSES = [
    # population, characteristic, marked, known
    ("screened", "oestrogen receptor positive", 2, 3),
    ("with amplified CTC", "oestrogen receptor positive", 2, 3),
    ("treated", "oestrogen receptor positive", 1, 2),
    ("treated", "visceral metastases", 0, 0),
]


@pytest.mark.parametrize(("population", "name", "marked", "known"), CLASSES)
def test_classes(table: pd.DataFrame, population: str, name: str, marked: int, known: int) -> None:
    own = table.set_index(["population", "characteristic"]).loc[(population, name)]
    assert (own["count"], own["known"]) == (marked, known)
    assert pd.isna(own["median"])


def test_unknown_is_told_and_nobody_is_invented(table: pd.DataFrame, tmp_path: Path) -> None:
    assert table.columns.tolist() == COLUMNS
    lines = table[table["characteristic"] == "prior lines"]
    assert lines["known"].tolist() == [0, 0, 0]
    assert lines["median"].isna().all()
    nobody = characteristics(study(tmp_path / "none", {"patients": []}, run_of([])))
    assert len(nobody) == len(table)
    assert (nobody[["n", "known"]] == 0).all(axis=None)
