"""Signals that lie in two nuclei, or may: one nucleus lies on another there, and light does not say whose they are."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ctcfish.flags import CellFlag
from ctcfish.stages.signals.inside import in_boxes
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
    under = np.where(overlapping[:, None], np.ceil(_UNDER_UM / pixel).astype(int), 0)
    box = nuclei.box_px + np.concatenate([-under, under], 1)
    rows, near_of = in_boxes(place, box)
    foreign = (label[near_of] > 0) & (label[near_of] != nuclei.label[rows])
    rows, near_of = rows[foreign], near_of[foreign]
    for row in np.unique(rows).tolist():
        near, reach, (y0, x0, _, _) = near_of[rows == row], under[row], box[row]
        mask = np.pad(nuclei.mask(row), ((reach[0], reach[0]), (reach[1], reach[1])))
        away = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) * pixel.max()
        distance = away[place[near, 0] - y0, place[near, 1] - x0]
        result[near] |= distance <= np.where(piled[near], reach[0] * pixel[0], 0.0)
    return result
