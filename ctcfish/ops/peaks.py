"""Peaks of the band-passed stack: filter, surround and local maxima in one pass over blocks that fit the cache.

:func:`peaks` is one signature with two paths: plain torch for any device and for blocks of a few columns, and plane by
plane on a CPU, by compiled filters and maxima, where the planes of one block stay in the cache between the steps. A
test holds that both agree.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ctcfish.ops.bands import Bands, axial_filter, band_pass
from ctcfish.ops.buffers import Buffers
from ctcfish.ops.compiled import planes as compiled
from ctcfish.ops.maxima import local_maxima

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Floor:
    """What a response must exceed: √(slope · (max(surround, least) − dark)), so many times its noise.

    Attributes
    ----------
    slope : tuple of float, (Z,)
        Of the squared response by the surround, for every plane.
    dark : float
        Surround of no noise.
    least : float
        Surround below which noise falls no further; above ``dark``.
    """

    slope: tuple[float, ...]
    dark: float
    least: float

    def passed(self, response: Tensor, surround: Tensor, plane: Tensor) -> Tensor:
        """Whether responses (N,) exceed the floor of their planes (N,)."""
        slope = torch.tensor(self.slope, dtype=response.dtype, device=response.device)[plane]
        return response.square() > slope * (surround.clamp(min=self.least) - self.dark)


@dataclass(frozen=True)
class Window:
    """Half-open rows and columns of a block in which peaks are wanted."""

    y0: int
    y1: int
    x0: int
    x1: int


@dataclass(frozen=True)
class Peaks:
    """Local maxima of the response.

    Attributes
    ----------
    place : Tensor of int64, (N, 3)
        ``(z, y, x)``, in the order of memory.
    response, surround : Tensor of float32, (N,)
        There.
    smooth : Tensor of float32, (Z, Y, X)
        The stack filtered along z; valid until the buffers are used again.
    """

    place: Tensor
    response: Tensor
    surround: Tensor
    smooth: Tensor


def peaks(
    stack: NDArray[np.generic], bands: Bands, floor: Floor, window: Window, device: str, buffers: Buffers
) -> Peaks:
    """Find the peaks of a block.

    Parameters
    ----------
    stack : ndarray, (Z, Y, X)
        Camera numbers of any type.
    bands : Bands
    floor : Floor
        Response at or below which nothing is a peak.
    window : Window
    device : str
    buffers : Buffers
        Used on a CPU alone.

    Returns
    -------
    Peaks
        No rows where there is none.
    """
    if device != "cpu" or stack.shape[2] < compiled.BLOCK:
        return peaks_torch(torch.from_numpy(stack.astype(np.float32)).to(device), bands, floor, window)
    block = buffers.array("block", stack.shape)
    np.copyto(block, stack, casting="unsafe")
    smooth = block
    if len(block) > 1:
        smooth = buffers.array("smooth", block.shape)
        flat = torch.from_numpy(block).flatten(1)
        torch.mm(bands.axial, flat, out=torch.from_numpy(smooth).view(len(block), -1))
    return _peaks_by_plane(smooth, bands, floor, window, buffers)


def peaks_torch(stack: Tensor, bands: Bands, floor: Floor, window: Window) -> Peaks:
    """:func:`peaks` in plain torch, on the device of the stack."""
    smooth = axial_filter(stack, bands)
    response, surround = band_pass(smooth, bands)
    place = local_maxima(response, 0.0)
    z, y, x = place.unbind(1)
    inside = (y >= window.y0) & (y < window.y1) & (x >= window.x0) & (x < window.x1)
    place, high, low = place[inside], response[z, y, x][inside], surround[z, y, x][inside]
    keep = floor.passed(high, low, place[:, 0])
    return Peaks(place[keep], high[keep], low[keep], smooth)


def _peaks_by_plane(smooth: Floats, bands: Bands, floor: Floor, window: Window, buffers: Buffers) -> Peaks:
    """:func:`peaks` of a filtered block: a plane is judged once those beside it are there."""
    planes, shape = len(smooth), smooth.shape[1:]
    kept = min(planes, 3)
    ring = buffers.array("bands", (kept, 2, *shape))
    taps = _taps(bands, (shape[0], shape[1]))
    inner = (window.y0, window.y1, window.x0, window.x1)
    room = np.empty((planes, (window.y1 - window.y0) * (window.x1 - window.x0), 2), np.int64)  # little of it is touched
    high: list[NDArray[np.int64]] = []
    found = []
    for z in range(planes + 1):
        if z < planes:
            new = ring[z % kept]
            own_floor = (floor.slope[z], floor.dark, floor.least)
            high.append(room[z, : compiled.above(smooth[z], taps, inner, own_floor, new, room[z])])
        if z > 0:
            own, before, after = ((i if 0 <= i < planes else z - 1) % kept for i in (z - 1, z - 2, z))
            place = high[z - 1][: compiled.maxima(ring, (own, before, after), high[z - 1])]
            found.append((place, ring[own][:, place[:, 0], place[:, 1]]))
    column = np.repeat(np.arange(planes), [len(place) for place, _ in found])
    place = np.concatenate([column[:, None], np.concatenate([place for place, _ in found])], 1)
    response, surround = np.concatenate([heights for _, heights in found], 1)
    return Peaks(*(torch.from_numpy(values) for values in (place, response, surround, smooth)))


def _taps(bands: Bands, shape: tuple[int, int]) -> compiled.Taps:
    narrow, wide = (np.asarray(own[len(own) // 2 :], np.float32) for own in (bands.narrow, bands.wide))
    return compiled.Taps(narrow, wide, *(_mirrored(length, bands.reach_px) for length in shape))


@functools.lru_cache(maxsize=64)  # the blocks of a scene are of few sizes
def _mirrored(length: int, half: int) -> NDArray[np.int64]:
    return np.pad(np.arange(length), half, mode="reflect")
