"""Signals that stand apart and signals that crowd: which is which, and the joint fit of the crowds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ctcfish.ops.crowds import CrowdImage, Crowds, Starts, first_fits, group_points, resolve_crowds
from ctcfish.ops.emitters import FAINTEST, CrowdModel, Part
from ctcfish.ops.zones import Reach
from ctcfish.stages.signals.camera import Camera
from ctcfish.stages.signals.fits import Fitted
from ctcfish.types import ProbeModel

_IN_FOCUS = (Part(),)
_WIDE_FIELD = (Part(0.81, 0.76, 0.97), Part(1.42, 0.78, 2.45, 1.63), Part(3.8, 1.6, 5.9, 4.05))
"""Image of a point in a stack. In a wide field every plane holds the light of the focus, spread out: a cone upwards and
one downwards, as two halves that are wider the farther they are. Fitted to scalar images of loci of 0.3 to 1 um through
NA 0.75 to 1.4, where the figures came out alike."""
_TOLD_BY, _SPEAK_FOR_IT = 40, 0.6  # signals asked, and the share of them that decides for a wide field
_FEW_TOLD = 5  # fewer do not tell in what units of light crowds are fitted
_HELD_WITHIN, _FAINT = 0.02, 0.5
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
    return resolve_crowds(crowd_image(stack, camera, photons.device), starts, model)


def crowd_image(stack: NDArray[np.generic], camera: Camera, device: torch.device) -> CrowdImage:
    """The stack as crowds are fitted to it."""
    native = np.require(stack, stack.dtype.newbyteorder("="), ["C", "W"])  # torch refuses any other array
    return CrowdImage(torch.from_numpy(native).to(device), camera.offset_adu, camera.gain_adu_per_photon)


@dataclass(frozen=True)
class Units:
    """What the brightest lone signals of a field say of the image of a point and of the units of light of crowds.

    Attributes
    ----------
    for_wide : ndarray of bool, (K,)
        Whether a signal is better explained with light out of focus.
    wide, focused : ndarray, (K,)
        Its light fitted with either image, over that of its single fit.
    """

    for_wide: NDArray[np.bool_]
    wide: NDArray[np.float64]
    focused: NDArray[np.float64]


def units(image: CrowdImage, lone: tuple[Tensor, Tensor], others_px: Tensor, model: CrowdModel) -> Units:
    """Fit the brightest lone signals of a stack as crowds are fitted, with and without light out of focus.

    Parameters
    ----------
    image : CrowdImage
    lone : tuple of Tensor
        Places (N, 3) in pixels, and photons (N,) of their single fits.
    others_px : Tensor, (O, 3)
        Signals beside them.
    model : CrowdModel
    """
    place, photons = lone
    told = torch.argsort(photons, descending=True, stable=True)[: _TOLD_BY if image.stack.shape[0] > 1 else 0]
    rest = torch.ones(len(photons), dtype=torch.bool, device=photons.device)
    rest[told] = False
    starts = Starts(
        place[told], photons[told], torch.arange(len(told), device=place.device), torch.cat((place[rest], others_px))
    )
    fits = [first_fits(image, starts, replace(model, image=parts)) for parts in (_WIDE_FIELD, _IN_FOCUS)]
    better = (fits[0][0] > fits[1][0]).cpu().numpy()
    wide, focused = ((light / photons[told]).cpu().numpy().astype(np.float64) for _, light in fits)
    return Units(better, wide, focused)


def merged_units(fields: Sequence[Units]) -> tuple[bool, float]:
    """Image of a point and unit of light of a slide.

    Loci differ in size, so that single signals through a wide field speak for either image; where there is no light out
    of focus, all speak against it. Emitters of a crowd have other units of light than single fits: an image of other
    wings, on a background of other freedom.

    Returns
    -------
    bool
        Whether crowds are fitted with light out of focus.
    float
        Light of a signal as crowds are fitted over that of its single fit; 1 where too few tell.
    """
    for_wide, wide, focused = (np.concatenate([getattr(f, n) for f in fields]) for n in ("for_wide", "wide", "focused"))
    is_wide = bool(len(for_wide)) and float(for_wide.mean()) >= _SPEAK_FOR_IT
    seen = wide if is_wide else focused
    return is_wide, float(np.median(seen)) if len(seen) >= _FEW_TOLD else 1.0


def crowd_model(slide: ProbeModel, sigma_px: tuple[float, float], read_variance: float) -> CrowdModel:
    """What is known of a crowd: the slide's isolated signals, in the units of light of crowds."""
    image = _WIDE_FIELD if slide.wide_field else _IN_FOCUS
    median = slide.photons_median * slide.crowd_unit
    return CrowdModel(sigma_px[1], sigma_px[0], median, slide.photons_log_sd, read_variance, image=image)


def held(photons: NDArray[np.float64], slide: ProbeModel) -> NDArray[np.bool_]:
    """Whether emitters of a crowd stand at the least brightness one may have, and under half the median, (N,).

    Most of these are no signals. Where brightness hardly varies the least is no less than a faint signal has.
    """
    median, least = slide.photons_median * slide.crowd_unit, math.exp(-FAINTEST * slide.photons_log_sd)
    return photons < median * min(least * (1.0 + _HELD_WITHIN), _FAINT)
