"""Windows of equal size cut out around points, all at once."""

from __future__ import annotations

import torch
from torch import Tensor


def cut_windows(image: Tensor, centres_px: Tensor, size: tuple[int, int, int]) -> tuple[Tensor, Tensor]:
    """Cut a window around every point; at a border the window is shifted inside, never padded.

    Parameters
    ----------
    image : Tensor, (Z, Y, X)
    centres_px : Tensor, (N, 3)
        Points z, y, x.
    size : tuple of int
        Wanted window (z, y, x); along an axis shorter than that, the whole axis.

    Returns
    -------
    windows : Tensor, (N, z, y, x)
        In the dtype of ``image``.
    origin_px : Tensor of int64, (N, 3)
        Pixel of ``image`` that is the window's first; a point's place in its window is ``centres_px - origin_px``.

    Examples
    --------
    >>> windows, origin = cut_windows(torch.arange(12).view(1, 3, 4), torch.tensor([[0.0, 0.2, 2.0]]), (1, 2, 3))
    >>> windows.tolist(), origin.tolist()
    ([[[[1, 2, 3], [5, 6, 7]]]], [[0, 0, 1]])
    """
    lengths = torch.tensor(image.shape, device=image.device)
    window = torch.minimum(torch.tensor(size, device=image.device), lengths)
    depth, height, width = window.tolist()
    first = torch.round(centres_px).long() - torch.div(window, 2, rounding_mode="floor")
    origin = torch.minimum(first.clamp(min=0), lengths - window)
    step_z, step_y = image.shape[1] * image.shape[2], image.shape[2]
    corner = origin[:, 0] * step_z + origin[:, 1] * step_y + origin[:, 2]
    device = image.device
    offset = (
        (torch.arange(depth, device=device) * step_z)[:, None, None]
        + (torch.arange(height, device=device) * step_y)[:, None]
        + torch.arange(width, device=device)
    )
    return image.flatten()[corner[:, None] + offset.flatten()].view(-1, depth, height, width), origin
