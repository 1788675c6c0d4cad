"""Exact and permutation tests on ranks, ties included, for the small numbers of a trial."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from ctcfish.errors import StatisticsError
from ctcfish.stats.checks import FloatArray, IntArray, as_counts, as_floats, as_marks, as_paired

_ALL_ORDERS = 8  # subjects up to which every permutation is enumerated: 8! = 40,320


@dataclass(frozen=True, slots=True)
class TestResult:
    """A statistic with its two-sided p-value.

    Attributes
    ----------
    statistic, p_value : float
        NaN where the data cannot say.
    n : int
        Subjects, pairs or items that took part.
    method : str
    """

    __test__ = False  # not a test case, whatever its name

    statistic: float
    p_value: float
    n: int
    method: str


def spearman_permutation(x: ArrayLike, y: ArrayLike, resamples: int = 9999, seed: int = 0) -> TestResult:
    """Return Spearman's rank correlation with its permutation p-value.

    All permutations are enumerated up to 8 subjects; beyond, ``(b + 1) / (m + 1)`` of m random ones (Phipson and Smyth
    2010), never 0. Two-sided by the absolute correlation.

    Parameters
    ----------
    x, y : array_like, shape (n,)
    resamples : int
        Random permutations where not all are enumerated.
    seed : int

    Returns
    -------
    TestResult
        NaN where a variable is constant or there are fewer than three subjects.

    Raises
    ------
    StatisticsError
        Lengths differ, a value is missing, or fewer than one permutation is asked for.
    """
    first, second = as_paired(x, y, "measurements")
    n = first.size
    if resamples < 1:
        raise StatisticsError(f"a permutation test needs at least 1 permutation, found {resamples}")
    method = "Spearman, all permutations" if n <= _ALL_ORDERS else f"Spearman, {resamples} permutations"
    if n < 3 or first.min() == first.max() or second.min() == second.max():
        return TestResult(math.nan, math.nan, n, method)
    a, b = (_unit(np.asarray(stats.rankdata(v), dtype=np.float64)) for v in (first, second))
    observed = float(a @ b)
    bar = abs(observed) - 1e-12
    if n <= _ALL_ORDERS:
        orders = np.array(list(itertools.permutations(range(n))))
        p_value = float((np.abs(b[orders] @ a) >= bar).mean())
    else:
        rng = np.random.default_rng(seed)
        hits = sum(
            int((np.abs(rng.permuted(np.tile(b, (size, 1)), axis=1) @ a) >= bar).sum()) for size in _chunks(resamples)
        )
        p_value = (hits + 1) / (resamples + 1)
    return TestResult(observed, p_value, n, method)


def signed_rank(first: ArrayLike, second: ArrayLike) -> TestResult:
    """Return Wilcoxon's signed-rank test of paired values, exact with ties; pairs without change are left out.

    The distribution of the sum of positive midranks over all ``2^n`` signs is enumerated by convolution; two-sided by
    doubling the smaller tail.

    Parameters
    ----------
    first, second : array_like, shape (n,)
        For instance CTC numbers before and during treatment.

    Returns
    -------
    TestResult
        The statistic is the sum of ranks of the pairs that rose; p = 1 where nothing changed.

    Raises
    ------
    StatisticsError
        Lengths differ or a value is missing.
    """
    before, after = as_paired(first, second, "measurements")
    change = (after - before)[after != before]
    doubled = _doubled_ranks(np.abs(change))
    ways = np.ones(1)
    for rank in doubled.tolist():
        ways = np.convolve(ways, np.append(1.0, np.append(np.zeros(rank - 1), 1.0)) / 2)
    rose = int(doubled[change > 0].sum())
    return TestResult(rose / 2, _two_sided(ways, rose), change.size, "Wilcoxon signed rank, exact with ties")


def score_sum(scores: ArrayLike, responders: ArrayLike) -> TestResult:
    """Return the exact test of whether responders have other scores than the rest (linear permutation test).

    All ways to choose the responders are counted. With numbers as scores it is the exact Cochran-Armitage test of
    trend; with ranks the exact Mann-Whitney test (`rank_sum`). Two-sided by doubling the smaller tail.

    Parameters
    ----------
    scores : array_like of int, shape (n,)
        Whole scores, for instance amplified cells of a patient.
    responders : array_like of bool, shape (n,)

    Returns
    -------
    TestResult
        The statistic is the sum of the responders' scores; p = 1 where all respond, none does, or scores are equal.

    Raises
    ------
    StatisticsError
        Lengths differ, or scores are not whole or negative.
    """
    values, chosen = as_counts(scores, "scores"), as_marks(responders, "responses")
    if values.ndim != 1 or values.shape != chosen.shape:
        raise StatisticsError(f"{values.size} scores and {chosen.size} responses: give one of each a subject")
    base = int(values.min(initial=0)) if not values.size else int(values.min())
    shifted, k = values - base, int(chosen.sum())
    # ways[j, s]: choices of j subjects with score sum s, scaled to stay finite
    ways = np.zeros((k + 1, int(np.sort(shifted)[::-1][:k].sum()) + 1))
    ways[0, 0] = 1.0
    for score in shifted.tolist():
        moved = np.zeros_like(ways)
        moved[1:, score:] = ways[:-1, : ways.shape[1] - score] if score < ways.shape[1] else 0.0
        ways = ways + moved
        ways /= ways.max()
    total = int(values[chosen].sum())
    return TestResult(
        float(total), _two_sided(ways[k] / ways[k].sum(), total - base * k), values.size, "exact permutation"
    )


def rank_sum(values: ArrayLike, responders: ArrayLike) -> TestResult:
    """Return the exact Mann-Whitney test with ties: `score_sum` on midranks; the statistic is the responders' rank sum.

    Raises
    ------
    StatisticsError
        Lengths differ or a value is missing.
    """
    found = score_sum(_doubled_ranks(as_floats(values, "values")), responders)
    return TestResult(found.statistic / 2, found.p_value, found.n, "Mann-Whitney, exact with ties")


def mcnemar_exact(only_first: int, only_second: int) -> TestResult:
    """Return McNemar's exact test of two yes-or-no methods on the same cells (binomial on the discordant ones).

    Raises
    ------
    StatisticsError
        A count is negative or not whole.
    """
    b, c = (int(v) for v in as_counts([only_first, only_second], "discordant counts"))
    p_value = float(stats.binomtest(b, b + c).pvalue) if b + c else 1.0
    return TestResult(float(b), p_value, b + c, "McNemar, exact binomial")


def _unit(ranks: FloatArray) -> FloatArray:
    centred = ranks - ranks.mean()
    return np.asarray(centred / np.sqrt((centred**2).sum()))


def _doubled_ranks(values: FloatArray) -> IntArray:
    """Return twice the midranks: whole numbers, whatever the ties."""
    return np.asarray(np.rint(2 * stats.rankdata(values)), dtype=np.int64)


def _two_sided(probability: FloatArray, at: int) -> float:
    below, above = float(probability[: at + 1].sum()), float(probability[at:].sum())
    return min(1.0, 2 * min(below, above))


def _chunks(total: int, size: int = 2000) -> list[int]:
    return [min(size, total - start) for start in range(0, total, size)]
