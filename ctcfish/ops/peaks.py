"""Peaks of the band-passed stack: filter, surround and local maxima in one pass over blocks that fit the cache.

:func:`peaks` is one signature with two paths: plain torch for any device, and OpenCV plane by plane on a CPU, where the
planes of one block stay in the cache between the steps. A test holds that both agree.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ctcfish.ops.bands import Bands, axial_filter, band_pass
from ctcfish.ops.buffers import Buffers
from ctcfish.ops.maxima import local_maxima

Floats = NDArray[np.float32]

_SQUARE = np.ones((3, 3), np.uint8)


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

    def lowest(self, z: int, surround: float) -> float:
        """Floor of a plane where its surround is lowest, less what rounding may do."""
        return 0.9999 * math.sqrt(self.slope[z] * (max(surround, self.least) - self.dark))

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
    if device != "cpu":
        return peaks_torch(torch.from_numpy(stack.astype(np.float32)).to(device), bands, floor, window)
    block = buffers.array("block", stack.shape)
    np.copyto(block, stack, casting="unsafe")
    smooth = block
    if len(block) > 1:
        smooth = buffers.array("smooth", block.shape)
        flat = torch.from_numpy(block).flatten(1)
        torch.mm(bands.axial, flat, out=torch.from_numpy(smooth).view(len(block), -1))
    return _peaks_opencv(smooth, bands, floor, window, buffers)


def peaks_torch(stack: Tensor, bands: Bands, floor: Floor, window: Window) -> Peaks:
    """:func:`peaks` in plain torch, on the device of the stack."""
    smooth = axial_filter(stack, bands)
    response, surround = band_pass(smooth, bands)
    place = local_maxima(response, 0.0)
    z, y, x = place.unbind(1)
    inside = (y >= window.y0) & (y < window.y1) & (x >= window.x0) & (x < window.x1)
    return _above(place[inside], response[z, y, x][inside], surround[z, y, x][inside], floor, smooth)


def _above(place: Tensor, response: Tensor, surround: Tensor, floor: Floor, smooth: Tensor) -> Peaks:
    keep = floor.passed(response, surround, place[:, 0])
    return Peaks(place[keep], response[keep], surround[keep], smooth)


def _peaks_opencv(smooth: NDArray[np.float32], bands: Bands, floor: Floor, window: Window, buffers: Buffers) -> Peaks:
    planes, shape = len(smooth), smooth.shape[1:]
    names, kept = ("response", "surround", "top"), min(planes, 3)
    ring = [_Plane(*(buffers.array(f"{name}{i}", shape) for name in names)) for i in range(kept)]
    taps = np.asarray(bands.narrow, np.float32), np.asarray(bands.wide, np.float32)
    found = []
    for z in range(planes + 1):
        if z < planes:
            ring[z % kept].fill(smooth[z], taps)
        if z > 0:
            beside = [ring[i % kept] for i in (z - 2, z) if 0 <= i < planes]
            plane = ring[(z - 1) % kept]
            found.append(plane.maxima(floor.lowest(z - 1, float(plane.surround.min())), window, beside))
    index, response, surround = (np.concatenate(parts) for parts in zip(*found, strict=True))
    place = np.empty((len(index), 3), np.int64)
    place[:, 0] = np.repeat(np.arange(planes), [len(own) for own, _, _ in found])
    np.divmod(index, shape[1], place[:, 1], place[:, 2])
    rows = torch.from_numpy(place), torch.from_numpy(response), torch.from_numpy(surround)
    return _above(*rows, floor, torch.from_numpy(smooth))


@dataclass(frozen=True)
class _Plane:
    """A plane's response, its surround, and the highest response of every 3 x 3 neighbourhood."""

    response: NDArray[np.float32]
    surround: NDArray[np.float32]
    top: NDArray[np.float32]

    def fill(self, plane: NDArray[np.float32], taps: tuple[NDArray[np.float32], NDArray[np.float32]]) -> None:
        for own, target in zip(taps, (self.response, self.surround), strict=True):
            cv2.sepFilter2D(plane, cv2.CV_32F, own, own, dst=target, borderType=cv2.BORDER_REFLECT_101)
        cv2.subtract(self.response, self.surround, dst=self.response)
        cv2.dilate(self.response, _SQUARE, dst=self.top)

    def maxima(
        self, floor: float, window: Window, beside: list[_Plane]
    ) -> tuple[NDArray[np.intp], NDArray[np.float32], NDArray[np.float32]]:
        """Index in the plane, response and surround of maxima that no neighbour, in the planes beside too, exceeds."""
        inner = slice(window.y0, window.y1), slice(window.x0, window.x1)
        mask = np.zeros(self.response.shape, bool)
        np.greater(self.response[inner], floor, out=mask[inner])
        mask &= self.response >= self.top
        index = np.flatnonzero(mask)
        height = self.response.ravel().take(index)
        for plane in beside:
            keep = height >= plane.top.ravel().take(index)
            index, height = index[keep], height[keep]
        return index, height, self.surround.ravel().take(index)
