"""Local maxima of a stack: a voxel not smaller than its 26 (in one plane 8) neighbours and above a floor."""

from __future__ import annotations

import torch
from torch import Tensor


def local_maxima(response: Tensor, floor: float) -> Tensor:
    """Places of local maxima above a floor, by the maximum of shifted copies, axis by axis.

    Parameters
    ----------
    response : Tensor of float32, (Z, Y, X)
    floor : float
        Values at or below are no maxima.

    Returns
    -------
    Tensor of int64, (N, 3)
        Indices ``(z, y, x)`` in the order of memory; no rows where there is none. Equal neighbours are all maxima.

    Examples
    --------
    >>> local_maxima(torch.tensor([[[0.0, 3.0, 1.0, 2.0]]]), 1.0).tolist()
    [[0, 0, 1], [0, 0, 3]]
    """
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
