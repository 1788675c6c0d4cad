"""Firth's penalised likelihood for logistic and Cox regression: finite estimates where few events separate groups.

The log-likelihood gains half the log determinant of the information (Firth 1993), which removes the first-order bias;
intervals are profile penalised likelihood (Heinze and Schemper 2001, 2002).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special, stats

from ctcfish.errors import StatisticsError
from ctcfish.stats.checks import BoolArray, FloatArray, IntArray, as_floats, as_marks, check_confidence
from ctcfish.stats.estimate import Estimate
from ctcfish.stats.survival import follow_up

# penalised log-likelihood, its gradient and the information at a vector of coefficients
Model = Callable[[FloatArray], tuple[float, FloatArray, FloatArray]]

_ROUNDS = 200
_LONGEST_STEP = 2.0
_HALVINGS = 30
_TOLERANCE = 1e-8
_FARTHEST = 60.0  # standard errors at which a profile limit is given up as infinite


@dataclass(frozen=True, slots=True)
class FirthFit:
    """A penalised regression.

    Attributes
    ----------
    coefficients : tuple of Estimate
        Log odds or log hazard ratios with profile penalised likelihood intervals, the intercept of a logistic model
        first.
    p_values : tuple of float
        Penalised likelihood ratio tests of each coefficient being 0.
    standard_errors : tuple of float
        From the inverse information at the estimate.
    log_likelihood : float
        Penalised, at the estimate.
    """

    coefficients: tuple[Estimate, ...]
    p_values: tuple[float, ...]
    standard_errors: tuple[float, ...]
    log_likelihood: float


def firth_logistic(covariates: ArrayLike, outcomes: ArrayLike, confidence: float = 0.95) -> FirthFit:
    """Fit a logistic regression with intercept by penalised likelihood.

    Parameters
    ----------
    covariates : array_like, shape (n, p)
    outcomes : array_like of bool, shape (n,)
    confidence : float

    Returns
    -------
    FirthFit
        p + 1 coefficients, the intercept first.

    Raises
    ------
    StatisticsError
        Lengths differ, a value is missing, or the covariates are collinear.
    """
    check_confidence(confidence)
    outcome = as_marks(outcomes, "outcomes")
    table = _table(covariates, outcome.size)
    design = np.column_stack([np.ones(len(table)), table])
    return _fit(_logistic(design, outcome), _checked(design), confidence)


def firth_cox(covariates: ArrayLike, durations: ArrayLike, events: ArrayLike, confidence: float = 0.95) -> FirthFit:
    """Fit a Cox regression by penalised partial likelihood; tied events after Breslow.

    Parameters
    ----------
    covariates : array_like, shape (n, p)
    durations : array_like, shape (n,)
    events : array_like of bool, shape (n,)
    confidence : float

    Raises
    ------
    StatisticsError
        Lengths differ, a value is missing, there is no event, or the covariates are collinear or constant.
    """
    check_confidence(confidence)
    time, seen = follow_up(durations, events)
    table = _table(covariates, time.size)
    if not seen.any():
        raise StatisticsError("a Cox regression needs at least one event, found none")
    centred = table - table.mean(axis=0)
    return _fit(_cox(centred, time, seen), _checked(centred), confidence)


def _logistic(design: FloatArray, outcome: BoolArray) -> Model:
    def model(beta: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        linear = design @ beta
        chance = special.expit(linear)
        weight = chance * (1 - chance)
        information = design.T @ (design * weight[:, None])
        sign, log_determinant = np.linalg.slogdet(information)
        if sign <= 0:
            return -math.inf, np.zeros_like(beta), information
        leverage = weight * np.einsum("ij,jk,ik->i", design, np.linalg.inv(information), design)
        value = float(np.where(outcome, linear, -linear).clip(max=0).sum() - np.log1p(np.exp(-np.abs(linear))).sum())
        score = design.T @ (outcome - chance + leverage * (0.5 - chance))
        return value + 0.5 * float(log_determinant), score, information

    return model


def _cox(design: FloatArray, time: FloatArray, seen: BoolArray) -> Model:
    moments, died = np.unique(time[seen], return_counts=True)
    risk = (time[None, :] >= moments[:, None]).astype(np.float64)
    events, width = design[seen].sum(axis=0), design.shape[1]
    squares = np.einsum("nj,nk->njk", design, design)
    cubes = np.einsum("njk,nl->njkl", squares, design).reshape(len(design), -1)
    flat = squares.reshape(len(design), -1)

    def model(beta: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        linear = design @ beta
        shift = linear.max()
        weight = np.exp(linear - shift)
        total = risk @ weight
        share = risk * weight / total[:, None]
        mean = share @ design
        second = died @ (share @ flat)
        information = second.reshape(width, width) - np.einsum("t,tj,tk->jk", died, mean, mean)
        sign, log_determinant = np.linalg.slogdet(information)
        if sign <= 0:
            return -math.inf, np.zeros_like(beta), information
        third = _third_moments(died, mean, (share @ flat).reshape(-1, width, width), share @ cubes)
        value = float(events @ beta - died @ (np.log(total) + shift))
        score = events - died @ mean + 0.5 * np.einsum("jk,kjl->l", np.linalg.inv(information), third)
        return value + 0.5 * float(log_determinant), score, information

    return model


def _third_moments(died: IntArray, mean: FloatArray, second: FloatArray, third: FloatArray) -> FloatArray:
    """Return the summed central third moments of the risk sets, which are the derivatives of the information."""
    width = mean.shape[1]
    crossed = np.einsum("t,tjk,tl->jkl", died, second, mean)
    cubed = np.einsum("t,tj,tk,tl->jkl", died, mean, mean, mean)
    raw = (died @ third).reshape(width, width, width)
    return np.asarray(raw - crossed - crossed.transpose(0, 2, 1) - crossed.transpose(2, 0, 1) + 2 * cubed)


def _fit(model: Model, size: int, confidence: float) -> FirthFit:
    everything = np.ones(size, dtype=np.bool_)
    best = _maximise(model, np.zeros(size), everything)
    top, _, information = model(best)
    errors = np.sqrt(np.diag(np.linalg.inv(information)))
    drop = float(stats.chi2.ppf(confidence, 1)) / 2
    coefficients, p_values = [], []
    for index in range(size):
        low, high = (_limit(model, best, index, side * float(errors[index]), top - drop) for side in (-1, 1))
        method = "Firth, profile penalised likelihood"
        coefficients.append(Estimate(float(best[index]), low, high, method, confidence))
        try:
            null = _highest(model, (best, np.zeros(size)), index, 0.0)
        except np.linalg.LinAlgError:
            raise StatisticsError("the penalised likelihood holds no information at 0: too few subjects") from None
        p_values.append(float(stats.chi2.sf(max(2 * (top - null), 0.0), 1)))
    return FirthFit(tuple(coefficients), tuple(p_values), tuple(float(e) for e in errors), top)


def _maximise(model: Model, start: FloatArray, free: BoolArray) -> FloatArray:
    """Return the maximum over the free coefficients by scoring steps with a secant line search.

    The information lacks the curvature of the penalty, so that with few subjects plain steps overshoot and cycle: a
    step is shortened where the slope along it has turned round.
    """
    beta = start.copy()
    _, score, information = model(beta)
    for _ in range(_ROUNDS):
        step = np.zeros_like(beta)
        step[free] = np.linalg.solve(information[np.ix_(free, free)], score[free])
        # on the scale of standard errors, so that lengths mean the same for every unit of a covariate
        length = float(np.abs(step * np.sqrt(np.diag(information))).max())
        if length < _TOLERANCE:
            return beta
        scale, slope = min(1.0, _LONGEST_STEP / length), float(score @ step)
        for _ in range(_HALVINGS):
            value, tried, tried_information = model(beta + scale * step)
            turned = float(tried @ step)
            if math.isfinite(value) and turned >= -0.5 * slope:
                break
            scale *= min(max(slope / (slope - turned), 0.1), 0.9) if math.isfinite(value) else 0.5
        beta, score, information = beta + scale * step, tried, tried_information
    raise StatisticsError("the penalised likelihood did not settle: check the covariates for values far out of range")


def _profile(model: Model, best: FloatArray, index: int, fixed: float) -> tuple[float, FloatArray]:
    """Return the penalised log-likelihood with one coefficient held, and the others' best values."""
    free = np.ones(best.size, dtype=np.bool_)
    free[index] = False
    start = best.copy()
    start[index] = fixed
    beta = _maximise(model, start, free) if free.any() else start
    return model(beta)[0], beta


