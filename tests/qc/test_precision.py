"""Components of variance of whole slides: the worked layouts, known spreads, unbalanced and single readings."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2

from ctcfish.qc.precision import RATIO, layout, precision, slide_values
from tests.qc.conftest import cells_of

LIMITS = {"within": 4.74, "between": 11.9}


def values_of(table: np.ndarray, levels: tuple[str, ...], quantity: str = RATIO) -> pd.DataFrame:
    """Slide values of a balanced study; the last axis is the replicate."""
    rows = []
    for index in np.ndindex(*table.shape):
        about = dict.fromkeys(("site", "operator", "scanner", "probe_lot", "day", "run"))
        about |= {name: str(place) for name, place in zip(levels, index, strict=False)}
        rows.append(about | {"reading": f"r{index}", "value": table[index]})
    frame = pd.DataFrame(rows).assign(group="s", patient_id="p", population="all nuclei", quantity=quantity, n_cells=60)
    frame["relation"] = ["first", *["rescan"] * (len(frame) - 1)]
    return frame


def components(table: np.ndarray, levels: tuple[str, ...]) -> pd.DataFrame:
    return precision(values_of(table, levels), LIMITS).set_index("component")


def test_ep15_worked_by_hand() -> None:
    """Two days of two: mean squares 0.04 within (0.08 / 2) and 1.0 between days, so days add (1.0 - 0.04) / 2."""
    table = np.array([[1.8, 2.2], [2.8, 3.2]])
    found = components(table, ("day",))
    assert found.loc["repeatability", "sd"] == pytest.approx(np.sqrt(0.08))
    assert found.loc["day", "sd"] == pytest.approx(np.sqrt((1.0 - 0.08) / 2))
    assert found.loc["total", "sd"] == pytest.approx(np.sqrt(0.08 + 0.46))
    assert found.loc["total", "cv_percent"] == pytest.approx(100 * np.sqrt(0.54) / 2.5)
    assert found["layout"].unique().tolist() == ["2 day x 2 replicate"]
    assert found["n_readings"].unique().tolist() == [4]


@pytest.mark.parametrize(
    ("shape", "levels"), [((5, 5), ("day",)), ((20, 2, 2), ("day", "run")), ((3, 5, 5), ("site", "day"))]
)
def test_layouts_of_the_standards_recover_known_spreads(shape: tuple[int, ...], levels: tuple[str, ...]) -> None:
    """Exact chi-square intervals of repeatability cover in at least 95 %, less the error of 300 simulations."""
    rng, covered, n = np.random.default_rng(len(shape)), 0, 120
    for _ in range(n):
        table = 2.0 + rng.normal(0, 0.05, shape)
        for axis in range(len(shape) - 1):
            table = table + rng.normal(0, 0.05, shape[: axis + 1]).reshape(
                *shape[: axis + 1], *[1] * (len(shape) - axis - 1)
            )
        found = components(table, levels)
        covered += found.loc["repeatability", "low"] <= 0.05 <= found.loc["repeatability", "high"]
        assert list(found.index) == ["repeatability", "total", *levels]
    assert covered / n >= 0.95 - 2 * np.sqrt(0.95 * 0.05 / n)


def test_limits_are_of_one_site_or_between_sites() -> None:
    rng = np.random.default_rng(1)
    within = components(2 + rng.normal(0, 0.01, (5, 5)), ("day",))
    assert within.loc["repeatability", ["limit_percent", "passed"]].tolist() == [4.74, True]
    assert within.loc["total", "limit_percent"] == 4.74
    # 5 x 5 scans leave 20 degrees of freedom within days
    verified = 4.74 * math.sqrt(chi2.ppf(0.95, 20) / 20)
    assert within.loc["repeatability", "verification_percent"] == pytest.approx(verified)
    assert within["verification_percent"].notna().tolist() == within["limit_percent"].notna().tolist()
    assert np.isnan(within.loc["day", "limit_percent"])
    between = components(2 + rng.normal(0, 0.5, (3, 4, 2)), ("site", "day"))
    assert between.loc["total", ["limit_percent", "passed"]].tolist() == [11.9, False]
    other = precision(values_of(2 + rng.normal(0, 0.5, (3, 2)), ("day",), "mean HER2"), LIMITS)
    assert other["limit_percent"].isna().all()


def test_a_level_out_of_balance_is_left_out() -> None:
    values = values_of(np.arange(6.0).reshape(3, 2) + 1, ("day",))
    values["probe_lot"] = ["a", "a", "a", "a", "b", "b"]
    assert layout(values) == (("day",), [0, 1, 2, 3, 4, 5])
    uneven = values.iloc[:5]
    assert layout(uneven)[0] == ()
    found = precision(uneven, LIMITS)
    assert found["component"].tolist() == ["total"]
    assert found["sd"][0] == pytest.approx(np.std([1, 2, 3, 4, 5], ddof=1))
    assert found["layout"][0] == "5 replicate"


def test_a_factor_that_says_the_same_as_another_adds_nothing() -> None:
    values = values_of(np.arange(8.0).reshape(4, 2) + 1, ("day",))
    values["operator"] = values["day"]
    assert layout(values)[0] == ("operator",)
    values["operator"] = None
    assert layout(values.iloc[::-1])[1] == [6, 7, 4, 5, 2, 3, 0, 1]


def test_one_reading_or_no_value_is_no_study() -> None:
    one = values_of(np.array([[2.0]]), ("day",))
    assert len(precision(one, LIMITS)) == 0
    missing = values_of(np.array([[2.0, np.nan]]), ("day",))
    assert len(precision(missing, LIMITS)) == 0


def test_equal_readings_have_no_spread() -> None:
    found = components(np.full((3, 3), 2.0), ("day",))
    assert found.loc["total", ["sd", "passed"]].tolist() == [0.0, True]


def test_what_a_slide_says(places: Callable[[int], np.ndarray]) -> None:
    kinds = ["ctc", "ctc", "wbc", "wbc"]
    rows = pd.DataFrame(slide_values(cells_of("s", [9, 2, 2, -1], [2, 2, 1, -1], places(4), kinds)))
    found = rows.set_index(["population", "quantity"])["value"]
    assert found["CTC", RATIO] == 11 / 4
    assert found["leukocytes", RATIO] == 2.0
    assert found["leukocytes", "evaluable share"] == 0.5
    assert found["all nuclei", "mean HER2"] == 13 / 3
    empty = pd.DataFrame(slide_values(cells_of("s", [], [], np.empty((0, 2)))))
    assert empty["value"].isna().all()
    assert (empty["n_cells"] == 0).all()
