"""Small neighbourhoods of many places at once; outside the image the nearest voxel is repeated."""

from __future__ import annotations

import torch
from torch import Tensor


def patches(stack: Tensor, centres: Tensor, half: int) -> Tensor:
    """Cut the neighbourhood of every place in its plane.

    Parameters
    ----------
    stack : Tensor, (Z, Y, X)
    centres : Tensor of int64, (N, 3)
        ``(z, y, x)`` inside the stack.
    half : int
        A patch has ``2 half + 1`` pixels a side.

    Returns
    -------
    Tensor like stack, (N, D, D)
    """
    step = torch.arange(-half, half + 1, device=stack.device)
    rows = (centres[:, 1, None] + step).clamp(0, stack.shape[1] - 1)
    columns = (centres[:, 2, None] + step).clamp(0, stack.shape[2] - 1)
    return stack[centres[:, 0, None, None], rows[:, :, None], columns[:, None, :]]
