"""Local maxima of a stack: a voxel not smaller than its 26 (in one plane 8) neighbours and above a floor."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor

_SQUARE = np.ones((3, 3), np.uint8)


def local_maxima(response: Tensor, floor: float) -> Tensor:
    """Places of local maxima above a floor.

    Parameters
    ----------
    response : Tensor of float32, (Z, Y, X)
    floor : float
        Values at or below are no maxima.

    Returns
    -------
    Tensor of int64, (N, 3)
        Indices ``(z, y, x)`` in the order of memory; no rows where there is none. Equal neighbours are all maxima.
    """
    if response.device.type == "cpu":
        return _maxima_opencv(response, floor)
    return maxima_torch(response, floor)


def _maxima_opencv(response: Tensor, floor: float) -> Tensor:
    values = response.numpy()
    planes = len(values)
    tops = [np.empty(values.shape[1:], np.float32) for _ in range(min(planes, 3))]
    cv2.dilate(values[0], _SQUARE, dst=tops[0])
    found = []
    for z in range(planes):
        if z + 1 < planes:
            cv2.dilate(values[z + 1], _SQUARE, dst=tops[(z + 1) % 3])
        mask = cv2.compare(values[z], tops[z % 3], cv2.CMP_GE)
        cv2.bitwise_and(mask, (values[z] > floor).view(np.uint8), dst=mask)
        places = cv2.findNonZero(mask)
        if places is None:
            continue
        x, y = places.reshape(-1, 2).T
        height = values[z][y, x]
        keep = np.ones(len(x), bool)
        for neighbour in (z - 1, z + 1):
            if 0 <= neighbour < planes:
                keep &= height >= tops[neighbour % 3][y, x]
        found.append(np.stack([np.full(keep.sum(), z), y[keep], x[keep]], 1))
    if not found:
        return torch.empty(0, 3, dtype=torch.int64)
    return torch.from_numpy(np.concatenate(found).astype(np.int64))


def maxima_torch(response: Tensor, floor: float) -> Tensor:
    """:func:`local_maxima` in plain torch, on any device: the maximum of shifted copies, axis by axis."""
    top = response
    for axis in range(3):
        length = response.shape[axis]
        if length == 1:
            continue
        raised = top.clone()
        lower, upper = top.narrow(axis, 0, length - 1), top.narrow(axis, 1, length - 1)
        ahead, behind = raised.narrow(axis, 0, length - 1), raised.narrow(axis, 1, length - 1)
        torch.maximum(ahead, upper, out=ahead)
        torch.maximum(behind, lower, out=behind)
        top = raised
    return ((response >= top) & (response > floor)).nonzero()
