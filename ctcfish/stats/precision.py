"""Repeatability and within-laboratory precision by nested analysis of variance (CLSI EP05 and EP15 layouts)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from ctcfish.errors import StatisticsError
from ctcfish.stats.checks import FloatArray, as_floats, check_confidence
from ctcfish.stats.estimate import Estimate


@dataclass(frozen=True, slots=True)
class PrecisionStudy:
    """Spread of repeated measurements by its origin.

    Attributes
    ----------
    mean : float
        Of all measurements.
    levels : tuple of str
        Names of the axes, outermost first, replicates last.
    variances : tuple of float
        Variance component of each level; a negative estimate is set to 0 (CLSI EP05).
    repeatability : Estimate
        Standard deviation of replicates, exact chi-square interval.
    total : Estimate
        Standard deviation over all levels (within-laboratory precision; reproducibility where sites are a level), with
        Satterthwaite's degrees of freedom.
    repeatability_freedom, total_freedom : float
        Degrees of freedom behind the two.
    """

    mean: float
    levels: tuple[str, ...]
    variances: tuple[float, ...]
    repeatability: Estimate
    total: Estimate
    repeatability_freedom: float
    total_freedom: float


def nested_components(values: ArrayLike, levels: tuple[str, ...], confidence: float = 0.95) -> PrecisionStudy:
    """Return the variance components of a balanced nested layout.

    With mean squares MS_l of each level and m_l measurements below one unit of it, the component of level l is
    ``(MS_l - MS_(l+1)) / m_l`` and that of replicates the innermost mean square.

    Parameters
    ----------
    values : array_like, one axis a level
        EP05: shape (20, 2, 2) for days, runs, replicates; EP15: shape (5, 5) for days, replicates; several sites:
        one more axis in front.
    levels : tuple of str
        Name of each axis.
    confidence : float

    Returns
    -------
    PrecisionStudy

    Raises
    ------
    StatisticsError
        A measurement is missing, an axis has fewer than two entries, or names do not fit the axes.
    """
    check_confidence(confidence)
    data = as_floats(values, "measurements", ndim=None)
    if data.ndim < 2 or data.ndim != len(levels) or min(data.shape) < 2:
        raise StatisticsError(
            f"a precision study needs two or more named levels of at least 2 each, found shape {data.shape} "
            f"for {', '.join(levels) or 'no names'}"
        )
    squares, freedom, below = _mean_squares(data)
    lower = np.append(squares[1:], 0.0)
    variances = np.maximum((squares - lower) / below, 0.0)
    # each mean square's share in the total: 1 / m_l less 1 / m of the level above
    share = (1.0 / below - np.append(0.0, 1.0 / below[:-1])) * squares
    spent = float((share**2 / freedom).sum())
    total_freedom = float(share.sum()) ** 2 / spent if spent > 0 else float(freedom.sum())
    return PrecisionStudy(
        float(data.mean()),
        levels,
        tuple(float(v) for v in variances),
        _spread(float(squares[-1]), float(freedom[-1]), "chi square", confidence),
        _spread(float(variances.sum()), total_freedom, "Satterthwaite", confidence),
        float(freedom[-1]),
        total_freedom,
    )


def verification_limit(claimed: float, freedom: float, samples: int = 1, alpha: float = 0.05) -> float:
    """Return the largest standard deviation that still agrees with a claim (CLSI EP15 upper verification limit).

    ``claimed * sqrt(chi2(1 - alpha / samples, df) / df)``.

    Raises
    ------
    StatisticsError
        The claim or the degrees of freedom are not positive, or no sample.
    """
    check_confidence(alpha)
    if not (claimed > 0 and freedom > 0 and samples >= 1):
        raise StatisticsError(
            f"claim {claimed:g}, {freedom:g} degrees of freedom, {samples} samples: all must be above 0"
        )
    return claimed * math.sqrt(float(stats.chi2.ppf(1 - alpha / samples, freedom)) / freedom)


def chi_square_spread(variance: float, freedom: float, confidence: float) -> tuple[float, float]:
    """Return the limits of a standard deviation from a variance with chi-square degrees of freedom."""
    tail = (1 + confidence) / 2
    ends: FloatArray = np.sqrt(variance * freedom / stats.chi2.ppf([tail, 1 - tail], freedom))
    return float(ends[0]), float(ends[1])


def _mean_squares(data: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return mean squares, degrees of freedom and measurements below one unit, for each level."""
    squares, freedom, below = [], [], []
    above = np.asarray(data.mean())
    for level in range(data.ndim):
        inner = int(np.prod(data.shape[level + 1 :]))
        means = data.reshape(*data.shape[: level + 1], -1).mean(axis=-1)
        units = int(np.prod(data.shape[:level]))
        freedom.append(units * (data.shape[level] - 1))
        squares.append(inner * float(((means - above[..., None]) ** 2).sum()) / freedom[-1])
        below.append(inner)
        above = means
    return np.array(squares), np.array(freedom, dtype=np.float64), np.array(below, dtype=np.float64)


def _spread(variance: float, freedom: float, method: str, confidence: float) -> Estimate:
    low, high = chi_square_spread(variance, freedom, confidence)
    return Estimate(math.sqrt(variance), low, high, f"SD, {method}", confidence)
