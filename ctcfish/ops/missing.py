"""Light that a model of emitters lacks: where, how significant, and how much of it is texture."""

from __future__ import annotations

import torch
from torch import Tensor

from ctcfish.ops.emitters import Crops, Emitters, Frame, expected_light
from ctcfish.ops.psf import pixel_profile

TEXTURE_POWER = 0.6


def missing_light(frame: Frame, crops: Crops, state: Emitters) -> Tensor:
    """Significance of light that the model lacks at every pixel, in standard deviations: (R, V)."""
    light = expected_light(frame, state)
    image = (crops.data / light - 1.0) * crops.weight
    image = image.view(len(image), *frame.shape)
    norm = light.new_ones(())
    for axis, length in enumerate(frame.shape):
        if length > 1:
            sigma = frame.model.sigma_z_px if axis == 0 else frame.model.sigma_xy_px
            blur = pixel_profile(torch.arange(length, device=light.device, dtype=light.dtype), sigma, length)
            image = torch.matmul(image.movedim(axis + 1, -1), blur).movedim(-1, axis + 1)
            norm = norm / blur[length // 2].square().sum().sqrt()
    return image.flatten(1) * light.sqrt() * norm


def overdispersion(significance: Tensor, ring: Tensor) -> Tensor:
    """Factor by which the likelihood is to be tempered for texture that the background does not follow, at least 1.

    The variance of the significance where no emitter is, as the median of squares over 0.455, that of χ² of one degree
    of freedom, so that single signals do not count; to a power below 1, because texture is broader than a signal and a
    signal's own gain less touched by it (power chosen on simulated slides).

    Parameters
    ----------
    significance : Tensor, (R, V)
    ring : Tensor of bool, (R, V)
        Pixels away from every candidate.

    Returns
    -------
    Tensor, (R,)
    """
    squares = torch.where(ring, significance.square(), torch.nan)[:, ::2]
    return (squares.nanmedian(1).values / 0.455).nan_to_num(1.0).clamp(min=1.0).pow(TEXTURE_POWER)


def brightest_pixel(frame: Frame, significance: Tensor, allowed: Tensor) -> Tensor:
    """Pixel z, y, x of highest significance among ``allowed`` (R, V): (R, 3)."""
    at = torch.where(allowed, significance, -torch.inf).argmax(1)
    plane = frame.shape[1] * frame.shape[2]
    return torch.stack((at // plane, at % plane // frame.shape[2], at % frame.shape[2]), 1).to(significance.dtype)
