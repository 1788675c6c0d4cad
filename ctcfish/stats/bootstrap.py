"""Bootstrap intervals with a fixed seed, on a scale where the statistic is nearly normal, widened for small samples.

Chosen by measured coverage of entropies, diversities and coefficients of variation of 30 simulated skewed copy
numbers, where 95 % was promised: BCa covered 77 to 95 %, the studentised bootstrap 83 to 95 %, the bootstrap spread on
the right scale 93 to 97 %.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from ctcfish.errors import StatisticsError
from ctcfish.stats.checks import FloatArray, IntArray, check_confidence
from ctcfish.stats.estimate import Estimate

IndexStatistic = Callable[[IntArray], FloatArray]

_CELLS_AT_ONCE = 2_000_000


@dataclass(frozen=True, slots=True)
class Scale:
    """A monotone map to a scale without bounds, and back.

    Attributes
    ----------
    name : str
    forward, inverse : callable
        Elementwise on arrays; forward may return infinities at the bounds.
    """

    name: str
    forward: Callable[[FloatArray], FloatArray]
    inverse: Callable[[FloatArray], FloatArray]


def _same(values: FloatArray) -> FloatArray:
    return values


IDENTITY = Scale("identity", _same, _same)
LOG = Scale("log", np.log, np.exp)  # positive quantities: spreads, entropies, ratios
FISHER = Scale("Fisher z", np.arctanh, np.tanh)  # correlations and kappas, -1 to 1


def near_one(items: int) -> Scale:
    """Return Fisher's scale drawn in by half an item, so that resamples without disagreement stay finite.

    At agreement near 1 a share of the resamples holds no disagreement; on Fisher's own scale they are infinite and
    leave an interval from -1 to 1. Measured coverage of 95 % intervals of percent and positive agreement and kappa, 30
    to 200 units, true values 0.70 to 0.98: 93.5 to 97.5 %.
    """
    inward = 1.0 - 0.5 / max(items, 1)

    def forward(values: FloatArray) -> FloatArray:
        return np.asarray(np.arctanh(inward * values))

    def inverse(values: FloatArray) -> FloatArray:
        return np.asarray(np.clip(np.tanh(values) / inward, -1.0, 1.0))

    return Scale("drawn-in Fisher z", forward, inverse)


@dataclass(frozen=True, slots=True)
class BootstrapPlan:
    """How an interval is drawn.

    Attributes
    ----------
    resamples : int
        Number of resamples.
    confidence : float
        Nominal level.
    seed : int
        Of the resamples; the same seed gives the same bytes.

    Raises
    ------
    StatisticsError
        Fewer than 100 resamples or a level outside (0, 1).
    """

    resamples: int = 2000
    confidence: float = 0.95
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the plan."""
        check_confidence(self.confidence)
        if self.resamples < 100:
            raise StatisticsError(f"{self.resamples} resamples cannot hold an interval: give at least 100")


def bootstrap_interval(
    statistic: IndexStatistic, n: int, scale: Scale = IDENTITY, plan: BootstrapPlan | None = None
) -> Estimate:
    """Return a statistic of ``n`` independent units with its bootstrap interval.

    ``inverse(forward(value) -+ t * spread)`` with t of ``n - 1`` degrees of freedom and the spread of the resamples on
    the scale, half the distance of their 16th and 84th percentiles (Efron and Tibshirani 1993) times
    ``sqrt(n / (n - 1))``, by which the bootstrap is too narrow in small samples (Hesterberg 2015). Bias is the
    business of the statistic: give a corrected one. Units are whatever was drawn independently: cells within a patient,
    patients within a study.

    Parameters
    ----------
    statistic : callable
        Takes unit indices of shape (B, m), a resample a row, and returns shape (B,); NaN where it is undefined.
    n : int
        Number of units.
    scale : Scale
        Where the statistic is nearly normal.
    plan : BootstrapPlan, optional

    Returns
    -------
    Estimate
        Limits are NaN where the data hold no spread: fewer than two units, all resamples alike, a value or a sixth
        of the resamples on the bound of the scale (all readers agree), or fewer than half of the resamples defined.

    Raises
    ------
    StatisticsError
        No unit.
    """
    setting = plan or BootstrapPlan()
    if n < 1:
        raise StatisticsError("a bootstrap needs at least one unit, found none")
    value = float(statistic(np.arange(n)[None, :])[0])
    name = f"bootstrap of {n} units, {scale.name} scale"
    unknown = Estimate(value, math.nan, math.nan, name, setting.confidence)
    with np.errstate(divide="ignore", invalid="ignore"):
        centre = float(scale.forward(np.array([value]))[0])
    if n < 2 or not math.isfinite(centre):
        return unknown
    rng = np.random.default_rng(setting.seed)
    rows = max(1, _CELLS_AT_ONCE // n)
    sizes = [min(rows, setting.resamples - start) for start in range(0, setting.resamples, rows)]
    with np.errstate(divide="ignore", invalid="ignore"):
        drawn = scale.forward(np.concatenate([statistic(rng.integers(0, n, (size, n))) for size in sizes]))
    drawn = drawn[~np.isnan(drawn)]
    if drawn.size < setting.resamples / 2 or drawn.min() == drawn.max():
        return unknown
    lower, upper = np.quantile(drawn, [0.1586553, 0.8413447], method="inverted_cdf")
    if not (math.isfinite(lower) and math.isfinite(upper)):
        return unknown
    spread = float(upper - lower) / 2 * math.sqrt(n / (n - 1))
    reach = float(stats.t.ppf((1 + setting.confidence) / 2, n - 1)) * spread
    low, high = (float(end) for end in scale.inverse(np.array([centre - reach, centre + reach])))
    return Estimate(value, min(low, value), max(high, value), name, setting.confidence)


def cluster_interval(
    statistic: Callable[[IntArray], float],
    clusters: ArrayLike,
    scale: Scale = IDENTITY,
    plan: BootstrapPlan | None = None,
) -> Estimate:
    """Return a statistic of rows with an interval that resamples whole clusters, such as the cells of a patient.

    Parameters
    ----------
    statistic : callable
        Takes row indices of shape (m,), some of them repeated, and returns a number, NaN where undefined.
    clusters : array_like, shape (N,)
        Cluster of each row, for instance the patient of each cell.
    scale : Scale
    plan : BootstrapPlan, optional

    Returns
    -------
    Estimate
        As `bootstrap_interval` with clusters as units.

    Raises
    ------
    StatisticsError
        No row.
    """
    labels = np.unique(np.asarray(clusters), return_inverse=True)[1].ravel()
    order = np.argsort(labels, kind="stable")
    members = np.split(order, np.flatnonzero(np.diff(labels[order])) + 1) if labels.size else []

    def of_clusters(index: IntArray) -> FloatArray:
        return np.array([statistic(np.concatenate([members[i] for i in row])) for row in index], dtype=np.float64)

    return bootstrap_interval(of_clusters, len(members), scale, plan)
