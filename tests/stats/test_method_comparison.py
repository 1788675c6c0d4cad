"""Passing and Bablok's line: exact lines, plain loops, exchange of methods, outliers, coverage."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from ctcfish.errors import StatisticsError
from ctcfish.stats.method_comparison import Line, passing_bablok


def draw(n: int, rng: np.random.Generator, slope: float = 1.0, intercept: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    truth = rng.uniform(1, 10, n)
    return truth + rng.normal(0, 0.5, n), intercept + slope * truth + rng.normal(0, 0.5, n)


@pytest.mark.parametrize("slope", [0.5, 1.0, 2.5])
def test_points_on_a_line(slope: float) -> None:
    x = np.arange(1.0, 12.0)
    line: Line = passing_bablok(x, 3 + slope * x)
    assert (line.slope.value, line.intercept.value) == pytest.approx((slope, 3))
    assert line.slope.high - line.slope.low == pytest.approx(0, abs=1e-9)


def test_exchanging_the_methods_inverts_the_line() -> None:
    x, y = draw(41, np.random.default_rng(2), 1.2, -0.3)
    there, back = passing_bablok(x, y), passing_bablok(y, x)
    assert there.slope.value * back.slope.value == pytest.approx(1, abs=0.01)
    assert there.intercept.value == pytest.approx(-back.intercept.value / back.slope.value, abs=0.06)


def test_passing_bablok_by_plain_loops() -> None:
    x, y = draw(15, np.random.default_rng(3))
    slopes = sorted((y[i] - y[j]) / (x[i] - x[j]) for i, j in itertools.combinations(range(15), 2))
    shift = sum(s < -1 for s in slopes)
    assert len(slopes) == 105
    line = passing_bablok(x, y)
    assert line.slope.value == pytest.approx(slopes[(105 + 1) // 2 + shift - 1])
    assert line.intercept.value == pytest.approx(np.median(y - line.slope.value * x))


def test_intervals_cover() -> None:
    rng = np.random.default_rng(4)
    lines = [passing_bablok(*draw(40, rng, 1.0, 0.5)) for _ in range(1000)]
    assert 0.93 <= np.mean([m.slope.low <= 1.0 <= m.slope.high for m in lines]) <= 0.98
    assert 0.92 <= np.mean([m.intercept.low <= 0.5 <= m.intercept.high for m in lines]) <= 0.99


def test_passing_bablok_shrugs_off_an_outlier() -> None:
    x, y = draw(30, np.random.default_rng(5))
    y[0] = 500.0
    assert passing_bablok(x, y).slope.value == pytest.approx(1, abs=0.15)
    assert abs(np.polyfit(x, y, 1)[0] - 1) > 1


def test_tied_points_say_nothing() -> None:
    x, y = np.array([1.0, 2, 3, 4, 5, 6]), np.array([1.0, 2, 3, 4, 5, 6.5])
    once, twice = passing_bablok(x, y), passing_bablok(np.append(x, 1.0), np.append(y, 1.0))
    assert once.slope.value == pytest.approx(twice.slope.value, abs=0.05)
    vertical = passing_bablok([1.0, 1, 2, 2, 3, 3], [1.0, 1.1, 2, 2.1, 3, 3.1])
    assert vertical.slope.value == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: passing_bablok([1, 2], [1, 2]), "at least 3 pairs, found 2"),
        (lambda: passing_bablok([1, 1, 1], [2, 2, 2]), "all points are equal"),
        (lambda: passing_bablok([1, 2, np.nan], [1, 2, 3]), "missing or infinite"),
    ],
)
def test_refusals(call: object, message: str) -> None:
    with pytest.raises(StatisticsError, match=message):
        call()  # type: ignore[operator]
