"""Small neighbourhoods of many places at once; outside the image the nearest voxel is repeated."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ctcfish.ops.compiled import planes as compiled


def patches(stack: Tensor, centres: Tensor, half: int) -> Tensor:
    """Cut the neighbourhood of every place in its plane.

    A patch is copied row by row, as runs of memory: many times faster than by the index of every pixel. On a CPU a
    kernel does it.

    Parameters
    ----------
    stack : Tensor of float32, (Z, Y, X)
    centres : Tensor of int64, (N, 3)
        ``(z, y, x)`` inside the stack.
    half : int
        A patch has ``2 half + 1`` pixels a side.

    Returns
    -------
    Tensor like stack, (N, D, D)
    """
    side = 2 * half + 1
    if stack.device.type == "cpu":
        out = np.empty((len(centres), side, side), np.float32)
        compiled.cut(stack.numpy(), centres.numpy(), out)
        return torch.from_numpy(out)
    if stack.shape[2] < side:
        last = stack[:, :, -1:].expand(-1, -1, side - stack.shape[2])
        stack = torch.cat([stack, last], 2)
    height, width = stack.shape[1:]
    step = torch.arange(-half, half + 1, device=stack.device)
    z, y, x = centres.unbind(1)
    rows = (y[:, None] + step).clamp(0, height - 1) + z[:, None] * height
    left = (x - half).clamp(0, width - side)
    runs = stack.flatten().unfold(0, side, 1)
    picked = runs.index_select(0, (rows * width + left[:, None]).flatten()).view(-1, side, side)
    cut = (left != x - half).nonzero()[:, 0]
    if len(cut):
        columns = (x[cut, None] + step).clamp(0, width - 1) - left[cut, None]
        picked[cut] = picked[cut].gather(2, columns[:, None].expand(-1, side, -1))
    return picked
