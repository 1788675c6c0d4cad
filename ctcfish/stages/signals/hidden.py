"""Signals that hide a second one: too near for a maximum of its own, and yet no single image."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ctcfish.ops.companions import companions, half_window
from ctcfish.stages.signals.camera import Camera
from ctcfish.stages.signals.fits import Fitted, windows

_CLEARLY = {2: 1.0, 3: 1.3}  # times the slide's threshold; the image of a point in a stack is known less well
_LEAST_SHARE = 0.15  # of the light of the fitted one: less may be what its image lacks
_LEAST_PHOTONS = 0.05


def hides_another(
    stack: NDArray[np.generic],
    fitted: Fitted,
    sigma_px: tuple[float, float],
    camera: Camera,
    threshold_snr: float,
) -> Tensor:
    """Whether light that neither a fitted signal nor its background explains looks like a second signal, (N,).

    Of all places about a signal the most significant decides, held against the slide's own threshold.

    Parameters
    ----------
    stack : ndarray, (Z, Y, X)
        Camera numbers of any type.
    fitted : Fitted
    sigma_px : tuple of float
        Width ``(z, xy)``.
    camera : Camera
    threshold_snr : float
    """
    device = fitted.position_px.device
    deep, wide = half_window(sigma_px, len(stack))
    place = fitted.position_px.round().long().cpu().numpy()
    pixels, inside = windows(stack, place, (deep, wide, wide))
    seen = inside.any((2, 3))
    whole = np.all(inside.any(1), axis=(1, 2))
    least = _CLEARLY[3 if deep else 2] * threshold_snr
    found = torch.zeros(len(place), dtype=torch.bool, device=device)
    for planes in np.unique(seen, axis=0):
        rows = torch.from_numpy(np.flatnonzero((seen == planes).all(1) & whole)).to(device)
        tell = companions(sigma_px, tuple(planes.tolist()))
        templates, noise = (torch.from_numpy(a).to(device, torch.float32) for a in (tell.templates, tell.noise))
        photons = camera.photons(torch.from_numpy(pixels).to(device)[rows]).flatten(1)
        light, own = photons @ templates.T, fitted.fits.photons[rows, None].clamp(min=1e-6)
        level = fitted.fits.background[rows, None].clamp(min=_LEAST_PHOTONS) + camera.read_variance
        variance = level * noise[0] + own * noise[1] + light.clamp(min=0) * noise[2]
        told = (light > least * variance.sqrt()) & (light > _LEAST_SHARE * own)
        found[rows] = told.any(1)
    return found
