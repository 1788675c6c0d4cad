"""Photon transfer: gain and offset of a camera from the noise of its images."""

from __future__ import annotations

import itertools
import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_RESIDUAL = 1.0 / 6.0  # the mask (1,-2,1)x(1,-2,1) has squared norm 36 (Immerkaer 1996, CVIU 64:300)
_MEDIAN_OF_SQUARE = 0.45493642  # median of chi-squared with one degree of freedom
_MIN_PIXELS = 400
_PLENTY = 130_000  # pixels; of more, every second or third row and column will do: neighbours say nearly the same


def transfer_points(stack: Tensor, bins: int = 24) -> Tensor:
    """Noise variance against level, from pixels whose neighbourhood is smooth; of a large stack from a grid of them.

    The mixed fourth difference of a 3x3 neighbourhood removes whatever is smooth; the median of its square per bin of
    local level is blind to the few pixels on signals.

    Parameters
    ----------
    stack : Tensor of float32, (Z, Y, X)
        ADU.
    bins : int
        Bins between the 1st and 99th percentile of the local level, equally filled.

    Returns
    -------
    Tensor of float64, (K, 3)
        Level (ADU), variance (ADU²) and number of pixels of each bin; no rows where too few pixels are given.
    """
    every = max(1, math.isqrt(stack.numel() // _PLENTY))
    above, own, below = (stack[:, i : stack.shape[1] - 2 + i : every] for i in range(3))
    rows, sums = above - 2 * own + below, above + own + below
    residual, level = (
        (values[:, :, :-2] + share * values[:, :, 1:-1] + values[:, :, 2:])[:, :, ::every].flatten()
        for values, share in ((rows, -2.0), (sums, 1.0))
    )
    residual, level = residual * _RESIDUAL, level / 9.0
    count = len(level)
    if count < 2 * _MIN_PIXELS:
        return torch.empty(0, 3, dtype=torch.float64)
    values = level.cpu().numpy()
    order = _ascending(values)
    levels, squares = values[order], np.square(residual.cpu().numpy()[order])
    low, high = count // 100, count - count // 100
    bins = min(bins, max(2, (high - low) // _MIN_PIXELS))
    cuts = [low + (high - low) * i // bins for i in range(bins + 1)]
    out = []
    for first, last in itertools.pairwise(cuts):
        middle = (last - first - 1) // 2
        variance = np.partition(squares[first:last], middle)[middle] / _MEDIAN_OF_SQUARE
        out.append([levels[first:last].mean(dtype=np.float64), variance, last - first])
    return torch.tensor(np.array(out, np.float64))


def _ascending(values: NDArray[np.float32]) -> NDArray[np.int64]:
    """Order of float32 values, equal ones as they stand: their bits, signed alike, before their places sort fastest."""
    bits = values.view(np.int32)
    keys = (bits ^ ((bits >> 31) & 0x7FFFFFFF)).astype(np.int64) << 32
    keys += np.arange(len(values))
    keys.sort()
    return keys & 0xFFFFFFFF


def transfer_line(points: Tensor) -> tuple[float, float]:
    """Line variance = gain · (level − dark) through transfer points, robust against bins on structure.

    Iteratively re-weighted least squares; the error of a variance grows with itself.

    Parameters
    ----------
    points : Tensor of float64, (K, 3)
        As :func:`transfer_points` gives them, of one or more images.

    Returns
    -------
    gain : float
        ADU per photon; NaN where the levels do not span enough to tell.
    dark : float
        Level (ADU) at which the line reaches variance 0: offset − gain · read variance.
    """
    if len(points) < 2:
        return float("nan"), float("nan")
    level, variance, count = (points[:, i].numpy() for i in range(3))
    weight = count / np.maximum(variance, 1e-12) ** 2
    gain = dark = float("nan")
    for _ in range(20):
        weight /= weight.sum()
        mean = float(weight @ level)
        spread = float(weight @ (level - mean) ** 2)
        if not spread > 1e-12 * max(mean * mean, 1e-30):
            return float("nan"), float("nan")
        gain = float(weight @ ((level - mean) * variance)) / spread
        if not gain > 0:
            return float("nan"), float("nan")
        dark = mean - float(weight @ variance) / gain
        expected = np.maximum(gain * (level - dark), 1e-12)
        off = np.abs(variance / expected - 1.0)
        off /= max(float(np.median(off)), 1e-3)
        weight = count / expected**2 / np.maximum(1.0, off / 2.0) ** 2
    return gain, dark
