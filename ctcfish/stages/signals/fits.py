"""Fits of single signals cut from a stack of camera numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from torch import Tensor

from ctcfish.ops.fit import SpotFits, fit_spots
from ctcfish.ops.fit_model import FitModel
from ctcfish.ops.psf import pixel_profile
from ctcfish.parameters import Detect
from ctcfish.stages.signals.camera import Camera
from ctcfish.types import ProbeModel

_RIDGE = 1e-9  # the slope along z of a window that lies half outside
_REACH = (1.4, 3.0)  # half window along z and in the plane, in widths
_FOCAL_REACH = 2.3  # likewise of a plane alone: farther out there is light out of focus


@dataclass(frozen=True)
class Fitted:
    """Fits and where they lie in the scene.

    Attributes
    ----------
    position_px : Tensor of float64, (N, 3)
        ``(z, y, x)`` in scene pixels.
    fits : SpotFits
    whole : Tensor of bool, (N,)
        Whether the window lies inside the image.
    """

    position_px: Tensor
    fits: SpotFits
    whole: Tensor

    def rows(self, keep: Tensor) -> Fitted:
        """Rows picked by index or mask."""
        fits = SpotFits(*(getattr(self.fits, f.name)[keep] for f in fields(SpotFits)))
        return Fitted(self.position_px[keep], fits, self.whole[keep])

    def with_rows(self, rows: Tensor, other: Fitted) -> Fitted:
        """These rows, those of another at the given places."""
        fits = {
            f.name: getattr(self.fits, f.name).index_copy(0, rows, getattr(other.fits, f.name))
            for f in fields(SpotFits)
        }
        return Fitted(self.position_px.index_copy(0, rows, other.position_px), SpotFits(**fits), self.whole)

    def joined(self, other: Fitted) -> Fitted:
        """These rows and then the other's."""
        fits = SpotFits(
            *(torch.cat([getattr(self.fits, f.name), getattr(other.fits, f.name)]) for f in fields(SpotFits))
        )
        return Fitted(torch.cat([self.position_px, other.position_px]), fits, torch.cat([self.whole, other.whole]))


def fit_at(
    stack: NDArray[np.generic], place_px: Tensor, sigma_px: tuple[float, float], camera: Camera, free_width: bool
) -> Fitted:
    """Fit one signal at every place.

    Parameters
    ----------
    stack : ndarray, (Z, Y, X)
        Camera numbers of any type.
    place_px : Tensor of int64, (N, 3)
    sigma_px : tuple of float
        Width ``(z, xy)``, or where it is free its start.
    camera : Camera
    free_width : bool
    """
    return _fit(stack, place_px, sigma_px, camera, (free_width, window_half(sigma_px, len(stack))))


def focal_width_px(
    stack: NDArray[np.generic], place_px: Tensor, sigma_px: tuple[float, float], camera: Camera
) -> Tensor:
    """Width in the plane of the signal at every place, measured in that place's plane alone, (N,).

    Out of focus a signal is wider, so that the width of its whole image in a stack is not its width at half height.
    """
    lateral = max(2, round(_FOCAL_REACH * sigma_px[1]))
    return _fit(stack, place_px, sigma_px, camera, (True, (0, lateral, lateral))).fits.sigma_px[:, 1]


def _fit(
    stack: NDArray[np.generic],
    place_px: Tensor,
    sigma_px: tuple[float, float],
    camera: Camera,
    how: tuple[bool, tuple[int, int, int]],
) -> Fitted:
    """Fit in windows of a half size, in one plane where it has no depth; ``how`` is whether width is free, and it."""
    free_width, half = how
    window, inside = windows(stack, place_px.cpu().numpy(), half)
    photons = camera.photons(torch.from_numpy(window).to(place_px.device))
    whole = torch.from_numpy(inside).to(place_px.device)
    weight = None if bool(whole.all()) else whole.to(photons.dtype)
    model = FitModel(
        sigma_px[1], sigma_px[0], free_width=free_width, sloped_background=True, max_shift_px=max(1.5, sigma_px[1])
    )
    start = torch.tensor(half, device=photons.device, dtype=photons.dtype).expand(len(photons), 3)
    if half[0] == 0:
        flat = None if weight is None else weight[:, 0]
        fits = fit_spots(photons[:, 0], start[:, 1:], camera.read_variance, model, weight=flat)
    else:
        fits = fit_spots(photons, start, camera.read_variance, model, weight=weight)
    corner = place_px - torch.tensor(half, device=place_px.device)
    position = corner.double() + fits.position_px.double()
    if half[0] == 0:
        position[:, 0] = place_px[:, 0].double()
    return Fitted(position, fits, whole.flatten(1).all(1))


@dataclass(frozen=True)
class Explained:
    """What one emitter explains.

    Attributes
    ----------
    fitted : Fitted
        With the better fit where a width of its own explains a signal.
    single : Tensor of bool, (N,)
        Explained, and not too bright for one signal.
    broad : Tensor of bool, (N,)
        One smooth object, far too wide for a signal.
    """

    fitted: Fitted
    single: Tensor
    broad: Tensor


