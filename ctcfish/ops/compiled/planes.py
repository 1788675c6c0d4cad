"""Peaks of a plane on a CPU: both bands filtered in one pass, what exceeds its floor, and the maxima of that."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ctcfish.ops.compiled.kernel import entry, kernel
from ctcfish.ops.compiled.vector import LANES, load, magnitude, select, spread, store, total_of

BLOCK = 4 * LANES
"""Columns worked on at once, in sums that stay in registers; a plane must have as many."""
_Array = NDArray[Any]


class Taps(NamedTuple):
    """Halves of symmetric taps from their middle on, (h + 1,) and the longer (H + 1,), and mirrored rows and columns.

    ``rows`` and ``columns``: which is meant by each from −H to length + H − 1.
    """

    narrow: _Array
    wide: _Array
    rows: _Array
    columns: _Array


@kernel
def _down(plane: _Array, y: int, taps: Taps, x: int, out: _Array) -> None:
    """Filter a block of columns along y, both bands, into two rows that begin H columns before the plane."""
    reach = len(taps.wide) - 1
    n0, n1, n2, n3 = spread(0.0), spread(0.0), spread(0.0), spread(0.0)
    w0, w1, w2, w3 = spread(0.0), spread(0.0), spread(0.0), spread(0.0)
    for k in range(reach + 1):
        above, below, wide = taps.rows[y + reach - k], taps.rows[y + reach + k], taps.wide[k]
        if k == 0:
            wide = 0.5 * wide
        p0 = load(plane, (above, x)) + load(plane, (below, x))
        p1 = load(plane, (above, x + LANES)) + load(plane, (below, x + LANES))
        p2 = load(plane, (above, x + 2 * LANES)) + load(plane, (below, x + 2 * LANES))
        p3 = load(plane, (above, x + 3 * LANES)) + load(plane, (below, x + 3 * LANES))
        w0, w1, w2, w3 = w0 + wide * p0, w1 + wide * p1, w2 + wide * p2, w3 + wide * p3
        if k < len(taps.narrow):
            narrow = taps.narrow[k]
            if k == 0:
                narrow = 0.5 * narrow
            n0, n1, n2, n3 = n0 + narrow * p0, n1 + narrow * p1, n2 + narrow * p2, n3 + narrow * p3
    at = x + reach
    store(out, (0, at), n0)
    store(out, (0, at + LANES), n1)
    store(out, (0, at + 2 * LANES), n2)
    store(out, (0, at + 3 * LANES), n3)
    store(out, (1, at), w0)
    store(out, (1, at + LANES), w1)
    store(out, (1, at + 2 * LANES), w2)
    store(out, (1, at + 3 * LANES), w3)


@kernel
def _along(band: _Array, half: _Array, at: int, out: _Array, x: int) -> None:
    """Filter a block of a row along x."""
    s0, s1 = half[0] * load(band, at), half[0] * load(band, at + LANES)
    s2, s3 = half[0] * load(band, at + 2 * LANES), half[0] * load(band, at + 3 * LANES)
    for k in range(1, len(half)):
        tap, left, right = half[k], at - k, at + k
        s0 += tap * (load(band, left) + load(band, right))
        s1 += tap * (load(band, left + LANES) + load(band, right + LANES))
        s2 += tap * (load(band, left + 2 * LANES) + load(band, right + 2 * LANES))
        s3 += tap * (load(band, left + 3 * LANES) + load(band, right + 3 * LANES))
    store(out, x, s0)
    store(out, x + LANES, s1)
    store(out, x + 2 * LANES, s2)
    store(out, x + 3 * LANES, s3)


@kernel
def _filter_row(plane: _Array, y: int, taps: Taps, span: tuple[int, int], room: _Array) -> None:
    """Filter what is seen from these columns along y."""
    reach, width = len(taps.wide) - 1, plane.shape[1]
    first, last = max(0, min(span[0], width - BLOCK) - reach), min(width, span[1] + BLOCK + reach)
    for x in range(first, last, BLOCK):
        _down(plane, y, taps, min(x, width - BLOCK), room)
    for i in range(reach):
        for band in range(2):
            room[band, i] = room[band, reach + taps.columns[i]]
            room[band, width + reach + i] = room[band, reach + taps.columns[width + reach + i]]


@kernel
def _exceeding(bands: _Array, y: int, x: int, floor: tuple[float, float, float], excess: _Array) -> bool:
    """Take the surround off a block of the first band; how far what is left, squared, exceeds its floor."""
    slope, dark, least = floor
    passed = spread(0.0)
    for i in range(0, BLOCK, LANES):
        low = load(bands, (1, y, x + i))
        high, level = load(bands, (0, y, x + i)) - low, select(low, least, low, least)
        over = high * magnitude(high) - slope * (level - dark)
        store(bands, (0, y, x + i), high)
        store(excess, i, over)
        passed += select(over, 0.0, 1.0, 0.0)
    return bool(total_of(passed) > 0)


@entry
def above(
    plane: _Array,
    taps: Taps,
    inner: tuple[int, int, int, int],
    floor: tuple[float, float, float],
    bands: _Array,
    places: _Array,
) -> int:
    """Fill response and surround, and places (N, 2) where the response exceeds its floor; how many they are.

    Places are in the order of memory.

    Parameters
    ----------
    plane : ndarray of float32, (Y, X)
        At least ``BLOCK`` columns.
    taps : Taps
    inner : tuple of int
        Half-open rows and columns in which places are wanted; what lies beside them is filtered too.
    floor : tuple of float
        Slope, dark and least: see :class:`ctcfish.ops.peaks.Floor`.
    bands : ndarray of float32, (2, Y, X)
        Room.
    places : ndarray of int64, (M, 2)
        Room.
    """
    (y0, y1, x0, x1), seen, (height, width), reach = inner, 0, plane.shape, len(taps.wide) - 1
    left, right = max(0, x0 - 1), min(width, x1 + 1)
    room, excess = np.zeros((2, width + 2 * reach), np.float32), np.zeros(BLOCK, np.float32)
    for y in range(max(0, y0 - 1), min(height, y1 + 1)):
        _filter_row(plane, y, taps, (left, right), room)
        for first in range(left, right, BLOCK):
            x = min(first, width - BLOCK)
            for band in range(2):
                _along(room[band], taps.wide if band else taps.narrow, x + reach, bands[band, y], x)
            if _exceeding(bands, y, x, floor, excess) and y0 <= y < y1:
                for i in range(first - x, BLOCK):
                    if excess[i] > 0 and x0 <= x + i < x1:
                        places[seen, 0], places[seen, 1] = y, x + i
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


@kernel
def _cut(plane: _Array, y: int, x: int, patch: _Array) -> None:
    """Fill a patch (D, D) with the neighbourhood of a place."""
    (height, width), side = plane.shape, len(patch)
    top, left = y - side // 2, x - side // 2
    inside = 0 <= left <= width - side
    for i in range(side):
        row = min(max(top + i, 0), height - 1)
        if inside:
            for j in range(side):
                patch[i, j] = plane[row, left + j]
        else:
            for j in range(side):
                patch[i, j] = plane[row, min(max(left + j, 0), width - 1)]


@entry
def cut(stack: _Array, centres: _Array, out: _Array) -> None:
    """Fill ``out`` (N, D, D) with the neighbourhood of every place (N, 3); outside the nearest voxel is repeated."""
    for k in range(len(centres)):
        _cut(stack[centres[k, 0]], centres[k, 1], centres[k, 2], out[k])
