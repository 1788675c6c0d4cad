"""Nuclei by the shipped network, at the scale it was trained at."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from ctcfish.nets.architecture import NATIVE_DIAMETER_PX, NucleusNet
from ctcfish.nets.decode import DecodeParams
from ctcfish.nets.predict import predict_labels
from ctcfish.nets.scale import resample
from ctcfish.stages.nuclei.outlines import enlarge
from ctcfish.stages.nuclei.regions import Proposal
from ctcfish.stages.nuclei.surface import Floats

NUCLEUS_UM = 9.0
"""Width of nuclei that the network's native diameter stands for."""

_AS_IT_IS = 1.15
_LEAST_SCORE = 0.6


def network_labels(image: Floats, pixel_um: float, net: NucleusNet, device: str) -> Proposal:
    """Find nuclei with the network.

    Parameters
    ----------
    image : ndarray of float32, (Y, X)
    pixel_um : float
        An image within 15 % of the native scale is taken as it is; any other is resampled, and its labels brought back.
    net : NucleusNet
        On `device`.
    device : str

    Returns
    -------
    Proposal
        Sure are those that the network by itself would keep; faint blurs are among the others.
    """
    zoom = pixel_um * NATIVE_DIAMETER_PX / NUCLEUS_UM
    as_it_is = abs(math.log(zoom)) <= math.log(_AS_IT_IS)
    native = image if as_it_is else resample(image, zoom)
    usual = DecodeParams()
    found = predict_labels(native, net, device, replace(usual, least_score=_LEAST_SCORE))
    sure = np.append(False, found.score >= usual.least_score)
    if as_it_is:
        return Proposal(found.labels, sure)
    scale = (image.shape[0] / native.shape[0], image.shape[1] / native.shape[1])
    return Proposal(enlarge(found.labels, image.shape, scale), sure)
