"""What the nucleus network is asked to draw: foreground, and the offset to the centroid."""

import numpy as np
from numpy.typing import NDArray

from ctcfish.nets.architecture import OFFSET_UNIT_PX


def draw_targets(labels: NDArray[np.int32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Draw the target maps of a label image.

    Parameters
    ----------
    labels : ndarray of int32, shape (Y, X)
        0 is background, each nucleus has its own number.

    Returns
    -------
    targets : ndarray of float32, shape (3, Y, X)
        Foreground 0/1; offset to the centroid along y and x in `OFFSET_UNIT_PX`, 0 outside.
    weights : ndarray of float32, shape (Y, X)
        Weight of a pixel's offset: 0 outside, and a nucleus counts by the square root of its area.
    """
    flat = labels.ravel()
    number = int(flat.max()) + 1
    area: NDArray[np.float32] = np.asarray(np.maximum(np.bincount(flat, minlength=number), 1), np.float32)
    at: NDArray[np.float32] = np.indices(labels.shape, np.float32)
    offset_y = _centroid(at[0], flat, area)[labels] - at[0]
    offset_x = _centroid(at[1], flat, area)[labels] - at[1]
    inside = (labels > 0).astype(np.float32)
    weight = inside * (15.0 / np.sqrt(area))[labels]
    unit = inside / np.float32(OFFSET_UNIT_PX)
    targets = np.stack([inside, offset_y * unit, offset_x * unit])
    return targets.astype(np.float32), weight.astype(np.float32)


def _centroid(at: NDArray[np.float32], flat: NDArray[np.int32], area: NDArray[np.float32]) -> NDArray[np.float32]:
    return (np.bincount(flat, at.ravel(), minlength=len(area)) / area).astype(np.float32)
