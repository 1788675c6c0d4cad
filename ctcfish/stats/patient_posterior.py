"""From cells to the patient: has she any truly amplified cell, and how high must the bar be to be sure."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from ctcfish.errors import StatisticsError
from ctcfish.stats.checks import BoolArray, FloatArray, IntArray, as_counts, as_floats, as_rates, check_confidence
from ctcfish.stats.count_posterior import (
    MAX_CEP17_COUNT,
    MAX_HER2_COUNT,
    interval_weights,
)
from ctcfish.stats.countmodel import CountErrors, CountRule, count_matrix
from ctcfish.stats.false_clusters import FalseClusters, doubted
from ctcfish.stats.proportions import patient_by_error
from ctcfish.stats.state_prior import MAX_CEP17, MAX_HER2, StatePrior, reaching

_MOST_NODES = 400
_TINY = float(np.finfo(float).tiny)
_CLUSTERS = ((0, 8), (3, 41))  # single HER2 signals, copies in the cluster
_GREEN = (1, 9)  # CEP17 signals
_CLUSTER_SPREAD = 0.2  # half of a cluster's 95 % interval over its copies


@dataclass(frozen=True, slots=True)
class SharePrior:
    """Prior of a patient's share of amplified cells: none at all, else Beta.

    Attributes
    ----------
    absent : float
        Probability that the patient has no amplified cell anywhere.
    a, b : float
        Beta distribution of the share where she has some.

    Raises
    ------
    StatisticsError
        A probability outside [0, 1], or a parameter that is not positive.
    """

    absent: float
    a: float
    b: float

    def __post_init__(self) -> None:
        """Check the ranges."""
        as_rates(self.absent, "probability of no amplified cell")
        if not (self.a > 0 and self.b > 0):
            raise StatisticsError(f"the share needs positive Beta parameters, found {self.a:g} and {self.b:g}")


def any_amplified(inside: ArrayLike, outside: ArrayLike, prior: SharePrior) -> float:
    """Return P(at least one of a patient's cells is truly amplified | counts of all of them).

    The cells of a patient share an unknown fraction f of amplified cells, so that a hundred unremarkable cells speak
    against it. With likelihood ratios ``r = inside / outside``::

        1 - (w0 + (1 - w0) E[(1 - f)^n]) / (w0 + (1 - w0) E[prod(f r_i + 1 - f)])

    The integrands are polynomials in f: Gauss-Jacobi quadrature with more than n / 2 nodes is exact; beyond 800 cells
    the nodes stay at 400, dense enough for a likelihood that sharp.

    Parameters
    ----------
    inside, outside : array_like, shape (n,)
        P(counts | amplified) and P(counts | not) of each evaluable cell, not both zero.
    prior : SharePrior

    Returns
    -------
    float
        0 for no cell.

    Raises
    ------
    StatisticsError
        A negative likelihood, or a cell impossible both ways.
    """
    like, unlike = as_floats(inside, "likelihoods"), as_floats(outside, "likelihoods")
    if like.shape != unlike.shape or (like < 0).any() or (unlike < 0).any() or (like + unlike == 0).any():
        raise StatisticsError("every cell needs two likelihoods of 0 or more, not both 0")
    if not like.size:
        return 0.0
    nodes, weights = special.roots_sh_jacobi(min(like.size // 2 + 2, _MOST_NODES), prior.a + prior.b - 1.0, prior.a)
    with np.errstate(divide="ignore"):
        log_weights = np.log(weights / weights.sum())
        log_none = np.log(unlike).sum() + np.logaddexp(
            np.log(prior.absent),
            np.log1p(-prior.absent) + special.logsumexp(log_weights + like.size * np.log1p(-nodes)),
        )
        mixed = np.log(nodes[:, None] * like + (1 - nodes[:, None]) * unlike).sum(axis=1)
        log_all = np.logaddexp(
            np.log(prior.absent) + np.log(unlike).sum(),
            np.log1p(-prior.absent) + special.logsumexp(log_weights + mixed),
        )
    return float(np.clip(-np.expm1(log_none - log_all), 0.0, 1.0))


@dataclass(frozen=True, slots=True)
class OperatingPoints:
    """What a bar on the posterior costs, one row a distinct posterior value, from the highest bar down.

    Attributes
    ----------
    posterior : ndarray, shape (P,)
        A cell that passes the rule is called if its posterior is at least this.
    false_call : ndarray, shape (P,)
        Probability that a scored cell below the cut is called.
    sensitivity : ndarray, shape (P,)
        Probability that a scored cell that reaches the cut is called.
    """

    posterior: FloatArray
    false_call: FloatArray
    sensitivity: FloatArray


@dataclass(frozen=True, slots=True)
class CallControl:
    """The bar a patient's cells must pass, and what it costs.

    Attributes
    ----------
    posterior_cut : float
        Smallest posterior that is called; above 1 where no bar keeps the promise.
    false_call, sensitivity : float
        Per-cell rates at this bar.
    patient_false_positive : float
        ``1 - (1 - false_call)^n``.
    """

    posterior_cut: float
    false_call: float
    sensitivity: float
    patient_false_positive: float


def operating_points(
    prior: StatePrior,
    errors: CountErrors,
    cut: Fraction,
    rule: CountRule,
    margin: float = 1.0,
    false: FalseClusters | None = None,
) -> OperatingPoints:
    """Return false-call rate and sensitivity of every bar on the posterior, by enumeration of all counts.

    Cells are those with at least one signal of each colour; true states are weighted as in the prior, separately among
    those that reach the cut and those that do not.

    Parameters
    ----------
    prior : StatePrior
    errors : CountErrors
    cut : Fraction
        Cut-off of the true ratio.
    rule : callable
        Rule on the counts that a call must pass as well.
    margin : float
        The cells may err this many times as often as ``errors`` and ``false`` say, by which their posterior is made:
        false calls are those of the worse cells.
    false : FalseClusters, optional
        HER2 clusters that are none; a cell below the cut may show one.
    """
    mask, table = reaching(cut), prior.table
    below = np.where(mask, 0.0, table)
    inside, outside = _counts_of(np.where(mask, table, 0.0), errors), _counts_of(below, errors)
    worse = outside if margin == 1.0 else _counts_of(below, errors.times(margin))
    grid = np.meshgrid(np.arange(1, MAX_HER2_COUNT + 1), np.arange(1, MAX_CEP17_COUNT + 1), indexing="ij")
    passing = rule(grid[0], grid[1]) & (inside + outside > 0)
    good, bad = inside[passing] / max(inside.sum(), _TINY), worse[passing] / max(worse.sum(), _TINY)
    value = inside[passing] / (inside[passing] + outside[passing])
    if false is not None:
        shown = min(margin * false.rate, 1.0)
        seen = _false_clusters(below, errors.times(margin), false)
        called = rule(seen.her2, seen.cep17)
        posterior = _reaching(seen, table, mask, errors)
        value = np.concatenate([value, posterior[called]])
        bad = np.concatenate([(1.0 - shown) * bad, shown * seen.probability[called]])
        good = np.concatenate([good, np.zeros(int(called.sum()))])
    order = np.argsort(-value, kind="stable")
    last = np.append(np.diff(value[order]) != 0, True)
    costs = (np.minimum(np.cumsum(part[order])[last], 1.0) for part in (bad, good))
    return OperatingPoints(value[order][last], *costs)


@dataclass(frozen=True, slots=True)
class PosteriorBar:
    """A posterior that a cell must reach to be called.

    Attributes
    ----------
    prior : StatePrior
    cut : Fraction
        Cut-off of the true ratio.
    least : float
        Smallest posterior that is called.
    """

    prior: StatePrior
    cut: Fraction
    least: float


def called_by_false_cluster(
    copies: tuple[int, int], errors: CountErrors, false: FalseClusters, rule: CountRule, bar: PosteriorBar | None = None
) -> float:
    """Return P(called | one HER2 signal of a nucleus is taken for a cluster), among nuclei that show CEP17.

    Parameters
    ----------
    copies : pair of int
        True copies of HER2, at least one, and of CEP17.
    errors : CountErrors
        Of the other signals.
    false : FalseClusters
    rule : callable
        Rule on the counts.
    bar : PosteriorBar, optional
        What the posterior must reach besides.
    """
    states = np.zeros((MAX_HER2 + 1, MAX_CEP17 + 1))
    states[copies] = 1.0
    seen = _false_clusters(states, errors, false)
    called = rule(*np.broadcast_arrays(seen.her2, seen.cep17))
    if bar is not None:
        called = called & (_reaching(seen, bar.prior.table, reaching(bar.cut), errors) >= bar.least)
    return float(seen.probability[called].sum())


@dataclass(frozen=True)
class _Seen:
    """What cells below the cut look like where one HER2 signal is taken for a cluster.

    Attributes
    ----------
    her2, cep17 : ndarray of int64, (N, 1) and (1, M)
        Counts.
    probability : ndarray, (N, M)
    likelihood : ndarray, (N, K + 1)
        Of the HER2 signals, over their number; CEP17 counts are in no doubt.
    """

    her2: IntArray
    cep17: IntArray
    probability: FloatArray
    likelihood: FloatArray


def _false_clusters(states: FloatArray, worse: CountErrors, false: FalseClusters) -> _Seen:
    """Every number of single signals and cluster size, by every CEP17 count."""
    lone, size, sure = _clusters()
    green = np.arange(*_GREEN)[None]
    others = np.vstack([states[1:], np.zeros((1, states.shape[1]))])  # the other HER2 copies of the nucleus
    counts = count_matrix(worse.her2, MAX_HER2, MAX_HER2_COUNT).T @ others
    counts = counts @ count_matrix(worse.cep17, MAX_CEP17, MAX_CEP17_COUNT)
    chance = counts[lone[:, None], green] / max(counts[:, 1:].sum(), _TINY) * false.size_probability(size)[:, None]
    return _Seen((lone + size)[:, None], green, chance, doubted(sure, lone, size, false))


@cache
def _clusters() -> tuple[IntArray, IntArray, FloatArray]:
    """Every number of single signals and cluster size, and their likelihood were no cluster false."""
    lone, size = (axis.ravel() for axis in np.meshgrid(*(np.arange(*ends) for ends in _CLUSTERS), indexing="ij"))
    reach = np.maximum(np.round(_CLUSTER_SPREAD * size).astype(np.int64), 1)
    total = lone + size
    return lone, size, interval_weights(total, np.maximum(total - reach, lone), total + reach, MAX_HER2_COUNT)


def _reaching(seen: _Seen, table: FloatArray, mask: BoolArray, errors: CountErrors) -> FloatArray:
    """P(true ratio reaches the cut | what is seen), (N, M); 0 where it is impossible under the model."""
    her2 = seen.likelihood @ count_matrix(errors.her2, MAX_HER2, MAX_HER2_COUNT).T
    cep17 = count_matrix(errors.cep17, MAX_CEP17, MAX_CEP17_COUNT)[:, seen.cep17[0]]
    inside, outside = (her2 @ np.where(side, table, 0.0) @ cep17 for side in (mask, ~mask))
    both = inside + outside
    return np.asarray(np.divide(inside, both, out=np.zeros(both.shape), where=both > 0))


def _counts_of(states: FloatArray, errors: CountErrors) -> FloatArray:
    """P(state, counts) summed over the given states, for counts of at least one of each colour."""
    her2 = count_matrix(errors.her2, MAX_HER2, MAX_HER2_COUNT)
    cep17 = count_matrix(errors.cep17, MAX_CEP17, MAX_CEP17_COUNT)
    return np.asarray((her2.T @ states @ cep17)[1:, 1:])


def control_cut(points: OperatingPoints, cells: int, level: float = 0.05) -> CallControl:
    """Return the lowest bar that keeps a patient of ``cells`` cells falsely positive with at most ``level``.

    Raises
    ------
    StatisticsError
        The level lies outside (0, 1).
    """
    check_confidence(level)
    n = int(as_counts(cells, "cells"))
    patient = patient_by_error(points.false_call, n)
    kept = np.flatnonzero(patient <= level)
    if not kept.size:
        return CallControl(float(np.nextafter(1.0, 2.0)), 0.0, 0.0, 0.0)
    best = kept[-1]
    bar = points.posterior[best] * (1 - 1e-9)  # the same counts give the same posterior only up to rounding
    values = (bar, points.false_call[best], points.sensitivity[best], patient[best])
    return CallControl(*(float(value) for value in values))
