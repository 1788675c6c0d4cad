"""Signals whose core the camera or the export clipped: their brightness is a lower bound."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_PLATEAU = 3  # pixels of one core at the image's highest value, where that is no camera's full scale
_SHARED = 10  # pixels of all cores at it: noise does not end so often at one value
_FULL_SCALES = tuple(2**bits - 1 for bits in range(8, 17))


def saturated(
    stack: NDArray[np.generic],
    position_um: NDArray[np.float64],
    step_um: NDArray[np.float64],
    sigma_um: tuple[float, float],
) -> NDArray[np.bool_]:
    """Whether a signal's core holds clipped pixels.

    A camera clips at its full scale, one pixel of which is enough; a value that no camera ends at (after an offset
    was taken away, or a rescaling) is a clip where it is the image's highest and several cores, or a plateau in one,
    reach it.

    Parameters
    ----------
    stack : ndarray, (Z, Y, X)
        Camera numbers of any type.
    position_um : ndarray, (N, 3)
    step_um : ndarray, (3,)
        Size of a voxel.
    sigma_um : tuple of float
        Width ``(z, xy)`` of a signal: the core reaches so far.

    Returns
    -------
    ndarray of bool, (N,)
    """
    if not len(position_um):
        return np.zeros(0, bool)
    highest = stack.max()
    half = np.maximum(np.rint(np.array([sigma_um[0], sigma_um[1], sigma_um[1]]) / step_um), 1).astype(int)
    place = np.rint(position_um / step_um).astype(int)
    seen, held = [], []
    for axis in range(3):
        wanted = place[:, axis, None] + np.arange(-half[axis], half[axis] + 1)
        seen.append(np.clip(wanted, 0, stack.shape[axis] - 1))
        held.append(seen[axis] == wanted)
    z, y, x = seen
    core = stack[z[:, :, None, None], y[:, None, :, None], x[:, None, None, :]] == highest
    core &= held[0][:, :, None, None] & held[1][:, None, :, None] & held[2][:, None, None, :]
    row, *at = core.nonzero()
    pixels = np.ravel_multi_index((z[row, at[0]], y[row, at[1]], x[row, at[2]]), stack.shape)
    clip = float(highest) in _FULL_SCALES or len(np.unique(pixels)) >= _SHARED
    # a hot pixel is hot in every plane: counted once
    return np.asarray(core.any(axis=1).sum(axis=(1, 2)) >= (1 if clip else _PLATEAU))
