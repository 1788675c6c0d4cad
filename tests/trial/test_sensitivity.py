from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ctcfish import tables
from ctcfish.trial.sensitivity import COLUMNS, sensitivity
from ctcfish.trial.subjects import Study
from tests.make_trial import Rows, ctc, row, run_of, slide, study

PATIENTS: list[dict[str, Any]] = [
    # counts of the evaluable CTC; sizes at days 42 and 84 after 50 mm (None: not evaluable)
    {"id": "P1", "cells": [(9, 2), (2, 2), (2, 2)], "sizes": (30, 30), "guarded": True},
    {"id": "P2", "cells": [(5, 2), (2, 2)], "sizes": (45, 45), "guarded": True},
    {"id": "P3", "cells": [(3, 1), (2, 2)], "sizes": (None, None), "guarded": False},
    {"id": "P4", "cells": [(9, 4), (8, 2), (7, 2)], "sizes": (30, 60), "guarded": True},
    {"id": "P5", "cells": [(4, 2), (2, 2)], "sizes": None, "guarded": False},
    {"id": "P6", "cells": [(2, 2)] * 4, "sizes": None, "guarded": False},
]

VERDICTS = [
    # patient, rule, eligible
    ("P1", "circe_tdm1", "yes"),
    ("P2", "circe_tdm1", "yes"),
    ("P6", "circe_tdm1", "no"),
    ("P1", "meng_2004", "yes"),
    ("P2", "meng_2004", "not_evaluable"),
    ("P6", "meng_2004", "yes"),
    ("Z9", "meng_2004", "yes"),
]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    return sensitivity(example(tmp_path_factory.mktemp("c")))


def example(folder: Path) -> Study:
    rows: Rows = {"patients": [], "tumours": []}
    slides, cells = [], []
    for patient in PATIENTS:
        key, counts = patient["id"], patient["cells"]
        treated = patient["sizes"] is not None
        rows["patients"].append(
            row("patients", key, "2015-01-05", "yes", "yes" if treated else "no", "2015-01-20" if treated else "")
        )
        own = ctc(f"{key}-S1", *counts)
        if not patient["guarded"]:
            for cell in own:
                cell["call_guarded"] = "not_evaluable" if cell["call"] == "amplified" else cell["call"]
        cells += own
        amplified = sum(cell["call"] == "amplified" for cell in own)
        slides.append(slide(key, len(counts), len(counts), amplified))
        for date, size in zip(
            ("2015-01-15", "2015-03-03", "2015-04-14"), (50, *(patient["sizes"] or ())), strict=False
        ):
            told = row("tumours", key, date, "T1", "target", "liver", "no", size, "mm", "")
            rows["tumours"].append(told | ({} if size else {"diameter": "", "unit": "", "status": "not_evaluable"}))
    run = run_of(slides, cells)
    verdicts = pd.DataFrame(VERDICTS, columns=["patient_id", "rule", "eligible"])
    verdicts = verdicts.assign(n_ctc=5, n_evaluable=5, n_amplified=1)
    return study(folder, rows, type(run)(run.slides, run.patients, tables.SENSITIVITY.check(verdicts), *tail(run)))