def _limit(model: Model, best: FloatArray, index: int, step: float, bar: float) -> float:
    """Return where the profile falls to the bar on the side of the step; infinite where it cannot be seen to.

    Where a covariate separates the outcomes the penalised likelihood has more than one maximum: the profile is followed
    from both ends of the bracket and the higher one counts, so that it holds the value the bracket was made of.
    """
    near, far, held = float(best[index]), float(best[index]) + 2 * step, best
    while True:
        try:
            value, reached = _profile(model, held, index, far)
        except np.linalg.LinAlgError:  # so far out that no information is left, and not yet below the bar
            return math.copysign(math.inf, step)
        if value < bar:
            break
        if abs(far - best[index]) > _FARTHEST * abs(step):
            return math.copysign(math.inf, step)
        near, far, held = far, best[index] + 2 * (far - best[index]), reached

    def above(at: float) -> float:
        return _highest(model, (held, reached), index, at) - bar

    try:
        return float(optimize.brentq(above, near, far, xtol=1e-9))
    except np.linalg.LinAlgError:
        return math.copysign(math.inf, step)


def _highest(model: Model, starts: tuple[FloatArray, ...], index: int, fixed: float) -> float:
    """Return the highest profile reached from several starts; one that runs out of information does not count.

    Raises
    ------
    numpy.linalg.LinAlgError
        All of them do.
    """
    values = []
    for start in starts:
        try:
            values.append(_profile(model, start, index, fixed)[0])
        except np.linalg.LinAlgError:
            continue
    if not values:
        raise np.linalg.LinAlgError
    return max(values)


def _table(covariates: ArrayLike, subjects: int) -> FloatArray:
    table = as_floats(covariates, "covariates", ndim=2)
    if table.shape[0] != subjects:
        raise StatisticsError(f"{table.shape[0]} rows of covariates for {subjects} subjects: give one row each")
    return table


def _checked(design: FloatArray) -> int:
    rank = int(np.linalg.matrix_rank(design)) if design.size else 0
    if not design.shape[1] or rank < design.shape[1]:
        raise StatisticsError(
            f"{design.shape[1]} columns hold only {rank} independent ones: leave out what is constant or repeats others"
        )
    return rank
