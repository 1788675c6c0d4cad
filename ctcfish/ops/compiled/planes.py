"""Peaks of filtered planes on a CPU: what exceeds its floor, and the maxima of that."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctcfish.ops.compiled.kernel import entry, kernel

_CHUNK = 32
_Array = NDArray[Any]


@kernel
def _respond(response: _Array, surround: _Array, floor: tuple[float, float, float], excess: _Array) -> None:
    """Take the surround off a row of the first band; how far what is left, squared, exceeds its floor."""
    slope, dark, least = np.float32(floor[0]), np.float32(floor[1]), np.float32(floor[2])
    for x in range(len(response)):
        low = surround[x]
        high, level = response[x] - low, low if low > least else least
        response[x] = high
        excess[x] = high * abs(high) - slope * (level - dark)


@entry
def above(bands: _Array, inner: tuple[int, int, int, int], floor: tuple[float, float, float], places: _Array) -> int:
    """Response in place of the first band, places (N, 2) where it exceeds its floor, and how many they are.

    Places are in the order of memory.

    Parameters
    ----------
    bands : ndarray of float32, (2, Y, X)
        Filtered for the signal and for its surround; the response is made around ``inner`` alone.
    inner : tuple of int
        Half-open rows and columns.
    floor : tuple of float
        Slope, dark and least: see :class:`ctcfish.ops.peaks.Floor`.
    places : ndarray of int64, (M, 2)
        Room.
    """
    (y0, y1, x0, x1), seen, none = inner, 0, np.float32(0.0)
    left, right = max(0, x0 - 1), min(bands.shape[2], x1 + 1)
    excess = np.full((right - left) // _CHUNK * _CHUNK + _CHUNK, np.float32(-1.0))
    for y in range(max(0, y0 - 1), min(bands.shape[1], y1 + 1)):
        _respond(bands[0, y, left:right], bands[1, y, left:right], floor, excess)
        for first in range(0, len(excess) if y0 <= y < y1 else 0, _CHUNK):
            passed = none
            for i in range(_CHUNK):
                passed += np.float32(1.0) if excess[first + i] > none else none
            for i in range(_CHUNK if passed > none else 0):
                x = left + first + i
                if excess[first + i] > none and x0 <= x < x1:
                    places[seen, 0], places[seen, 1] = y, x
                    seen += 1
    return seen


@kernel
def _exceeded(bands: _Array, plane: int, y: int, x: int, height: np.float32) -> bool:
    """Whether any of the nine responses about a place in a plane is higher."""
    for row in range(max(0, y - 1), min(bands.shape[2], y + 2)):
        for column in range(max(0, x - 1), min(bands.shape[3], x + 2)):
            if bands[plane, 0, row, column] > height:
                return True
    return False


@entry
def maxima(bands: _Array, planes: tuple[int, int, int], places: _Array) -> int:
    """Keep the places that no neighbour exceeds, in place; how many they are.

    Parameters
    ----------
    bands : ndarray of float32, (K, 2, Y, X)
        Planes at hand.
    planes : tuple of int
        Which of them is the places' own, and those beside it, itself where there is none.
    places : ndarray of int64, (N, 2)
    """
    kept = 0
    for k in range(len(places)):
        y, x = places[k, 0], places[k, 1]
        height, most = bands[planes[0], 0, y, x], True
        for plane in planes:
            most = most and not _exceeded(bands, plane, y, x, height)
        if most:
            places[kept, 0], places[kept, 1] = y, x
            kept += 1
    return kept
