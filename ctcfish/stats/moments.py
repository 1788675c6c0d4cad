"""Figures of agreement from sums, so that resampling whole patients costs one sum per resample.

A statistic takes sums over cells, shape (B, S), and returns shape (B,); NaN where it is undefined.
"""

from __future__ import annotations

import numpy as np

from ctcfish.stats.checks import FloatArray, IntArray

REACH = 1.959964


def pair_sums(x: FloatArray, y: FloatArray) -> FloatArray:
    """Sums of pairs, shape (n, 6): 1, x, y, x², y², xy."""
    return np.stack([np.ones(len(x)), x, y, x * x, y * y, x * y], axis=1)


def bias(sums: FloatArray) -> FloatArray:
    """Mean of second less first."""
    return np.asarray((sums[:, 2] - sums[:, 1]) / sums[:, 0])


def spread(sums: FloatArray) -> FloatArray:
    """Standard deviation of second less first; limits of agreement lie ``REACH`` of it from the bias (Bland 1986)."""
    n, mean = sums[:, 0], bias(sums)
    squares = sums[:, 3] + sums[:, 4] - 2 * sums[:, 5] - n * mean**2
    return np.asarray(np.sqrt(np.maximum(squares, 0.0) / np.where(n > 1, n - 1, np.nan)))


def concordance(sums: FloatArray) -> FloatArray:
    """Lin's concordance correlation (Lin 1989), moments over n; of a single pair there is none."""
    n, x, y, xx, yy, xy = sums.T
    mx, my = x / n, y / n
    bottom = xx / n - mx**2 + yy / n - my**2 + (mx - my) ** 2
    return _ratio(2 * (xy / n - mx * my), np.where(n > 1, bottom, 0.0))


def deming_slope(sums: FloatArray) -> FloatArray:
    """Slope of Deming's line of the second on the first reading, equal errors in both."""
    n, x, y, xx, yy, xy = sums.T
    sxx, syy, sxy = xx / n - (x / n) ** 2, yy / n - (y / n) ** 2, xy / n - x * y / n**2
    gap = syy - sxx
    return _ratio(gap + np.sqrt(gap**2 + 4 * sxy**2), 2 * sxy)


def deming_intercept(sums: FloatArray) -> FloatArray:
    """Intercept of Deming's line."""
    return np.asarray((sums[:, 2] - deming_slope(sums) * sums[:, 1]) / sums[:, 0])


def item_sums(table: FloatArray) -> FloatArray:
    """Sums of complete items, shape (n, k + 3): 1, each reading, the squared item sum, all squares."""
    whole = table.sum(axis=1, keepdims=True)
    return np.concatenate([np.ones((len(table), 1)), table, whole**2, (table**2).sum(axis=1, keepdims=True)], axis=1)


def _mean_squares(sums: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, int]:
    """Mean squares of items, readings and rest, the number of items, and of readings."""
    n, columns, squared, squares = sums[:, 0], sums[:, 1:-2], sums[:, -2], sums[:, -1]
    k = columns.shape[1]
    correction = columns.sum(axis=1) ** 2 / (n * k)
    items = squared / k - correction
    readings = (columns**2).sum(axis=1) / n - correction
    rest = np.maximum(squares - correction - items - readings, 0.0)
    freedom = np.where(n > 1, n - 1, np.nan)
    return items / freedom, readings / (k - 1), rest / (freedom * (k - 1)), n, k


def icc_agreement(sums: FloatArray) -> FloatArray:
    """ICC(2,1), absolute agreement of single readings (Shrout and Fleiss 1979)."""
    items, readings, rest, n, k = _mean_squares(sums)
    return _ratio(items - rest, items + (k - 1) * rest + k * (readings - rest) / n)


def icc_consistency(sums: FloatArray) -> FloatArray:
    """ICC(3,1), consistency of single readings (Shrout and Fleiss 1979)."""
    items, _, rest, _, k = _mean_squares(sums)
    return _ratio(items - rest, items + (k - 1) * rest)


def within_sd(sums: FloatArray) -> FloatArray:
    """Standard deviation of readings of one cell."""
    n, k = sums[:, 0], sums.shape[1] - 3
    return np.asarray(np.sqrt(np.maximum(sums[:, -1] - sums[:, -2] / k, 0.0) / (n * (k - 1))))


def repeatability_coefficient(sums: FloatArray) -> FloatArray:
    """Two readings of one cell differ by less in 95 % (Bland and Altman 1999)."""
    return np.asarray(REACH * np.sqrt(2.0) * within_sd(sums))


def rating_sums(counts: IntArray) -> FloatArray:
    """Sums of items read into two categories, shape (n, 8).

    Readers alike and whether two read; share of each category and whether anyone read; then, of items read twice,
    disagreeing pairs over readers less one, and readings of each category.

    Parameters
    ----------
    counts : ndarray of int, (n, 2)
        Readers who chose each category.
    """
    table = counts.astype(np.float64)
    readers = table.sum(axis=1)
    twice, read = readers >= 2, readers >= 1
    alike = (table * (table - 1)).sum(axis=1) / np.maximum(readers * (readers - 1), 1)
    share = table / np.maximum(readers, 1)[:, None]
    apart = 2 * table[:, 0] * table[:, 1] / np.maximum(readers - 1, 1)
    pairable = np.where(twice[:, None], table, 0.0)
    parts = (np.where(twice, alike, 0.0)[:, None], twice[:, None], share, read[:, None], (apart * twice)[:, None])
    return np.concatenate([*(part.astype(np.float64) for part in parts), pairable], axis=1)


def fleiss_kappa(sums: FloatArray) -> FloatArray:
    """Fleiss' kappa (Fleiss 1971; Gwet 2014 where readings are missing)."""
    observed, p = _seen(sums)
    expected = p**2 + (1 - p) ** 2
    return _ratio(observed - expected, 1 - expected)


def gwet_ac1(sums: FloatArray) -> FloatArray:
    """Gwet's AC1 (Gwet 2008)."""
    observed, p = _seen(sums)
    expected = 2 * p * (1 - p)
    return _ratio(observed - expected, 1 - expected)


def krippendorff_alpha(sums: FloatArray) -> FloatArray:
    """Krippendorff's alpha of two nominal categories (Krippendorff 2011)."""
    apart, first, second = sums[:, 5], sums[:, 6], sums[:, 7]
    return np.asarray(1 - _ratio((first + second - 1) * apart, 2 * first * second))


def _seen(sums: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Observed agreement, and the mean share of the second category."""
    return _ratio(sums[:, 0], sums[:, 1]), _ratio(sums[:, 3], sums[:, 4])


def _ratio(top: FloatArray, bottom: FloatArray) -> FloatArray:
    return np.asarray(np.divide(top, bottom, out=np.full(top.shape, np.nan), where=np.abs(bottom) > 1e-12))
