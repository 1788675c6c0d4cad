"""Signals that lie in two nuclei, or may: one nucleus lies on another there, and light does not say whose they are."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ctcfish.flags import CellFlag
from ctcfish.types import Nuclei

_UNDER_UM = 1.0  # how far an outline runs on under the nucleus that holds the ground


def in_two_nuclei(position_um: NDArray[np.float64], label: NDArray[np.int64], nuclei: Nuclei) -> NDArray[np.bool_]:
    """Signals inside the outline of a nucleus other than their own.

    Of two nuclei that overlap the outlines share the ground between them, and either runs on under the other for a
    way unseen: there a signal within that way of the other outline lies in both.

    Parameters
    ----------
    position_um : ndarray, (N, 3)
    label : ndarray of int64, (N,)
        Nucleus of each signal; 0 outside.
    nuclei : Nuclei

    Returns
    -------
    ndarray of bool, (N,)
    """
    result = np.zeros(len(label), bool)
    pixel = np.array(nuclei.pixel_um)
    place = np.rint(position_um[:, 1:] / pixel).astype(np.int64)
    overlapping = (nuclei.flags & int(CellFlag.OVERLAP)) != 0
    piled = np.isin(label, nuclei.label[overlapping])
    order = np.argsort(place[:, 0], kind="stable")
    rows_of = place[order, 0]
    for row in range(len(nuclei)):
        reach = np.ceil(_UNDER_UM / pixel).astype(int) if overlapping[row] else np.zeros(2, int)
        y0, x0, y1, x1 = (nuclei.box_px[row] + np.array([-reach[0], -reach[1], reach[0], reach[1]])).tolist()
        near = order[np.searchsorted(rows_of, y0) : np.searchsorted(rows_of, y1)]
        near = near[(place[near, 1] >= x0) & (place[near, 1] < x1)]
        near = near[(label[near] > 0) & (label[near] != nuclei.label[row])]
        if not len(near):
            continue
        mask = np.pad(nuclei.mask(row), ((reach[0], reach[0]), (reach[1], reach[1])))
        away = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) * pixel.max()
        distance = away[place[near, 0] - y0, place[near, 1] - x0]
        result[near] |= distance <= np.where(piled[near], reach[0] * pixel[0], 0.0)
    return result
