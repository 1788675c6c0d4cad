"""The nucleus network over an image: its maps strip by strip, and the nuclei they point at."""

import numpy as np
import torch
from numpy.typing import NDArray

from ctcfish.nets.architecture import REACH_PX, STRIDE, NucleusNet
from ctcfish.nets.decode import Decoded, DecodeParams, decode
from ctcfish.nets.normalise import RangeField, measure_range, network_input, normalise

STRIP_PX = 3 << 19
"""Native pixels that go through the network together; those within its reach come on top."""


def predict_labels(
    image: NDArray[np.generic],
    net: NucleusNet,
    device: str = "cpu",
    params: DecodeParams | None = None,
    strip_px: int = STRIP_PX,
) -> Decoded:
    """Find the nuclei of an image whose median nucleus is about `NATIVE_DIAMETER_PX` wide.

    Parameters
    ----------
    image : ndarray, shape (Y, X)
        Brightness, any integer or float type, finite; bright nuclei on a dark ground. Memory grows with it by some
        hundred bytes a pixel: of a whole scan give one window after the other.
    net : NucleusNet
        From `ctcfish.nets.weights.load_network`, on `device`.
    device : str
        `cpu`, `cuda` or `mps`.
    params : DecodeParams, optional
        Thresholds; by default those the shipped weights were tested with.
    strip_px : int
        Pixels of a strip. The network's memory grows with it; labels do not depend on it.

    Returns
    -------
    Decoded
        Nothing found is zero labels and tables of no rows.
    """
    return decode(_maps(image, net, device, strip_px), params or DecodeParams())


def _maps(image: NDArray[np.generic], net: NucleusNet, device: str, strip_px: int) -> NDArray[np.float32]:
    """Return the network's maps of an image, ``(outputs, Y, X)``; each strip sees the network's reach around it."""
    field = measure_range(image)
    height, width = image.shape
    maps = np.empty((net.spec.outputs, height, width), np.float32)
    count = max(1, -(-height * width // strip_px))
    rows = STRIDE * max(1, -(-height // (count * STRIDE)))
    for top in range(0, height, rows):
        first, last = max(top - REACH_PX, 0), min(top + rows + REACH_PX, height)
        seen = _run(image[first:last], field, first, net, device)
        maps[:, top : top + rows] = seen[:, top - first : top - first + rows]
    return maps


def _run(
    strip: NDArray[np.generic], field: RangeField, first: int, net: NucleusNet, device: str
) -> NDArray[np.float32]:
    """Return the network's maps of a strip; sides are filled up to the stride by repeating the edge."""
    brightness = normalise(strip, field, (first, 0))
    height, width = brightness.shape
    filled = np.pad(brightness, ((0, -height % STRIDE), (0, -width % STRIDE)), mode="edge")
    inputs = torch.from_numpy(network_input(filled))[None].to(device, memory_format=torch.channels_last)
    with torch.inference_mode():
        maps = net(inputs)[0, :, :height, :width]
    result: NDArray[np.float32] = maps.float().cpu().numpy()
    return result
