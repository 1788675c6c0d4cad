"""Hot pixels taken out of a stack before signals are fitted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ctcfish.stages.signals.camera import Camera

_STANDS_OUT = 4.0


def without_hot_pixels(stack: NDArray[np.generic], places_px: Tensor, camera: Camera) -> NDArray[np.generic]:
    """Replace hot pixels by the mean of their four neighbours, in every plane in which they stand out.

    Parameters
    ----------
    stack : ndarray, (Z, Y, X)
    places_px : Tensor of int64, (N, 3)
        Where hot pixels were seen; a sensor's hot pixel is hot in other planes too.
    camera : Camera

    Returns
    -------
    ndarray, (Z, Y, X)
        A copy where there are any, else the stack itself.
    """
    columns = np.unique(places_px[:, 1:].cpu().numpy(), axis=0)
    if not len(columns):
        return stack
    y, x = columns.T
    height, width = stack.shape[1:]
    ring = [
        (np.abs(y - 1), x),
        (y - 2 * (y == height - 1) + 1, x),
        (y, np.abs(x - 1)),
        (y, x - 2 * (x == width - 1) + 1),
    ]
    values = stack[:, y, x].astype(np.float64)
    sides = np.mean([stack[:, a, b].astype(np.float64) for a, b in ring], axis=0)
    light = np.maximum((sides - camera.offset_adu) / camera.gain_adu_per_photon, 0.05) + camera.read_variance
    hot = values - sides > _STANDS_OUT * np.sqrt(1.25 * light) * camera.gain_adu_per_photon
    repaired = stack.copy()
    repaired[:, y, x] = np.where(hot, sides, values).astype(stack.dtype)
    return repaired
