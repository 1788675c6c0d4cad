"""Outlines of nuclei along the edges of their pixels: exact, so that a polygon's area is its number of pixels."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Ring = list[tuple[int, int]]
"""Closed line of ``(x, y)`` corners, the first repeated as the last; in pixels, the first pixel spans 0 to 1."""

TILE_PX = 1024
CACHED_TILES = 64
"""Tiles kept in memory (4 MiB each) while the nuclei of a scene are walked through."""


def nuclei_masks(labels: Any) -> Iterator[tuple[int, tuple[int, int], NDArray[np.bool_]]]:
    """Each nucleus of a label image that need not fit into memory: label, ``(y, x)`` of its box, mask inside it.

    Parameters
    ----------
    labels : array of int, (Y, X)
        In memory or on disk; read tile by tile.
    """
    height, width = labels.shape

    @lru_cache(maxsize=CACHED_TILES)
    def tile(row: int, column: int) -> NDArray[np.int32]:
        rows, columns = (slice(k * TILE_PX, (k + 1) * TILE_PX) for k in (row, column))
        return np.asarray(labels[rows, columns])

    boxes: dict[int, list[int]] = {}
    for row in range(-(-height // TILE_PX)):
        for column in range(-(-width // TILE_PX)):
            for label, box in enumerate(ndimage.find_objects(tile(row, column)), start=1):
                if box is not None:
                    _extend(boxes, label, box, (row * TILE_PX, column * TILE_PX))
    for label in sorted(boxes, key=lambda own: (boxes[own][0] // TILE_PX, boxes[own][1] // TILE_PX, own)):
        y0, x0, y1, x1 = boxes[label]
        rows = [
            [tile(r, c) for c in range(x0 // TILE_PX, (x1 - 1) // TILE_PX + 1)]
            for r in range(y0 // TILE_PX, (y1 - 1) // TILE_PX + 1)
        ]
        top, left = y0 // TILE_PX * TILE_PX, x0 // TILE_PX * TILE_PX
        yield label, (y0, x0), np.block(rows)[y0 - top : y1 - top, x0 - left : x1 - left] == label


def _extend(boxes: dict[int, list[int]], label: int, box: tuple[slice, slice], corner: tuple[int, int]) -> None:
    """Grow the box ``[y0, x0, y1, x1]`` of a label by a part found in a tile."""
    (y0, y1), (x0, x1) = ((own.start + k, own.stop + k) for own, k in zip(box, corner, strict=True))
    old = boxes.get(label, [y0, x0, y1, x1])
    boxes[label] = [min(old[0], y0), min(old[1], x0), max(old[2], y1), max(old[3], x1)]


def polygons(mask: NDArray[np.bool_], corner: tuple[int, int] = (0, 0)) -> list[list[Ring]]:
    """Polygons of a mask, one for each part connected over pixel edges.

    Parameters
    ----------
    mask : ndarray of bool, (Y, X)
    corner : tuple of int
        ``(y, x)`` of the mask's first pixel.

    Returns
    -------
    list of list of Ring
        Per polygon its outer ring, then its holes. Outer rings enclose a positive area in ``(x, y)``, holes a negative
        one, as GeoJSON (RFC 7946, 3.1.6) asks; no ring passes a point twice.
    """
    parts, n = ndimage.label(mask)
    found = []
    for number in range(1, n + 1):
        rings = sorted(_rings(parts == number, corner), key=signed_area, reverse=True)
        found.append(rings)
    return found


def signed_area(ring: Ring) -> float:
    """Area enclosed by a ring (shoelace formula), negative for a hole."""
    x, y = np.array(ring, dtype=float).T
    return float(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1]) / 2)


def _rings(part: NDArray[np.bool_], corner: tuple[int, int]) -> Iterator[Ring]:
    """Chain the edges between a part and what is not it, the part on the right hand as seen on the screen."""
    steps = _edges(np.pad(part, 1), (corner[0] - 1, corner[1] - 1))
    while steps:
        start = min(steps)
        (dx, dy), here = steps[start].pop(), start
        ring = [start]
        while True:
            if not steps[here]:
                del steps[here]
            here = (here[0] + dx, here[1] + dy)
            if here == start:
                break
            ahead = steps[here]
            # Where two pixels meet at a corner the left turn keeps a hole apart from what lies outside.
            turn = (dy, -dx) if len(ahead) > 1 else ahead[0]
            ahead.remove(turn)
            if turn != (dx, dy):
                ring.append(here)
            dx, dy = turn
        yield [*ring, start]


def _edges(padded: NDArray[np.bool_], corner: tuple[int, int]) -> dict[tuple[int, int], list[tuple[int, int]]]:
    """Direction of each edge by the ``(x, y)`` at which it begins: clockwise on the screen around every pixel."""
    steps: dict[tuple[int, int], list[tuple[int, int]]] = {}
    inside = padded[1:-1, 1:-1]
    sides = (
        (padded[:-2, 1:-1], (0, 0), (1, 0)),
        (padded[1:-1, 2:], (1, 0), (0, 1)),
        (padded[2:, 1:-1], (1, 1), (-1, 0)),
        (padded[1:-1, :-2], (0, 1), (0, -1)),
    )
    for neighbour, (x, y), step in sides:
        for row, column in np.argwhere(inside & ~neighbour).tolist():
            steps.setdefault((column + 1 + corner[1] + x, row + 1 + corner[0] + y), []).append(step)
    return steps
