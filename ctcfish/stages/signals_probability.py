"""Probability that a signal is real: the slide's brightness against its background maxima."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ctcfish.types import ProbeModel

_LEAST_SPREAD = 0.3  # of log brightness; isolated signals are chosen bright, and look more alike than they are
_LEAST_SIGNALS = 0.5  # per nucleus
_TAIL_SHARE, _TAIL_WIDTH = 0.05, 2.5  # signals that hybridised badly, or lie out of focus


def probability(snr: NDArray[np.float64], photons: NDArray[np.float64], slide: ProbeModel) -> NDArray[np.float64]:
    """Posterior probability of signal against background maximum.

    Signals have log-normal brightness with heavier tails, background maxima the density of the fitted model beyond its
    threshold; both per nucleus and unit of SNR. Bayes' rule with these two densities.

    Parameters
    ----------
    snr, photons : ndarray, (N,)
    slide : ProbeModel

    Returns
    -------
    ndarray, (N,)
    """
    strength = np.maximum(snr, 0.1)
    spread = max(slide.photons_log_sd, _LEAST_SPREAD)
    off = np.log(np.maximum(photons, 1.0) / slide.photons_median) / spread
    shape = (1 - _TAIL_SHARE) * _normal(off) + _TAIL_SHARE * _normal(off / _TAIL_WIDTH) / _TAIL_WIDTH
    real = max(slide.isolated_per_nucleus, _LEAST_SIGNALS) * shape / spread / strength
    scaled = strength / slide.background_scale**2
    fall = (strength**2 - slide.threshold_snr**2) / (2 * slide.background_scale**2)
    false = slide.false_per_nucleus * scaled * np.exp(-np.clip(fall, -50.0, 50.0))
    return np.asarray(real / (real + false + 1e-300))


def _normal(value: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.exp(-0.5 * value**2) / np.sqrt(2 * np.pi))
