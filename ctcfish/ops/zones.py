"""Windows of crowded regions as they are cut, and which of their pixels say what."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ctcfish.ops.emitters import Crops, Frame

_FOREIGN = 32  # signals of other groups looked at around one region
LEAST_LEVEL = 0.5
"""Photons: no background is taken for darker."""


@dataclass(frozen=True)
class Reach:
    """Distances, in units of the width of a point's image along each axis.

    Parameters
    ----------
    link : float
        Signals closer than this share a region.
    fit : float
        Pixels closer than this to a signal of the region are fitted.
    fit_z : float
        Planes farther than this from every signal of the region are not looked at.
    foreign : float
        Pixels closer than this to a signal of another region are left out.
    ring : float
        The background level is the median of fitted pixels farther than this from every signal.
    add : float
        Emitters may be added closer than this to a signal of the region.
    """

    link: float = 4.5
    fit: float = 5.5
    fit_z: float = 4.0
    foreign: float = 3.2
    ring: float = 4.0
    add: float = 1.8


@dataclass(frozen=True)
class Windows:
    """R windows of one size, one around each region.

    Parameters
    ----------
    region : Tensor of int64, (R,)
    corner_px : Tensor, (R, 3)
        First voxel z, y, x in the image.
    photons : Tensor, (R, V)
    inside : Tensor of bool, (R, V)
        False beyond the border of the image.
    own_px : Tensor, (R, S, 3)
        The region's signals, from the corner; infinitely far where there are fewer.
    """

    region: Tensor
    corner_px: Tensor
    photons: Tensor
    inside: Tensor
    own_px: Tensor


@dataclass(frozen=True)
class Owned:
    """Signals (P, 3) and the region (P,) of each; −1 where it belongs to none."""

    position_px: Tensor
    region: Tensor


@dataclass(frozen=True)
class Zones:
    """Pixels of R crops.

    Parameters
    ----------
    allowed : Tensor of bool, (R, V)
        Where emitters may be added.
    ring : Tensor of bool, (R, V)
        Away from every candidate: shows how well the background is followed.
    """

    allowed: Tensor
    ring: Tensor

    def rows(self, keep: Tensor) -> Zones:
        """The crops that ``keep`` names."""
        return Zones(self.allowed[keep], self.ring[keep])


def cropped(windows: Windows, signals: Owned, frame: Frame, reach: Reach) -> tuple[Crops, Zones]:
    """Which pixels of every window are fitted, where emitters may be added, and the background's level.

    Parameters
    ----------
    windows : Windows
    signals : Owned
        All of the image.
    frame : Frame
        Of the windows' size.
    reach : Reach

    Returns
    -------
    Crops, Zones
    """
    own = _distance(frame, windows.own_px)
    foreign = _distance(frame, _foreign(windows, signals, frame))
    weight = windows.inside & (own <= reach.fit) & ((foreign > reach.foreign) | (own < foreign))
    zones = Zones(weight & (own <= reach.add), weight & (own > reach.ring))
    photons = windows.photons
    crops = Crops(photons + frame.model.read_variance, weight.to(photons.dtype), _level(photons, zones.ring, weight))
    return crops, zones


def _level(photons: Tensor, ring: Tensor, whole: Tensor) -> Tensor:
    """Median of every other pixel of the ring around a region, where there is one, else of the whole region: (R,)."""
    values, ring, whole = photons[:, ::2], ring[:, ::2], whole[:, ::2]
    median = torch.where(ring, values, torch.nan).nanmedian(1).values
    none = torch.isnan(median).nonzero()[:, 0]
    median[none] = torch.where(whole[none], values[none], torch.nan).nanmedian(1).values
    return median.nan_to_num(1.0).clamp(min=LEAST_LEVEL)


def _distance(frame: Frame, places: Tensor) -> Tensor:
    """Distance of every pixel to the nearest place, in units of the width of a point's image: (R, V)."""
    model, device = frame.model, places.device
    sigma = (model.sigma_z_px, model.sigma_xy_px, model.sigma_xy_px)
    nearest = places.new_full((len(places), *frame.shape), torch.inf)
    axes = [torch.arange(n, device=device, dtype=places.dtype) for n in frame.shape]
    for slot in range(places.shape[1]):
        z, y, x = (
            ((axes[a] - places[:, slot, a, None]) / sigma[a]).square()
            if frame.shape[a] > 1
            else axes[a].expand(len(places), 1)
            for a in range(3)
        )
        torch.minimum(nearest, z[:, :, None, None] + y[:, None, :, None] + x[:, None, None, :], out=nearest)
    return nearest.flatten(1).sqrt()


def _foreign(windows: Windows, signals: Owned, frame: Frame) -> Tensor:
    """Signals nearest to each window that are not its region's: (R, F, 3), infinitely far where there are fewer."""
    middle = windows.corner_px.new_tensor([(n - 1) / 2 for n in frame.shape])
    distance = torch.cdist(windows.corner_px + middle, signals.position_px)
    distance = distance.masked_fill(signals.region == windows.region[:, None], torch.inf)
    near = distance.topk(min(_FOREIGN, distance.shape[1]), largest=False)
    place = signals.position_px[near.indices] - windows.corner_px[:, None]
    return torch.where(torch.isfinite(near.values)[..., None], place, torch.inf)