def explained(
    stack: NDArray[np.generic],
    fitted: Fitted,
    setting: tuple[tuple[float, float], Camera],
    slide: ProbeModel,
    params: Detect,
) -> Explained:
    """Fit signals again that a signal of the slide's width fits badly, now with a width of their own.

    Parameters
    ----------
    stack : ndarray, (Z, Y, X)
    fitted : Fitted
    setting : tuple
        Width ``(z, xy)`` in pixels, and camera.
    slide : ProbeModel
    params : Detect

    """
    sigma, camera = setting
    single = fitted.fits.chi2_per_dof <= params.misfit
    doubtful = (~single).nonzero()[:, 0]
    place = fitted.position_px[doubtful].round().long()
    limit = torch.tensor(stack.shape, device=place.device) - 1
    own = fit_at(stack, torch.minimum(place.clamp(min=0), limit), sigma, camera, free_width=True)
    narrow = own.fits.sigma_px[:, 1] < params.widest * sigma[1]
    better = (own.fits.chi2_per_dof <= params.misfit) & narrow
    single[doubtful] = better | (fitted.fits.photons[doubtful] < params.paired_photons * slide.photons_median)
    single &= fitted.fits.photons < params.dense_photons * slide.photons_median
    broad = torch.zeros_like(single)
    smooth = own.fits.chi2_per_dof <= params.misfit
    broad[doubtful] = smooth & (own.fits.sigma_px[:, 1] > params.broadest * sigma[1])
    return Explained(fitted.with_rows(doubtful[better], own.rows(better)), single, broad)


def light_at(
    stack: NDArray[np.generic],
    place_px: NDArray[np.float64],
    sigma_px: tuple[float, NDArray[np.float64]],
    camera: Camera,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Light that an object of known place and width has in a stack, by least squares with level and slopes.

    Parameters
    ----------
    stack : ndarray, (Z, Y, X)
        Camera numbers of any type.
    place_px : ndarray, (N, 3)
    sigma_px : tuple
        Width along z, and in the plane of each object (N,).
    camera : Camera

    Returns
    -------
    photons, error : ndarray, (N,)
        The error is the noise of the background alone.
    """
    depth, width = sigma_px
    if not len(place_px):
        return np.zeros(0), np.zeros(0)
    half = window_half((depth, float(np.median(width))), len(stack))
    middle = np.rint(place_px).astype(np.int64)
    window, inside = windows(stack, middle, half)
    light = camera.photons(torch.from_numpy(window)).double().flatten(1)
    centre = torch.from_numpy(place_px - middle) + torch.tensor(half, dtype=torch.float64)
    wide = torch.from_numpy(np.asarray(width, np.float64))
    z, y, x = (
        pixel_profile(centre[:, k], own, 2 * half[k] + 1)
        for k, own in enumerate((torch.full_like(wide, depth), wide, wide))
    )
    if len(stack) == 1:
        z = torch.ones_like(z)
    image = torch.einsum("nz,ny,nx->nzyx", z, y, x).flatten(1)
    slopes = torch.stack(torch.meshgrid(*(torch.linspace(-1, 1, 2 * h + 1).double() for h in half), indexing="ij"))
    if len(stack) == 1:
        slopes = slopes[1:]
    bent = torch.cat([slopes.square(), slopes[-2:-1] * slopes[-1:]])
    plain = torch.cat([torch.ones(1, image.shape[1], dtype=torch.float64), slopes.flatten(1), bent.flatten(1)])
    design = (
        torch.cat([image[:, None], plain.expand(len(image), -1, -1)], 1) * torch.from_numpy(inside).flatten(1)[:, None]
    )
    inverse = torch.linalg.inv(design @ design.mT + _RIDGE * torch.eye(design.shape[1], dtype=torch.float64))
    photons = (inverse[:, :1] @ (design @ light[:, :, None]))[:, 0, 0]
    variance = light.median(1).values.clamp(min=0.05) + camera.read_variance
    return photons.numpy(), (inverse[:, 0, 0] * variance).sqrt().numpy()


def residual(fits: SpotFits, camera: Camera) -> Tensor:
    """What a fit leaves, root mean square over the peak, (N,): no bright light is a Gaussian to its photons."""
    peak = fits.photons / (2 * math.pi * fits.sigma_px[:, 1].square())
    variance = fits.background.clamp(min=0) + camera.read_variance + peak / 4
    return ((fits.chi2_per_dof - 1).clamp(min=0) * variance).sqrt() / peak.clamp(min=1e-6)


def window_half(sigma_px: tuple[float, float], planes: int) -> tuple[int, int, int]:
    """Half size ``(z, y, x)`` of the window a signal is fitted in."""
    lateral = max(2, round(_REACH[1] * sigma_px[1]))
    return (max(1, math.ceil(_REACH[0] * sigma_px[0])) if planes > 1 else 0), lateral, lateral


def windows(
    stack: NDArray[np.generic], place: NDArray[np.int64], half: tuple[int, int, int]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Windows about places (N, 3), the border repeated, and which of their pixels lie inside, both (N, Z, Y, X).

    Windows that lie inside are copied as runs of memory, many times faster than by the index of every pixel.
    """
    size = tuple(2 * reach + 1 for reach in half)
    wanted = [place[:, axis, None] + np.arange(-reach, reach + 1) for axis, reach in enumerate(half)]
    index = [np.clip(own, 0, stack.shape[axis] - 1) for axis, own in enumerate(wanted)]
    valid = [held == own for held, own in zip(index, wanted, strict=True)]
    whole = np.all([own.all(1) for own in valid], 0)
    window = np.empty((len(place), *size), np.float32)
    if whole.any():
        window[whole] = sliding_window_view(stack, size)[tuple((place[whole] - half).T)]
    z, y, x = (held[~whole] for held in index)
    window[~whole] = stack[z[:, :, None, None], y[:, None, :, None], x[:, None, None, :]]
    inside = valid[0][:, :, None, None] & valid[1][:, None, :, None] & valid[2][:, None, None, :]
    return window, inside
