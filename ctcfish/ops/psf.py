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


def pixel_profile_shift(centre_px: Tensor, sigma_px: float, length: int) -> tuple[Tensor, Tensor]:
    """Profile of one axis and its derivative by the centre, of one fixed width: see :func:`pixel_profile_derivatives`.

    Parameters
    ----------
    centre_px : Tensor, (...,)
    sigma_px : float
    length : int
        Number of pixels L.

    Returns
    -------
    profile, by_centre : Tensor, (..., L)
    """
    edges = torch.arange(length + 1, device=centre_px.device, dtype=centre_px.dtype) - 0.5
    t = (edges - centre_px[..., None]) * (_SQRT_HALF / sigma_px)
    density = torch.exp(-t.square()) * (-_INV_SQRT_2PI / sigma_px)
    return torch.erf(t).diff(dim=-1) * 0.5, density.diff(dim=-1)


def pixel_profile_derivatives(
    centre_px: Tensor, sigma_px: Tensor | float, length: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Profile of one axis with its derivative by the centre, and the edges' share of that by the width.

    Parameters
    ----------
    centre_px : Tensor, (...,)
        Centre, pixels.
    sigma_px : Tensor broadcastable to (...,), or float
        Standard deviation, pixels.
    length : int
        Number of pixels L.

    Returns
    -------
    profile, by_centre : Tensor, (..., L)
        g and ∂g/∂c. With t = (edge − c)/σ and φ the normal density, ∂Φ(t)/∂c = −φ(t)/σ.
    by_width_at_edges : Tensor, (..., L + 1)
        ∂Φ(t)/∂σ = −t φ(t)/σ at the edges: its differences are ∂g/∂σ, for those who need them.
    """
    edges = torch.arange(length + 1, device=centre_px.device, dtype=centre_px.dtype) - 0.5
    inverse = sigma_px.reciprocal()[..., None] if isinstance(sigma_px, Tensor) else 1.0 / sigma_px
    t = (edges - centre_px[..., None]) * inverse
    density = torch.exp(t.square() * -0.5) * (inverse * -_INV_SQRT_2PI)
    profile = torch.erf(t * _SQRT_HALF).diff(dim=-1) * 0.5
    return profile, density.diff(dim=-1), density * t
