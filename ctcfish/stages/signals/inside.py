"""In which nucleus a place lies, asked of the outlines: no label image is painted for it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ctcfish.types import Nuclei


def label_at(place_px: NDArray[np.int64], nuclei: Nuclei) -> NDArray[np.int64]:
    """Nucleus at each pixel, as :meth:`ctcfish.types.Nuclei.paint` has it: of nuclei that overlap the last.

    Parameters
    ----------
    place_px : ndarray of int64, (N, 2)
        ``(y, x)`` in the scene.
    nuclei : Nuclei

    Returns
    -------
    ndarray of int64, (N,)
        Labels; 0 outside every nucleus.
    """
    row, place = in_boxes(place_px, nuclei.box_px)
    y0, x0, _, x1 = nuclei.box_px[row].astype(np.int64).T
    bit = (place_px[place, 0] - y0) * (x1 - x0) + place_px[place, 1] - x0
    start = np.cumsum([0, *(len(mask) for mask in nuclei.packed)])
    masks = np.frombuffer(b"".join(nuclei.packed), np.uint8)
    held = (masks[start[row] + bit // 8] << (bit % 8)) & 128 > 0
    result = np.zeros(len(place_px), np.int64)
    result[place[held]] = nuclei.label[row[held]]
    return result


def in_boxes(place_px: NDArray[np.int64], box_px: NDArray[np.integer]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of a box and a place inside it.

    Parameters
    ----------
    place_px : ndarray of int64, (N, 2)
        ``(y, x)``.
    box_px : ndarray of int, (K, 4)
        ``(y0, x0, y1, x1)``, half open.

    Returns
    -------
    box, place : ndarray of int64, (M,)
        Rows of both; boxes ascending.
    """
    order = np.argsort(place_px[:, 0], kind="stable")
    y, x = place_px[order].T
    first, last = (np.searchsorted(y, box_px[:, k]) for k in (0, 2))
    beside = last - first  # places in the rows of each box
    box = np.repeat(np.arange(len(box_px)), beside)
    place = np.arange(len(box)) - np.repeat(beside.cumsum() - beside - first, beside)
    within = (x[place] >= box_px[box, 1]) & (x[place] < box_px[box, 3])
    return box[within], order[place[within]]


def nucleus_at(position_um: NDArray[np.float64], pixel_um: NDArray[np.float64], nuclei: Nuclei) -> NDArray[np.int64]:
    """Nucleus at each place ``(z, y, x)`` (N, 3), that of the nearest pixel; 0 outside."""
    place = np.rint(position_um[:, 1:] / pixel_um).astype(np.int64)
    return label_at(np.clip(place, 0, np.array(nuclei.shape_px) - 1), nuclei)
