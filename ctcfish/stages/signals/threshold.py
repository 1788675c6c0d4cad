"""The threshold: a model of the slide's background maxima, and how many of them may pass."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

EDGES = np.append(np.arange(3.0, 12.0001, 0.1), 1e9)
"""Bins in which maxima are counted, in SNR; the last is open."""
_CENTRE = (EDGES[:-1] + EDGES[1:]) / 2
_FIT_BELOW = 4.4
_SCALES = np.arange(0.8, 1.6001, 0.01)  # beyond, the model is not monotone over the bins
_LEAST, _MOST = 3.5, 9.0
_FEW_MAXIMA = 10
_PRIOR_SPREAD = 0.08  # of log scale about photon noise: a small field alone does not tell it


@dataclass(frozen=True)
class Background:
    """Background maxima above a level u, per nucleus: amount · He(u/s) · exp(-u²/(2 s²)).

    He is the Hermite polynomial u in the plane and u² - 1 in a stack: the expected number of maxima of a Gaussian
    random field above a high level (Adler 1981, The Geometry of Random Fields; Worsley et al. 1996, Hum. Brain Mapp.
    4:58).

    Attributes
    ----------
    amount : float
        Grows with the number of places at which a signal could lie.
    scale : float
        1 for pure photon noise; texture makes it larger.
    axes : int
        2 or 3.
    """

    amount: float
    scale: float
    axes: int

    @property
    def at_bound(self) -> bool:
        """Whether the background is rougher than the model can say."""
        return self.scale >= float(_SCALES[-1])

    def above(self, snr: NDArray[np.float64] | float) -> NDArray[np.float64]:
        """Background maxima per nucleus above each level; levels of at least 2 scales."""
        return self.amount * _exceedance(np.asarray(snr, float) / self.scale, self.axes)

    def threshold(self, false_per_nucleus: float) -> float:
        """SNR above which so many background maxima per nucleus remain."""
        levels = np.arange(_LEAST, _MOST + 0.005, 0.01)
        enough = np.flatnonzero(self.above(levels) <= false_per_nucleus)
        return float(levels[enough[0]]) if len(enough) else _MOST


def _exceedance(level: NDArray[np.float64], axes: int) -> NDArray[np.float64]:
    return (level if axes == 2 else level**2 - 1.0) * np.exp(-0.5 * level**2)


def fit_background(counts: NDArray[np.float64], n_nuclei: float, axes: int) -> Background:
    """Fit the model by maximum posterior to the bins in which background rules.

    Parameters
    ----------
    counts : ndarray, (K,)
        Maxima inside nuclei per bin of :data:`EDGES`, signals and background together.
    n_nuclei : float
    axes : int
        2 for a plane, 3 for a stack.

    Returns
    -------
    Background
        That of pure photon noise in an ordinary nucleus where there are too few maxima to tell.
    """
    use = _CENTRE < _FIT_BELOW
    seen = counts[use]
    if seen.sum() < _FEW_MAXIMA or n_nuclei <= 0:
        return Background({2: 40.0, 3: 300.0}[axes], 1.0, axes)
    edges = EDGES[: int(use.sum()) + 1]
    level = _exceedance(edges[None] / _SCALES[:, None], axes)
    share = -np.diff(level, axis=1)
    likelihood = (seen * np.log(share / share.sum(1, keepdims=True))).sum(1)
    expected = -0.5 * (np.log(_SCALES) / _PRIOR_SPREAD) ** 2
    best = int((likelihood + expected).argmax())
    return Background(float(seen.sum() / share[best].sum() / n_nuclei), float(_SCALES[best]), axes)


def histogram(snr: NDArray[np.float64]) -> NDArray[np.float64]:
    """Counts per bin of :data:`EDGES`."""
    return np.histogram(snr, EDGES)[0].astype(np.float64)


def threshold_range(
    parts: Sequence[tuple[NDArray[np.float64], float]], axes: int, false_per_nucleus: float
) -> tuple[float, float]:
    """Lowest and highest threshold over fields taken alone; a field is ``(counts, nuclei)``."""
    alone = [
        fit_background(counts, nuclei, axes).threshold(false_per_nucleus) for counts, nuclei in parts if nuclei > 0
    ]
    return (min(alone), max(alone)) if alone else (math.nan, math.nan)
