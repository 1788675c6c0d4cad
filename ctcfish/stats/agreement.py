"""Agreement of readers on categories: percent, positive, negative, kappas, Gwet's AC1, Krippendorff's alpha.

Two readers make a table, shape (..., k, k): first reader in rows. Several readers, some readings missing, make counts,
shape (..., N, k): how many readers put item i into category q. Leading axes are a batch, as the bootstrap needs them.
A statistic that is undefined (one category alone was used, no pair of readings) is NaN, never 1.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from ctcfish.errors import StatisticsError
from ctcfish.stats.bootstrap import BootstrapPlan, bootstrap_interval, near_one
from ctcfish.stats.checks import FloatArray, IntArray, as_counts
from ctcfish.stats.estimate import Estimate

MISSING = -1


def rating_counts(ratings: ArrayLike, categories: int) -> IntArray:
    """Count the readers who chose each category.

    Parameters
    ----------
    ratings : array_like of int, shape (N, readers)
        Categories, ``MISSING`` (-1) where not read.
    categories : int

    Returns
    -------
    ndarray of int64, shape (N, categories)
    """
    codes = _codes(ratings, categories)
    if codes.ndim != 2:
        raise StatisticsError(f"ratings have {codes.ndim} axes: give one row an item and one column a reader")
    return np.asarray((codes[:, :, None] == np.arange(categories)).sum(axis=1), dtype=np.int64)


def linear_weights(categories: int) -> FloatArray:
    """Return agreement weights ``1 - |i - j| / (k - 1)`` (Cicchetti and Allison 1971)."""
    grid = np.arange(categories)
    return np.asarray(1.0 - np.abs(grid[:, None] - grid) / max(categories - 1, 1))


def quadratic_weights(categories: int) -> FloatArray:
    """Return agreement weights ``1 - (i - j)^2 / (k - 1)^2`` (Fleiss and Cohen 1973)."""
    return 1.0 - (1.0 - linear_weights(categories)) ** 2


def cohen_kappa(table: ArrayLike, weights: FloatArray | None = None) -> FloatArray:
    """Cohen's kappa, weighted where agreement weights are given (Cohen 1960, 1968).

    Parameters
    ----------
    table : array_like, shape (..., k, k)
    weights : ndarray, shape (k, k), optional
        1 on the diagonal; none weighs all disagreement alike.

    Returns
    -------
    ndarray, shape (...)
        NaN where both readers used one category alone, or nothing was read.
    """
    share = _shares(table)
    weight = np.eye(share.shape[-1]) if weights is None else weights
    observed = (share * weight).sum(axis=(-2, -1))
    expected = (share.sum(axis=-1)[..., :, None] * share.sum(axis=-2)[..., None, :] * weight).sum(axis=(-2, -1))
    return _beyond_chance(observed, expected)


def percent_agreement(table: ArrayLike) -> FloatArray:
    """Share of items on the diagonal, shape (...); NaN for an empty table."""
    return np.asarray(np.trace(_shares(table), axis1=-2, axis2=-1))


def specific_agreement(table: ArrayLike, category: int) -> FloatArray:
    """Agreement on one category, ``2 n_ii / (row + column)`` (Cicchetti and Feinstein 1990); NaN where nobody used it.

    For two categories, positive agreement is that of category 1 and negative agreement that of category 0.
    """
    counts = np.asarray(table, dtype=np.float64)
    both = 2 * counts[..., category, category]
    used = counts[..., category, :].sum(axis=-1) + counts[..., :, category].sum(axis=-1)
    return np.asarray(np.divide(both, used, out=np.full(np.shape(both), np.nan), where=used > 0))


def clustered(
    parts: ArrayLike, statistic: Callable[[IntArray], FloatArray], plan: BootstrapPlan | None = None
) -> Estimate:
    """Return a statistic of summed tables with an interval that resamples clusters.

    Parameters
    ----------
    parts : array_like of int, shape (P, k, k)
        Table of each patient (or of each item, where items are independent).
    statistic : callable
        Takes tables of shape (B, k, k) and returns shape (B,), for instance `cohen_kappa`.
    plan : BootstrapPlan, optional
    """
    tables = as_counts(parts, "tables")
    if tables.ndim != 3 or not len(tables):
        raise StatisticsError(f"clustered tables have shape {tables.shape}: give at least one patient, shape (P, k, k)")
    flat = tables.reshape(len(tables), -1)

    def of_patients(index: IntArray) -> FloatArray:
        times = np.zeros((len(index), len(flat)), dtype=np.int64)
        np.add.at(times, (np.arange(len(index))[:, None], index), 1)
        return statistic((times @ flat).reshape(-1, *tables.shape[1:]))

    return bootstrap_interval(of_patients, len(tables), near_one(int(flat.sum())), plan)


def _codes(readings: ArrayLike, categories: int) -> IntArray:
    codes = np.asarray(readings)
    if codes.size and (not np.isfinite(codes).all() or codes.min() < MISSING or codes.max() >= categories):
        raise StatisticsError(f"categories must be 0 to {categories - 1}, or {MISSING} for missing; others were found")
    return codes.astype(np.int64)


def _shares(table: ArrayLike) -> FloatArray:
    counts = as_counts(table, "table").astype(np.float64)
    if counts.ndim < 2 or counts.shape[-1] != counts.shape[-2]:
        raise StatisticsError(f"a table of two readers is square, found shape {counts.shape}")
    total = counts.sum(axis=(-2, -1), keepdims=True)
    return np.asarray(np.divide(counts, total, out=np.full(counts.shape, np.nan), where=total > 0))


def _beyond_chance(observed: FloatArray, expected: FloatArray) -> FloatArray:
    room = np.asarray(1.0 - expected)
    return np.asarray(np.divide(observed - expected, room, out=np.full(room.shape, np.nan), where=room > 1e-12))
