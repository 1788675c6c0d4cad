"""Probability that a signal is real, from what the slide says of signals and of background."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from ctcfish.ops.fit_probability import Candidate, CandidatePrior, signal_probability
from ctcfish.types import ProbeModel

LEAST_SPREAD = 0.3  # of log brightness; isolated signals are chosen bright, and look more alike than they are
_LEAST_SIGNALS = 0.5  # per nucleus
_WIDTH_SPREAD = 0.15  # loci differ in size
_BROAD_OBJECTS = 0.02  # per nucleus, that no other test has rejected
_WIDTH_ERROR = 1.2  # relative error of a width measured by two templates, times the SNR


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
    prior = CandidatePrior(
        signals=max(slide.isolated_per_nucleus, _LEAST_SIGNALS),
        median_photons=slide.photons_median,
        log_sigma=max(slide.photons_log_sd, LEAST_SPREAD),
        false_maxima=slide.false_per_nucleus,
        threshold_snr=slide.threshold_snr,
        noise_scale=slide.background_scale,
        broad_objects=_BROAD_OBJECTS,
        sigma_px=slide.sigma_xy_um,
        sigma_spread=_WIDTH_SPREAD,
    )
    strength, light, width = (torch.from_numpy(np.asarray(v, np.float64)) for v in (snr, photons, sigma_um))
    error = 1.0 / strength.clamp(min=1.0)
    found = Candidate(light, light * error, strength, width, width * error * _WIDTH_ERROR)
    return np.asarray(signal_probability(found, prior).numpy(), np.float64)
