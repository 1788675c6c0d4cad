from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from ctcfish.errors import StatisticsError
from ctcfish.stats.estimate import Estimate
from ctcfish.stats.proportions import proportion
from ctcfish.stats.rank import TestResult
from ctcfish.trial.endpoints import ENDPOINTS
from ctcfish.trial.finding import (
    Finding,
    Label,
    concluded,
    correlation_interval,
    holm,
    of_correlation,
    of_proportion,
    unknown,
)

ESTIMATE = Estimate(0.5, 0.2, 0.8, "exact")
LABEL = Label("os", "key", "Title")


@pytest.mark.parametrize(
    ("label", "estimate", "population", "message"),
    [
        (
            LABEL,
            ESTIMATE,
            " ",
            "figure 'key' has no population",
        ),
        (
            LABEL,
            Estimate(0.5, 0.2, 0.8, ""),
            "patients",
            "figure 'key' has no method",
        ),
        (
            Label("os", "key", ""),
            ESTIMATE,
            "patients",
            "figure 'key' has no title",
        ),
        (
            Label("os", "", "Title"),
            ESTIMATE,
            "patients",
            "figure 'Title' has no key",
        ),
        (
            Label("cure", "key", "Title"),
            ESTIMATE,
            "patients",
            "endpoint 'cure' is unknown: use one of response",
        ),
    ],
)
def test_a_figure_nobody_could_check_cannot_be_made(
    label: Label, estimate: Estimate, population: str, message: str
) -> None:
    with pytest.raises(StatisticsError, match=message):
        Finding(label, estimate, population, 10)


def test_a_row_says_everything() -> None:
    row = of_proportion(LABEL, proportion(1, 11, "treated patients"), "a note").as_row()
    assert row["endpoint"] == "os"
    assert row["key"] == "key"
    assert row["title"] == "Title"
    assert row["numerator"] == 1
    assert row["n"] == 11
    assert row["population"] == "treated patients"
    assert row["value"] == pytest.approx(1 / 11)
    assert row["low"] == pytest.approx(0.0023, abs=1e-4)  # 1/11: Clopper-Pearson 0.2 to 41.3 %
    assert row["high"] == pytest.approx(0.4128, abs=1e-4)
    assert row["method"] == "Clopper-Pearson"
    assert row["confidence"] == 0.95
    assert row["role"] == "secondary"
    assert row["figure"] == "km_os"
    assert row["note"] == "a note"
    assert row["excluded"] == ENDPOINTS["os"].excluded
    assert row["missing"] == ENDPOINTS["os"].missing
    assert row["multiplicity"] == ENDPOINTS["os"].multiplicity


def test_wilson_of_one_in_eleven() -> None:
    row = of_proportion(LABEL, proportion(1, 11, "treated patients", "wilson")).as_row()
    assert (round(row["low"], 3), round(row["high"], 3)) == (0.016, 0.377)


def test_what_cannot_be_said_says_why() -> None:
    found = unknown(LABEL, "patients", 3, "too few")
    assert math.isnan(found.estimate.value)
    assert found.note == "too few"
    assert found.estimate.method == "not computed"


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_every_endpoint_states_its_rules(endpoint: str) -> None:
    about = ENDPOINTS[endpoint]
    assert about.role in ("primary", "secondary", "exploratory")
    for text in (about.title, about.figure, about.excluded, about.missing, about.multiplicity):
        assert text.strip()
    assert about.excluded.endswith(".")
    assert about.missing.endswith(".")


def test_there_is_one_primary_endpoint() -> None:
    assert [key for key, about in ENDPOINTS.items() if about.role == "primary"] == ["response"]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 12])
def test_holm_is_that_of_statsmodels(size: int) -> None:
    p_values = (np.random.default_rng(size).random(size) ** 3).tolist()
    p_values[-1] = p_values[0]  # a tie
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1].tolist())


def judged(endpoint: str, key: str, p_value: float, n: int = 50) -> Finding:
    return Finding(Label(endpoint, key, key), ESTIMATE, "patients", n, p_value=p_value)


def test_families_are_adjusted_by_themselves() -> None:
    findings = [
        judged("efficacy", "a", 0.01),
        judged("efficacy", "b", math.nan),
        judged("efficacy", "c", 0.04),
        judged("ctc", "d", 0.04),
        judged("efficacy", "e", 0.03),
    ]
    out = concluded(findings, 30)
    assert [f.label.key for f in out] == ["a", "b", "c", "d", "e"]
    assert [f.p_adjusted for f in out if not math.isnan(f.p_adjusted)] == pytest.approx([0.03, 0.06, 0.04, 0.06])
    assert [f.p_value for f in out][:1] == [0.01]


@pytest.mark.parametrize(
    ("endpoint", "n", "role"),
    [
        ("response", 11, "primary"),
        ("response", 50, "primary"),
        ("os", 29, "exploratory"),
        ("os", 30, "secondary"),
        ("efficacy", 29, "exploratory"),
        ("efficacy", 500, "exploratory"),
        ("toxicity", 11, "exploratory"),
        ("toxicity", 154, "secondary"),
    ],
)
def test_small_numbers_are_exploratory_unless_primary(endpoint: str, n: int, role: str) -> None:
    (out,) = concluded([judged(endpoint, "a", math.nan, n)], 30)
    assert out.as_row()["role"] == role


@pytest.mark.parametrize(("n", "role"), [(29, "exploratory"), (30, "secondary")])
def test_a_figure_beside_the_primary_one_is_not_primary(n: int, role: str) -> None:
    (out,) = concluded([replace(judged("response", "a", math.nan, n), role="secondary")], 30)
    assert out.as_row()["role"] == role


@pytest.mark.parametrize(
    ("rho", "n", "low", "high"),
    [
        # artanh(rho) -+ 1.959964 sqrt((1 + rho^2 / 2) / (n - 3)), by hand
        (0.0, 28, -0.373, 0.373),
        (0.5, 28, 0.133, 0.747),
        (-0.5, 28, -0.747, -0.133),
        (0.9, 28, 0.765, 0.959),
    ],
)
def test_interval_of_a_rank_correlation(rho: float, n: int, low: float, high: float) -> None:
    assert correlation_interval(rho, n, 0.95) == pytest.approx((low, high), abs=1e-3)


@pytest.mark.parametrize(("rho", "n"), [(0.5, 3), (0.5, 2), (1.0, 20), (-1.0, 20), (math.nan, 20)])
def test_no_interval_where_there_is_none(rho: float, n: int) -> None:
    low, high = correlation_interval(rho, n, 0.95)
    assert math.isnan(low)
    assert math.isnan(high)


def test_a_correlation_keeps_its_test() -> None:
    found = of_correlation(LABEL, TestResult(0.5, 0.02, 28, "Spearman, 99 permutations"), "patients", 0.95)
    assert found.p_value == 0.02
    assert found.n == 28
    assert found.unit == "rho"
    assert found.estimate.method.startswith("Spearman, 99 permutations")
    assert found.estimate.low < 0.5 < found.estimate.high