def tail(run: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
    return run.ctc, run.reproducibility


EXPECTED = [
    # conclusion, kind, setting, numerator, denominator
    ("disease control", "threshold", "ratio >= 2.2", 2, 4),
    ("disease control", "threshold", "ratio >= 3", 1, 3),
    ("disease control", "threshold", "3 amplified CTC or more", 0, 1),
    ("response rate", "preset", "circe_tdm1", 1, 2),
    ("response rate", "preset", "meng_2004", 1, 1),
    ("disease control", "preset", "circe_tdm1", 2, 2),
    (
        "detection rate",
        "threshold",
        "ratio >= 2",
        5,
        6,
    ),
    (
        "detection rate",
        "threshold",
        "ratio >= 2.2",
        4,
        6,
    ),
    (
        "detection rate",
        "threshold",
        "ratio >= 2.5",
        4,
        6,
    ),
    (
        "detection rate",
        "threshold",
        "ratio >= 3",
        3,
        6,
    ),
    (
        "detection rate",
        "threshold",
        "guarded call",
        3,
        6,
    ),
    (
        "detection rate",
        "threshold",
        "2 amplified CTC or more",
        1,
        6,
    ),
    (
        "detection rate",
        "threshold",
        "3 amplified CTC or more",
        1,
        6,
    ),
    (
        "response rate",
        "threshold",
        "ratio >= 2",
        1,
        4,
    ),
    (
        "response rate",
        "threshold",
        "ratio >= 2.2",
        1,
        4,
    ),
    (
        "response rate",
        "threshold",
        "ratio >= 3",
        1,
        3,
    ),
    (
        "response rate",
        "threshold",
        "guarded call",
        1,
        3,
    ),
    (
        "response rate",
        "threshold",
        "2 amplified CTC or more",
        0,
        1,
    ),
    (
        "detection rate",
        "preset",
        "circe_tdm1",
        2,
        3,
    ),
    (
        "detection rate",
        "preset",
        "meng_2004",
        2,
        2,
    ),
    (
        "response rate",
        "missing data",
        "not evaluable: counted as failures",
        1,
        4,
    ),
    (
        "response rate",
        "missing data",
        "not evaluable: left out",
        1,
        3,
    ),
    (
        "response rate",
        "missing data",
        "not evaluable: counted as successes",
        2,
        4,
    ),
    (
        "disease control",
        "missing data",
        "not evaluable: counted as failures",
        2,
        4,
    ),
    (
        "disease control",
        "missing data",
        "not evaluable: left out",
        2,
        3,
    ),
    (
        "disease control",
        "missing data",
        "not evaluable: counted as successes",
        3,
        4,
    ),
    (
        "response rate",
        "definition",
        "without confirmation",
        2,
        4,
    ),
]


@pytest.mark.parametrize(("conclusion", "kind", "setting", "numerator", "n"), EXPECTED)
def test_each_choice_gives_its_count(
    table: pd.DataFrame, conclusion: str, kind: str, setting: str, numerator: int, n: int
) -> None:
    keys = (table["conclusion"] == conclusion) & (table["kind"] == kind) & (table["setting"] == setting)
    own = table[keys]
    assert len(own) == 1
    assert (int(own["numerator"].iloc[0]), int(own["n"].iloc[0])) == (numerator, n)
    assert own["low"].iloc[0] <= numerator / n <= own["high"].iloc[0]


def test_every_row_names_its_population_and_method(table: pd.DataFrame) -> None:
    assert table.columns.tolist() == COLUMNS
    assert (table["population"].str.len() > 0).all()
    assert (table["method"].str.len() > 0).all()
    assert not table.duplicated(["conclusion", "kind", "setting"]).any()


@pytest.mark.parametrize(
    ("setting", "days"),
    [
        ("as the protocol says", 84),
        ("progression dated at the last clear assessment", 42),
        ("progression dated midway", 63),
        ("end of assessments counted as progression", 84),
    ],
)
def test_the_median_under_other_datings(table: pd.DataFrame, setting: str, days: int) -> None:
    """P4 progresses between days 42 and 84; P1 and P2 are censored at day 84, P3 at the first dose."""
    own = table[(table["conclusion"] == "median PFS") & (table["setting"] == setting)].iloc[0]
    assert (own["n"], own["unit"]) == (4, "months")
    if setting.startswith("progression"):
        assert math.isnan(own["value"])  # one event among three at risk leaves two thirds: no median
    else:
        assert own["value"] == pytest.approx(days / 30.4375) or math.isnan(own["value"])


MEDIANS = [
    # kind, setting, patients, day of the median (None: not reached)
    ("threshold", "ratio >= 2.2", 4, None),
    ("threshold", "3 amplified CTC or more", 1, 84),  # P4 alone
    ("preset", "meng_2004", 1, None),  # P1, who is censored
]


@pytest.mark.parametrize(("kind", "setting", "n", "day"), MEDIANS)
def test_the_median_of_those_positive_by_another_rule(
    table: pd.DataFrame, kind: str, setting: str, n: int, day: int | None
) -> None:
    keys = (table["conclusion"] == "median PFS") & (table["kind"] == kind) & (table["setting"] == setting)
    (own,) = table[keys].to_dict("records")
    assert (own["n"], own["population"]) == (n, "treated and positive by this rule")
    assert math.isnan(own["value"]) if day is None else own["value"] == pytest.approx(day / 30.4375)


def test_every_conclusion_hangs_on_every_kind_of_choice(table: pd.DataFrame) -> None:
    kinds = table.groupby("conclusion")["kind"].agg(set)
    for conclusion in ("response rate", "disease control", "median PFS"):
        assert {"threshold", "preset", "missing data"} <= kinds[conclusion]
    assert kinds["detection rate"] == {"threshold", "preset"}


def test_nobody_treated_leaves_the_assay(tmp_path: Path) -> None:
    rows: Rows = {"patients": [row("patients", "P1", "2015-01-05", "yes", "no", "")]}
    table = sensitivity(study(tmp_path, rows, run_of([slide("P1", 2, 2, 1)], ctc("P1-S1", (9, 2), (2, 2)))))
    assert set(table["conclusion"]) == {"detection rate", "response rate", "disease control"}
    assert (table.loc[table["conclusion"] != "detection rate", "n"] == 0).all()
