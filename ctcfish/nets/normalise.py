"""Brightness of nuclei made comparable across an image: a local range on a coarse grid, computed once.

Scans are uneven and often nearly empty, so neither one percentile of a whole scan nor one per tile will do. Low and
high percentiles of fixed cells are widened over their neighbours and interpolated between cell centres. The grid is
fixed to the image, so a tile sees the numbers that the whole image sees.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

CELL_PX = 64
"""Side of a grid cell, native pixels: two to three nuclei."""

INPUT_CHANNELS = 2
"""The network sees brightness twice: linear, and compressed so that faint nuclei beside bright ones stay visible."""

_LOW, _HIGH = 4.0, 99.5
_REACH = 5
_FLOOR_FRACTION = 0.08
_FLOOR_SIGMAS = 8.0
_COMPRESSION = 30.0
_SAMPLE = 2


@dataclass(frozen=True)
class RangeField:
    """Local black level and contrast of an image on a grid of cells.

    Attributes
    ----------
    low, span : ndarray of float32, shape (rows, columns)
        Black level and contrast at the cells' centres, in the image's own unit; `span` > 0.
    """

    low: NDArray[np.float32]
    span: NDArray[np.float32]


def measure_range(image: NDArray[np.generic]) -> RangeField:
    """Measure the local black level and contrast of a nucleus image.

    Parameters
    ----------
    image : ndarray, shape (Y, X)
        Brightness at the native scale, any integer or float type, finite.

    Returns
    -------
    RangeField
        Low and span per cell of `CELL_PX`; the span is at least a fraction of the image's range and several times its
        noise, so that an empty field is not stretched into nuclei.
    """
    down, along = (_cell_starts(side) for side in image.shape)
    bands = [_measure_band(np.asarray(image[start : start + CELL_PX], np.float32), along) for start in down]
    low, high, noise = (np.stack(rows).astype(np.float32) for rows in zip(*bands, strict=True))
    extent = float(np.percentile(high, 98.0) - np.percentile(low, 5.0))
    window = np.ones((_REACH, _REACH), np.uint8)
    lowest = cv2.blur(cv2.erode(low, window, borderType=cv2.BORDER_REPLICATE), (3, 3), borderType=cv2.BORDER_REPLICATE)
    highest = cv2.blur(
        cv2.dilate(high, window, borderType=cv2.BORDER_REPLICATE), (3, 3), borderType=cv2.BORDER_REPLICATE
    )
    floor = max(
        _FLOOR_FRACTION * extent, _FLOOR_SIGMAS * float(np.median(noise)), 1e-6 * (1.0 + float(np.abs(high).max()))
    )
    return RangeField(lowest.astype(np.float32), np.maximum(highest - lowest, floor).astype(np.float32))


def _cell_starts(side: int) -> NDArray[np.intp]:
    """Return the first pixel of each cell along an axis; the last cell is whole too and may lie over its neighbour."""
    return np.minimum(np.arange(0, max(side, 1), CELL_PX), max(side - CELL_PX, 0))


def _measure_band(band: NDArray[np.float32], starts: NDArray[np.intp]) -> tuple[NDArray[np.float32], ...]:
    """Return low, high and noise of a row of cells.

    Noise is the median absolute step between neighbours over 0.954 = 0.6745 sqrt(2), which for a normal distribution is
    its standard deviation.
    """
    width = min(CELL_PX, band.shape[1])
    at = starts[:, None] + np.arange(0, width, _SAMPLE)
    cells = band[::_SAMPLE][:, at].transpose(1, 0, 2).reshape(len(starts), -1)
    count = cells.shape[1]
    low, high = round(_LOW / 100.0 * (count - 1)), round(_HIGH / 100.0 * (count - 1))
    ranked = np.partition(cells, (low, high), axis=1)
    steps = np.abs(band[::_SAMPLE][:, np.minimum(at + 1, band.shape[1] - 1)] - band[::_SAMPLE][:, at])
    steps = steps.transpose(1, 0, 2).reshape(len(starts), -1)
    noise = (np.partition(steps, count // 2, axis=1)[:, count // 2] / 0.954).astype(np.float32)
    return ranked[:, low], ranked[:, high], noise


def normalise(image: NDArray[np.generic], field: RangeField, origin: tuple[int, int] = (0, 0)) -> NDArray[np.float32]:
    """Bring a window of an image to black 0 and bright nuclei about 1.

    Parameters
    ----------
    image : ndarray, shape (Y, X)
        A window of the measured image.
    field : RangeField
        What `measure_range` gave for the whole image.
    origin : tuple of int
        Row and column of the window's first pixel in the whole image.

    Returns
    -------
    ndarray of float32, shape (Y, X)
    """
    low, span = (_interpolate(grid, origin, image.shape) for grid in (field.low, field.span))
    result: NDArray[np.float32] = (np.asarray(image, np.float32) - low) / span
    return result


def _interpolate(grid: NDArray[np.float32], origin: tuple[int, int], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Interpolate a cell grid linearly at the pixels of a window, constant beyond the outer cell centres."""
    parts = []
    for first, side, cells in zip(origin, shape, grid.shape, strict=True):
        at = np.clip((np.arange(first, first + side, dtype=np.float64) + 0.5) / CELL_PX - 0.5, 0.0, cells - 1.0)
        before = np.minimum(at.astype(np.intp), max(cells - 2, 0))
        parts.append((before, np.minimum(before + 1, cells - 1), (at - before).astype(np.float32)))
    (top, bottom, down), (left, right, along) = parts
    rows = grid[top] * (1.0 - down)[:, None] + grid[bottom] * down[:, None]
    result: NDArray[np.float32] = rows[:, left] * (1.0 - along) + rows[:, right] * along
    return result


def network_input(brightness: NDArray[np.float32]) -> NDArray[np.float32]:
    """Stack linear and compressed brightness.

    Parameters
    ----------
    brightness : ndarray of float32, shape (..., Y, X)
        Normalised brightness.

    Returns
    -------
    ndarray of float32, shape (..., INPUT_CHANNELS, Y, X)
        Brightness clipped to [-0.5, 2], and log(1 + 30 b) / log(31) of its non-negative part.
    """
    linear = np.clip(brightness, -0.5, 2.0)
    compressed = np.log1p(_COMPRESSION * np.maximum(linear, 0.0)) / np.float32(np.log1p(_COMPRESSION))
    return np.stack([linear, compressed], axis=-3)
