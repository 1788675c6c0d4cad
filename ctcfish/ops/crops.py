"""Small windows around many places at once."""

from __future__ import annotations

import torch
from torch import Tensor


def crops(stack: Tensor, centres: Tensor, half: tuple[int, int, int]) -> tuple[Tensor, Tensor]:
    """Cut a window around every centre.

    Parameters
    ----------
    stack : Tensor, (Z, Y, X)
    centres : Tensor of int64, (N, 3)
        ``(z, y, x)`` inside the stack.
    half : tuple of int
        Half sizes ``(z, y, x)``; a window has ``2 h + 1`` voxels along each axis.

    Returns
    -------
    values : Tensor like stack, (N, Dz, Dy, Dx)
        Outside the stack the nearest voxel is repeated.
    inside : Tensor of bool, (N, Dz, Dy, Dx)
        False where the window leaves the stack.
    """
    index, valid = [], []
    for axis, h in enumerate(half):
        steps = torch.arange(-h, h + 1, device=stack.device)
        place = centres[:, axis, None] + steps
        held = place.clamp(0, stack.shape[axis] - 1)
        index.append(held)
        valid.append(held == place)
    values = stack[index[0][:, :, None, None], index[1][:, None, :, None], index[2][:, None, None, :]]
    inside = valid[0][:, :, None, None] & valid[1][:, None, :, None] & valid[2][:, None, None, :]
    return values, inside
