"""Signals that hide a second one: too near for a maximum of its own, and yet no single image."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ctcfish.ops.companions import companions, half_window
from ctcfish.stages.signals.camera import Camera
from ctcfish.stages.signals.fits import Fitted, windows

_CLEARLY = 2.6  # times the median over signals: it is higher than noise makes it where their image is not a Gaussian
_FEW = 20  # signals do not tell that median
_LEAST_SHARE = 0.15  # of the light of the fitted one
_LEAST_PHOTONS = 0.05


def hides_another(
    stack: NDArray[np.generic],
    fitted: Fitted,
    single: Tensor,
    setting: tuple[tuple[float, float], Camera],
    threshold_snr: float,
) -> Tensor:
    """Whether light that neither a signal nor its background explains looks like a second signal, (N,).

    Of all places about a signal the most significant decides. It must pass the slide's threshold, and stand out from
    those of the field's other signals.

    Parameters
    ----------
    stack : ndarray, (Z, Y, X)
        Camera numbers of any type.
    fitted : Fitted
    single : Tensor of bool, (N,)
        Those asked: what one emitter explains.
    setting : tuple
        Width ``(z, xy)`` in pixels, and camera.
    threshold_snr : float
    """
    rows = single.nonzero()[:, 0]
    snr, share = _unexplained(stack, fitted.rows(rows), *setting)
    hides = torch.zeros_like(single)
    if len(rows) >= _FEW:
        least = max(_CLEARLY * float(snr.median()), threshold_snr)
        hides[rows] = (snr > least) & (share > _LEAST_SHARE)
    return hides


def _unexplained(
    stack: NDArray[np.generic], fitted: Fitted, sigma_px: tuple[float, float], camera: Camera
) -> tuple[Tensor, Tensor]:
    """The most significant light about every signal (N,): over its noise, and over the signal's own.

    0 where the window leaves the plane.
    """
    device = fitted.position_px.device
    deep, wide = half_window(sigma_px, len(stack))
    place = fitted.position_px.round().long().cpu().numpy()
    values, inside = windows(stack, place, (deep, wide, wide))
    pixels = camera.photons(torch.from_numpy(values).to(device)).flatten(1)
    seen, whole = inside.any((2, 3)), np.all(inside.any(1), axis=(1, 2))
    snr, share = torch.zeros(2, len(place), device=device)
    for planes in np.unique(seen, axis=0):
        rows = torch.from_numpy(np.flatnonzero((seen == planes).all(1) & whole)).to(device)
        tell = companions(sigma_px, tuple(planes.tolist()))
        templates, noise = (torch.from_numpy(a).to(device, torch.float32) for a in (tell.templates, tell.noise))
        light, own = pixels[rows] @ templates.T, fitted.fits.photons[rows, None].clamp(min=1e-6)
        level = fitted.fits.background[rows, None].clamp(min=_LEAST_PHOTONS) + camera.read_variance
        ratio = light / (level * noise[0] + own * noise[1] + light.clamp(min=0) * noise[2]).sqrt()
        snr[rows], best = ratio.max(1)
        share[rows] = (light / own).gather(1, best[:, None])[:, 0]
    return snr, share
