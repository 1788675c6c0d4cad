"""Rank figures with intervals: the median, and the probability that one of a group has the higher value."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.stats import binom, mannwhitneyu, norm, wilcoxon

from ctcfish.stats.checks import BoolArray, FloatArray
from ctcfish.stats.estimate import Estimate
from ctcfish.stats.rank import TestResult, rank_sum, signed_rank
from ctcfish.trial.finding import Finding, Label, unknown

MOST_EXACT = 80
"""Subjects up to which every arrangement is counted; beyond, the normal approximation says the same."""

MOST_SWAPPED = 12
"""Pairs up to which every swap is counted: 4,096."""


def superiority(label: Label, values: FloatArray, marks: BoolArray, population: str, level: float) -> Finding:
    """Return the probability that a marked one has the higher value, ties counted half, with the exact rank test.

    Parameters
    ----------
    label : Label
    values : ndarray, shape (n,)
    marks : ndarray of bool, shape (n,)
    population : str
    level : float
        Confidence.
    """
    a, b = values[marks], values[~marks]
    if not (a.size and b.size):
        return unknown(label, population, values.size, "One of the two groups is empty.")
    theta = float((np.sign(a[:, None] - b[None, :]) / 2 + 0.5).mean())
    low, high = auc_interval(theta, a.size, b.size, level)
    test = rank_sum(values, marks) if values.size <= MOST_EXACT else _large_rank_sum(a, b)
    estimate = Estimate(theta, low, high, f"{test.method}; interval after Newcombe, method 5", level)
    return Finding(label, estimate, population, values.size, "probability", p_value=test.p_value)


def paired(before: ArrayLike, during: ArrayLike) -> TestResult:
    """Return Wilcoxon's signed-rank test: exact with ties up to :data:`MOST_EXACT` pairs, then the normal one."""
    first, second = np.asarray(before, dtype=np.float64), np.asarray(during, dtype=np.float64)
    if first.size <= MOST_EXACT:
        return signed_rank(first, second)
    found = wilcoxon(second, first, method="approx", zero_method="wilcox")
    return TestResult(float(found.statistic), float(found.pvalue), first.size, "Wilcoxon signed rank, normal with ties")


def swapped(before: ArrayLike, during: ArrayLike, resamples: int = 9999, seed: int = 0) -> TestResult:
    """Return the test of the ratio of totals by swapping the visits within patients, which keeps its level exactly.

    Up to 12 patients all swaps are counted; beyond, ``(b + 1) / (m + 1)`` of m random ones (Phipson and Smyth 2010).
    NaN where one of the visits has no count at all, or there is no patient.
    """
    first, second = np.asarray(before, dtype=np.float64), np.asarray(during, dtype=np.float64)
    n = first.size
    method = "swapping visits within patients"
    if not n or not first.sum() or not second.sum():
        return TestResult(math.nan, math.nan, n, method)
    if n <= MOST_SWAPPED:
        swap = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
    else:
        swap = np.random.default_rng(seed).integers(0, 2, (resamples, n))
    moved = swap @ (second - first)
    # the total stays: the ratio is extreme where the share of one visit is
    share = np.abs((first.sum() + moved) / (first.sum() + second.sum()) - 0.5)
    hits = int((share >= abs(first.sum() / (first.sum() + second.sum()) - 0.5) - 1e-12).sum())
    p_value = hits / share.size if n <= MOST_SWAPPED else (hits + 1) / (share.size + 1)
    return TestResult(float(second.sum() / first.sum()), p_value, n, method)


def _large_rank_sum(a: FloatArray, b: FloatArray) -> TestResult:
    found = mannwhitneyu(a, b, method="asymptotic")
    return TestResult(float(found.statistic), float(found.pvalue), a.size + b.size, "Mann-Whitney, normal with ties")


def median_interval(values: np.ndarray, confidence: float) -> tuple[float, float, float]:
    """Return the median and the widest order statistics whose coverage is at least nominal; infinite where none are."""
    ordered = np.sort(values)
    n = ordered.size
    if not n:
        return math.nan, math.nan, math.nan
    rank = int(binom.ppf((1 - confidence) / 2, n, 0.5))
    rank = rank if binom.cdf(rank - 1, n, 0.5) <= (1 - confidence) / 2 else rank - 1
    low, high = (ordered[rank - 1], ordered[n - rank]) if rank >= 1 else (-math.inf, math.inf)
    return float(np.median(ordered)), float(low), float(high)


def auc_interval(theta: float, m: int, n: int, confidence: float) -> tuple[float, float]:
    """Return the interval of P(X > Y) after Newcombe (2006, Stat Med 25:559, method 5), by solving for theta."""
    z2, size = float(norm.ppf((1 + confidence) / 2)) ** 2, (m + n) / 2 - 1

    def excess(t: float) -> float:
        spread = t * (1 - t) * (1 + size * (1 - t) / (2 - t) + size * t / (1 + t)) / (m * n)
        return (theta - t) ** 2 - z2 * spread

    # at 0 and 1 the spread vanishes: the other root is the limit
    low = 0.0 if theta <= 0 else float(brentq(excess, 0.0, min(theta, 1 - 1e-9)))
    high = 1.0 if theta >= 1 else float(brentq(excess, max(theta, 1e-9), 1.0))
    return low, high
