"""A scene cut into tiles: each reads with a margin and owns its core; a nucleus belongs to one tile."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise, product

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Tile:
    """Ground of one tile, in scene pixels, half open.

    Attributes
    ----------
    window : tuple of int
        ``(y0, x0, y1, x1)`` that is read.
    core : tuple of int
        ``(y0, x0, y1, x1)`` that is owned; cores cover the scene once.
    """

    window: tuple[int, int, int, int]
    core: tuple[int, int, int, int]

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns of the window."""
        y0, x0, y1, x1 = self.window
        return slice(y0, y1), slice(x0, x1)

    def owns(self, y: NDArray[np.float64], x: NDArray[np.float64], tolerance_px: float) -> NDArray[np.bool_]:
        """Tell which points of the scene lie in the core, or beyond it by no more than the tolerance."""
        y0, x0, y1, x1 = self.core
        inside: NDArray[np.bool_] = (
            (y >= y0 - tolerance_px) & (y < y1 + tolerance_px) & (x >= x0 - tolerance_px) & (x < x1 + tolerance_px)
        )
        return inside

    def meets(self, other: Tile) -> bool:
        """Tell whether two windows share ground."""
        (y0, x0, y1, x1), (v0, u0, v1, u1) = self.window, other.window
        return y0 < v1 and v0 < y1 and x0 < u1 and u0 < x1


def tiles(shape: tuple[int, int], core_px: int, margin_px: int) -> Iterator[Tile]:
    """Cut a scene into tiles, row by row.

    Parameters
    ----------
    shape : tuple of int
        ``(Y, X)``.
    core_px : int
        Side of a core; a last remainder smaller than the margin joins its neighbour.
    margin_px : int
        Windows begin at multiples of the two sizes: what divides both divides every window's first row and column.

    Yields
    ------
    Tile
    """
    spans = [_spans(side, core_px, margin_px) for side in shape]
    for (top, bottom), (left, right) in product(*spans):
        yield Tile(
            window=(
                max(0, top - margin_px),
                max(0, left - margin_px),
                min(shape[0], bottom + margin_px),
                min(shape[1], right + margin_px),
            ),
            core=(top, left, bottom, right),
        )


def _spans(side: int, core_px: int, margin_px: int) -> list[tuple[int, int]]:
    count = max(1, -(-(side - margin_px) // core_px))
    edges = [*range(0, count * core_px, core_px), side]
    return list(pairwise(edges))
