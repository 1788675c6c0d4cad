"""Peaks of the band-passed stack: filter, surround and local maxima in one pass over blocks that fit the cache.

:func:`peaks` is one signature with two paths: plain torch for any device, and OpenCV plane by plane on a CPU, where the
planes of one block stay in the cache between the steps. A test holds that both agree.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ctcfish.ops.bands import Bands, axial_filter, band_pass
from ctcfish.ops.buffers import Buffers
from ctcfish.ops.maxima import local_maxima

_SQUARE = np.ones((3, 3), np.uint8)


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


def peaks(stack: NDArray[np.generic], bands: Bands, floor: float, device: str, buffers: Buffers) -> Peaks:
    """Find the peaks of a block.

    Parameters
    ----------
    stack : ndarray, (Z, Y, X)
        Camera numbers of any type.
    bands : Bands
    floor : float
        Response at or below which nothing is a peak.
    device : str
    buffers : Buffers
        Used on a CPU alone.

    Returns
    -------
    Peaks
        No rows where there is none.
    """
    if device != "cpu":
        return peaks_torch(torch.from_numpy(stack.astype(np.float32)).to(device), bands, floor)
    block = buffers.array("block", stack.shape)
    np.copyto(block, stack, casting="unsafe")
    smooth = block
    if len(block) > 1:
        smooth = buffers.array("smooth", block.shape)
        flat = torch.from_numpy(block).flatten(1)
        torch.mm(bands.axial, flat, out=torch.from_numpy(smooth).view(len(block), -1))
    return _peaks_opencv(smooth, bands, floor, buffers)


def peaks_torch(stack: Tensor, bands: Bands, floor: float) -> Peaks:
    """:func:`peaks` in plain torch, on the device of the stack."""
    smooth = axial_filter(stack, bands)
    response, surround = band_pass(smooth, bands)
    place = local_maxima(response, floor)
    z, y, x = place.unbind(1)
    return Peaks(place, response[z, y, x], surround[z, y, x], smooth)


def _peaks_opencv(smooth: NDArray[np.float32], bands: Bands, floor: float, buffers: Buffers) -> Peaks:
    planes, shape = len(smooth), smooth.shape[1:]
    ring = [[buffers.array(f"{name}{i}", shape) for i in range(3)] for name in ("response", "surround", "top")]
    found: list[tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]] = []
    for z in range(planes + 1):
        if z < planes:
            _filter_plane(smooth[z], bands, *(kept[z % 3] for kept in ring))
        if z > 0:
            tops = [ring[2][i % 3] for i in (z - 2, z) if 0 <= i < planes]
            here = (z - 1) % 3
            found.append(_plane_maxima(z - 1, floor, (ring[0][here], ring[1][here], ring[2][here]), tops))
    place, response, surround = (np.concatenate(parts) for parts in zip(*found, strict=True))
    tensors = (torch.from_numpy(a) for a in (place, response, surround, smooth))
    return Peaks(*tensors)


def _filter_plane(
    plane: NDArray[np.float32],
    bands: Bands,
    response: NDArray[np.float32],
    surround: NDArray[np.float32],
    top: NDArray[np.float32],
) -> None:
    narrow, wide = np.asarray(bands.narrow, np.float32), np.asarray(bands.wide, np.float32)
    cv2.sepFilter2D(plane, cv2.CV_32F, narrow, narrow, dst=response, borderType=cv2.BORDER_REFLECT_101)
    cv2.sepFilter2D(plane, cv2.CV_32F, wide, wide, dst=surround, borderType=cv2.BORDER_REFLECT_101)
    cv2.subtract(response, surround, dst=response)
    cv2.dilate(response, _SQUARE, dst=top)


def _plane_maxima(
    z: int,
    floor: float,
    images: tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]],
    tops: list[NDArray[np.float32]],
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:
    """Maxima of one plane that its neighbours' dilated planes do not exceed."""
    response, surround, top = images
    mask = cv2.compare(response, top, cv2.CMP_GE)
    cv2.bitwise_and(mask, (response > floor).view(np.uint8), dst=mask)
    listed = cv2.findNonZero(mask)
    if listed is None:
        return np.empty((0, 3), np.int64), np.empty(0, np.float32), np.empty(0, np.float32)
    x, y = listed.reshape(-1, 2).T
    height = response[y, x]
    keep = np.ones(len(x), bool)
    for other in tops:
        keep &= height >= other[y, x]
    place = np.stack([np.full(len(x), z), y, x], 1)[keep]
    return place.astype(np.int64), height[keep], surround[y, x][keep]
