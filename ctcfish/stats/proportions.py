"""Proportions that keep their denominator, and what a false-call rate per cell does to a patient."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import special, stats

from ctcfish.errors import StatisticsError
from ctcfish.stats.checks import FloatArray, IntArray, as_counts, as_rates, check_confidence

IntervalMethod = Literal["clopper-pearson", "wilson"]


@dataclass(frozen=True, slots=True)
class Proportion:
    """A share of a population that has a name.

    Attributes
    ----------
    numerator, denominator : int
        Counted and population size.
    population : str
        Who the denominator counts, for instance ``"patients with at least one CTC"``.
    method : str
        How the interval was made.
    low, high : float
        Interval limits in 0 to 1.
    confidence : float
        Nominal level.

    Raises
    ------
    StatisticsError
        The population or the method has no name, the numerator exceeds the denominator, or the limits do not hold the
        value.
    """

    numerator: int
    denominator: int
    population: str
    method: str
    low: float
    high: float
    confidence: float = 0.95

    def __post_init__(self) -> None:
        """Refuse a proportion nobody could check."""
        if not self.population.strip():
            raise StatisticsError(
                f"proportion {self.numerator}/{self.denominator} has no population: name whom the denominator counts"
            )
        if not self.method.strip():
            raise StatisticsError(f"proportion of {self.population} has no method: name how its interval was made")
        if not 0 <= self.numerator <= self.denominator:
            raise StatisticsError(
                f"{self.numerator} of {self.denominator} {self.population}: the numerator must lie in 0 to denominator"
            )
        if not 0.0 <= self.low <= self.high <= 1.0:
            raise StatisticsError(f"limits {self.low:g} to {self.high:g} of a proportion must rise within 0 to 1")
        if self.denominator and not self.low - 1e-12 <= self.value <= self.high + 1e-12:
            raise StatisticsError(f"limits {self.low:g} to {self.high:g} do not hold the value {self.value:g}")

    @property
    def value(self) -> float:
        """The share in 0 to 1; NaN for an empty population."""
        return self.numerator / self.denominator if self.denominator else math.nan

    def __str__(self) -> str:
        """Return numerator, denominator, population, per cent and interval in one line."""
        share = f"{100 * self.value:.1f} %" if self.denominator else "no value"
        interval = f"{100 * self.confidence:g} % CI {100 * self.low:.1f} to {100 * self.high:.1f} %"
        return f"{self.numerator}/{self.denominator} {self.population} = {share} ({interval}, {self.method})"


def proportion(
    numerator: int,
    denominator: int,
    population: str,
    method: IntervalMethod = "clopper-pearson",
    confidence: float = 0.95,
) -> Proportion:
    """Make a proportion with its interval.

    Raises
    ------
    StatisticsError
        As `Proportion`; also an unknown method.
    """
    makers = {"clopper-pearson": clopper_pearson, "wilson": wilson}
    if method not in makers:
        raise StatisticsError(f"interval method {method!r} is unknown: use one of {', '.join(makers)}")
    low, high = makers[method](numerator, denominator, confidence)
    return Proportion(int(numerator), int(denominator), population, method, float(low), float(high), confidence)


def clopper_pearson(successes: ArrayLike, trials: ArrayLike, confidence: float = 0.95) -> tuple[FloatArray, FloatArray]:
    """Exact two-sided interval of a binomial proportion (Clopper and Pearson 1934).

    Parameters
    ----------
    successes, trials : array_like of int
        Broadcast together; no trials give 0 to 1.
    confidence : float
        Nominal level; the true coverage is never below it.

    Returns
    -------
    low, high : ndarray of float64

    Raises
    ------
    StatisticsError
        Counts that cannot be, or a level outside (0, 1).
    """
    tail = (1.0 + confidence) / 2.0
    return (
        clopper_pearson_lower(successes, trials, tail),
        clopper_pearson_upper(successes, trials, tail),
    )


def clopper_pearson_upper(successes: ArrayLike, trials: ArrayLike, confidence: float = 0.95) -> FloatArray:
    """Exact one-sided upper bound, ``beta.ppf(confidence, k + 1, n - k)``; 1 where all trials succeeded."""
    check_confidence(confidence)
    k, n = _counts_of(successes, trials)
    bound = special.betaincinv(k + 1.0, np.maximum(n - k, 1), confidence)
    return np.where(k == n, 1.0, bound)


def clopper_pearson_lower(successes: ArrayLike, trials: ArrayLike, confidence: float = 0.95) -> FloatArray:
    """Exact one-sided lower bound, ``beta.ppf(1 - confidence, k, n - k + 1)``; 0 where none succeeded."""
    check_confidence(confidence)
    k, n = _counts_of(successes, trials)
    bound = special.betaincinv(np.maximum(k, 1), n - k + 1.0, 1.0 - confidence)
    return np.where(k == 0, 0.0, bound)


def wilson(successes: ArrayLike, trials: ArrayLike, confidence: float = 0.95) -> tuple[FloatArray, FloatArray]:
    """Score interval of a binomial proportion (Wilson 1927); no trials give 0 to 1.

    Raises
    ------
    StatisticsError
        Counts that cannot be, or a level outside (0, 1).
    """
    check_confidence(confidence)
    k, n = _counts_of(successes, trials)
    z2 = float(special.ndtri((1.0 + confidence) / 2.0)) ** 2
    size = np.maximum(n, 1)
    share = k / size
    centre = (share + z2 / (2 * size)) / (1 + z2 / size)
    half = np.sqrt(z2 * (share * (1 - share) + z2 / (4 * size)) / size) / (1 + z2 / size)
    low = np.where((n == 0) | (k == 0), 0.0, centre - half)
    high = np.where((n == 0) | (k == n), 1.0, centre + half)
    return low, high


def any_by_error(rates: ArrayLike) -> float:
    """Probability that at least one of several cells is called falsely, ``1 - prod(1 - a_i)``; 0 for no cell."""
    values = as_rates(rates, "false-call rates")
    if (values == 1.0).any():
        return 1.0
    return float(-np.expm1(np.log1p(-values).sum()))


def at_least_by_error(rates: ArrayLike, least: int) -> float:
    """Probability that at least ``least`` of several cells are called falsely (Poisson-binomial tail).

    For rules that ask for two or more positive cells; ``least = 1`` is `any_by_error`.

    Raises
    ------
    StatisticsError
        A rate outside [0, 1], or ``least`` that is no whole number.
    """
    values, k = as_rates(rates, "false-call rates").ravel(), int(as_counts(least, "called cells"))
    if k <= 1:
        return any_by_error(values) if k else 1.0
    fewer = np.zeros(k)  # probability of 0 … k - 1 false calls so far; the rest has reached k and stays there
    fewer[0] = 1.0
    reached = 0.0
    for rate in values.tolist():
        reached += rate * fewer[-1]
        fewer[1:] = fewer[1:] * (1 - rate) + fewer[:-1] * rate
        fewer[0] *= 1 - rate
    return float(min(reached, 1.0))


def patient_by_error(rate: ArrayLike, cells: ArrayLike) -> FloatArray:
    """Probability that a patient of ``cells`` cells is falsely positive, ``1 - (1 - a)^n``, broadcast."""
    a, n = as_rates(rate, "false-call rate"), as_counts(cells, "cells")
    return 1.0 - (1.0 - a) ** n if (a == 1.0).any() else -np.expm1(n * np.log1p(-a))


def cells_needed(fraction: float, probability: float = 0.95) -> int:
    """Return the number of cells to see at least one of a kind that makes up ``fraction`` of them.

    Smallest n with ``1 - (1 - fraction)^n >= probability``.

    Raises
    ------
    StatisticsError
        Fraction outside (0, 1] or probability outside (0, 1).
    """
    check_confidence(probability)
    if not 0.0 < fraction <= 1.0:
        raise StatisticsError(
            f"fraction must lie above 0 and up to 1, found {fraction:g}: a kind that is absent is never seen"
        )
    if fraction == 1.0:
        return 1
    n = max(1, math.floor(math.log1p(-probability) / math.log1p(-fraction)))
    return n if -math.expm1(n * math.log1p(-fraction)) >= probability else n + 1


def negative_upper_bound(cells: ArrayLike, confidence: float = 0.95) -> FloatArray:
    """Largest true fraction a negative of ``cells`` cells leaves open, ``1 - (1 - confidence)^(1/n)``; 1 for none."""
    n = as_counts(cells, "cells")
    return clopper_pearson_upper(np.zeros_like(n), n, confidence)


def cutoff_from_normals(false_positives: ArrayLike, normals: ArrayLike, confidence: float = 0.95) -> FloatArray:
    """Cut-off on the fraction of positive nuclei by the inverse beta function, ``beta.ppf(.95, FP + 1, N)``.

    The form laboratories use for FISH cut-offs (spreadsheet ``BETAINV``); at FP = 0 it is the exact one-sided bound.

    Raises
    ------
    StatisticsError
        No normal nucleus, or more false positives than nuclei.
    """
    check_confidence(confidence)
    k, n = _counts_of(false_positives, normals)
    if (n == 0).any():
        raise StatisticsError("a cut-off needs normal nuclei, found 0: score normals first")
    return np.asarray(special.betaincinv(k + 1.0, n, confidence), dtype=np.float64)


def cutoff_count(rate: float, cells: int, alpha: float = 0.05) -> int:
    """Smallest number of positive cells that error alone reaches with probability at most ``alpha`` (exact binomial).

    Returns ``cells + 1`` where no number of cells is beyond error.

    Raises
    ------
    StatisticsError
        Rate or alpha outside their range.
    """
    check_confidence(alpha)
    a, n = float(as_rates(rate, "false-call rate")), int(as_counts(cells, "cells"))
    reached = stats.binom.sf(np.arange(-1, n), n, a)  # P(X >= k) for k = 0 … n
    below = np.flatnonzero(reached <= alpha)
    return int(below[0]) if below.size else n + 1


def _counts_of(successes: ArrayLike, trials: ArrayLike) -> tuple[IntArray, IntArray]:
    k, n = np.broadcast_arrays(as_counts(successes, "successes"), as_counts(trials, "trials"))
    if (k > n).any():
        raise StatisticsError(
            f"{int(k[k > n].flat[0])} successes in {int(n[k > n].flat[0])} trials: check the population"
        )
    return k, n
