"""Pieces of dying nuclei gathered, so that they make one row and not none."""

from __future__ import annotations

import cv2
import numpy as np
from scipy import ndimage

from ctcfish.stages.nuclei.regions import Labels, keep, quantiles, surroundings
from ctcfish.stages.nuclei.surface import Floats, above_background

_CLEAR_UM = 0.6
_BRIDGE_UM = 0.9
_LEVEL = 0.6
_PEAK, _LONE_PEAK = 1.0, 1.2
_SMALLEST_UM2, _LARGEST_UM2 = 2.0, 30.0
_WIDEST_UM = 12.0


def gather(image: Floats, labels: Labels, pixel_um: float) -> Labels:
    """Add groups of small bright pieces that no nucleus holds as labels of their own.

    Pieces less than 1.8 um apart are one group; a group has 2 to 30 um2 of them within 12 um and is as bright as this
    scene's nuclei, or a fifth brighter where it is a single piece.

    Parameters
    ----------
    image : ndarray of float32, (Y, X)
    labels : ndarray of int32, (Y, X)
        Consecutive from 1.
    pixel_um : float

    Returns
    -------
    ndarray of int32, (Y, X)
        The same labels, and the groups numbered on from them.
    """
    count = int(labels.max(initial=0))
    if count == 0:
        return labels
    signal = above_background(image, pixel_um)
    usual = float(np.median(quantiles(signal, labels, count, (0.75,))[0]))
    bright = (signal > _LEVEL * usual) & (surroundings(labels).away_px > _CLEAR_UM / pixel_um)
    if usual <= 0 or not bright.any():
        return labels
    reach = 2 * round(_BRIDGE_UM / pixel_um) + 1
    joined = cv2.dilate(bright.astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach)))
    groups, found = ndimage.label(np.asarray(joined).reshape(labels.shape), structure=np.ones((3, 3), int))
    pieces = np.where(bright, groups, 0).astype(np.int32)
    area = np.bincount(pieces.ravel(), minlength=found + 1) * pixel_um**2
    peak = np.append(0.0, quantiles(signal, pieces, found, (0.95,))[0])
    width = np.array([0.0] + [pixel_um * max(s.stop - s.start for s in box) for box in ndimage.find_objects(groups)])
    each, _ = ndimage.label(bright, structure=np.ones((3, 3), int))
    group_of_each = np.unique(np.stack([each[bright], pieces[bright]]), axis=1)[1]
    several = np.bincount(group_of_each, minlength=found + 1) > 1
    wanted = (area >= _SMALLEST_UM2) & (area <= _LARGEST_UM2) & (width <= _WIDEST_UM)
    wanted &= peak >= np.where(several, _PEAK, _LONE_PEAK) * usual
    added = keep(pieces, wanted)
    return np.where(added > 0, added + np.int32(count), labels)
