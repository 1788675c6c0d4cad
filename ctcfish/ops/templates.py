"""Templates of a signal that do not see a smooth background, and what they measure in many windows at once."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

from ctcfish.ops.psf import pixel_profile


def point_image(half: tuple[int, int, int], sigma_px: tuple[float, float]) -> Tensor:
    """Image of one photon's point at the centre of a window.

    Parameters
    ----------
    half : tuple of int
        Half sizes ``(z, y, x)``; z is 0 for a single plane.
    sigma_px : tuple of float
        ``(z, xy)``.

    Returns
    -------
    Tensor of float64, (Dz, Dy, Dx)
    """
    profiles = []
    for axis, h in enumerate(half):
        sigma = sigma_px[0] if axis == 0 else sigma_px[1]
        flat = axis == 0 and h == 0
        centre = torch.tensor(float(h), dtype=torch.float64)
        profiles.append(torch.ones(1, dtype=torch.float64) if flat else pixel_profile(centre, sigma, 2 * h + 1))
    z, y, x = profiles
    return z[:, None, None] * y[:, None] * x


def blind_template(image: Tensor, degree: int) -> Tensor:
    """The part of an image that no polynomial background of the given degree can imitate.

    Parameters
    ----------
    image : Tensor of float64, (Dz, Dy, Dx)
    degree : int
        Total degree of the polynomials in z, y, x that are projected out.

    Returns
    -------
    Tensor of float64, (Dz, Dy, Dx)
        The residual v of least squares, scaled so that ⟨v, image⟩ = 1: its product with a window is the least-squares
        amplitude with the background's polynomial fitted along (Frisch and Waugh 1933, Econometrica 1:387).
    """
    axes = [torch.linspace(-1, 1, n, dtype=torch.float64) if n > 1 else torch.zeros(1).double() for n in image.shape]
    z, y, x = torch.meshgrid(*axes, indexing="ij")
    powers = [p for p in itertools.product(range(degree + 1), repeat=3) if sum(p) <= degree]
    flat = len(axes[0]) == 1
    columns = [(z**a * y**b * x**c).flatten() for a, b, c in powers if not (flat and a)]
    basis = torch.linalg.qr(torch.stack(columns, 1))[0]
    vector = image.flatten() - basis @ (basis.T @ image.flatten())
    scaled: Tensor = vector / (vector @ image.flatten())
    return scaled.view(image.shape)


def amplitudes(windows: Tensor, template: Tensor) -> Tensor:
    """Least-squares photons of each window's central signal, (N,)."""
    return windows.flatten(1) @ template.flatten().to(windows)


def hot_centre(windows: Tensor, surround: Tensor, read_variance: float, sigma_px: float) -> Tensor:
    """Windows whose central voxel sticks out of its four neighbours further than the optics allow.

    Parameters
    ----------
    windows : Tensor, (N, Dz, Dy, Dx)
        Photons.
    surround : Tensor, (N,)
        Local background, photons.
    read_variance : float
        Photons².
    sigma_px : float
        Lateral width of a signal.

    Returns
    -------
    Tensor of bool, (N,)
    """
    z, y, x = (n // 2 for n in windows.shape[1:])
    plane = windows[:, z]
    sides = torch.stack([plane[:, y - 1, x], plane[:, y + 1, x], plane[:, y, x - 1], plane[:, y, x + 1]], 1).mean(1)
    share = 0.6 * float(torch.exp(torch.tensor(-0.5 / sigma_px**2)))
    centre = plane[:, y, x]
    missing = share * (centre - surround) - (sides - surround)
    variance = share**2 * (centre.clamp(min=0) + read_variance) + (sides.clamp(min=0) + read_variance) / 4
    above = centre - surround > 6 * (surround + read_variance).sqrt()
    return above & (missing > 4 * variance.sqrt())


def repaired(windows: Tensor, hot: Tensor) -> Tensor:
    """Windows with the central voxel of the hot ones replaced by the mean of its four neighbours."""
    z, y, x = (n // 2 for n in windows.shape[1:])
    plane = windows[:, z]
    sides = torch.stack([plane[:, y - 1, x], plane[:, y + 1, x], plane[:, y, x - 1], plane[:, y, x + 1]], 1).mean(1)
    out = windows.clone()
    out[:, z, y, x] = torch.where(hot, sides, plane[:, y, x])
    return out
