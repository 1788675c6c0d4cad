"""Where to look for signals: blocks that cover the nuclei and fit the cache."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ctcfish.types import Nuclei

_BLOCK = {True: (128, 512), False: (512, 512)}  # rows and columns of a block of a stack, of one plane
_GAP_PX = 32
_RUNS = 4
TILE_UM = 9.0
"""Side of the squares that stand in for nuclei where there are none: the area of an ordinary nucleus."""


@dataclass(frozen=True)
class Region:
    """Half-open rows and columns of a scene, which this region alone owns."""

    y0: int
    y1: int
    x0: int
    x1: int


def regions(nuclei: Nuclei, margin_px: int, planes: int) -> list[Region]:
    """Disjoint regions that cover every nucleus with a margin, in a fixed order.

    Parameters
    ----------
    nuclei : Nuclei
    margin_px : int
        How far outside a nucleus signals are looked for.
    planes : int
        Planes of the stack.

    Returns
    -------
    list of Region
        Bands of rows, each cut into runs of columns; no nuclei give no region.
    """
    height, width = nuclei.shape_px
    band, run = _BLOCK[planes > 1]
    boxes = nuclei.box_px.astype(np.int64) + np.array([-margin_px, -margin_px, margin_px, margin_px])
    boxes = np.clip(boxes, 0, np.array([height, width, height, width]))
    out: list[Region] = []
    for top in range(0, height, band):
        bottom = min(top + band, height)
        touching = boxes[(boxes[:, 0] < bottom) & (boxes[:, 2] > top)]
        if not len(touching):
            continue
        y0, y1 = max(top, int(touching[:, 0].min())), min(bottom, int(touching[:, 2].max()))
        for x0, x1 in _runs(touching[:, [1, 3]]):
            cuts = np.linspace(x0, x1, -(-(x1 - x0) // run) + 1).round().astype(int).tolist()
            out.extend(Region(y0, y1, a, b) for a, b in itertools.pairwise(cuts))
    return out


def _runs(intervals: NDArray[np.int64]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for start, stop in intervals[np.argsort(intervals[:, 0], kind="stable")].tolist():
        if runs and start <= runs[-1][1] + _GAP_PX:
            runs[-1] = (runs[-1][0], max(runs[-1][1], stop))
        else:
            runs.append((start, stop))
    return runs


def sample(nuclei: Nuclei, most: int) -> Nuclei:
    """At most so many nuclei, in a few runs of neighbours spread evenly over the list: few blocks hold them all."""
    if len(nuclei) <= most:
        return nuclei
    share = max(1, most // _RUNS)
    starts = np.linspace(0, len(nuclei) - share, _RUNS).round().astype(int)
    return nuclei.rows(np.unique((starts[:, None] + np.arange(share)).ravel()))


def tiles(shape_px: tuple[int, int], pixel_um: tuple[float, float]) -> Nuclei:
    """Squares of a nucleus's size that cover an image which comes without nuclei."""
    steps = [max(8, round(TILE_UM / pixel)) for pixel in pixel_um]
    edges = [np.arange(0, max(1, n - s // 2), s) for n, s in zip(shape_px, steps, strict=True)]
    y0, x0 = (g.ravel() for g in np.meshgrid(*edges, indexing="ij"))
    stops = [np.append(e[1:], n) for e, n in zip(edges, shape_px, strict=True)]
    y1, x1 = (g.ravel() for g in np.meshgrid(*stops, indexing="ij"))
    count = len(y0)
    centroid = np.stack([(y0 + y1 - 1) / 2 * pixel_um[0], (x0 + x1 - 1) / 2 * pixel_um[1]], 1)
    return Nuclei(
        label=np.arange(1, count + 1, dtype=np.int32),
        box_px=np.stack([y0, x0, y1, x1], 1).astype(np.int32),
        packed=tuple(np.packbits(np.ones(int(n), bool)).tobytes() for n in ((y1 - y0) * (x1 - x0)).tolist()),
        pixel_um=pixel_um,
        centroid_um=centroid,
        area_um2=((y1 - y0) * (x1 - x0)) * pixel_um[0] * pixel_um[1],
        z_um=np.zeros(count),
        thickness_um=np.full(count, np.nan),
        focus=np.full(count, np.nan),
        flags=np.zeros(count, np.int64),
        shape_px=shape_px,
    )
