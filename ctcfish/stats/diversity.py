"""Diversity of categories: how many kinds of cells, and how evenly.

Every function takes abundances, the number of cells of each kind along the last axis, and returns one value for each
row; kinds without cells count for nothing. Where the formula has no value the result is NaN.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special, stats

from ctcfish.errors import StatisticsError
from ctcfish.stats.checks import FloatArray, IntArray, as_counts, check_confidence
from ctcfish.stats.estimate import Estimate


def shannon(abundance: ArrayLike, base: float = math.e) -> FloatArray:
    """Shannon entropy with the Miller-Madow correction, ``-sum p log p + (S - 1) / (2 N)`` in units of ``base``.

    Shannon 1948; Miller 1955: the plug-in entropy of N cells falls short by about (S - 1) / (2 N) for S kinds seen.

    Parameters
    ----------
    abundance : array_like of int, shape (..., K)
    base : float
        e gives nats, 2 bits.

    Returns
    -------
    ndarray, shape (...)
        NaN where there is no cell.

    Raises
    ------
    StatisticsError
        Base of 1 or less, or abundances that are no counts.
    """
    if not base > 1:
        raise StatisticsError(f"entropy needs a base above 1, found {base:g}: use e or 2")
    counts, total = _counts(abundance)
    seen = (counts > 0).sum(axis=-1)
    return np.asarray((_entropy(counts, total) + (seen - 1) / (2 * total)) / math.log(base))


def pielou(abundance: ArrayLike) -> FloatArray:
    """Pielou's evenness ``H / log S`` of the plug-in entropy (Pielou 1966); NaN for fewer than two kinds."""
    counts, total = _counts(abundance)
    seen = (counts > 0).sum(axis=-1).astype(np.float64)
    entropy = np.asarray(_entropy(counts, total))
    return np.asarray(
        np.divide(entropy, np.log(np.maximum(seen, 1.0)), out=np.full(seen.shape, np.nan), where=seen > 1)
    )


def simpson(abundance: ArrayLike) -> FloatArray:
    """Probability that two different cells are of different kinds, ``1 - sum n (n - 1) / (N (N - 1))``.

    The unbiased form of Simpson 1949; NaN for fewer than two cells.
    """
    counts, total = _counts(abundance)
    pairs = total * (total - 1)
    alike = np.asarray((counts * (counts - 1)).sum(axis=-1), dtype=np.float64)
    return np.asarray(1.0 - np.divide(alike, pairs, out=np.full(alike.shape, np.nan), where=pairs > 0))


def simpson_interval(abundance: ArrayLike, confidence: float = 0.95) -> Estimate:
    """Simpson's diversity of one sample with its score interval.

    The interval holds every diversity that the sample would not reject: ``|value - D| <= t sd(D)``, as Wilson's does
    for a share. The variance of the unbiased estimator is exact (Simpson 1949), ``2 (2 (N - 2) P3 + P2 - (2 N - 3)
    P2^2) / (N (N - 1))`` with ``Pk = sum p^k``, and taken at the population tried, not at the sample: shares seen,
    drawn towards the commonest kind below, towards equal shares and then more kinds above. t has N - 1 degrees of
    freedom.

    Parameters
    ----------
    abundance : array_like of int, shape (K,)
    confidence : float

    Returns
    -------
    Estimate
        Without limits where all cells are alike, or all different.

    Raises
    ------
    StatisticsError
        Abundances that are no counts, or a level outside (0, 1).
    """
    check_confidence(confidence)
    counts, total = _counts(abundance)
    n, value = float(total), float(simpson(counts))
    method = f"Simpson 1949, {int(counts.sum())} cells, score"
    if not 0.0 < value < 1.0:
        return Estimate(value, math.nan, math.nan, method, confidence)
    shares = np.sort(counts[counts > 0] / n)[::-1]
    reach = float(stats.t.ppf((1 + confidence) / 2, n - 1))

    def beyond(place: float, side: float) -> float:
        squared, cubed = _path(shares, place)
        variance = 2 * (2 * (n - 2) * cubed + squared - (2 * n - 3) * squared**2) / (n * (n - 1))
        return value - (1 - squared) + side * reach * math.sqrt(max(variance, 0.0))

    far = 2.0
    while beyond(far, 1.0) > 0:
        far *= 2
    centre = optimize.brentq(beyond, -1.0, far, args=(0.0,))
    ends = [optimize.brentq(beyond, -1.0, centre, args=(-1.0,)), optimize.brentq(beyond, centre, far, args=(1.0,))]
    low, high = (1 - _path(shares, place)[0] for place in ends)
    return Estimate(value, low, high, method, confidence)


def _path(shares: FloatArray, place: float) -> tuple[float, float]:
    """Sums of squares and cubes of shares on a way from one kind (-1) by those seen (0) to equal (1) and ever more.

    Shares fall; beyond 1 the kinds are ``place`` times as many as seen, all alike.
    """
    if place >= 1:
        alike = 1 / (place * shares.size)
        return alike, alike**2
    end = np.full(shares.size, 1 / shares.size) if place > 0 else np.eye(1, shares.size)[0]
    moved = shares + abs(place) * (end - shares)
    return float((moved**2).sum()), float((moved**3).sum())


def kinds_seen(abundance: ArrayLike) -> FloatArray:
    """Return the number of kinds seen: the Hill number of order 0 (Hill 1973); NaN where there is no cell."""
    counts, total = _counts(abundance)
    return np.asarray(np.where(np.isnan(total), np.nan, (counts > 0).sum(axis=-1)))


def abundances(kinds: ArrayLike) -> IntArray:
    """Return how many cells of each kind stand in each row.

    Parameters
    ----------
    kinds : array_like of int, shape (..., n)
        Kind of each cell, from 0 up, for instance its HER2 copy number.

    Returns
    -------
    ndarray of int64, shape (..., K)
        K is the largest kind plus one.
    """
    labels = as_counts(kinds, "kinds")
    size = int(labels.max(initial=0)) + 1
    flat = labels.reshape(-1, labels.shape[-1])
    offset = np.arange(len(flat))[:, None] * size
    return np.bincount((flat + offset).ravel(), minlength=len(flat) * size).reshape(*labels.shape[:-1], size)


def _counts(abundance: ArrayLike) -> tuple[IntArray, FloatArray]:
    counts = as_counts(abundance, "abundances")
    total = counts.sum(axis=-1).astype(np.float64)
    return counts, np.where(total > 0, total, np.nan)


def _entropy(counts: IntArray, total: FloatArray) -> FloatArray:
    return np.asarray(np.log(total) - special.xlogy(counts, np.maximum(counts, 1)).sum(axis=-1) / total)
