"""Posterior of a nucleus's true copies given its counts, uncertain where clusters were estimated."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike

from ctcfish.errors import StatisticsError
from ctcfish.stats.checks import BoolArray, FloatArray, as_counts, as_rates
from ctcfish.stats.countmodel import CountErrors, count_matrix
from ctcfish.stats.state_prior import MAX_CEP17, MAX_HER2, StatePrior, reaching

MAX_HER2_COUNT = 90
MAX_CEP17_COUNT = 40


@dataclass(frozen=True, slots=True)
class CountWeights:
    """What was seen of each nucleus, as a likelihood over the number of countable signals.

    Attributes
    ----------
    her2 : ndarray, shape (N, MAX_HER2_COUNT + 1)
    cep17 : ndarray, shape (N, MAX_CEP17_COUNT + 1)
        Row i, column n is proportional to P(image of nucleus i | n signals); an isolated count is a single one.
    """

    her2: FloatArray
    cep17: FloatArray

    def __post_init__(self) -> None:
        """Check shapes and ranges."""
        for name, table, size in (("HER2", self.her2, MAX_HER2_COUNT), ("CEP17", self.cep17, MAX_CEP17_COUNT)):
            if table.ndim != 2 or table.shape[1] != size + 1 or table.shape[0] != self.her2.shape[0]:
                raise StatisticsError(f"{name} weights have shape {table.shape}, ({len(self.her2)}, {size + 1}) wanted")
            if table.size and (not np.isfinite(table).all() or table.min() < 0 or (table.sum(axis=1) <= 0).any()):
                raise StatisticsError(f"{name} weights must be 0 or more with a positive sum in each row")


def interval_weights(count: ArrayLike, low: ArrayLike, high: ArrayLike, max_count: int) -> FloatArray:
    """Return a likelihood over counts from an estimate and its 95 % interval.

    A normal with its mode at the count and one spread on each side, ``(count - low) / 1.96`` and
    ``(high - count) / 1.96``; a side without spread gets no weight. Counts beyond ``max_count`` are taken as
    ``max_count``: no decision hangs on how far beyond they lie.

    Parameters
    ----------
    count, low, high : array_like of int, shape (N,)
    max_count : int
        Largest count of the table.

    Returns
    -------
    ndarray, shape (N, max_count + 1)
        Rows sum to one.

    Raises
    ------
    StatisticsError
        The count lies outside its interval.
    """
    lows, counts, highs = (
        np.minimum(as_counts(values, "counts"), max_count).reshape(-1, 1) for values in (low, count, high)
    )
    if (lows > counts).any() or (counts > highs).any():
        raise StatisticsError("a count lies outside its interval: give low <= count <= high for every nucleus")
    grid = np.arange(max_count + 1)
    spread = np.where(grid < counts, counts - lows, highs - counts) / 1.959964
    distance = np.abs(grid - counts) / np.maximum(spread, 1e-9)
    weights = np.exp(-0.5 * np.minimum(distance, 1e3) ** 2)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def signal_weights(probabilities: ArrayLike, max_count: int) -> FloatArray:
    """Return the distribution of the number of real signals among detections of given probability (Poisson-binomial).

    Parameters
    ----------
    probabilities : array_like, shape (K,)
        Probability of each detection to be a signal.
    max_count : int
        Largest count of the table; more is taken as ``max_count``.

    Returns
    -------
    ndarray, shape (max_count + 1,)
    """
    pmf = np.ones(1)
    for probability in as_rates(probabilities, "signal probabilities").ravel():
        pmf = np.convolve(pmf, [1.0 - probability, probability])
    table = np.zeros(max_count + 1)
    np.add.at(table, np.minimum(np.arange(pmf.size), max_count), pmf)
    return table


def exact_weights(her2: ArrayLike, cep17: ArrayLike) -> CountWeights:
    """Return the weights of counts that are not in doubt."""
    return CountWeights(
        interval_weights(her2, her2, her2, MAX_HER2_COUNT), interval_weights(cep17, cep17, cep17, MAX_CEP17_COUNT)
    )


def reaching_probability(prior: StatePrior, errors: CountErrors, seen: CountWeights, cut: Fraction) -> FloatArray:
    """Return P(true HER2/CEP17 >= cut | counts), shape (N,); NaN where the counts are impossible under the model."""
    inside, outside = reaching_likelihoods(prior, errors, seen, cut)
    share = prior_share(prior, cut)
    return _divide(share * inside, share * inside + (1.0 - share) * outside)


def prior_share(prior: StatePrior, cut: Fraction) -> float:
    """Return the prior probability that a nucleus reaches the cut."""
    return float(prior.table[reaching(cut)].sum())


def reaching_likelihoods(
    prior: StatePrior, errors: CountErrors, seen: CountWeights, cut: Fraction
) -> tuple[FloatArray, FloatArray]:
    """Return P(counts | true ratio reaches the cut) and P(counts | it does not), each shape (N,).

    The states of each side are weighted as in the prior, so that only the share of amplified cells is left open: a
    patient's own share can be put in its place.
    """
    her2, cep17 = _likelihoods(errors, seen)
    table, mask = prior.table, reaching(cut)
    return _side(her2, cep17, table, mask), _side(her2, cep17, table, ~mask)


def _side(her2: FloatArray, cep17: FloatArray, table: FloatArray, mask: BoolArray) -> FloatArray:
    part = np.where(mask, table, 0.0)
    return np.asarray(((her2 @ part) * cep17).sum(axis=1) / max(part.sum(), np.finfo(float).tiny))


def _likelihoods(errors: CountErrors, seen: CountWeights) -> tuple[FloatArray, FloatArray]:
    her2 = count_matrix(errors.her2, MAX_HER2, MAX_HER2_COUNT)
    cep17 = count_matrix(errors.cep17, MAX_CEP17, MAX_CEP17_COUNT)
    return np.asarray(seen.her2 @ her2.T), np.asarray(seen.cep17 @ cep17.T)


def _divide(joint: FloatArray, total: FloatArray) -> FloatArray:
    return np.asarray(np.divide(joint, total, out=np.full(joint.shape, np.nan), where=total > 0))
