"""Nuclei by the shipped network, at the scale it was trained at."""

from __future__ import annotations

import math

from ctcfish.nets.architecture import NATIVE_DIAMETER_PX, NucleusNet
from ctcfish.nets.predict import predict_labels
from ctcfish.nets.scale import resample
from ctcfish.stages.outlines import enlarge
from ctcfish.stages.regions import Labels
from ctcfish.stages.surface import Floats

NUCLEUS_UM = 9.0
"""Width of nuclei that the network's native diameter stands for."""

_AS_IT_IS = 1.15
_CORE_PX = 1152
"""A window of the segmentation at the native scale goes through the network in one piece."""


def network_labels(image: Floats, pixel_um: float, net: NucleusNet, device: str) -> Labels:
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
    ndarray of int32, (Y, X)
        Consecutive labels, 0 is background.
    """
    zoom = pixel_um * NATIVE_DIAMETER_PX / NUCLEUS_UM
    if abs(math.log(zoom)) <= math.log(_AS_IT_IS):
        return predict_labels(image, net, device, core_px=_CORE_PX).labels
    native = resample(image, zoom)
    scale = (image.shape[0] / native.shape[0], image.shape[1] / native.shape[1])
    return enlarge(predict_labels(native, net, device, core_px=_CORE_PX).labels, image.shape, scale)
