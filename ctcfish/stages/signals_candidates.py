"""Candidates: local maxima of the matched filter that stand out from their local noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ctcfish.ops.bands import Bands, band_pass
from ctcfish.ops.crops import crops
from ctcfish.ops.maxima import local_maxima
from ctcfish.stages.signals_camera import Camera
from ctcfish.stages.signals_regions import Region

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
    crop_half : tuple of int
        Half size ``(z, y, x)`` of the window cut around each candidate; at most the reach of the bands in the plane.
    device : str
    """

    bands: Bands
    camera: Camera
    floor_snr: float
    crop_half: tuple[int, int, int]
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
    surround : Tensor, (N,)
        Local background, photons per pixel.
    crop : Tensor, (N, Dz, Dy, Dx)
        Photons around the place.
    inside : Tensor of bool, (N, Dz, Dy, Dx)
        False where the window leaves the image.
    """

    place_px: Tensor
    snr: Tensor
    surround: Tensor
    crop: Tensor
    inside: Tensor

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
    parts = [_find_in(stack, region, search) for region in where]
    size = tuple(2 * h + 1 for h in search.crop_half)
    none = torch.empty(0, device=search.device)
    empty = Candidates(
        torch.empty(0, 3, dtype=torch.int64, device=search.device),
        none,
        none,
        torch.empty(0, *size, device=search.device),
        torch.empty(0, *size, dtype=torch.bool, device=search.device),
    )
    return Candidates(*(torch.cat([getattr(p, f.name) for p in (empty, *parts)]) for f in fields(Candidates)))


def _find_in(stack: NDArray[np.generic], region: Region, search: Search) -> Candidates:
    height, width = stack.shape[1:]
    reach = search.bands.reach_px
    top, left = max(0, region.y0 - reach), max(0, region.x0 - reach)
    block = stack[:, top : min(height, region.y1 + reach), left : min(width, region.x1 + reach)]
    adu = torch.from_numpy(block.astype(np.float32)).to(search.device)
    response, surround = band_pass(adu, search.bands)
    rows, columns = slice(region.y0 - top, region.y1 - top), slice(region.x0 - left, region.x1 - left)
    gain = search.bands.noise_gain().to(adu.device)
    floor = search.floor_snr * float(gain.min().sqrt()) * _darkest_noise(surround, search.camera)
    places = local_maxima(response, floor * search.camera.gain_adu_per_photon)
    owned = (places[:, 1] >= rows.start) & (places[:, 1] < rows.stop)
    owned &= (places[:, 2] >= columns.start) & (places[:, 2] < columns.stop)
    places = places[owned]
    z, y, x = places.unbind(1)
    around = search.camera.photons(surround[z, y, x]).clamp(min=_LEAST_PHOTONS)
    noise = (gain[z] * (around + search.camera.read_variance)).sqrt()
    snr = response[z, y, x] / search.camera.gain_adu_per_photon / noise
    keep = snr > search.floor_snr
    places = places[keep]
    crop, inside = crops(adu, places, search.crop_half)
    corner = torch.tensor([0, top, left], device=adu.device)
    return Candidates(places + corner, snr[keep], around[keep], search.camera.photons(crop), inside)


def _darkest_noise(surround: Tensor, camera: Camera) -> float:
    """Lower bound of a pixel's noise in a block, photons, from a sparse sample of its surround."""
    darkest = camera.photons(surround[:, ::4, ::4]).flatten().quantile(0.02) if surround.numel() < 1 << 27 else 0.0
    return float((max(float(darkest), _LEAST_PHOTONS) + camera.read_variance) ** 0.5)
