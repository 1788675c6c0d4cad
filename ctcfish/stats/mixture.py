"""One population of cells or two: Gaussian mixture by EM, chosen by BIC, with Ashman's D and the bimodality index."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ctcfish.errors import StatisticsError
from ctcfish.stats.checks import FloatArray, as_floats

_ROUNDS = 500
_TOLERANCE = 1e-8
_FLOOR = 0.05  # smallest spread of a component as a share of the whole: no component collapses onto tied counts


@dataclass(frozen=True, slots=True)
class TwoComponents:
    """Two Gaussian components of one sample, the lower first, against a single Gaussian.

    Attributes
    ----------
    mean, spread, share : tuple of float
        Of the lower and the upper component.
    bic_one, bic_two : float
        Bayesian information criterion (Schwarz 1978) of one and of two components; smaller is better.
    """

    mean: tuple[float, float]
    spread: tuple[float, float]
    share: tuple[float, float]
    bic_one: float
    bic_two: float

    @property
    def ashman_d(self) -> float:
        """Ashman's D, ``sqrt(2) |m1 - m2| / sqrt(s1^2 + s2^2)``; above 2 the components stand apart (Ashman 1994)."""
        gap = self.mean[1] - self.mean[0]
        return math.sqrt(2.0) * gap / math.hypot(*self.spread)

    @property
    def bimodality_index(self) -> float:
        """Bimodality index ``sqrt(p (1 - p)) |m1 - m2| / s`` with the pooled spread s (Wang 2009)."""
        pooled = math.sqrt(self.share[0] * self.spread[0] ** 2 + self.share[1] * self.spread[1] ** 2)
        return math.sqrt(self.share[0] * self.share[1]) * (self.mean[1] - self.mean[0]) / pooled


def two_components(values: ArrayLike) -> TwoComponents:
    """Fit two Gaussians of unequal spread by EM (Dempster 1977), started from the best split of the sorted values.

    Parameters
    ----------
    values : array_like, shape (n,)
        For ratios, give their logarithm.

    Returns
    -------
    TwoComponents

    Raises
    ------
    StatisticsError
        Fewer than five values, or all of them equal.
    """
    data = np.sort(as_floats(values, "values"))
    n = data.size
    if n < 5 or data[0] == data[-1]:
        raise StatisticsError(f"two components need at least 5 values that differ, found {n}: report one population")
    whole = float(data.std())
    floor = _FLOOR * whole
    mean, spread, share = _split(data, floor)
    before = -np.inf
    for _ in range(_ROUNDS):
        density = share * np.exp(-0.5 * ((data[:, None] - mean) / spread) ** 2) / (spread * math.sqrt(2 * math.pi))
        total = np.maximum(density.sum(axis=1), 1e-300)
        likelihood = float(np.log(total).sum())
        if likelihood - before < _TOLERANCE:
            break
        before = likelihood
        member = density / total[:, None]
        weight = np.maximum(member.sum(axis=0), 1e-9)
        share, mean = weight / n, (member * data[:, None]).sum(axis=0) / weight
        spread = np.maximum(np.sqrt((member * (data[:, None] - mean) ** 2).sum(axis=0) / weight), floor)
    one = float(-0.5 * n * (math.log(2 * math.pi * whole**2) + 1))
    low, high = np.argsort(mean)
    return TwoComponents(
        (float(mean[low]), float(mean[high])),
        (float(spread[low]), float(spread[high])),
        (float(share[low]), float(share[high])),
        2 * math.log(n) - 2 * one,
        5 * math.log(n) - 2 * max(before, likelihood),
    )


def _split(data: FloatArray, floor: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the start: the cut of the sorted values with the smallest sum of squares on both sides."""
    cuts = [cut for cut in range(1, data.size) if data[cut] > data[cut - 1]]
    cost = [data[:cut].var() * cut + data[cut:].var() * (data.size - cut) for cut in cuts]
    best = cuts[int(np.argmin(cost))]
    parts = (data[:best], data[best:])
    return (
        np.array([part.mean() for part in parts]),
        np.array([max(part.std(), floor) for part in parts]),
        np.array([part.size / data.size for part in parts]),
    )
