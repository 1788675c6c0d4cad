"""What the lone maxima of a probe are made of: signals of a log-normal brightness, and background."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from ctcfish.ops.fit_probability import TAIL_SHARE, TAIL_WIDTH, Candidate, CandidatePrior, log_densities

_SHIFTS = np.arange(-0.8, 0.2001, 0.02)  # of the median of those seen, in log brightness
_SPREADS = np.arange(0.16, 0.9001, 0.02)
_COARSE = 3  # of every so many spreads one is tried, and then those beside the best
USUAL_SPREAD = 0.36
"""Of log brightness, as expected of a slide."""
_SPREAD_KNOWN = 0.25  # how well it is expected, as a log standard deviation
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
    :func:`ctcfish.ops.fit_probability.signal_probability`) above what it needed to be seen; maximum posterior over a
    grid, the spread with a log-normal prior.

    Parameters
    ----------
    photons, least_photons : ndarray, (N,)
        At least one.
    """
    light, least = np.log(np.maximum(photons, 1e-6)), np.log(np.maximum(least_photons, 1e-6))
    middle = float(np.median(light))
    usual = np.abs(light - middle) < _OUTLYING
    light, least = light[usual] - middle, least[usual] - middle
    rough = {row: _posterior(light, least, row, _SHIFTS[::2]).max() for row in range(0, len(_SPREADS), _COARSE)}
    middle_row = max(rough, key=lambda row: float(rough[row]))
    near = range(max(0, middle_row - _COARSE + 1), min(len(_SPREADS), middle_row + _COARSE))
    tried = {row: _posterior(light, least, row, _SHIFTS) for row in near}
    best = max(tried, key=lambda row: float(tried[row].max()))
    shift, spread = float(_SHIFTS[tried[best].argmax()]), float(_SPREADS[best])
    return Brightness(float(np.exp(middle + shift)), spread, float(_share_above(shift - least, spread).mean()))


def _posterior(
    light: NDArray[np.float64], least: NDArray[np.float64], row: int, shifts: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Logarithm of the posterior of a spread at shifts (K,); light and what was needed (N,) are logarithms."""
    spread, (off, cut) = float(_SPREADS[row]), (shifts[:, None] - v for v in (light, least))
    density = sum(s / (w * spread) * np.exp(-0.5 * (off / (w * spread)) ** 2) for s, w in _PARTS)
    seen = np.log(density / _share_above(cut, spread)).sum(1)
    return np.asarray(seen - 0.5 * (np.log(spread / USUAL_SPREAD) / _SPREAD_KNOWN) ** 2)


def _share_above(cut: NDArray[np.float64], spread: float) -> NDArray[np.float64]:
    """Share of signals brighter than what was needed, by how far that lies below the median."""
    return np.asarray(sum(s * ndtr(cut / (w * spread)) for s, w in _PARTS))


_PARTS = ((1.0 - TAIL_SHARE, 1.0), (TAIL_SHARE, TAIL_WIDTH))


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
    signal, background, broad = log_densities(found, prior).double().numpy()
    rate = prior.background
    other = rate * np.exp(np.logaddexp(signal, broad) - background)
    for _ in range(_TURNS):
        share = rate / (rate + other)
        rate = float((share.sum() + _EXPECTED) / (n_nuclei + _WORTH_NUCLEI))
    return rate
