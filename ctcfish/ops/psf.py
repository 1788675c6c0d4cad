"""The image of a point: a Gaussian integrated over pixels, a product of one profile per axis, and its derivatives."""

from __future__ import annotations

import math

import torch
from torch import Tensor

_SQRT_HALF = math.sqrt(0.5)
_INV_SQRT_2PI = 1.0 / math.sqrt(2.0 * math.pi)


def pixel_profile(centre_px: Tensor, sigma_px: Tensor | float, length: int) -> Tensor:
    """Share of a Gaussian's light that falls into each pixel of one axis.

    Parameters
    ----------
    centre_px : Tensor, (...,)
        Centre, pixels from the centre of the first pixel.
    sigma_px : Tensor broadcastable to (...,), or float
        Standard deviation, pixels.
    length : int
        Number of pixels L.

    Returns
    -------
    Tensor, (..., L)
        Φ((i + ½ − c)/σ) − Φ((i − ½ − c)/σ) for pixel i: sums to at most 1 (Smith et al. 2010, Nat. Methods 7:373).

    Examples
    --------
    >>> [round(float(share), 3) for share in pixel_profile(torch.tensor(1.0), 0.5, 3)]
    [0.157, 0.683, 0.157]
    """
    edges = torch.arange(length + 1, device=centre_px.device, dtype=centre_px.dtype) - 0.5
    scale = sigma_px[..., None] if isinstance(sigma_px, Tensor) else sigma_px
    return torch.erf((edges - centre_px[..., None]) / scale * _SQRT_HALF).diff(dim=-1) * 0.5


def pixel_profile_derivatives(centre_px: Tensor, sigma_px: Tensor, length: int) -> tuple[Tensor, Tensor, Tensor]:
    """Profile of one axis with its derivatives by centre and by width.

    Parameters
    ----------
    centre_px, sigma_px : Tensor, (...,)
        Centre and standard deviation, pixels.
    length : int
        Number of pixels L.

    Returns
    -------
    tuple of Tensor, each (..., L)
        Profile g, ∂g/∂c and ∂g/∂σ. With t = (edge − c)/σ and φ the normal density, ∂Φ(t)/∂c = −φ(t)/σ and
        ∂Φ(t)/∂σ = −t φ(t)/σ.
    """
    edges = torch.arange(length + 1, device=centre_px.device, dtype=centre_px.dtype) - 0.5
    inverse = sigma_px.reciprocal()[..., None]
    t = (edges - centre_px[..., None]) * inverse
    density = torch.exp(t.square() * -0.5) * (inverse * -_INV_SQRT_2PI)
    profile = torch.erf(t * _SQRT_HALF).diff(dim=-1) * 0.5
    return profile, density.diff(dim=-1), (density * t).diff(dim=-1)
