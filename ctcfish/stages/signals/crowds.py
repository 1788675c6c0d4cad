"""Signals that stand apart and signals that crowd: which is which, and the joint fit of the crowds."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ctcfish.ops.crowds import CrowdImage, Crowds, Starts, first_fits, group_points, resolve_crowds
from ctcfish.ops.emitters import CrowdModel
from ctcfish.ops.zones import Reach
from ctcfish.stages.signals.camera import Camera
from ctcfish.stages.signals.fits import Fitted
from ctcfish.types import ProbeModel

_IN_FOCUS = ((1.0, 1.0, 1.0),)
_WIDE_FIELD = ((0.65, 0.80, 0.81), (3.2, 4.3, 3.5))
"""Image of a point in a stack, as Gaussians: light over that of the one fitted to its core, and widths along z and in
the plane over its. In a wide field every plane holds the light of the focus, spread out. Fitted to scalar images of
loci of 0.3 to 0.75 um through NA 0.75 to 1.4, where the figures came out alike."""
_TOLD_BY, _SPEAK_FOR_IT = 40, 0.1  # signals asked, and the share of them that decides for a wide field
_FEW_TOLD = 5  # fewer do not tell in what units of light crowds are fitted
_FEW = 2  # so many explained signals side by side need no joint fit


@dataclass(frozen=True)
class Partition:
    """Which signals stand alone, and the region of those that do not.

    Attributes
    ----------
    alone : Tensor of bool, (N,)
    region : Tensor of int64, (N,)
        0 … G − 1 for crowded signals, −1 for those alone.
    """

    alone: Tensor
    region: Tensor


def partition(fitted: Fitted, single: Tensor, granule: Tensor, sigma_px: tuple[float, float]) -> Partition:
    """Split signals into those alone and crowds: near another, or too bright or ill fitted to be one.

    Parameters
    ----------
    fitted : Fitted
    single : Tensor of bool, (N,)
        Signals that one emitter of some width explains.
    granule : Tensor of bool, (N,)
        Objects that are no signals: they stand alone, and the signals near them are split as if they were not there.
    sigma_px : tuple of float
        ``(z, xy)``.
    """
    signals = (~granule).nonzero()[:, 0]
    group = group_points(fitted.position_px[signals], (sigma_px[0], sigma_px[1], sigma_px[1]), Reach().link)
    region = torch.full(single.shape, -1, dtype=torch.int64, device=single.device)
    alone = torch.ones_like(single)
    if not len(group):
        return Partition(alone, region)
    size = torch.bincount(group)[group]
    plain = torch.bincount(group, single[signals].double())[group] == size
    crowded = ~(plain & (size <= _FEW))
    alone[signals] = ~crowded
    if bool(crowded.any()):
        region[signals[crowded]] = torch.unique(group[crowded], return_inverse=True)[1]
    return Partition(alone, region)


def resolve(stack: NDArray[np.generic], fitted: Fitted, split: Partition, camera: Camera, model: CrowdModel) -> Crowds:
    """Resolve the crowds of one channel.

    Parameters
    ----------
    stack : ndarray, (Z, Y, X)
        Camera numbers of any type.
    fitted : Fitted
    split : Partition
    camera : Camera
    model : CrowdModel
    """
    crowded = ~split.alone
    photons = fitted.fits.photons
    place = fitted.position_px.to(photons.dtype)
    starts = Starts(place[crowded], photons[crowded], split.region[crowded], place[split.alone])
    native = np.require(stack, stack.dtype.newbyteorder("="), ["C", "W"])  # torch refuses any other array
    pixels = torch.from_numpy(native).to(photons.device)
    image = CrowdImage(pixels, camera.offset_adu, camera.gain_adu_per_photon)
    if len(stack) > 1 and len(starts.photons):
        model = _with_its_image(image, (place, photons), split.alone, model)
    return resolve_crowds(image, starts, model)


def _with_its_image(image: CrowdImage, light: tuple[Tensor, Tensor], alone: Tensor, model: CrowdModel) -> CrowdModel:
    """Choose the image of a point that explains the brightest lone signals, and measure their light by it.

    Loci differ in size, so that single signals through a wide field speak for either image; where there is no light out
    of focus, all speak against it. Emitters of a crowd have other units of light than single fits: an image of other
    wings, on a background of other freedom; the median brightness is put into theirs.
    """
    place, photons = light
    own = alone.nonzero()[:, 0]
    told = own[torch.argsort(photons[own], descending=True, stable=True)[:_TOLD_BY]]
    rest = torch.ones_like(alone)
    rest[told] = False
    starts = Starts(place[told], photons[told], torch.arange(len(told), device=place.device), place[rest])
    wide, focused = (replace(model, image=parts) for parts in (_WIDE_FIELD, _IN_FOCUS))
    (by_wide, light_wide), (by_focused, light_focused) = (first_fits(image, starts, m) for m in (wide, focused))
    for_wide = float((by_wide > by_focused).double().mean()) >= _SPEAK_FOR_IT
    chosen, seen = (wide, light_wide) if for_wide else (focused, light_focused)
    unit = float((seen / photons[told]).median()) if len(told) >= _FEW_TOLD else 1.0
    return replace(chosen, median_photons=model.median_photons * unit)


def crowd_model(slide: ProbeModel, sigma_px: tuple[float, float], read_variance: float) -> CrowdModel:
    """What is known of a crowd: the slide's isolated signals."""
    return CrowdModel(sigma_px[1], sigma_px[0], slide.photons_median, slide.photons_log_sd, read_variance)
