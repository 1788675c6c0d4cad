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
    false_maxima, threshold_snr, noise_scale : float
        Background maxima above ``threshold_snr``; above it they fall like exp(−u² / (2 noise_scale²)), the tail of the
        maxima of a Gaussian random field (Adler 1981, The Geometry of Random Fields).
    broad_objects : float
        Granules and debris: any brightness within a factor ``brightness_range``, any width up to ``widest``.
    sigma_px : float
        Width of a signal's image in the plane.
    sigma_spread : float
        Relative spread of that width from signal to signal.
    widest : float
        Widest fit, in widths of a signal.
    brightness_range : float
    """

    signals: float
    median_photons: float
    log_sigma: float
    false_maxima: float
    threshold_snr: float
    noise_scale: float = 1.0
    broad_objects: float = 0.05
    sigma_px: float = 1.3
    sigma_spread: float = 0.06
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
    """Posterior probability that each candidate is a signal.

    Each kind k has an expected number λ_k and a density f_k(log brightness) g_k(log width); the posterior of a signal
    is λ_s f_s g_s / Σ_k λ_k f_k g_k. Signals: log-normal brightness (5 % with a wider one) and one width, both widened
    by the errors of the fit. Background maxima: the tail of the slide's maxima in SNR, any width the fit allows. Broad
    objects: log-uniform in brightness, and in width above that of a signal.

    Parameters
    ----------
    found : Candidate
    prior : CandidatePrior

    Returns
    -------
    Tensor, (N,)
        In 0 … 1.
    """
    photons = found.photons.clamp(min=1e-3)
    relative = (found.photons_error / photons).clamp(max=1.0)
    off = torch.log(photons / prior.median_photons)
    bright = _log_normal(off, (prior.log_sigma**2 + relative.square()).sqrt())
    tail = _log_normal(off, ((TAIL_WIDTH * prior.log_sigma) ** 2 + relative.square()).sqrt())
    brightness = torch.logaddexp(bright + math.log(1 - TAIL_SHARE), tail + math.log(TAIL_SHARE))
    log_width = torch.log((found.sigma_px / prior.sigma_px).clamp(min=1e-3))
    blur = (prior.sigma_spread**2 + (found.sigma_error_px / found.sigma_px.clamp(min=1e-3)).square()).sqrt()
    signal = math.log(prior.signals) + brightness + _log_normal(log_width, blur)
    fall = (found.snr.square() - prior.threshold_snr**2) / (2 * prior.noise_scale**2)
    per_log_snr = 2 * torch.log(found.snr.clamp(min=0.1) / prior.noise_scale) - fall
    any_width = -math.log(math.log(prior.widest / 0.5))
    false = math.log(prior.false_maxima) + per_log_snr + any_width
    wider = 0.5 * torch.erfc(-log_width / (blur * math.sqrt(2)))
    broad = (
        math.log(prior.broad_objects)
        - math.log(math.log(prior.brightness_range))
        + torch.log(wider.clamp(min=1e-12))
        - math.log(math.log(prior.widest))
    )
    return torch.exp(signal - torch.logsumexp(torch.stack((signal, false, broad)), 0))


def _log_normal(value: Tensor, spread: Tensor) -> Tensor:
    """Logarithm of the normal density of ``value`` around 0."""
    return -0.5 * (value / spread).square() - torch.log(spread) - 0.5 * math.log(2 * math.pi)
