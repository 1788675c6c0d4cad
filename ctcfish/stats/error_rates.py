"""Error rates of a slide from its leukocytes, which are true 2/2 nuclei or, in G2, 4/4 nuclei.

The likelihood of a table of (HER2, CEP17) counts is the mixture ``(1 - g) A2(h) B2(c) + g A4(h) B4(c)`` of the count
model, taken among nuclei that show each colour at least ``minimum`` times. A fixed small share of the rows is taken to
be no single leukocyte (merged nuclei, debris) with any counts, so that a nucleus of 8/8 does not pass for six extra
signals. Beta and Gamma priors carry the history of the laboratory; with few leukocytes they decide, with many they
vanish.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special

from ctcfish.errors import StatisticsError
from ctcfish.stats.checks import BoolArray, FloatArray, IntArray, as_counts, as_floats, check_confidence
from ctcfish.stats.countmodel import CountErrors, SignalErrors, count_tables
from ctcfish.stats.estimate import Estimate
from ctcfish.stats.rate_priors import RatePriors

PARAMETERS = ("her2_missed", "her2_split", "her2_extra", "cep17_missed", "cep17_split", "cep17_extra", "g2_fraction")
_IS_EXTRA = np.array([False, False, True, False, False, True, False])
_IS_SPLIT = np.array([False, True, False, False, True, False, False])
_STEP = 1e-4  # on the logit and log scales
_STRAY = 0.01  # share of rows that are no single leukocyte
_STRAY_COUNTS = 20 * 20  # their counts: anything from 1 to 20 of each colour
_DRAWS = 4000
_DEGREES = 5.0  # heavy tails of the proposal: importance weights stay bounded


@dataclass(frozen=True, slots=True)
class RateFit:
    """Error rates with their posterior draws.

    Attributes
    ----------
    errors : CountErrors
        Posterior means.
    estimates : dict of str to Estimate
        Mean and credible interval of each of ``PARAMETERS``.
    draws : ndarray, shape (M, 7)
        Equally weighted draws of the posterior, for what depends on the rates.
    effective_draws : float
        Effective number among the weighted draws; below 100 the interval is coarse.
    n_nuclei : int
        Leukocytes used.
    """

    errors: CountErrors
    estimates: dict[str, Estimate]
    draws: FloatArray
    effective_draws: float
    n_nuclei: int


def fit_rates(
    her2: ArrayLike,
    cep17: ArrayLike,
    priors: RatePriors | None = None,
    minimum: int = 1,
    confidence: float = 0.95,
    seed: int = 0,
) -> RateFit:
    """Return the posterior of a slide's error rates.

    The mode on the logit and log scales is found by BFGS; draws from a multivariate t around it are weighted by the
    exact posterior (sampling importance resampling, Rubin 1987), so that skewed posteriors near zero keep their shape.

    Parameters
    ----------
    her2, cep17 : array_like of int, shape (N,)
        Counts of the leukocytes; those with fewer than ``minimum`` of a colour are left out.
        None at all give the prior.
    priors : RatePriors, optional
        The laboratory's history; the default is worth 20 signals at 5 % and 30 nuclei at 0.03 extra signals.
    minimum : int
        Smallest count of each colour that is scored.
    confidence : float
        Level of the credible intervals.
    seed : int
        Of the draws; the same seed gives the same bytes.

    Returns
    -------
    RateFit

    Raises
    ------
    StatisticsError
        Lengths differ, or counts that cannot be.
    """
    check_confidence(confidence)
    prior = priors or RatePriors()
    shapes, own = prior.shapes(), _count_table(her2, cep17, minimum)
    table = _with_history(own, prior, minimum)

    def log_posterior(points: FloatArray) -> FloatArray:
        rates = _rates(points)
        return _log_likelihood(rates, table, minimum) + _log_prior(rates, shapes)

    mode = _mode(log_posterior)
    scale = np.linalg.cholesky(_covariance(log_posterior, mode))
    rng = np.random.default_rng(seed)
    normal = rng.standard_normal((_DRAWS, 7)) / np.sqrt(rng.chisquare(_DEGREES, (_DRAWS, 1)) / _DEGREES)
    points = mode + normal @ scale.T
    proposal = -0.5 * (_DEGREES + 7) * np.log1p((normal**2).sum(axis=1) / _DEGREES)
    log_weight = log_posterior(points) - proposal
    weight = np.exp(log_weight - log_weight.max())
    weight /= weight.sum()
    rates = _rates(points)
    position = (np.arange(_DRAWS) + 0.5) / _DRAWS
    drawn = rates[np.minimum(np.searchsorted(np.cumsum(weight), position), _DRAWS - 1)]
    mean = weight @ rates
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    estimates = {}
    for column, name in enumerate(PARAMETERS):
        low, high = _weighted_quantiles(rates[:, column], weight, tails)
        value = float(mean[column])
        estimates[name] = Estimate(
            value, min(low, value), max(high, value), "posterior, importance sampling", confidence
        )
    return RateFit(errors_of(mean), estimates, drawn, float(1.0 / (weight**2).sum()), int(own.sum()))


def passing_rates(draws: ArrayLike, passing: BoolArray) -> FloatArray:
    """Return how often a leukocyte with both colours passes a rule, for each draw of the error rates.

    Parameters
    ----------
    draws : array_like, shape (M, 7)
        As of `RateFit`.
    passing : ndarray of bool, shape (H, C)
        Whether counts of row + 1 HER2 and column + 1 CEP17 signals pass.

    Returns
    -------
    ndarray, shape (M,)
        Of the mixture of 2/2 and 4/4 nuclei; debris aside.
    """
    rates = as_floats(draws, "draws", ndim=2)
    her2 = count_tables(rates[:, 0], rates[:, 1], rates[:, 2], 4, passing.shape[0])[:, [2, 4], 1:]
    cep17 = count_tables(rates[:, 3], rates[:, 4], rates[:, 5], 4, passing.shape[1])[:, [2, 4], 1:]
    shares = np.stack([1 - rates[:, 6], rates[:, 6]], axis=1)
    passed = np.einsum("ms,msh,hc,msc->m", shares, her2, passing.astype(np.float64), cep17, optimize=True)
    return np.asarray(passed / (shares * her2.sum(axis=2) * cep17.sum(axis=2)).sum(axis=1))


def errors_of(rates: ArrayLike) -> CountErrors:
    """Return a vector in the order of ``PARAMETERS`` as error rates of both colours."""
    values = [float(value) for value in as_floats(rates, "rates")]
    return CountErrors(SignalErrors(*values[:3]), SignalErrors(*values[3:6]))


def _count_table(her2: ArrayLike, cep17: ArrayLike, minimum: int) -> IntArray:
    h, c = as_counts(her2, "HER2 counts").ravel(), as_counts(cep17, "CEP17 counts").ravel()
    if h.size != c.size:
        raise StatisticsError(f"{h.size} HER2 and {c.size} CEP17 counts: give one of each a nucleus")
    kept = (h >= minimum) & (c >= minimum)
    table = np.zeros((int(h.max(initial=4)) + 1, int(c.max(initial=4)) + 1), dtype=np.int64)
    np.add.at(table, (h[kept], c[kept]), 1)
    return table


def _with_history(own: IntArray, prior: RatePriors, minimum: int) -> FloatArray:
    seen = [row for row in prior.history if min(row[:2]) >= minimum]
    sides = [max([own.shape[axis], *(row[axis] + 1 for row in seen)]) for axis in (0, 1)]
    table = np.zeros(sides)
    table[: own.shape[0], : own.shape[1]] = own
    for her2, cep17, nuclei in seen:
        table[her2, cep17] += nuclei
    return table


def _log_likelihood(rates: FloatArray, table: IntArray | FloatArray, minimum: int) -> FloatArray:
    her2 = count_tables(rates[:, 0], rates[:, 1], rates[:, 2], 4, max(table.shape[0] - 1, minimum))[:, [2, 4]]
    cep17 = count_tables(rates[:, 3], rates[:, 4], rates[:, 5], 4, max(table.shape[1] - 1, minimum))[:, [2, 4]]
    shares = np.stack([1 - rates[:, 6], rates[:, 6]], axis=1)
    rows, columns = np.nonzero(table)
    cells = (shares[:, :, None] * her2[:, :, rows] * cep17[:, :, columns]).sum(axis=1)
    unseen_her2, unseen_cep17 = her2[:, :, :minimum].sum(axis=2), cep17[:, :, :minimum].sum(axis=2)
    scored = (shares * (1 - unseen_her2) * (1 - unseen_cep17)).sum(axis=1)
    likely = (1 - _STRAY) * cells / np.maximum(scored, 1e-300)[:, None] + _STRAY / _STRAY_COUNTS
    return np.asarray(np.log(likely) @ table[rows, columns])


def _log_prior(rates: FloatArray, shapes: FloatArray) -> FloatArray:
    # density of the points of `_rates`: the Jacobian adds one to every exponent but that of (1 - split), so that the
    # mode lies inside
    a, b = shapes[:, 0], shapes[:, 1] - _IS_SPLIT
    beta = special.xlogy(a, rates) + special.xlog1py(b, -np.minimum(rates, 1.0))
    gamma = special.xlogy(a, rates) - b * rates
    return np.asarray(np.where(_IS_EXTRA, gamma, beta).sum(axis=1))


def _rates(points: FloatArray) -> FloatArray:
    """Return rates of unbounded points, both shape (B, 7).

    Split and extra signals both make three of two: the data fix their sum. So a colour's point is the logit of the
    missed rate, the log of the expected surplus of a 2/2 nucleus, ``2 (1 - m) s + e``, and the logit of the share of
    splits in it; in these the posterior is nearly elliptic.
    """
    clipped = np.clip(points, -25.0, 25.0)
    rates: FloatArray = np.asarray(special.expit(clipped))
    for first in (0, 3):
        surplus, share = np.exp(np.minimum(clipped[:, first + 1], 4.0)), special.expit(clipped[:, first + 2])
        rates[:, first + 1] = np.minimum(surplus * share / (2 * (1 - rates[:, first])), 1 - 1e-9)
        rates[:, first + 2] = surplus * (1 - share)
    return rates


def _start() -> FloatArray:
    return np.array([0.05, 0.05, 0.03, 0.05, 0.05, 0.03, 0.02])


def _mode(log_posterior: Callable[[FloatArray], FloatArray]) -> FloatArray:
    steps = np.concatenate([np.zeros((1, 7)), np.eye(7) * _STEP, -np.eye(7) * _STEP])

    def objective(point: FloatArray) -> tuple[float, FloatArray]:
        values = log_posterior(point + steps)
        return -float(values[0]), -(values[1:8] - values[8:]) / (2 * _STEP)

    start = np.array([-3.0, -2.0, 1.0, -3.0, -2.0, 1.0, -4.0])
    return np.asarray(optimize.minimize(objective, start, jac=True, method="BFGS").x, dtype=np.float64)


def _covariance(log_posterior: Callable[[FloatArray], FloatArray], mode: FloatArray) -> FloatArray:
    # second differences at a step of 0.05: wide enough for rounding, narrow against a spread of about 0.3
    step = 0.05 * np.eye(7)
    both = step[:, None, :] + step[None, :, :]
    cross = step[:, None, :] - step[None, :, :]
    values = log_posterior(np.concatenate([mode + d.reshape(-1, 7) for d in (both, cross, -cross, -both)]))
    pp, pm, mp, mm = values.reshape(4, 7, 7)
    curvature = -(pp - pm - mp + mm) / (4 * 0.05**2)
    size, axes = np.linalg.eigh((curvature + curvature.T) / 2)
    return np.asarray((axes / np.maximum(size, 0.05)) @ axes.T)


def _weighted_quantiles(values: FloatArray, weight: FloatArray, levels: list[float]) -> tuple[float, float]:
    order = np.argsort(values, kind="stable")
    position = np.cumsum(weight[order]) - 0.5 * weight[order]
    low, high = np.interp(levels, position, values[order])
    return float(low), float(high)
