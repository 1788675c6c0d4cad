"""Lines through two methods that both err: Deming and Passing-Bablok regression."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from ctcfish.errors import StatisticsError
from ctcfish.stats.checks import FloatArray, as_paired, check_confidence
from ctcfish.stats.estimate import Estimate


@dataclass(frozen=True, slots=True)
class Line:
    """A fitted line ``y = intercept + slope x``; methods agree where the intervals hold 1 and 0."""

    slope: Estimate
    intercept: Estimate


def passing_bablok(x: ArrayLike, y: ArrayLike, confidence: float = 0.95) -> Line:
    """Return the line of Passing and Bablok (1983): the shifted median of all pairwise slopes, with rank intervals.

    Pairs of equal points say nothing and slopes of -1 are left out, as in the paper; slopes below -1 shift the median,
    so that exchanging the methods gives the inverse line.

    Parameters
    ----------
    x, y : array_like, shape (n,)
    confidence : float

    Raises
    ------
    StatisticsError
        Fewer than three pairs, or all points equal.
    """
    check_confidence(confidence)
    first, second = as_paired(x, y, "measurements")
    n = first.size
    if n < 3:
        raise StatisticsError(f"Passing-Bablok needs at least 3 pairs, found {n}")
    slopes = _pairwise_slopes(first, second)
    total, shift = slopes.size, int((slopes < -1).sum())
    if not total:
        raise StatisticsError("all points are equal: a line through them has no slope")
    reach = float(stats.norm.ppf((1 + confidence) / 2)) * math.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    first_rank = max(round((total - reach) / 2), 1)
    last_rank = total - first_rank + 1

    def at(rank: int) -> float:
        return float(slopes[min(max(rank + shift, 1), total) - 1])

    middle = (at((total + 1) // 2) + at(total // 2 + 1)) / 2
    low, high = min(at(first_rank), middle), max(at(last_rank), middle)
    ends = [float(np.median(second - slope * first)) for slope in (middle, high, low)]
    method = "Passing-Bablok, ranks"
    return Line(
        Estimate(middle, low, high, method, confidence),
        Estimate(ends[0], min(ends[1], ends[0]), max(ends[2], ends[0]), method, confidence),
    )


def _pairwise_slopes(x: FloatArray, y: FloatArray) -> FloatArray:
    i, j = np.triu_indices(x.size, 1)
    dx, dy = x[i] - x[j], y[i] - y[j]
    told = (dx != 0) | (dy != 0)
    dx, dy = dx[told], dy[told]
    slopes = np.divide(dy, dx, out=np.copysign(np.full(dx.shape, 1e300), dy), where=dx != 0)
    return np.asarray(np.sort(slopes[slopes != -1.0]))
