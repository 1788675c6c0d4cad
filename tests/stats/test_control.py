"""Control charts: textbook series for every rule, in-control rates by simulation, drift."""

from __future__ import annotations

import time

import numpy as np
import pytest
from scipy.stats import norm

from ctcfish.errors import StatisticsError
from ctcfish.stats import control as ct

SERIES = {
    "1-2s": ([0.3, -0.4, 2.1, 0.2], [2]),
    "1-3s": ([0.3, -0.4, -3.1, 0.2], [2]),
    "2-2s": ([0.1, 2.2, 2.4, 0.0], [2]),
    "R-4s": ([0.1, 2.2, -2.1, 0.0], [2]),
    "4-1s": ([0.2, -1.1, -1.2, -1.3, -1.4, -0.2], [4]),
    "10x": ([-0.1] + [0.2] * 11, [10, 11]),
}
SILENT = {
    "1-2s": [2.0, -2.0],
    "1-3s": [3.0, -3.0],
    "2-2s": [2.1, 0.0, 2.1, -2.1],
    "R-4s": [2.1, 2.1, 0.0, -2.1],
    "4-1s": [1.1, 1.1, 1.1, 0.9, 1.1, -1.1],
    "10x": [0.2] * 9 + [-0.1] + [0.2] * 9,
}


@pytest.mark.parametrize("rule", list(SERIES))
def test_every_rule_fires_on_its_textbook_series(rule: str) -> None:
    series, expected = SERIES[rule]
    assert np.flatnonzero(ct.westgard(series)[rule]).tolist() == expected
    mirrored = np.flatnonzero(ct.westgard([-z for z in series])[rule]).tolist()
    assert mirrored == expected


@pytest.mark.parametrize("rule", list(SILENT))
def test_no_rule_fires_a_step_short(rule: str) -> None:
    assert not ct.westgard(SILENT[rule])[rule].any()


def test_rates_in_control_are_the_known_ones() -> None:
    rng = np.random.default_rng(0)
    broken = ct.westgard(rng.normal(0, 1, (10_000, 12)))
    p2, p3, p1 = norm.sf(2), norm.sf(3), norm.sf(1)
    known = {
        "1-2s": 2 * p2,
        "1-3s": 2 * p3,
        "2-2s": 2 * p2**2,
        "R-4s": 2 * p2**2,
        "4-1s": 2 * p1**4,
        "10x": 2 * 0.5**10,
    }
    for rule, rate in known.items():
        share = broken[rule][:, ct.RULE_LENGTHS[rule] - 1 :].mean()
        size = 10_000 * (13 - ct.RULE_LENGTHS[rule])
        assert share == pytest.approx(rate, abs=5 * np.sqrt(rate / size) * 1.6), rule


def test_rows_are_series_of_their_own() -> None:
    z = np.random.default_rng(1).normal(0, 1.5, (5, 40))
    together = ct.westgard(z)
    for rule, where in together.items():
        assert np.array_equal(where, np.stack([ct.westgard(row)[rule] for row in z]))


def test_plain_loops_agree() -> None:
    z = np.random.default_rng(2).normal(0.3, 1.4, 500)
    broken = ct.westgard(z)
    for i in range(500):
        four, ten = z[max(i - 3, 0) : i + 1], z[max(i - 9, 0) : i + 1]
        assert broken["4-1s"][i] == (len(four) == 4 and ((four > 1).all() or (four < -1).all()))
        assert broken["10x"][i] == (len(ten) == 10 and ((ten > 0).all() or (ten < 0).all()))
        pair = sorted(z[max(i - 1, 0) : i + 1])
        assert broken["R-4s"][i] == (len(pair) == 2 and pair[0] < -2 and pair[1] > 2)


def test_a_warning_alone_rejects_nothing() -> None:
    assert not ct.rejected(ct.westgard([0.0, 2.5, 0.0])).any()
    assert ct.rejected(ct.westgard([0.0, 3.5, 0.0])).tolist() == [False, True, False]


