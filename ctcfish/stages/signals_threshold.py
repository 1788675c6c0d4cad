"""The threshold: a model of the slide's background maxima, and how many of them may pass."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

EDGES = np.arange(3.0, 12.0001, 0.1)
"""Bins in which background maxima are counted, in SNR."""
_FIT_BELOW = 4.4
_LEAST, _MOST = 3.5, 9.0


@dataclass(frozen=True)
class Background:
    """Tail of the background maxima: log density = level + log t - t²/(2 scale²), per nucleus and unit of SNR.

    Attributes
    ----------
    level, scale : float
        ``scale`` is 1 for pure photon noise; texture makes it larger.
    n_nuclei : float
    """

    level: float
    scale: float
    n_nuclei: float

    def above(self, snr: float) -> float:
        """Background maxima per nucleus above a threshold."""
        return math.exp(self.level) * self.scale**2 * math.exp(-(snr**2) / (2 * self.scale**2))

    def density(self, snr: NDArray[np.float64]) -> NDArray[np.float64]:
        """Background maxima per nucleus and unit of SNR."""
        return np.exp(self.level - snr**2 / (2 * self.scale**2)) * snr

    def threshold(self, false_per_nucleus: float) -> float:
        """SNR above which so many background maxima per nucleus remain."""
        excess = self.level + 2 * math.log(self.scale) - math.log(false_per_nucleus)
        snr = self.scale * math.sqrt(max(2 * excess, 0.0))
        return min(max(snr, _LEAST), _MOST)


def fit_background(counts: NDArray[np.float64], n_nuclei: float) -> Background:
    """Fit the tail to a histogram of maxima, signals and background together, where background rules.

    Maxima of a Gaussian field above a high level t have a density proportional to t exp(-t²/2) in the plane (Adler
    1981, The Geometry of Random Fields); texture widens it.

    Parameters
    ----------
    counts : ndarray, (K,)
        Maxima inside nuclei per bin of :data:`EDGES`.
    n_nuclei : float
    """
    centre = (EDGES[:-1] + EDGES[1:]) / 2
    use = (centre < _FIT_BELOW) & (counts > 0)
    width = EDGES[1] - EDGES[0]
    if counts[use].sum() < 30 or use.sum() < 4:
        return Background(math.log(3.0), 1.0, n_nuclei)
    value = np.log(counts[use] / centre[use] / width / n_nuclei)
    slope, level = np.polyfit(-(centre[use] ** 2) / 2, value, 1, w=np.sqrt(counts[use]))
    scale = 1.0 / math.sqrt(min(max(slope, 1 / 1.8**2), 1 / 0.8**2))
    level = float(np.average(value + centre[use] ** 2 / (2 * scale**2), weights=counts[use]))
    return Background(level, scale, n_nuclei)


def histogram(snr: NDArray[np.float64]) -> NDArray[np.float64]:
    """Counts per bin of :data:`EDGES`."""
    return np.histogram(snr, EDGES)[0].astype(np.float64)


def threshold_range(
    parts: Sequence[tuple[NDArray[np.float64], float]], false_per_nucleus: float
) -> tuple[float, float]:
    """Lowest and highest threshold over fields taken alone; a field is ``(counts, nuclei)``."""
    alone = [fit_background(counts, nuclei).threshold(false_per_nucleus) for counts, nuclei in parts if nuclei >= 1]
    return (min(alone), max(alone)) if alone else (math.nan, math.nan)
