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
    order = np.argsort(place_px[:, 0], kind="stable")
    y, x = place_px[order].T
    first, last = (np.searchsorted(y, nuclei.box_px[:, k]) for k in (0, 2))
    beside = last - first  # places in the rows of each nucleus
    row = np.repeat(np.arange(len(nuclei)), beside)
    place = np.arange(len(row)) - np.repeat(beside.cumsum() - beside - first, beside)
    within = (x[place] >= nuclei.box_px[row, 1]) & (x[place] < nuclei.box_px[row, 3])
    row, place = row[within], place[within]
    y0, x0, _, x1 = nuclei.box_px[row].astype(np.int64).T
    bit = (y[place] - y0) * (x1 - x0) + x[place] - x0
    start = np.cumsum([0, *(len(mask) for mask in nuclei.packed)])
    masks = np.frombuffer(b"".join(nuclei.packed), np.uint8)
    held = (masks[start[row] + bit // 8] << (bit % 8)) & 128 > 0
    result = np.zeros(len(place_px), np.int64)
    result[order[place[held]]] = nuclei.label[row[held]]
    return result


def nucleus_at(position_um: NDArray[np.float64], pixel_um: NDArray[np.float64], nuclei: Nuclei) -> NDArray[np.int64]:
    """Nucleus at each place ``(z, y, x)`` (N, 3), that of the nearest pixel; 0 outside."""
    place = np.rint(position_um[:, 1:] / pixel_um).astype(np.int64)
    return label_at(np.clip(place, 0, np.array(nuclei.shape_px) - 1), nuclei)
