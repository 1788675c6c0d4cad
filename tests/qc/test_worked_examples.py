"""Worked examples from publications, through the same calls that a study takes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ctcfish.qc.agreement import Wide, eligibility, statistics
from ctcfish.stats import method_comparison, moments
from ctcfish.stats.bootstrap import BootstrapPlan

PLAN = BootstrapPlan(resamples=100)

WRIGHT = [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427]
MINI = [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451]
"""Peak expiratory flow, l/min: first readings of Wright and mini meter (Bland and Altman 1986, table 1)."""


def summed(rows: np.ndarray) -> np.ndarray:
    return rows.sum(axis=0, keepdims=True)


def calls_of(table: list[list[int]]) -> np.ndarray:
    """Items read by two readers, from a table of counts: first reader in rows."""
    pairs = [(i, j) for i, row in enumerate(table) for j, count in enumerate(row) for _ in range(count)]
    return np.array(pairs, dtype=np.int64)


def agreement_of(table: list[list[int]]) -> dict[str, float]:
    found = pd.DataFrame(eligibility(calls_of(table), PLAN))
    return dict(zip(found["statistic"], found["value"], strict=True))


def test_bland_and_altman_1986() -> None:
    """Wright less mini: mean -2.1, standard deviation 38.8, limits at two standard deviations -79.7 and 75.5."""
    sums = summed(moments.pair_sums(np.array(MINI, float), np.array(WRIGHT, float)))
    assert moments.bias(sums)[0] == pytest.approx(-2.1, abs=0.05)
    spread = moments.spread(sums)[0]
    assert spread == pytest.approx(38.8, abs=0.05)
    assert moments.bias(sums)[0] - 2 * spread == pytest.approx(-79.7, abs=0.1)
    assert moments.bias(sums)[0] + 2 * spread == pytest.approx(75.5, abs=0.1)


def test_the_same_readings_as_a_study_of_cells() -> None:
    values = np.stack([MINI, WRIGHT], axis=1).astype(float)
    calls, ones = np.zeros(values.shape, np.int64), np.ones(values.shape)
    names = np.array([f"p{k}" for k in range(len(values))], dtype=object)
    found = pd.DataFrame(statistics(Wide(names, calls, values, ones, values), PLAN)).set_index(
        ["quantity", "statistic"]
    )
    bias = found.loc[("her2", "Bland-Altman bias")]
    assert bias["value"] == pytest.approx(-2.1, abs=0.05)
    assert bias["low"] < -15 < 10 < bias["high"]
    pearson = np.corrcoef(MINI, WRIGHT)[0, 1]
    assert pearson == pytest.approx(0.94, abs=0.005)  # as the paper says
    assert found.loc[("her2", "Lin concordance"), "value"] < pearson
    assert found.loc[("her2", "percent equal"), "value"] == 0.0
    line = method_comparison.passing_bablok(MINI, WRIGHT)
    assert found.loc[("her2", "Passing-Bablok slope"), "value"] == pytest.approx(line.slope.value)
    logs = found.loc[("ratio", "Bland-Altman bias, log scale"), "value"]
    assert logs == pytest.approx(np.exp(np.mean(np.log(WRIGHT) - np.log(MINI))))


@pytest.mark.parametrize(
    ("table", "agreed", "kappa"),
    [
        ([[45, 6], [9, 40]], 0.85, 0.70),  # Feinstein and Cicchetti 1990: balanced
        ([[5, 5], [10, 80]], 0.85, 0.32),  # the same agreement, one category rare
        ([[15, 10], [5, 20]], 0.70, 0.40),  # fifty proposals, two readers
        ([[50, 0], [0, 50]], 1.0, 1.0),
        ([[0, 50], [50, 0]], 0.0, -1.0),
        ([[25, 25], [25, 25]], 0.5, 0.0),
    ],
)
def test_kappa_of_published_tables(table: list[list[int]], agreed: float, kappa: float) -> None:
    found = agreement_of(table)
    assert found["percent agreement"] == pytest.approx(agreed)
    assert found["Cohen kappa"] == pytest.approx(kappa, abs=0.005)


def test_gwet_stays_where_kappa_falls() -> None:
    """Of the second table above: mean share 0.875, chance 2 x 0.875 x 0.125, AC1 (0.85 - 0.21875) / 0.78125."""
    found = agreement_of([[5, 5], [10, 80]])
    assert found["Gwet AC1"] == pytest.approx((0.85 - 0.21875) / 0.78125)
    assert found["positive agreement"] == pytest.approx(2 * 80 / (2 * 80 + 15))
    assert found["negative agreement"] == pytest.approx(2 * 5 / (2 * 5 + 15))


def test_krippendorff_2011_two_observers_binary() -> None:
    """Ten items, no reading missing: alpha = 0.095."""
    first = [0, 1, 0, 0, 0, 0, 0, 0, 1, 0]
    second = [1, 1, 1, 0, 0, 1, 0, 0, 0, 0]
    found = pd.DataFrame(eligibility(np.stack([first, second], axis=1), PLAN)).set_index("statistic")["value"]
    assert found["Krippendorff alpha"] == pytest.approx(0.095, abs=0.0005)
    assert found["percent agreement"] == 0.6


def test_scott_equals_fleiss_of_two_readers() -> None:
    """Fleiss 1971 generalises Scott's pi: chance is the sum of the squared mean shares."""
    table = [[40, 9], [6, 45]]
    share = (2 * 45 + 9 + 6) / 200
    chance = share**2 + (1 - share) ** 2
    assert agreement_of(table)["Fleiss kappa"] == pytest.approx((0.85 - chance) / (1 - chance))


def test_mcbride_reading_of_concordance() -> None:
    """Lin 1989: a shift or a stretch lowers concordance although the correlation stays 1."""
    x = np.arange(1.0, 21.0)
    for y, lower in ((x, 1.0), (x + 3, 0.9), (1.5 * x, 0.85), (21 - x, -0.9)):
        value = moments.concordance(summed(moments.pair_sums(x, y)))[0]
        assert value <= lower + 1e-9
    shifted = moments.concordance(summed(moments.pair_sums(x, x + 3)))[0]
    assert shifted == pytest.approx(2 * x.var() / (2 * x.var() + 9))


def test_exact_lines_are_found() -> None:
    x = np.array([1.0, 2.0, 4.0, 7.0, 11.0])
    sums = summed(moments.pair_sums(x, 2 * x + 1))
    assert moments.deming_slope(sums)[0] == pytest.approx(2.0)
    assert moments.deming_intercept(sums)[0] == pytest.approx(1.0)
    line = method_comparison.passing_bablok(x, 2 * x + 1)
    assert (line.slope.value, line.intercept.value) == pytest.approx((2.0, 1.0))


def test_repeatability_by_hand() -> None:
    """Pairs that differ by 2, 0 and 4: within-cell variance (2 + 0 + 8) / 3; coefficient 1.96 sqrt 2 of its root."""
    table = np.array([[1.0, 3.0], [5.0, 5.0], [2.0, 6.0]])
    sums = summed(moments.item_sums(table))
    assert moments.within_sd(sums)[0] == pytest.approx(np.sqrt(10 / 3))
    assert moments.repeatability_coefficient(sums)[0] == pytest.approx(1.959964 * np.sqrt(2 * 10 / 3))
