"""What the lone maxima of a probe are made of: signals of a log-normal brightness, and background."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_ndtr

from ctcfish.ops.fit_probability import TAIL_SHARE, TAIL_WIDTH, Candidate, CandidatePrior, log_densities

_PARTS = ((1.0 - TAIL_SHARE, 1.0), (TAIL_SHARE, TAIL_WIDTH))
_LOWEST, _HIGHEST, _ROOM = -0.8, 0.2, 0.9  # how far the medians of all and of those seen differ; and log spreads
_USUAL_SPREAD, _SPREAD_KNOWN = float(np.log(0.36)), 0.15  # log of the spread of log brightness, and how well known
_OUTLYING = 1.5
_TURNS = 100
_EXPECTED, _WORTH_NUCLEI = 0.5, 20.0  # background maxima, and in how many nuclei, that a slide is expected to show


@dataclass(frozen=True)
class Brightness:
    """Log-normal brightness of a slide's signals.

    Attributes
    ----------
    median_photons, log_sd : float
    seen : float
        Share of the signals that were bright enough to be seen.
    """

    median_photons: float
    log_sd: float
    seen: float


def brightness(photons: NDArray[np.float64], least_photons: NDArray[np.float64]) -> Brightness:
    """Log-normal brightness of signals of which the faint ones are not seen.

    Every signal's density is that of a log-normal (with the tail of
    :func:`ctcfish.ops.fit_probability.signal_probability`) above what it needed to be seen; maximum posterior, the
    spread with a log-normal prior.

    Parameters
    ----------
    photons, least_photons : ndarray, (N,)
        At least one.
    """
    light, least = np.log(np.maximum(photons, 1e-6)), np.log(np.maximum(least_photons, 1e-6))
    middle = float(np.median(light))
    usual = np.abs(light - middle) < _OUTLYING
    light, least = light[usual], least[usual]

    def loss(at: NDArray[np.float64]) -> float:
        spread = np.exp(at[1])
        density = _log_sum(-0.5 * ((light - at[0]) / (w * spread)) ** 2 - np.log(w * spread) for _, w in _PARTS)
        seen = _log_sum(log_ndtr((at[0] - least) / (w * spread)) for _, w in _PARTS)
        return float((seen - density).sum() + 0.5 * ((at[1] - _USUAL_SPREAD) / _SPREAD_KNOWN) ** 2)

    bounds = [(middle + _LOWEST, middle + _HIGHEST), (_USUAL_SPREAD - _ROOM, _USUAL_SPREAD + _ROOM)]
    at = minimize(loss, np.array([middle, _USUAL_SPREAD]), method="L-BFGS-B", bounds=bounds).x
    seen = np.exp(_log_sum(log_ndtr((at[0] - least) / (w * np.exp(at[1]))) for _, w in _PARTS))
    return Brightness(float(np.exp(at[0])), float(np.exp(at[1])), float(seen.mean()))


def _log_sum(parts: Iterable[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Logarithm of the sum of both parts of a log-normal, each by its share."""
    bulk, tail = (np.log(share) + part for (share, _), part in zip(_PARTS, parts, strict=True))
    return np.asarray(np.logaddexp(bulk, tail))


def background_per_nucleus(found: Candidate, prior: CandidatePrior, n_nuclei: float) -> float:
    """How many background maxima a nucleus has above the threshold.

    The rate at which the lone maxima about the threshold are as many background as it says (expectation and
    maximisation over the kinds of :func:`ctcfish.ops.fit_probability.log_densities`), with half a maximum in twenty
    nuclei expected beforehand.

    Parameters
    ----------
    found : Candidate
        Lone maxima from the threshold to about one and a half of it, inside nuclei.
    prior : CandidatePrior
        Its own rate of background is where the search begins.
    n_nuclei : float
    """
    kinds = log_densities(found, prior).numpy()
    signal, background, broad = np.exp(kinds - kinds.max(0, keepdims=True))
    times = 1.0
    for _ in range(_TURNS):
        share = times * background / (signal + times * background + broad)
        times = float((share.sum() + _EXPECTED) / (n_nuclei + _WORTH_NUCLEI) / prior.background)
    return times * prior.background
