"""Clusters that are none: how often a slide shows them, and what that leaves of a cluster's evidence.

A pair of sister signals, haze or a granule can pass for a cluster of many copies. A leukocyte has no amplified locus:
every cluster seen in one is false. The evidence of a cluster of k copies beside p single signals, for n true ones ::

    L(n) = s W(n) + r q(k) [n = p + 1 or p + 2] / 2

with W the weights of the cluster's interval, s the share of gained nuclei that show a cluster, r the share of nuclei
that show a false one, and q its size, negative binomial (order 2) from 3 copies on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from ctcfish.errors import StatisticsError
from ctcfish.stats.checks import FloatArray, as_counts
from ctcfish.stats.estimate import Estimate

LEAST = 3
"""Copies of the smallest cluster."""

SHOWN = 0.5
"""Share of nuclei with many copies that show them as a cluster, not as single signals; by judgement."""

_SIZE_WORTH = 3.0


@dataclass(frozen=True, slots=True)
class FalseClusters:
    """How often a colour shows clusters that are none, and how large they are taken to be.

    Attributes
    ----------
    rate : float
        Share of nuclei.
    copies : float
        Mean copies, above 3.

    Raises
    ------
    StatisticsError
        A rate outside 0 to 1, or a mean of no more than three copies.
    """

    rate: float
    copies: float

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not (0.0 <= self.rate <= 1.0 and self.copies > LEAST):
            found = f"{self.rate:g}, {self.copies:g}"
            raise StatisticsError(f"false clusters need a rate in 0 to 1 and more than {LEAST} copies, found {found}")

    def size_probability(self, copies: ArrayLike) -> FloatArray:
        """Return P(a false cluster is taken for so many copies); what is below 3 counts as 3."""
        further = np.maximum(as_counts(copies, "copies"), LEAST) - LEAST
        more = (self.copies - LEAST) / (self.copies - LEAST + 2.0)
        return np.asarray((further + 1) * (1.0 - more) ** 2 * more**further)


def measured_clusters(copies: ArrayLike, before: FalseClusters, worth: float) -> tuple[Estimate, Estimate]:
    """Return rate and mean size of false clusters from nuclei known to have none.

    Parameters
    ----------
    copies : array_like of int, shape (N,)
        Copies estimated in clusters of each leukocyte, 0 for none.
    before : FalseClusters
        Believed before a leukocyte is seen.
    worth : float
        Nuclei that this belief in the rate is worth; that in the size is worth three clusters.

    Returns
    -------
    rate, copies : Estimate
        Means of a Beta and a Gamma posterior with their 95 % intervals.
    """
    seen = as_counts(copies, "copies in clusters").ravel()
    found = int((seen > 0).sum())
    a, b = before.rate * worth + found, (1.0 - before.rate) * worth + seen.size - found
    low, high = stats.beta.ppf([0.025, 0.975], a, b).tolist()
    share = Estimate(a / (a + b), low, high, "Beta posterior")
    further = np.maximum(seen[seen > 0] - LEAST, 0)
    shape, rate = (before.copies - LEAST) * _SIZE_WORTH + further.sum(), _SIZE_WORTH + found
    low, high = (LEAST + stats.gamma.ppf([0.025, 0.975], shape, scale=1.0 / rate)).tolist()
    return share, Estimate(LEAST + float(shape / rate), low, high, "Gamma posterior")


def doubted(weights: FloatArray, points: ArrayLike, copies: ArrayLike, false: FalseClusters) -> FloatArray:
    """Return the likelihood over counts of nuclei that show a cluster, which may be none.

    Parameters
    ----------
    weights : ndarray, shape (N, K + 1)
        Of the count with its interval, rows summing to one.
    points, copies : array_like of int, shape (N,)
        Single signals, and copies estimated in clusters; rows without a cluster stay as they are.
    false : FalseClusters

    Returns
    -------
    ndarray, shape (N, K + 1)
        Rows sum to one.
    """
    alone, inside = as_counts(points, "single signals"), as_counts(copies, "copies in clusters")
    rows = np.flatnonzero(inside > 0)
    made = np.array(weights, dtype=np.float64)
    chance = false.rate * false.size_probability(inside[rows])
    made[rows] *= SHOWN
    for signals in (1, 2):
        made[rows, np.minimum(alone[rows] + signals, weights.shape[1] - 1)] += chance / 2
    made[rows] /= made[rows].sum(axis=1, keepdims=True)
    return made
