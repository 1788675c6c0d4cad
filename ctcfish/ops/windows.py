"""Windows of one size cut out around many places at once."""

from __future__ import annotations

import torch
from torch import Tensor


def cut_windows(stack: Tensor, centres_px: Tensor, half: tuple[int, int, int]) -> tuple[Tensor, Tensor]:
    """Cut a window around every place.

    Parameters
    ----------
    stack : Tensor, (Z, Y, X)
    centres_px : Tensor of int64, (N, 3)
        Places z, y, x; a window has ``2 half + 1`` voxels along each axis.
    half : tuple of int
        Half sizes z, y, x.

    Returns
    -------
    windows : Tensor, (N, Dz, Dy, Dx)
        In the dtype of ``stack``; outside of it the nearest voxel is repeated.
    inside : Tensor of bool, (N, Dz, Dy, Dx)
        False where the window leaves the stack.

    Examples
    --------
    >>> windows, inside = cut_windows(torch.arange(12).view(1, 3, 4), torch.tensor([[0, 0, 2]]), (0, 1, 1))
    >>> windows[0, 0].tolist()
    [[1, 2, 3], [1, 2, 3], [5, 6, 7]]
    >>> inside[0, 0, :, 0].tolist()
    [False, True, True]
    """
    index, valid = [], []
    for axis, reach in enumerate(half):
        place = centres_px[:, axis, None] + torch.arange(-reach, reach + 1, device=stack.device)
        held = place.clamp(0, stack.shape[axis] - 1)
        index.append(held)
        valid.append(held == place)
    windows = stack[index[0][:, :, None, None], index[1][:, None, :, None], index[2][:, None, None, :]]
    inside = valid[0][:, :, None, None] & valid[1][:, None, :, None] & valid[2][:, None, None, :]
    return windows, inside
