"""Templates for a second signal near a fitted one, blind to that one, to its error of place and to the background."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ctcfish.ops.psf import pixel_profile

_REACH = (2.4, 4.4)  # half window along z and in the plane, in widths
_PLANES_OFF = (-2.2, -1.5, -0.8, 0.0, 0.8, 1.5, 2.2)  # in widths
_RINGS = ((1.3, 8), (2.1, 8), (2.7, 12))  # radius in widths and places on it
_STRAIGHT_BEHIND = 1.1  # so many widths along z and more, a place without any way in the plane is looked at
_STEP_PX = 0.25
_INDEPENDENT = 1e-3

_Array = NDArray[np.float64]


@dataclass(frozen=True)
class Companions:
    """Places a second signal may have about a fitted one, K rows, and what tells its light there.

    Attributes
    ----------
    half : tuple of int
        Half window ``(z, xy)``, pixels.
    templates : ndarray, (K, V)
        Their products with the photons of a window are the light of a signal at each place; the fitted signal, its
        derivatives, every plane's level and slopes and bends in common have none.
    noise : ndarray, (3, K)
        Variance of that light: per photon of background in a pixel, of the fitted signal, and of its own.
    """

    half: tuple[int, int]
    templates: _Array
    noise: _Array


@functools.lru_cache(maxsize=64)
def companions(sigma_px: tuple[float, float], planes: tuple[bool, ...]) -> Companions:
    """Templates for signals of a width.

    Parameters
    ----------
    sigma_px : tuple of float
        ``(z, xy)``.
    planes : tuple of bool
        Which planes of the window lie in the image: see :func:`half_window`; a single plane is ``(True,)``.
    """
    half = half_window(sigma_px, len(planes))
    inside = np.broadcast_to(np.array(planes)[:, None, None], (len(planes), *(2 * half[1] + 1,) * 2)).ravel()
    own = _image((0.0, 0.0, 0.0), sigma_px, half)
    steps = np.eye(3)[0 if half[0] else 1 :] * _STEP_PX
    tilts = [_image(tuple(s), sigma_px, half) - _image(tuple(-s), sigma_px, half) for s in steps]
    hidden = np.array([own, *tilts, *_backgrounds(half)]) * inside
    hidden = hidden[np.abs(hidden).sum(1) > 0]
    _, strength, axes = np.linalg.svd(hidden / np.linalg.norm(hidden, axis=1, keepdims=True), full_matrices=False)
    axes = axes[strength > _INDEPENDENT]
    places = [
        p for p in _places(sigma_px, bool(half[0])) if planes[min(max(round(half[0] + p[0]), 0), len(planes) - 1)]
    ]
    images = np.array([_image(p, sigma_px, half) for p in places]) * inside
    blind = images - (images @ axes.T) @ axes
    blind /= (blind * images).sum(1, keepdims=True)
    square = blind**2
    return Companions(half, blind, np.array([square.sum(1), square @ own, (square * images).sum(1)]))


def half_window(sigma_px: tuple[float, float], planes: int) -> tuple[int, int]:
    """Half window ``(z, xy)`` in pixels; none along z in a single plane."""
    return (math.ceil(_REACH[0] * sigma_px[0]) if planes > 1 else 0), math.ceil(_REACH[1] * sigma_px[1])


def _places(sigma_px: tuple[float, float], deep: bool) -> list[tuple[float, float, float]]:
    """Where a second signal may be: rings in planes off, and straight behind."""
    found = []
    for off in _PLANES_OFF if deep else (0.0,):
        if abs(off) > _STRAIGHT_BEHIND:
            found.append((off * sigma_px[0], 0.0, 0.0))
        for radius, number in _RINGS:
            # a ring this wide in the same plane of a stack is a maximum of its own
            if radius < _RINGS[-1][0] or off or not deep:
                turns = 2 * np.pi * np.arange(number) / number
                way = radius * sigma_px[1]
                found += [(off * sigma_px[0], float(way * np.sin(t)), float(way * np.cos(t))) for t in turns]
    return found


def _image(place_px: tuple[float, ...], sigma_px: tuple[float, float], half: tuple[int, int]) -> _Array:
    """Share of a signal's light in every pixel of the window, the place being from its middle, (V,)."""
    z, y, x = (
        pixel_profile(torch.tensor(reach + off, dtype=torch.float64), width, 2 * reach + 1).numpy()
        if reach
        else np.ones(1)
        for reach, off, width in zip(
            (half[0], half[1], half[1]), place_px, (sigma_px[0], *sigma_px[1:] * 2), strict=True
        )
    )
    return np.asarray((z[:, None, None] * y[:, None] * x).ravel())


def _backgrounds(half: tuple[int, int]) -> list[_Array]:
    """Every plane's level; slopes, their change from plane to plane, and bends of all planes in common."""
    shape = (2 * half[0] + 1, 2 * half[1] + 1, 2 * half[1] + 1)
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, n) if n > 1 else np.zeros(1) for n in shape), indexing="ij")
    levels = [np.where(np.arange(shape[0])[:, None, None] == k, np.ones(shape), 0.0) for k in range(shape[0])]
    bends = [y * z, x * z, y * y, x * x, y * x] if half[0] else []
    return [pattern.ravel() for pattern in (*levels, y, x, *bends)]
