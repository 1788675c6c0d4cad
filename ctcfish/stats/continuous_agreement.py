"""Agreement of measurements: intraclass correlations, Lin's concordance, Bland-Altman, repeatability."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from ctcfish.errors import StatisticsError
from ctcfish.stats.checks import FloatArray, as_floats, as_paired, check_confidence
from ctcfish.stats.estimate import Estimate, undefined


@dataclass(frozen=True, slots=True)
class MeanSquares:
    """Two-way analysis of variance without replication.

    Attributes
    ----------
    subjects, readers, error : float
        Mean squares.
    n, k : int
        Subjects and readers.
    """

    subjects: float
    readers: float
    error: float
    n: int
    k: int


@dataclass(frozen=True, slots=True)
class BlandAltman:
    """Differences of two methods, first minus second (or their ratio, where logarithms were compared).

    Attributes
    ----------
    bias, lower, upper : Estimate
        Mean difference and 95 % limits of agreement, each with its interval.
    spread : float
        Standard deviation of the differences (of the logarithms, where those were compared).
    n : int
        Pairs.
    """

    bias: Estimate
    lower: Estimate
    upper: Estimate
    spread: float
    n: int


def mean_squares(values: ArrayLike) -> MeanSquares:
    """Return the mean squares of complete measurements, shape (subjects, readers).

    Raises
    ------
    StatisticsError
        Fewer than two subjects or readers, or a value is missing.
    """
    table = as_floats(values, "measurements", ndim=2)
    n, k = table.shape
    if n < 2 or k < 2:
        raise StatisticsError(f"agreement needs at least 2 subjects and 2 readers, found {n} and {k}")
    mean, rows, columns = table.mean(), table.mean(axis=1), table.mean(axis=0)
    residual = table - rows[:, None] - columns + mean
    return MeanSquares(
        float(k * ((rows - mean) ** 2).sum() / (n - 1)),
        float(n * ((columns - mean) ** 2).sum() / (k - 1)),
        float((residual**2).sum() / ((n - 1) * (k - 1))),
        n,
        k,
    )


def icc_agreement(values: ArrayLike, confidence: float = 0.95) -> Estimate:
    """ICC(2,1): absolute agreement of single readings by readers drawn at random.

    Shrout and Fleiss 1979; interval of McGraw and Wong 1996.

    Parameters
    ----------
    values : array_like, shape (subjects, readers)
        Complete measurements.
    confidence : float

    Returns
    -------
    Estimate
        NaN where all values are equal.

    Raises
    ------
    StatisticsError
        As `mean_squares`, or a level outside (0, 1).
    """
    check_confidence(confidence)
    ms, method = mean_squares(values), "ICC(2,1), McGraw-Wong"
    n, k = ms.n, ms.k
    whole = ms.subjects + (k - 1) * ms.error + k * (ms.readers - ms.error) / n
    if ms.subjects == ms.readers == ms.error == 0 or whole <= 0:
        return undefined(method, confidence)
    value = (ms.subjects - ms.error) / whole
    if value >= 1 - 1e-12:
        return Estimate(value, value, value, method, confidence)
    a, b = k * value / (n * (1 - value)), 1 + k * value * (n - 1) / (n * (1 - value))
    crossed = (a * ms.readers) ** 2 / (k - 1) + (b * ms.error) ** 2 / ((n - 1) * (k - 1))
    freedom = (a * ms.readers + b * ms.error) ** 2 / crossed
    tail = (1 + confidence) / 2
    f_low, f_high = stats.f.ppf(tail, n - 1, freedom), stats.f.ppf(tail, freedom, n - 1)
    rest = k * ms.readers + (k * n - k - n) * ms.error
    low = n * (ms.subjects - f_low * ms.error) / (f_low * rest + n * ms.subjects)
    high = n * (f_high * ms.subjects - ms.error) / (rest + n * f_high * ms.subjects)
    return Estimate(value, min(float(low), value), max(float(high), value), method, confidence)


def icc_consistency(values: ArrayLike, confidence: float = 0.95) -> Estimate:
    """ICC(3,1): consistency of single readings by these very readers (Shrout and Fleiss 1979, exact F interval).

    Parameters, result and errors as in `icc_agreement`.
    """
    check_confidence(confidence)
    ms, method = mean_squares(values), "ICC(3,1), exact F"
    if ms.subjects == ms.error == 0:
        return undefined(method, confidence)
    if ms.error <= 1e-15 * ms.subjects:
        return Estimate(1.0, 1.0, 1.0, method, confidence)
    tail, ratio, inner = (1 + confidence) / 2, ms.subjects / ms.error, (ms.n - 1) * (ms.k - 1)
    f_low = ratio / stats.f.ppf(tail, ms.n - 1, inner)
    f_high = ratio * stats.f.ppf(tail, inner, ms.n - 1)
    value, low, high = (float((f - 1) / (f + ms.k - 1)) for f in (ratio, f_low, f_high))
    return Estimate(value, low, high, method, confidence)


def lin_concordance(first: ArrayLike, second: ArrayLike, confidence: float = 0.95) -> Estimate:
    """Lin's concordance correlation ``2 s12 / (s1^2 + s2^2 + (m1 - m2)^2)`` with the interval on Fisher's z.

    Lin 1989, with the variance corrected in 2000; moments have n in the denominator.

    Raises
    ------
    StatisticsError
        Lengths differ, a value is missing, or a level outside (0, 1).
    """
    check_confidence(confidence)
    x, y = as_paired(first, second, "measurements")
    method = "Lin concordance, Fisher z"
    if x.size < 3 or x.var() == 0 or y.var() == 0:
        return undefined(method, confidence)
    covariance = float(((x - x.mean()) * (y - y.mean())).mean())
    value = 2 * covariance / float(x.var() + y.var() + (x.mean() - y.mean()) ** 2)
    pearson = covariance / math.sqrt(float(x.var() * y.var()))
    if abs(value) >= 1 - 1e-12 or pearson == 0:
        return Estimate(value, value, value, method, confidence) if pearson else undefined(method, confidence)
    shift = float((x.mean() - y.mean()) ** 2) / math.sqrt(float(x.var() * y.var()))
    inner = (
        (1 - pearson**2) * value**2 / ((1 - value**2) * pearson**2)
        + 2 * value**3 * (1 - value) * shift / (pearson * (1 - value**2) ** 2)
        - value**4 * shift**2 / (2 * pearson**2 * (1 - value**2) ** 2)
    )
    half = float(stats.norm.ppf((1 + confidence) / 2)) * math.sqrt(max(inner, 0.0) / (x.size - 2))
    centre = math.atanh(value)
    return Estimate(value, math.tanh(centre - half), math.tanh(centre + half), method, confidence)


def bland_altman(first: ArrayLike, second: ArrayLike, confidence: float = 0.95) -> BlandAltman:
    """Return bias and 95 % limits of agreement ``mean -+ 1.96 s`` of the differences (Bland and Altman 1986, 1999).

    The interval of a limit takes ``s sqrt(1 / n + 1.96^2 / (2 (n - 1)))`` with t of n - 1 degrees of freedom.

    Parameters
    ----------
    first, second : array_like, shape (n,)
        Paired measurements of independent subjects.
    confidence : float
        Level of the intervals; the limits themselves are always 95 %.

    Raises
    ------
    StatisticsError
        Fewer than two pairs, lengths differ, or a value is missing.
    """
    check_confidence(confidence)
    x, y = as_paired(first, second, "measurements")
    n = x.size
    if n < 2:
        raise StatisticsError(f"limits of agreement need at least 2 pairs, found {n}")
    difference = x - y
    mean, spread = float(difference.mean()), float(difference.std(ddof=1))
    reach = float(stats.t.ppf((1 + confidence) / 2, n - 1))
    of_mean = reach * spread / math.sqrt(n)
    of_limit = reach * spread * math.sqrt(1 / n + 1.959964**2 / (2 * (n - 1)))

    def around(value: float, half: float) -> Estimate:
        return Estimate(value, value - half, value + half, "Bland-Altman", confidence)

    lower, upper = mean - 1.959964 * spread, mean + 1.959964 * spread
    return BlandAltman(around(mean, of_mean), around(lower, of_limit), around(upper, of_limit), spread, n)


def bland_altman_ratio(first: ArrayLike, second: ArrayLike, confidence: float = 0.95) -> BlandAltman:
    """Return Bland-Altman figures of the logarithms, taken back: bias and limits are ratios first / second.

    For quantities whose error grows with their size, such as HER2/CEP17 (Bland and Altman 1999).

    Raises
    ------
    StatisticsError
        A value of 0 or less, or as `bland_altman`.
    """
    x, y = as_paired(first, second, "measurements")
    if x.size and min(x.min(), y.min()) <= 0:
        raise StatisticsError("a log scale needs values above 0: compare differences instead, or leave these pairs out")
    logs = bland_altman(np.log(x), np.log(y), confidence)
    return BlandAltman(_exponential(logs.bias), _exponential(logs.lower), _exponential(logs.upper), logs.spread, logs.n)


def repeatability_coefficient(values: ArrayLike, confidence: float = 0.95) -> Estimate:
    """Return ``1.96 sqrt(2) s_w``: two readings of one subject differ by less in 95 % (Bland and Altman 1999).

    ``s_w`` is the within-subject standard deviation of replicates, its interval the exact one by chi square.

    Parameters
    ----------
    values : array_like, shape (subjects, replicates)
        Complete replicates.
    confidence : float

    Raises
    ------
    StatisticsError
        No subject or fewer than two replicates.
    """
    check_confidence(confidence)
    table = as_floats(values, "replicates", ndim=2)
    if table.shape[0] < 1 or table.shape[1] < 2:
        raise StatisticsError(f"repeatability needs subjects with at least 2 replicates, found shape {table.shape}")
    freedom = table.shape[0] * (table.shape[1] - 1)
    squares = float(((table - table.mean(axis=1, keepdims=True)) ** 2).sum())
    low, high = chi_square_spread(squares / freedom, freedom, confidence)
    factor = 1.959964 * math.sqrt(2)
    value = factor * math.sqrt(squares / freedom)
    return Estimate(value, factor * low, factor * high, "within-subject SD, chi square", confidence)


def chi_square_spread(variance: float, freedom: float, confidence: float) -> tuple[float, float]:
    """Return the limits of a standard deviation from a variance with chi-square degrees of freedom."""
    tail = (1 + confidence) / 2
    ends: FloatArray = np.sqrt(variance * freedom / stats.chi2.ppf([tail, 1 - tail], freedom))
    return float(ends[0]), float(ends[1])


def _exponential(logs: Estimate) -> Estimate:
    value, low, high = (math.exp(number) for number in (logs.value, logs.low, logs.high))
    return Estimate(value, low, high, f"{logs.method}, log scale", logs.confidence)
