"""Probability that a signal is real, from what the slide says of signals and of background."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray

from ctcfish.ops.fit_probability import Candidate, CandidatePrior, signal_probability
from ctcfish.types import ProbeModel

_LEAST_SIGNALS = 0.5  # per nucleus
_BROAD_OBJECTS = 0.02  # per nucleus, that no other test has rejected
_WIDTH_ERROR = 1.2  # relative error of a width measured by two templates, times the SNR
_FALL = 0.11  # of the threshold: how far above it background maxima reach
_SMOOTH, _SMOOTH_SPREAD = math.exp(0.45), 0.25  # width of background maxima in widths of a signal, and its log spread


def candidates(snr: NDArray[np.float64], photons: NDArray[np.float64], sigma_um: NDArray[np.float64]) -> Candidate:
    """Candidates (N,) of given response, brightness and width by two templates, with the errors these have."""
    strength, light, width = (torch.from_numpy(np.asarray(v, np.float64)) for v in (snr, photons, sigma_um))
    error = 1.0 / strength.clamp(min=1.0)
    return Candidate(light, light * error, strength, width, width * error * _WIDTH_ERROR)


def prior_of(slide: ProbeModel) -> CandidatePrior:
    """What the slide says of signals and of background, with widths in micrometres."""
    return CandidatePrior(
        signals=max(slide.signals_per_nucleus, _LEAST_SIGNALS),
        median_photons=slide.photons_median,
        log_sigma=slide.photons_log_sd,
        background=slide.background_per_nucleus,
        threshold_snr=slide.threshold_snr,
        fall_snr=_FALL * slide.threshold_snr,
        broad_objects=_BROAD_OBJECTS,
        sigma_px=slide.apparent_um,
        sigma_spread=slide.apparent_log_sd,
        background_sigma_px=_SMOOTH * slide.sigma_xy_um,
        background_spread=_SMOOTH_SPREAD,
    )


def probability(
    snr: NDArray[np.float64], photons: NDArray[np.float64], sigma_um: NDArray[np.float64], slide: ProbeModel
) -> NDArray[np.float64]:
    """Posterior probability of a signal against background maxima and broad objects.

    Parameters
    ----------
    snr, photons, sigma_um : ndarray, (N,)
        Response, brightness and width in the plane.
    slide : ProbeModel

    Returns
    -------
    ndarray, (N,)
    """
    return np.asarray(signal_probability(candidates(snr, photons, sigma_um), prior_of(slide)).numpy(), np.float64)
