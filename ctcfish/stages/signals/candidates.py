"""Candidates: local maxima of the matched filter that stand out from their local noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ctcfish.ops.bands import Bands
from ctcfish.ops.buffers import Buffers
from ctcfish.ops.crops import patches
from ctcfish.ops.peaks import peaks
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
    buffers = Buffers()
    gains = (search.bands.noise_gain().to(search.device), search.bands.axial_gain().to(search.device))
    parts = [_find_in(stack, region, search, (buffers, *gains)) for region in where]
    side = 2 * search.patch_half + 1
    none = torch.empty(0, device=search.device)
    places = torch.empty(0, 3, dtype=torch.int64, device=search.device)
    empty = Candidates(places, none, none, none, none, torch.empty(0, side, side, device=search.device))
    return Candidates(*(torch.cat([getattr(p, f.name) for p in (empty, *parts)]) for f in fields(Candidates)))


def _find_in(
    stack: NDArray[np.generic], region: Region, search: Search, tools: tuple[Buffers, Tensor, Tensor]
) -> Candidates:
    height, width = stack.shape[1:]
    reach = max(search.bands.reach_px, search.patch_half)
    top, left = max(0, region.y0 - reach), max(0, region.x0 - reach)
    block = stack[:, top : min(height, region.y1 + reach), left : min(width, region.x1 + reach)]
    camera, (buffers, gain, axial) = search.camera, tools
    floor = search.floor_snr * float(gain.min().sqrt()) * _darkest_noise(block, camera)
    seen = peaks(block, search.bands, floor * camera.gain_adu_per_photon, search.device, buffers)
    rows, columns = seen.place[:, 1] + top, seen.place[:, 2] + left
    around = camera.photons(seen.surround).clamp(min=_LEAST_PHOTONS)
    light = seen.response / camera.gain_adu_per_photon
    snr = light / (gain[seen.place[:, 0]] * (around + camera.read_variance)).sqrt()
    keep = (snr > search.floor_snr) & (rows >= region.y0) & (rows < region.y1)
    keep &= (columns >= region.x0) & (columns < region.x1)
    place, around = seen.place[keep], around[keep]
    patch = camera.photons(patches(seen.smooth, place, search.patch_half))
    pixel = (axial[place[:, 0]] * (around + camera.read_variance)).sqrt()
    corner = torch.tensor([0, top, left], device=place.device)
    return Candidates(place + corner, snr[keep], light[keep] / search.signal_gain, around, pixel, patch)


def _darkest_noise(block: NDArray[np.generic], camera: Camera) -> float:
    """Lower bound of a pixel's noise in a block, photons, from a sparse sample of it."""
    darkest = (
        float(np.quantile(block[:, ::8, ::8].astype(np.float32), 0.02)) - camera.offset_adu
    ) / camera.gain_adu_per_photon
    return float((max(darkest, _LEAST_PHOTONS) + camera.read_variance) ** 0.5)
