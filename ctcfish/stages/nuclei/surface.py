"""Smooth surfaces of background, estimated on a coarse copy of the image."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

CELL_PX = 8
"""Side of a neighbourhood, in pixels of the coarse image."""

_COARSE_UM = 2.5
_BACKGROUND_QUANTILE = 0.15
_NEIGHBOUR_RANK = 2


def reduce(plane: NDArray[Any], factor: int) -> Floats:
    """Mean of blocks of ``factor`` x ``factor`` pixels; a last incomplete block is left out.

    Parameters
    ----------
    plane : ndarray, (Y, X)
        Any integer or float type.
    factor : int
        From 1 to the shorter side.

    Returns
    -------
    ndarray of float32, (Y // factor, X // factor)
    """
    rows, columns = plane.shape[0] // factor, plane.shape[1] // factor
    whole = np.ascontiguousarray(plane[: rows * factor, : columns * factor], np.float32)
    return as_floats(cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA), (rows, columns))


def gaussian(plane: Floats, sigma_px: float) -> Floats:
    """Gaussian smoothing with mirrored borders; at least half a pixel.

    Parameters
    ----------
    plane : ndarray of float32, (Y, X)
    sigma_px : float

    Returns
    -------
    ndarray of float32, (Y, X)
    """
    return as_floats(cv2.GaussianBlur(plane, (0, 0), max(sigma_px, 0.5)), plane.shape)


def as_floats(pixels: Any, shape: tuple[int, ...]) -> Floats:
    """Restore the shape that OpenCV drops for images one pixel high or wide."""
    return np.asarray(pixels, np.float32).reshape(shape)


def enlarge_surface(surface: Floats, shape: tuple[int, ...]) -> Floats:
    """Bring a smooth surface to the size of the image it was estimated on.

    Parameters
    ----------
    surface : ndarray of float32, (y, x)
    shape : tuple of int
        ``(Y, X)``.

    Returns
    -------
    ndarray of float32, (Y, X)
    """
    return as_floats(cv2.resize(surface, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR), shape)


def background_surface(coarse: Floats) -> Floats:
    """Background under what stands out: a low quantile of neighbourhoods, smoothed.

    Neighbourhoods full of nuclei hold no background; a low rank among the nine around each one passes over them. On a
    slope both would lie too low; a second pass over what the first one left takes that back.

    Parameters
    ----------
    coarse : ndarray of float32, (y, x)

    Returns
    -------
    ndarray of float32, (y, x)
    """
    first = _low_surface(coarse)
    return first + _low_surface(coarse - first)


def _low_surface(coarse: Floats) -> Floats:
    rows, columns = (max(1, round(side / CELL_PX)) for side in coarse.shape)
    grid = np.empty((rows, columns), np.float32)
    for row, band in enumerate(np.array_split(coarse, rows, axis=0)):
        for column, cell in enumerate(np.array_split(band, columns, axis=1)):
            place = int(_BACKGROUND_QUANTILE * (cell.size - 1))
            grid[row, column] = np.partition(cell, place, axis=None)[place]
    padded = np.pad(grid, 1, mode="edge")
    around = np.stack([padded[i : i + rows, j : j + columns] for i in range(3) for j in range(3)])
    low = np.partition(around, _NEIGHBOUR_RANK, axis=0)[_NEIGHBOUR_RANK]
    smooth = as_floats(cv2.blur(low, (3, 3), borderType=cv2.BORDER_REPLICATE), low.shape)
    return enlarge_surface(smooth, coarse.shape)


def above_background(image: Floats, pixel_um: float) -> Floats:
    """An image less its :func:`background_surface`, estimated on pixels of 2.5 um.

    Parameters
    ----------
    image : ndarray of float32, (Y, X)
    pixel_um : float

    Returns
    -------
    ndarray of float32, (Y, X)
    """
    factor = min(max(1, round(_COARSE_UM / pixel_um)), *image.shape)
    return image - enlarge_surface(background_surface(reduce(image, factor)), image.shape)


def noise_sd(signal: Floats) -> float:
    """Standard deviation of background noise, from the values below the median of a background-subtracted image."""
    if signal.size == 0:
        return 0.0
    low, middle = np.quantile(signal, (0.05, 0.25))
    # Between the 5 % and 25 % quantiles of a normal distribution lie 0.9704 standard deviations.
    return float(middle - low) / 0.9704
