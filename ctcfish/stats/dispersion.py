"""Spread of a quantity over the cells of a patient: Rao, Gini and coefficients of variation.

Every function works along the last axis, one value a row, NaN where the formula has none.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ctcfish.stats.checks import FloatArray, as_floats


def rao(values: ArrayLike) -> FloatArray:
    """Rao's quadratic entropy on the absolute difference, unbiased: the mean difference of two different cells.

    Rao 1982, ``sum p_i p_j |x_i - x_j|``, times ``n / (n - 1)``; NaN for fewer than two cells.
    """
    data = as_floats(values, "values", ndim=None)
    n = data.shape[-1]
    if n < 2:
        return np.full(data.shape[:-1], np.nan)
    rank = 2 * np.arange(1, n + 1) - n - 1
    return np.asarray(2.0 * (np.sort(data, axis=-1) @ rank) / (n * (n - 1)))


def gini(values: ArrayLike) -> FloatArray:
    """Gini coefficient with the small-sample factor ``n / (n - 1)`` (Deltas 2003): half of Rao's entropy over the mean.

    NaN for fewer than two cells or a mean of 0 or less.
    """
    data = as_floats(values, "values", ndim=None)
    return _over_mean(rao(data) / 2.0, data)


def variation(values: ArrayLike) -> FloatArray:
    """Coefficient of variation ``(1 + 1 / (4 n)) s / mean`` (Sokal and Rohlf 1995, for small samples).

    NaN for fewer than two cells or a mean of 0 or less.
    """
    data = as_floats(values, "values", ndim=None)
    n = data.shape[-1]
    if n < 2:
        return np.full(data.shape[:-1], np.nan)
    return np.asarray((1 + 1 / (4 * n)) * _over_mean(data.std(axis=-1, ddof=1), data))


def geometric_variation(values: ArrayLike) -> FloatArray:
    """Geometric coefficient of variation ``sqrt(exp(s^2) - 1)`` of positive values, s the spread of their logarithms.

    Kirkwood 1979; for ratios, whose logarithms are symmetric. NaN for fewer than two cells or a value of 0 or less.
    """
    data = as_floats(values, "values", ndim=None)
    if data.shape[-1] < 2:
        return np.full(data.shape[:-1], np.nan)
    positive = np.asarray((data > 0).all(axis=-1))
    logs = np.log(np.where(positive[..., None], data, 1.0))
    return np.asarray(np.where(positive, np.sqrt(np.expm1(logs.var(axis=-1, ddof=1))), np.nan))


def robust_variation(values: ArrayLike) -> FloatArray:
    """Robust coefficient of variation ``1.4826 MAD / median``; NaN without cells or for a median of 0 or less."""
    data = as_floats(values, "values", ndim=None)
    if data.shape[-1] == 0:
        return np.full(data.shape[:-1], np.nan)
    middle = np.median(data, axis=-1)
    spread = 1.4826 * np.median(np.abs(data - middle[..., None]), axis=-1)
    return np.asarray(np.divide(spread, middle, out=np.full(middle.shape, np.nan), where=middle > 0))


def _over_mean(spread: FloatArray, data: FloatArray) -> FloatArray:
    mean = data.mean(axis=-1) if data.shape[-1] else np.full(data.shape[:-1], np.nan)
    return np.asarray(np.divide(spread, mean, out=np.full(mean.shape, np.nan), where=mean > 0))
