"""Label images as tables of outlines, and outlines brought from a coarse image to full resolution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ctcfish.stages.nuclei.regions import Labels
from ctcfish.types import Nuclei

_SMOOTH_PX = 0.8
_MARGIN_PX = 2


def from_labels(labels: NDArray[Any], pixel_um: tuple[float, float]) -> Nuclei:
    """Turn a label image into a table of outlines.

    Parameters
    ----------
    labels : ndarray of int, (Y, X)
        0 is background; labels need not be consecutive, their order is kept.
    pixel_um : tuple of float
        ``(y, x)``.

    Returns
    -------
    Nuclei
        Focal plane 0, thickness and focus not known (NaN), no flags.
    """
    return outline_table(labels, pixel_um)[0]


def outline_table(labels: NDArray[Any], pixel_um: tuple[float, float]) -> tuple[Nuclei, NDArray[np.int64]]:
    """As :func:`from_labels`, and the label that each nucleus had in the image."""
    number, boxes = _boxes(labels)
    count = len(number)
    corners = np.empty((count, 4), np.int32)
    centroid = np.empty((count, 2))
    area = np.empty(count)
    packed = []
    for row, (rows, columns) in enumerate(boxes):
        mask = labels[rows, columns] == number[row]
        along_y, along_x = np.count_nonzero(mask, axis=1), np.count_nonzero(mask, axis=0)
        area[row] = total = along_y.sum()
        centroid[row, 0] = rows.start + along_y @ np.arange(len(along_y)) / total
        centroid[row, 1] = columns.start + along_x @ np.arange(len(along_x)) / total
        corners[row] = rows.start, columns.start, rows.stop, columns.stop
        packed.append(np.packbits(mask).tobytes())
    nuclei = Nuclei(
        label=np.arange(1, count + 1, dtype=np.int32),
        box_px=corners,
        packed=tuple(packed),
        pixel_um=pixel_um,
        centroid_um=centroid * np.asarray(pixel_um),
        area_um2=area * pixel_um[0] * pixel_um[1],
        z_um=np.zeros(count),
        thickness_um=np.full(count, np.nan),
        focus=np.full(count, np.nan),
        flags=np.zeros(count, np.int64),
        shape_px=(labels.shape[0], labels.shape[1]),
    )
    return nuclei, number


def _boxes(labels: NDArray[Any]) -> tuple[NDArray[np.int64], list[tuple[slice, slice]]]:
    """Labels present, ascending, and the box around each."""
    highest = int(labels.max(initial=0))
    if highest <= 0:
        return np.zeros(0, np.int64), []
    if highest <= max(labels.size, 1 << 16):
        found = ndimage.find_objects(labels, max_label=highest)
        number = np.array([k for k, box in enumerate(found, start=1) if box is not None], np.int64)
        return number, [box for box in found if box is not None]
    # Hashes and the like: numbered first, for a table by label would not fit.
    present, inverse = np.unique(labels, return_inverse=True)
    number, boxes = _boxes(inverse.reshape(labels.shape) + 1)
    wanted = present[number - 1] > 0
    return present[number - 1][wanted].astype(np.int64), [box for box, w in zip(boxes, wanted, strict=True) if w]


def assemble(parts: Sequence[Nuclei]) -> Nuclei:
    """Join nuclei of several tiles of one scene, numbered from 1 in the order given.

    Parameters
    ----------
    parts : sequence of Nuclei
        At least one; boxes in scene pixels.

    Returns
    -------
    Nuclei
    """
    if len(parts) == 1:
        return parts[0]
    return Nuclei(
        label=np.arange(1, sum(map(len, parts)) + 1, dtype=np.int32),
        box_px=np.concatenate([part.box_px for part in parts]),
        packed=tuple(chain.from_iterable(part.packed for part in parts)),
        pixel_um=parts[0].pixel_um,
        centroid_um=np.concatenate([part.centroid_um for part in parts]),
        area_um2=np.concatenate([part.area_um2 for part in parts]),
        z_um=np.concatenate([part.z_um for part in parts]),
        thickness_um=np.concatenate([part.thickness_um for part in parts]),
        focus=np.concatenate([part.focus for part in parts]),
        flags=np.concatenate([part.flags for part in parts]),
        shape_px=parts[0].shape_px,
    )


def shifted(nuclei: Nuclei, corner_px: tuple[int, int], shape_px: tuple[int, int]) -> Nuclei:
    """Nuclei of a window as nuclei of the scene that holds it; `corner_px` is the window's first pixel."""
    y, x = corner_px
    return replace(
        nuclei,
        box_px=nuclei.box_px + np.array([y, x, y, x], np.int32),
        centroid_um=nuclei.centroid_um + np.array(corner_px) * np.array(nuclei.pixel_um),
        shape_px=shape_px,
    )


def enlarge(labels: Labels, shape: tuple[int, int], scale: tuple[float, float]) -> Labels:
    """Bring labels of a coarse image to full resolution with smooth outlines.

    Each pixel goes to the label, or to the background, whose smoothed coarse mask is highest there: an outline becomes
    a level line instead of stairs, and nuclei that touch still touch.

    Parameters
    ----------
    labels : ndarray of int32, (y, x)
        Consecutive from 1.
    shape : tuple of int
        ``(Y, X)`` of the full image.
    scale : tuple of float
        Full pixels per coarse pixel, ``(y, x)``; both images begin at the same corner.

    Returns
    -------
    ndarray of int32, (Y, X)
    """
    if scale == (1.0, 1.0) and labels.shape == shape:
        return labels
    result = np.zeros(shape, np.int32)
    if labels.size == 0 or not labels.any():
        return result
    best = _sample((labels == 0).astype(np.uint8), (0, 0), (0, 0, *shape), scale)
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is None:
            continue
        low = [max(0, part.start - _MARGIN_PX) for part in box]
        high = [min(side, part.stop + _MARGIN_PX) for part, side in zip(box, labels.shape, strict=True)]
        y0, x0 = (int(at * step) for at, step in zip(low, scale, strict=True))
        y1, x1 = (
            side if at == coarse else min(side, int(np.ceil(at * step)))
            for at, step, side, coarse in zip(high, scale, shape, labels.shape, strict=True)
        )
        mask = (labels[low[0] : high[0], low[1] : high[1]] == number).astype(np.uint8)
        score = _sample(mask, (low[0], low[1]), (y0, x0, y1, x1), scale)
        window = best[y0:y1, x0:x1]
        wins = score > window
        window[wins] = score[wins]
        result[y0:y1, x0:x1][wins] = number
    return result


def _sample(
    mask: NDArray[np.uint8], corner: tuple[int, int], box: tuple[int, int, int, int], scale: tuple[float, float]
) -> NDArray[np.uint8]:
    """Smoothed coarse mask (0 to 255) at the full pixels of a box; `corner` is the mask's place in the coarse image."""
    smooth = cv2.GaussianBlur(mask * 255, (0, 0), _SMOOTH_PX, borderType=cv2.BORDER_REPLICATE)
    (sy, sx), (y0, x0, y1, x1) = scale, box
    matrix = np.array(
        [[1 / sx, 0, (x0 + 0.5) / sx - 0.5 - corner[1]], [0, 1 / sy, (y0 + 0.5) / sy - 0.5 - corner[0]]], np.float64
    )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    sampled = cv2.warpAffine(smooth, matrix, (x1 - x0, y1 - y0), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(sampled, np.uint8).reshape(y1 - y0, x1 - x0)
