"""Templates of a signal that do not see certain backgrounds, and what they measure in many patches at once.

A patch is the neighbourhood of a candidate in the plane, after the stack was filtered along z.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtr
from torch import Tensor

from ctcfish.ops.psf import pixel_profile

FloatArray = NDArray[np.float64]
ORIENTATIONS = 16
_EDGE_DEGREE = 4  # an edge is any polynomial of this degree along its normal, bent and sloped along its tangent
_GRADIENT_WIDTH = 1.9  # of a signal: wide enough to see an edge, narrow enough to stay in the patch


def point_image(half: int, sigma_px: float | Tensor) -> Tensor:
    """Image in the plane of one photon's point at the centre of a patch.

    Parameters
    ----------
    half : int
        Half size; the patch has 2 h + 1 pixels a side.
    sigma_px : float, or Tensor of float64, (K,)

    Returns
    -------
    Tensor of float64, (D, D), or (K, D, D)
    """
    width = torch.as_tensor(sigma_px, dtype=torch.float64)
    profile = pixel_profile(torch.full_like(width, half), width, 2 * half + 1)
    return profile[..., :, None] * profile[..., None, :]


def blind(image: Tensor, backgrounds: Tensor) -> Tensor:
    """The part of an image that a linear background cannot imitate.

    Parameters
    ----------
    image : Tensor of float64, (D, D)
    backgrounds : Tensor of float64, (..., K, D, D)
        Linearly independent.

    Returns
    -------
    Tensor of float64, (..., D, D)
        The residual v of least squares, scaled so that ⟨v, image⟩ = 1: its product with a patch is the least-squares
        amplitude with the background fitted along (Frisch and Waugh 1933, Econometrica 1:387).
    """
    basis = torch.linalg.qr(backgrounds.flatten(-2).mT)[0]
    flat = image.flatten()
    vector = flat - (basis @ (basis.mT @ flat)[..., None])[..., 0]
    scaled: Tensor = vector / (vector @ flat)[..., None]
    return scaled.view(*scaled.shape[:-1], *image.shape)


def level_blind(image: Tensor) -> Tensor:
    """:func:`blind` to a constant."""
    return blind(image, torch.ones_like(image)[None])


def edge_blind(image: Tensor) -> Tensor:
    """:func:`blind` to an edge, for each of :data:`ORIENTATIONS` directions of its normal from 0 to π.

    The background is a polynomial of degree 4 along the normal n, with slope, twist and bend along the tangent t:
    1, n, n², n³, n⁴, t, tn, t². The border of a nucleus is one, and so is any smooth hump.

    Parameters
    ----------
    image : Tensor of float64, (D, D)

    Returns
    -------
    Tensor of float64, (16, D, D)
    """
    axis = torch.linspace(-1, 1, len(image), dtype=torch.float64)
    angle = torch.arange(ORIENTATIONS, dtype=torch.float64)[:, None, None] * (math.pi / ORIENTATIONS)
    n, t = (axis * angle.cos() + axis[:, None] * angle.sin(), axis[:, None] * angle.cos() - axis * angle.sin())
    return blind(image, torch.stack([*(n**k for k in range(_EDGE_DEGREE + 1)), t, t * n, t * t], 1))


def slope_templates(half: int, sigma_px: float) -> Tensor:
    """Unit-norm templates of the slopes along y and x, blind to what is even about the centre: (2, D, D)."""
    step = torch.arange(-half, half + 1, dtype=torch.float64)
    bell = torch.exp(-0.5 * (step / (_GRADIENT_WIDTH * sigma_px)) ** 2)
    along_x = bell[:, None] * (bell * step)
    unit: Tensor = torch.stack([along_x.T, along_x]) / along_x.norm()
    return unit


def border_share(response: FloatArray, slope: FloatArray, blur_px: float) -> float:
    """What a straight border adds to a response where it adds most, over the slope seen at that place.

    Parameters
    ----------
    response, slope : ndarray, (K,), (M,)
        Profiles across the border of the templates of both, odd lengths, each for noise of one.
    blur_px : float
        Standard deviation of the border, a Gaussian's integral.
    """
    longest = max(len(response), len(slope))
    reach = round(4 * blur_px) + longest
    border = ndtr(np.arange(-reach, reach + 1) / blur_px)
    seen, steep = (np.correlate(border, profile, "same") for profile in (response, slope))
    whole = slice(longest // 2, -(longest // 2))
    most = int(seen[whole].argmax())
    return float(seen[whole][most] / abs(steep[whole][most]))


def products(patches: Tensor, templates: Tensor) -> Tensor:
    """Product of every patch (N, D, D) with every template (K, D, D): (N, K)."""
    return patches.flatten(1) @ templates.flatten(1).T.to(patches)


def hot_centre(patches: Tensor, noise: Tensor, sigma_px: float) -> Tensor:
    """Patches whose central pixel sticks out of its four neighbours further than the optics allow.

    Parameters
    ----------
    patches : Tensor, (N, D, D)
        Photons above the local background.
    noise : Tensor, (N,)
        Standard deviation of a background pixel.
    sigma_px : float
        Width of a signal: its neighbours reach exp(-1/(2σ²)) of the centre.

    Returns
    -------
    Tensor of bool, (N,)
    """
    centre, sides = _centre_and_sides(patches)
    share = 0.6 * math.exp(-0.5 / sigma_px**2)
    variance = noise.square() * (share**2 + 0.25) + share**2 * centre.clamp(min=0) + sides.clamp(min=0) / 4
    return (centre > 6 * noise) & (share * centre - sides > 4 * variance.sqrt())


def repaired(patches: Tensor, hot: Tensor) -> Tensor:
    """Patches (N, D, D) with the central pixel of the hot ones replaced by the mean of its four neighbours."""
    centre, sides = _centre_and_sides(patches)
    out = patches.clone()
    middle = patches.shape[1] // 2
    out[:, middle, middle] = torch.where(hot, sides, centre)
    return out


def _centre_and_sides(patches: Tensor) -> tuple[Tensor, Tensor]:
    m = patches.shape[1] // 2
    ring = [patches[:, m - 1, m], patches[:, m + 1, m], patches[:, m, m - 1], patches[:, m, m + 1]]
    return patches[:, m, m], torch.stack(ring, 1).mean(1)
