"""Intervals that leave out one unit at a time: patients of a study of readings, each with all of its cells.

A figure is a function of sums over units, so that leaving one out is a subtraction. Chosen over the bootstrap by
measured coverage where few units carry the spread, as patients with many HER2 copies do: slopes, correlations and
limits of counts of 30 patients covered 89 to 93 % with 95 % promised by the bootstrap, 92 to 96 % so.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats

from ctcfish.stats.bootstrap import IDENTITY, LOG, Scale
from ctcfish.stats.checks import FloatArray, check_confidence
from ctcfish.stats.estimate import Estimate

SumStatistic = Callable[[FloatArray], FloatArray]
"""Takes sums, shape (B, S), and returns shape (B,); NaN where undefined."""


def jackknife_interval(
    sums: FloatArray, statistic: SumStatistic, scale: Scale = IDENTITY, confidence: float = 0.95
) -> Estimate:
    """Return a statistic of summed units with its jackknife interval.

    The variance is ``(n - 1) / n`` times the sum of squares of the leave-one-out values around their mean (Tukey 1958),
    on the scale; t has the degrees of freedom that their fourth powers leave to that variance (Satterthwaite; Lipsitz,
    Laird and Harrington 1990), at most n - 1: a spread that hangs on a few units has few.

    Parameters
    ----------
    sums : ndarray, shape (n, S)
        Sums of each unit.
    statistic : callable
    scale : Scale
        Where the statistic is nearly normal.
    confidence : float

    Returns
    -------
    Estimate
        Limits are NaN where there is no spread, fewer than two units, a leave-one-out value is undefined, or so few
        units carry all that no number holds the upper limit.
    """
    check_confidence(confidence)
    return _interval(_of_sums(sums, statistic, scale), scale, confidence)


def value_interval(
    values: FloatArray, statistic: SumStatistic, scale: Scale = IDENTITY, confidence: float = 0.95
) -> Estimate:
    """Return a statistic of single values, such as a spread over cells, with its interval as of `jackknife_interval`.

    Equal values leave out alike, so the work grows with the different ones.

    Parameters
    ----------
    values : ndarray, shape (n,)
    statistic : callable
        Takes values, shape (..., m), and works along the last axis.
    scale : Scale
    confidence : float
    """
    check_confidence(confidence)
    _, first, inverse = np.unique(values, return_index=True, return_inverse=True)
    left = np.array([float(statistic(np.delete(values, place))) for place in first.tolist()])
    return _interval(_left_out(float(statistic(values)), left[inverse], scale), scale, confidence)


def limit_interval(
    sums: FloatArray, parts: tuple[SumStatistic, SumStatistic], reach: float, confidence: float = 0.95
) -> Estimate:
    """Return a limit of agreement, ``bias + reach * spread``, with its interval from those of its two parts.

    Each end adds the distances of the parts' own ends as if they were errors (MOVER; Donner and Zou 2012), the spread's
    on the log scale, correlated as their leave-one-out values are.

    Parameters
    ----------
    sums : ndarray, shape (n, S)
    parts : pair of callable
        Bias and spread.
    reach : float
        Standard deviations from the bias, negative for the lower limit.
    confidence : float
    """
    bias, spread = (_of_sums(sums, part, scale) for part, scale in zip(parts, (IDENTITY, LOG), strict=True))
    value, name = bias.value + reach * spread.value, f"jackknife of {len(sums)} units, MOVER"
    if not (bias.usable and spread.usable and math.isfinite(spread.ends(LOG, confidence)[1])):
        return Estimate(value, math.nan, math.nan, name, confidence)
    of_bias, of_spread = bias.ends(IDENTITY, confidence), spread.ends(LOG, confidence)
    together = float(np.corrcoef(bias.moved, spread.moved)[0, 1]) * math.copysign(1.0, reach)
    if reach < 0:
        of_spread = of_spread[::-1]
    ends = []
    for side, own, other in zip((-1.0, 1.0), of_bias, of_spread, strict=True):
        a, b = abs(own - bias.value), abs(reach * (other - spread.value))
        ends.append(value + side * math.sqrt(max(a * a + b * b + 2 * together * a * b, 0.0)))
    return Estimate(value, ends[0], ends[1], name, confidence)


@dataclass(frozen=True)
class _LeftOut:
    """A figure, and how it moves on its scale as each unit is left out."""

    value: float
    centre: float
    moved: FloatArray

    @property
    def usable(self) -> bool:
        """Whether the figure moves at all, and stays defined."""
        return self.moved.size > 1 and bool(np.isfinite(self.moved).all()) and bool(self.moved.any())

    def ends(self, scale: Scale, confidence: float) -> tuple[float, float]:
        """Ends of the interval."""
        n, squares = self.moved.size, self.moved**2
        error = math.sqrt((n - 1) / n * float(squares.sum()))
        peaked = n * float((squares**2).sum()) / float(squares.sum()) ** 2
        freedom = min(max(2 * n / max(peaked - 1.0, 1e-9), 1.0), n - 1.0)
        half = float(stats.t.ppf((1 + confidence) / 2, freedom)) * error
        with np.errstate(over="ignore"):
            low, high = scale.inverse(np.array([self.centre - half, self.centre + half])).tolist()
        return float(low), float(high)


def _interval(left: _LeftOut, scale: Scale, confidence: float) -> Estimate:
    """A figure with its ends, as far as a number holds them."""
    name = f"jackknife of {left.moved.size} units, {scale.name} scale"
    low, high = left.ends(scale, confidence) if left.usable else (math.nan, math.nan)
    if not math.isfinite(high):
        return Estimate(left.value, math.nan, math.nan, name, confidence)
    return Estimate(left.value, min(low, left.value), max(high, left.value), name, confidence)


def _of_sums(sums: FloatArray, statistic: SumStatistic, scale: Scale) -> _LeftOut:
    whole = sums.sum(axis=0, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        return _left_out(float(statistic(whole)[0]), statistic(whole - sums), scale)


def _left_out(value: float, left: FloatArray, scale: Scale) -> _LeftOut:
    with np.errstate(divide="ignore", invalid="ignore"):
        centre, moved = float(scale.forward(np.array([value]))[0]), scale.forward(left)
        moved = moved - moved.mean() if math.isfinite(centre) else np.full(left.size, np.nan)
    return _LeftOut(value, centre, np.where(np.abs(moved) < 1e-12, 0.0, moved))
