from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ctcfish.trial.read import read_clinical
from ctcfish.trial.recist import Best, TimePoint
from ctcfish.trial.response import is_controlled, responses
from tests.make_trial import Rows, clean, protocol, row, write

START = pd.Timestamp(2015, 1, 20)


def day(number: int) -> str:
    return f"{START + pd.Timedelta(days=number):%Y-%m-%d}"


def course(*visits: tuple[int, Any], **survival: int) -> Rows:
    """One treated patient with one target measured in mm on days from the first dose; ``new`` is a new lesion."""
    rows = clean()
    rows["patients"] = rows["patients"][:1]
    rows["visits"], rows["ctdna"], rows["adverse_events"] = [], [], []
    rows["tumours"] = []
    for number, size in visits:
        told = row("tumours", "P1", day(number), "T1", "target", "liver", "no", 50.0, "mm", "")
        if isinstance(size, str):
            told |= {"diameter": "", "unit": "", "status": "not_evaluable"} if size == "x" else {}
        else:
            told["diameter"] = size
        rows["tumours"].append(told)
        if size == "new":
            rows["tumours"].append(row("tumours", "P1", day(number), "X1", "new", "lung", "no", "", "", "present"))
    last = survival.get("death", survival.get("last", 400))
    names = {"progression": "progression_date", "therapy": "new_therapy_date", "death": "death_date"}
    alive = row("survival", "P1", "dead" if "death" in survival else "alive", day(last), "", "", "")
    rows["survival"] = [alive | {names[k]: day(v) for k, v in survival.items() if k in names}]
    return rows


def told(tmp_path: Path, rows: Rows) -> tuple[dict[str, Any], pd.DataFrame]:
    patients, assessments = responses(read_clinical(write(tmp_path / "c", rows)), protocol().response)
    assert len(patients) == 1
    return patients.iloc[0].to_dict(), assessments


TIMES = [
    # what, visits, survival, pfs days, event, interval
    ("progression at the second visit", [(-5, 50), (42, 40), (84, 60)], {}, 84, True, (42, 84)),
    ("progression at the first visit", [(-5, 50), (42, 80)], {}, 42, True, (0, 42)),
    ("a new lesion", [(-5, 50), (42, 45), (84, "new")], {}, 84, True, (42, 84)),
    ("none yet: censored at the last visit", [(-5, 50), (42, 40), (84, 42)], {}, 84, False, (84, np.inf)),
    ("no visit: censored at the first dose", [(-5, 50)], {}, 0, False, (0, np.inf)),
    ("no baseline: censored at the first dose", [], {}, 0, False, (0, np.inf)),
    ("last visit not evaluable", [(-5, 50), (42, 40), (84, "x")], {}, 42, False, (42, np.inf)),
    ("a gap before progression", [(-5, 50), (42, 40), (84, "x"), (126, 80)], {}, 126, True, (42, 126)),
    ("death without progression", [(-5, 50), (42, 40)], {"death": 100}, 100, True, (100, 100)),
    ("death before any visit", [(-5, 50)], {"death": 20}, 20, True, (20, 20)),
    ("progression before death", [(-5, 50), (42, 80)], {"death": 100}, 42, True, (0, 42)),
    ("clinical progression between visits", [(-5, 50), (42, 40)], {"progression": 60}, 60, True, (42, 60)),
    ("imaging before clinical", [(-5, 50), (42, 80)], {"progression": 60}, 42, True, (0, 42)),
    ("clinical before imaging", [(-5, 50), (84, 80)], {"progression": 60}, 60, True, (0, 60)),
    ("another therapy first", [(-5, 50), (42, 40), (84, 80)], {"therapy": 50}, 42, False, (42, np.inf)),
    ("another therapy after progression", [(-5, 50), (42, 80)], {"therapy": 50}, 42, True, (0, 42)),
    ("death after another therapy", [(-5, 50), (42, 40)], {"therapy": 50, "death": 90}, 42, False, (42, np.inf)),
]


