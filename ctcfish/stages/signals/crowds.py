"""Signals that stand apart and signals that crowd: which is which, and the joint fit of the crowds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ctcfish.ops.crowds import CrowdImage, Crowds, Reach, Starts, group_points, resolve_crowds
from ctcfish.ops.emitters import CrowdModel
from ctcfish.stages.signals.camera import Camera
from ctcfish.stages.signals.fits import Fitted
from ctcfish.types import ProbeModel

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


def partition(fitted: Fitted, single: Tensor, sigma_px: tuple[float, float]) -> Partition:
    """Split signals into those alone and crowds: near another, or too bright or ill fitted to be one.

    Parameters
    ----------
    fitted : Fitted
    single : Tensor of bool, (N,)
        Signals that one emitter of some width explains.
    sigma_px : tuple of float
        ``(z, xy)``.
    """
    group = group_points(fitted.position_px, (sigma_px[0], sigma_px[1], sigma_px[1]), Reach().link)
    if not len(group):
        return Partition(single, group)
    size = torch.bincount(group)[group]
    plain = torch.bincount(group, single.double())[group] == size
    alone = plain & (size <= _FEW)
    region = torch.full_like(group, -1)
    if bool((~alone).any()):
        region[~alone] = torch.unique(group[~alone], return_inverse=True)[1]
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
    return resolve_crowds(CrowdImage(pixels, camera.offset_adu, camera.gain_adu_per_photon), starts, model)


def crowd_model(slide: ProbeModel, sigma_px: tuple[float, float], read_variance: float) -> CrowdModel:
    """What is known of a crowd: the slide's isolated signals."""
    return CrowdModel(sigma_px[1], sigma_px[0], slide.photons_median, slide.photons_log_sd, read_variance)