def test_involved_names_the_whole_run() -> None:
    broken = ct.westgard([0.2, -1.1, -1.2, -1.3, -1.4, -0.2])["4-1s"]
    assert ct.involved(broken, "4-1s").tolist() == [False, True, True, True, True, False]
    assert ct.involved(ct.westgard([0, 3.5])["1-3s"], "1-3s").tolist() == [False, True]
    assert ct.involved(np.zeros(3, dtype=bool), "10x").tolist() == [False] * 3


@pytest.mark.parametrize("n", [0, 1, 3])
def test_short_series(n: int) -> None:
    z = np.full(n, 5.0)
    broken = ct.westgard(z)
    assert all(where.shape == (n,) for where in broken.values())
    assert not broken["4-1s"].any()
    assert ct.cusum(z).signals.shape == ct.ewma(z).signals.shape == (n,)


def test_standardise() -> None:
    assert ct.standardise([9, 10, 12], 10, 2).tolist() == [-0.5, 0, 1]
    with pytest.raises(StatisticsError, match="set it from the history"):
        ct.standardise([1.0], 1.0, 0.0)
    with pytest.raises(StatisticsError, match="missing or infinite"):
        ct.standardise([1.0, np.nan], 1.0, 1.0)


def test_cusum_equals_its_recursion() -> None:
    z = np.random.default_rng(3).normal(0.2, 1, 300)
    chart = ct.cusum(z, 0.5, 4.0)
    high = low = 0.0
    for i, value in enumerate(z):
        high, low = max(0.0, high + value - 0.5), max(0.0, low - value - 0.5)
        assert (chart.high[i], chart.low[i]) == pytest.approx((high, low), abs=1e-9)
        assert chart.signals[i] == (high > 4 or low > 4)


def run_length(signals: np.ndarray) -> int:
    hits = np.flatnonzero(signals)
    return int(hits[0]) + 1 if hits.size else signals.size


@pytest.mark.parametrize(("chart", "in_control"), [(ct.cusum, 465), (ct.ewma, 500)])
def test_average_run_lengths(chart, in_control: int) -> None:
    rng = np.random.default_rng(4)
    quiet = np.mean([run_length(chart(rng.normal(0, 1, 4000)).signals) for _ in range(300)])
    moved = np.mean([run_length(chart(rng.normal(1, 1, 400)).signals) for _ in range(300)])
    assert quiet == pytest.approx(in_control, rel=0.2)
    assert moved == pytest.approx(10.2, rel=0.12)


def test_ewma_equals_its_weighted_sum() -> None:
    z = np.random.default_rng(5).normal(0, 1, 30)
    chart = ct.ewma(z, weight=0.3, width=3.0)
    powers = 0.3 * 0.7 ** np.arange(30)
    assert chart.high[-1] == pytest.approx(powers @ z[::-1])
    assert chart.limit[0] == pytest.approx(3 * 0.3)
    assert chart.limit[-1] == pytest.approx(3 * np.sqrt(0.3 / 1.7), rel=1e-6)


def test_ten_thousand_results_chart_in_no_time() -> None:
    z = np.random.default_rng(6).normal(0, 1, 10_000)
    start = time.perf_counter()
    ct.westgard(z), ct.cusum(z), ct.ewma(z)
    assert time.perf_counter() - start < 0.5


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ct.involved(np.zeros(3, dtype=bool), "7T"), "no rule is called '7T': use 1-2s"),
        (lambda: ct.cusum([1.0], slack=-1), "slack 0 or more"),
        (lambda: ct.cusum([1.0], limit=0), "limit above 0"),
        (lambda: ct.ewma([1.0], weight=0), "weight in"),
        (lambda: ct.westgard([np.nan]), "missing or infinite"),
    ],
)
def test_refusals(call: object, message: str) -> None:
    with pytest.raises(StatisticsError, match=message):
        call()  # type: ignore[operator]