@pytest.mark.parametrize(("what", "visits", "survival", "days", "event", "ends"), TIMES, ids=[t[0] for t in TIMES])
def test_time_to_progression(
    tmp_path: Path, what: str, visits: Any, survival: Any, days: int, event: bool, ends: tuple[float, float]
) -> None:
    found, _ = told(tmp_path, course(*visits, **survival))
    assert (found["pfs_days"], found["pfs_event"]) == (days, event)
    assert (found["pfs_left"], found["pfs_right"]) == ends


def test_survival_counts_from_the_first_dose(tmp_path: Path) -> None:
    found, _ = told(tmp_path, course((-5, 50), death=223))
    assert (found["os_days"], found["os_event"]) == (223, True)
    found, _ = told(tmp_path, course((-5, 50), last=300))
    assert (found["os_days"], found["os_event"]) == (300, False)


def test_the_clean_patient_has_a_confirmed_partial_response(tmp_path: Path) -> None:
    patients, assessments = responses(read_clinical(write(tmp_path / "c", clean())), protocol().response)
    (patient,) = patients.to_dict("records")
    assert (patient["best"], patient["responder"], patient["response_day"]) == ("PR", True, 42)
    assert patient["best_change"] == pytest.approx(-0.375)  # 40 mm to 2.5 cm
    assert patient["measurable"]
    assert patient["controlled"]
    assert assessments["overall"].tolist() == ["PR", "PR"]
    assert assessments["non_target"].tolist() == ["NON_CR_NON_PD"] * 2
    assert assessments["sum_mm"].tolist() == [25.0, 25.0]


def test_the_last_assessment_before_the_dose_is_the_baseline(tmp_path: Path) -> None:
    found, assessments = told(tmp_path, course((-20, 90), (0, 50), (42, 40)))
    assert assessments["change"].tolist() == pytest.approx([-0.2])
    assert found["assessments"] == 1
    assert found["best"] == "SD"


def test_growth_after_progression_does_not_touch_the_best_change(tmp_path: Path) -> None:
    found, _ = told(tmp_path, course((-5, 50), (42, 40), (84, 60), (126, 10)))
    assert found["best_change"] == pytest.approx(-0.2)
    found, _ = told(tmp_path, course((-5, 50), (42, "x")))
    assert np.isnan(found["best_change"])
    assert not found["evaluable"]


@pytest.mark.parametrize(("status", "size"), [("absent", 0.0), ("too_small", 5.0)])
def test_a_status_stands_for_a_size(tmp_path: Path, status: str, size: float) -> None:
    rows = course((-5, 50), (42, 40))
    rows["tumours"][1] |= {"diameter": "", "unit": "", "status": status}
    assert told(tmp_path, rows)[1]["sum_mm"].tolist() == [size]


def test_a_treated_patient_without_any_table_is_not_evaluable(tmp_path: Path) -> None:
    found, assessments = told(tmp_path, {"patients": clean()["patients"][:1]})
    assert (found["best"], found["evaluable"], found["pfs_days"]) == ("NE", False, 0)
    assert found["os_days"] is None
    assert not found["os_event"]
    assert len(assessments) == 0


@pytest.mark.parametrize(
    ("days", "codes", "best", "controlled"),
    [
        ((42, 84), ("SD", "SD"), "SD", True),
        ((42, 83), ("SD", "SD"), "SD", False),
        ((42, 84), ("SD", "NE"), "SD", False),
        ((42,), ("PR",), "PR", True),
        ((84,), ("NON_CR_NON_PD",), "NON_CR_NON_PD", True),
        ((42,), ("PD",), "PD", False),
        ((), (), "NE", False),
    ],
)
def test_disease_control_has_a_duration(days: Any, codes: Any, best: Any, controlled: bool) -> None:
    points = [TimePoint(d, None, None, c, "none", False, c) for d, c in zip(days, codes, strict=True)]
    assert is_controlled(points, Best(best, best, None, None), 84) is controlled
