"""Candidates: local maxima of the matched filter that stand out from their local noise."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import chain

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ctcfish.ops.bands import Bands
from ctcfish.ops.buffers import Buffers
from ctcfish.ops.cores import share_out
from ctcfish.ops.crops import patches
from ctcfish.ops.peaks import Floor, Window, peaks
from ctcfish.stages.signals.camera import Camera
from ctcfish.stages.signals.regions import Region

_LEAST_PHOTONS = 0.05  # local background is never taken for darker, so that noise stays above zero


@dataclass(frozen=True)
class Search:
    """What is looked for, and with what camera.

    Attributes
    ----------
    bands : Bands
    camera : Camera
    floor_snr : float
        Weaker responses are no candidates.
    patch_half : int
        Half size of the patch cut around each candidate, pixels.
    signal_gain : float
        Response to a signal of one photon.
    device : str
    """

    bands: Bands
    camera: Camera
    floor_snr: float
    patch_half: int
    signal_gain: float
    device: str = "cpu"

    @functools.cached_property
    def floor(self) -> Floor:
        """``floor_snr`` in camera numbers."""
        camera, gain = self.camera, self.camera.gain_adu_per_photon
        slope = self.floor_snr**2 * gain * self.bands.noise_gain()
        dark = camera.offset_adu - gain * camera.read_variance
        return Floor(tuple(slope.tolist()), dark, camera.offset_adu + gain * _LEAST_PHOTONS)


@dataclass(frozen=True)
class Candidates:
    """Candidates of one channel, in the order of the regions; tensors on one device.

    Attributes
    ----------
    place_px : Tensor of int64, (N, 3)
        ``(z, y, x)`` in scene pixels.
    snr : Tensor, (N,)
        Response over its noise.
    photons : Tensor, (N,)
        Brightness by the matched filter.
    surround : Tensor, (N,)
        Local background, photons per pixel.
    noise : Tensor, (N,)
        Standard deviation of a pixel of the patch, photons.
    patch : Tensor, (N, D, D)
        Photons around the place in the plane, filtered along z.
    """

    place_px: Tensor
    snr: Tensor
    photons: Tensor
    surround: Tensor
    noise: Tensor
    patch: Tensor

    def __len__(self) -> int:
        return len(self.place_px)

    def rows(self, keep: Tensor) -> Candidates:
        """Candidates picked by index or mask."""
        return Candidates(*(getattr(self, f.name)[keep] for f in fields(self)))


def find(stack: NDArray[np.generic], where: Sequence[Region], search: Search) -> Candidates:
    """Candidates of a channel inside regions.

    Parameters
    ----------
    stack : ndarray, (Z, Y, X)
        Camera numbers of any type.
    where : sequence of Region
    search : Search

    Returns
    -------
    Candidates
    """
    camera, bands = search.camera, search.bands

    def find_some(first: int, last: int) -> list[tuple[Tensor, Tensor, Tensor, Tensor]]:
        buffers = Buffers()
        return [_find_in(stack, region, search, buffers) for region in where[first:last]]

    parts = chain.from_iterable(share_out(find_some, len(where), 1))
    side = 2 * search.patch_half + 1
    none = torch.empty(0, device=search.device)
    empty = (torch.empty(0, 3, dtype=torch.int64, device=search.device), none, none, none.view(0, side, side))
    place, response, surround, patch = (torch.cat(columns) for columns in zip(empty, *parts, strict=True))
    around = camera.photons(surround).clamp(min=_LEAST_PHOTONS)
    variance = around + camera.read_variance
    gain, axial = (g.to(search.device)[place[:, 0]] for g in (bands.noise_gain(), bands.axial_gain()))
    light = response / camera.gain_adu_per_photon
    snr = light / (gain * variance).sqrt()
    patch.sub_(camera.offset_adu).div_(camera.gain_adu_per_photon)  # photons, in the memory at hand
    return Candidates(place, snr, light / search.signal_gain, around, (axial * variance).sqrt(), patch)


def _find_in(
    stack: NDArray[np.generic], region: Region, search: Search, buffers: Buffers
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Place, response, surround and patch, in camera numbers, of the candidates that a region owns."""
    height, width = stack.shape[1:]
    reach = max(search.bands.reach_px, search.patch_half)
    top, left = max(0, region.y0 - reach), max(0, region.x0 - reach)
    block = stack[:, top : min(height, region.y1 + reach), left : min(width, region.x1 + reach)]
    window = Window(region.y0 - top, region.y1 - top, region.x0 - left, region.x1 - left)
    seen = peaks(block, search.bands, search.floor, window, search.device, buffers)
    patch = patches(seen.smooth, seen.place, search.patch_half)
    corner = torch.tensor([0, top, left], device=seen.place.device)
    return seen.place + corner, seen.response, seen.surround, patch
