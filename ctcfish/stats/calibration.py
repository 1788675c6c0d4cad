"""Do probabilities keep what they promise: reliability curve, Brier score, expected calibration error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ctcfish.errors import StatisticsError
from ctcfish.stats.checks import BoolArray, FloatArray, IntArray, as_counts, as_rates
from ctcfish.stats.proportions import clopper_pearson


@dataclass(frozen=True, slots=True)
class Reliability:
    """How often what was given a probability came true, by bins of equal width.

    Attributes
    ----------
    edges : ndarray, shape (B + 1,)
        Limits of the bins; a probability on a limit belongs to the bin above, 1 to the last.
    n : ndarray of int, shape (B,)
        Predictions in each bin.
    predicted, observed : ndarray, shape (B,)
        Mean probability and share that came true; NaN in an empty bin.
    low, high : ndarray, shape (B,)
        Exact 95 % interval of the share (Clopper-Pearson).
    """

    edges: FloatArray
    n: IntArray
    predicted: FloatArray
    observed: FloatArray
    low: FloatArray
    high: FloatArray

    @property
    def error(self) -> float:
        """Expected calibration error: mean distance of observed and predicted, bins weighted by their predictions.

        Naeini et al. 2015. Noise alone makes it positive in small samples. NaN without predictions.
        """
        used = self.n > 0
        if not used.any():
            return float("nan")
        return float(np.average(np.abs(self.observed - self.predicted)[used], weights=self.n[used]))


def reliability(probability: ArrayLike, truth: ArrayLike, bins: int = 10) -> Reliability:
    """Return the reliability curve of probabilities against what was true.

    Parameters
    ----------
    probability : array_like, shape (N,)
    truth : array_like of bool, shape (N,)
    bins : int
        Number of bins of equal width from 0 to 1.

    Returns
    -------
    Reliability

    Raises
    ------
    StatisticsError
        Lengths differ, a probability outside [0, 1], or no bin.
    """
    p, came = _pairs(probability, truth)
    if bins < 1:
        raise StatisticsError(f"a reliability curve needs at least 1 bin, found {bins}")
    place = np.minimum((p * bins).astype(np.int64), bins - 1)
    n = np.bincount(place, minlength=bins)
    predicted = np.bincount(place, p, minlength=bins) / np.where(n > 0, n, np.nan)
    return reliability_of(n, np.nan_to_num(predicted), np.bincount(place[came], minlength=bins))


def reliability_of(cells: ArrayLike, predicted: ArrayLike, came_true: ArrayLike) -> Reliability:
    """Return the reliability curve of what was counted in bins of equal width from 0 to 1.

    Parameters
    ----------
    cells, came_true : array_like of int, shape (B,)
        Predictions in each bin, and how many of them came true.
    predicted : array_like, shape (B,)
        Their mean probability; of no meaning in an empty bin.

    Raises
    ------
    StatisticsError
        More came true than there are predictions, or lengths differ.
    """
    n, hits = as_counts(cells, "cells"), as_counts(came_true, "what came true")
    mean = np.where(n > 0, as_rates(predicted, "mean probabilities"), np.nan)
    low, high = clopper_pearson(hits, n)
    return Reliability(np.linspace(0.0, 1.0, n.size + 1), n, mean, hits / np.where(n > 0, n, np.nan), low, high)


def brier(probability: ArrayLike, truth: ArrayLike) -> float:
    """Mean square distance of probability and truth (Brier 1950): 0 is perfect; NaN without predictions.

    Raises
    ------
    StatisticsError
        Lengths differ, or a probability outside [0, 1].
    """
    p, came = _pairs(probability, truth)
    return float(np.mean((p - came) ** 2)) if p.size else float("nan")


def _pairs(probability: ArrayLike, truth: ArrayLike) -> tuple[FloatArray, BoolArray]:
    p, came = as_rates(probability, "probabilities"), np.asarray(truth, dtype=bool)
    if p.shape != came.shape or p.ndim != 1:
        raise StatisticsError(f"{p.size} probabilities and {came.size} truths: give one truth a probability")
    return p, came
