"""Nuclei in the light of their DNA: outlines as seen from above, and the stack a widefield microscope makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ctcfish.synth.blur import photograph_layers
from ctcfish.synth.nucleus import Shape, chromatin, density, mask
from ctcfish.synth.optics import Lens
from ctcfish.synth.population import Cell, Scrap, generator
from ctcfish.synth.spec import FishScan, SlideSpec

_COARSE_UM = 0.2
_MARGIN_UM = 6.0
_THICKNESS_UM = 2.5
"""Thickness of DNA, texture and rim allowed for, at which a nucleus has its nominal brightness in widefield."""


@dataclass(frozen=True)
class Window:
    """Pixels around a cell, clipped to the image.

    Attributes
    ----------
    rows, columns : slice
    dy_um, dx_um : ndarray of float64, (Y, X)
        Offset of each pixel from the cell's centre.
    cut_px : tuple of int
        Rows and columns that were clipped off before the first ones.
    side_px : tuple of int
        Size before clipping.
    """

    rows: slice
    columns: slice
    dy_um: NDArray[np.float64]
    dx_um: NDArray[np.float64]
    cut_px: tuple[int, int]
    side_px: tuple[int, int]


def window(centre_um: tuple[float, float], reach_um: float, pixel_um: float, shape_px: tuple[int, int]) -> Window:
    """Pixels within reach of a place, given from the image's first pixel centre."""
    spans, offsets, cuts = [], [], []
    side = 2 * int(np.ceil(reach_um / pixel_um)) + 3
    for place, length in zip(centre_um, shape_px, strict=True):
        first = round(place / pixel_um) - side // 2
        low, high = min(max(0, first), length), min(max(0, first + side), length)
        spans.append(slice(low, high))
        offsets.append(np.arange(low, high) * pixel_um - place)
        cuts.append(low - first)
    dy, dx = np.broadcast_arrays(offsets[0][:, None], offsets[1])
    return Window(spans[0], spans[1], dy, dx, (cuts[0], cuts[1]), (side, side))


def paint(
    cells: Sequence[Cell], origin_um: tuple[float, float], scan: FishScan
) -> tuple[NDArray[np.int32], list[Cell], list[float]]:
    """Outlines of a field.

    Parameters
    ----------
    cells : sequence of Cell
    origin_um : tuple of float
        First pixel centre of the field on the slide.
    scan : FishScan

    Returns
    -------
    labels : ndarray of int32, (Y, X)
        Place in the list of shown cells + 1; the upper of two holds the ground.
    shown : list of Cell
        Those of which something lies in the field.
    areas : list of float
        Projected area in the field, um2, hidden parts included.
    """
    labels = np.zeros(scan.shape_px, np.int32)
    shown, areas, outlines = [], [], []
    for cell in cells:
        seen = window(_inside(cell, origin_um), cell.shape.reach_um, scan.pixel_um, scan.shape_px)
        inside = mask(cell.shape, seen.dy_um, seen.dx_um)
        if inside.any():
            shown.append(cell)
            areas.append(float(inside.sum()) * scan.pixel_um**2)
            outlines.append((seen, inside))
    for index in sorted(range(len(shown)), key=lambda i: shown[i].zyx_um[0]):
        seen, inside = outlines[index]
        labels[seen.rows, seen.columns][inside] = index + 1
    return labels, shown, areas


def _inside(cell: Cell, origin_um: tuple[float, float]) -> tuple[float, float]:
    return cell.zyx_um[1] - origin_um[0], cell.zyx_um[2] - origin_um[1]


def reaches(yx_um: tuple[float, float], reach_um: float, origin_um: tuple[float, float], scan: FishScan) -> bool:
    """Whether something of that size could shine into the field."""
    return all(
        -reach_um - _MARGIN_UM < place - start < side * scan.pixel_um + reach_um + _MARGIN_UM
        for place, start, side in zip(yx_um, origin_um, scan.shape_px, strict=True)
    )


def photograph_nuclei(
    spec: SlideSpec, cells: Sequence[Cell], scraps: Sequence[Scrap], origin_um: tuple[float, float]
) -> NDArray[np.float32]:
    """DNA of a field seen through the lens.

    Returns
    -------
    ndarray of float32, (Z, Y, X)
        About 1 in a nucleus of ordinary thickness in focus.
    """
    scan = spec.fish
    step, factor = scan.z_step_um, max(1, round(_COARSE_UM / scan.pixel_um))
    coarse_um = factor * scan.pixel_um
    pad = int(np.ceil(_MARGIN_UM / coarse_um))
    height, width = (-(-side // factor) + 2 * pad for side in scan.shape_px)
    # a coarse pixel's centre is the mean of the fine ones it covers
    start = [o - pad * coarse_um + (factor - 1) / 2 * scan.pixel_um for o in origin_um]
    bodies = [(c.shape, c.zyx_um, c.number) for c in cells] + [(s.shape, s.zyx_um, -s.number) for s in scraps]
    layer_z = _layers(bodies, step)
    layers = np.zeros((len(layer_z), height, width), np.float32)
    for shape, (z, y, x), number in bodies:
        seen = window((y - start[0], x - start[1]), shape.reach_um, coarse_um, (height, width))
        body = density(shape, layer_z - z, seen.dy_um, seen.dx_um)
        filled = np.flatnonzero(body.any(axis=(1, 2)))
        if not len(filled):
            continue
        low, high = int(filled[0]), int(filled[-1]) + 1
        rng = generator(spec, "texture", abs(number) * 2 + (number < 0))
        grain = chromatin((high - low, *seen.side_px), (step, coarse_um), rng)
        top, left = seen.cut_px
        rows, columns = body.shape[1:]
        body[low:high] *= grain[:, top : top + rows, left : left + columns]
        layers[:, seen.rows, seen.columns] += body
    lens = Lens(scan.na, scan.immersion_index, scan.emission_nm[0] / 1000.0)
    planes = np.arange(scan.planes) * step
    image = photograph_layers(layers * np.float32(step / _THICKNESS_UM), layer_z, planes, lens, coarse_um)
    return enlarge(image[:, pad:-pad, pad:-pad], factor, scan.shape_px)


def _layers(bodies: Sequence[tuple[Shape, tuple[float, float, float], int]], step_um: float) -> NDArray[np.float64]:
    """Layers that hold every body, on the planes' own grid."""
    reach = [
        (zyx[0], max(shape.thickness_um / 2, float(shape.balls[:, 3].max(initial=0)) * 2)) for shape, zyx, _ in bodies
    ]
    lowest = min((z - r for z, r in reach), default=0.0)
    highest = max((z + r for z, r in reach), default=0.0)
    return np.asarray(np.arange(np.floor(lowest / step_um) - 1, np.ceil(highest / step_um) + 2) * step_um)


def enlarge(image: NDArray[np.floating], factor: int, shape_px: tuple[int, int]) -> NDArray[np.float32]:
    """Bring coarse planes ``(Z, Y, X)`` to the camera's pixels, smoothly, not below 0."""
    wide = (image.shape[2] * factor, image.shape[1] * factor)
    result = np.empty((len(image), *shape_px), np.float32)
    for plane, coarse in enumerate(image):
        result[plane] = cv2.resize(coarse, wide, interpolation=cv2.INTER_CUBIC)[: shape_px[0], : shape_px[1]]
    return np.maximum(result, 0, out=result)
