"""Probability that a fitted candidate is a signal: Bayes' rule with closed densities of three kinds of object."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

TAIL_SHARE, TAIL_WIDTH = 0.05, 2.5  # signals that hybridised badly or lie out of focus: a wider log-normal


@dataclass(frozen=True)
class CandidatePrior:
    """What the slide's survey says of the three kinds, per nucleus (or any one area).

    Parameters
    ----------
    signals : float
        Signals.
    median_photons, log_sigma : float
        Their log-normal brightness.
    background, threshold_snr, fall_snr : float
        Background maxima above ``threshold_snr``; above it they fall like exp(−u / fall_snr).
    broad_objects : float
        Granules and debris: any brightness within a factor ``brightness_range``, any width up to ``widest``.
    sigma_px : float
        Width of a signal's image in the plane.
    sigma_spread : float
        Relative spread of that width from signal to signal.
    background_sigma_px, background_spread : float
        Width of background maxima, and its relative spread.
    widest : float
        Widest fit, in widths of a signal.
    brightness_range : float
    """

    signals: float
    median_photons: float
    log_sigma: float
    background: float
    threshold_snr: float
    fall_snr: float
    broad_objects: float = 0.05
    sigma_px: float = 1.3
    sigma_spread: float = 0.06
    background_sigma_px: float = 2.0
    background_spread: float = 0.25
    widest: float = 3.0
    brightness_range: float = 100.0


@dataclass(frozen=True)
class Candidate:
    """Measurements of N candidates.

    Parameters
    ----------
    photons, photons_error : Tensor, (N,)
        Fitted light and its Cramér–Rao error.
    snr : Tensor, (N,)
        The response that the threshold is set on.
    sigma_px, sigma_error_px : Tensor, (N,)
        Width of a fit with free width, and its Cramér–Rao error.
    """

    photons: Tensor
    photons_error: Tensor
    snr: Tensor
    sigma_px: Tensor
    sigma_error_px: Tensor


def signal_probability(found: Candidate, prior: CandidatePrior) -> Tensor:
    """Posterior probability that each candidate is a signal, by Bayes' rule over :func:`log_densities`.

    Parameters
    ----------
    found : Candidate
    prior : CandidatePrior

    Returns
    -------
    Tensor, (N,)
        In 0 … 1.
    """
    return torch.softmax(log_densities(found, prior), 0)[0]


def log_densities(found: Candidate, prior: CandidatePrior) -> Tensor:
    """Logarithm of the expected number of each kind of object, per log brightness and log width, at every candidate.

    Signals: log-normal brightness (5 % with a wider one) and one width, both widened by the errors of the fit.
    Background maxima: exponential in SNR above the threshold, and wider than signals, since texture is smoother than a
    point. Broad objects: log-uniform in brightness, and in width above that of a signal.

    Parameters
    ----------
    found : Candidate
    prior : CandidatePrior

    Returns
    -------
    Tensor, (3, N)
        Signals, background maxima, broad objects.
    """
    photons = found.photons.clamp(min=1e-3)
    relative = (found.photons_error / photons).clamp(max=1.0)
    off = torch.log(photons / prior.median_photons)
    bright = _log_normal(off, (prior.log_sigma**2 + relative.square()).sqrt())
    tail = _log_normal(off, ((TAIL_WIDTH * prior.log_sigma) ** 2 + relative.square()).sqrt())
    brightness = torch.logaddexp(bright + math.log(1 - TAIL_SHARE), tail + math.log(TAIL_SHARE))
    error = (found.sigma_error_px / found.sigma_px.clamp(min=1e-3)).square()
    width = torch.log(found.sigma_px.clamp(min=1e-3))
    log_width, blur = width - math.log(prior.sigma_px), (prior.sigma_spread**2 + error).sqrt()
    signal = math.log(prior.signals) + brightness + _log_normal(log_width, blur)
    fall = (found.snr - prior.threshold_snr).clamp(min=0) / prior.fall_snr
    per_log_snr = torch.log(found.snr.clamp(min=0.1) / prior.fall_snr) - fall
    smooth = _log_normal(width - math.log(prior.background_sigma_px), (prior.background_spread**2 + error).sqrt())
    background = math.log(prior.background) + per_log_snr + smooth
    wider = 0.5 * torch.erfc(-log_width / (blur * math.sqrt(2)))
    broad = (
        math.log(prior.broad_objects)
        - math.log(math.log(prior.brightness_range))
        + torch.log(wider.clamp(min=1e-12))
        - math.log(math.log(prior.widest))
    )
    return torch.stack((signal, background, broad))


def _log_normal(value: Tensor, spread: Tensor) -> Tensor:
    """Logarithm of the normal density of ``value`` around 0."""
    return -0.5 * (value / spread).square() - torch.log(spread) - 0.5 * math.log(2 * math.pi)
