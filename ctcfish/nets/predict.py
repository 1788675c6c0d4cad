"""The nucleus network over an image of any size: fixed tiles, each nucleus found by the tile that owns its centre."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray

from ctcfish.nets.architecture import REACH_PX as NETWORK_REACH_PX
from ctcfish.nets.architecture import STRIDE, NucleusNet
from ctcfish.nets.decode import REACH_PX as DECODE_REACH_PX
from ctcfish.nets.decode import Decoded, DecodeParams, decode
from ctcfish.nets.normalise import RangeField, measure_range, network_input, normalise

MARGIN_PX = STRIDE * -(-(NETWORK_REACH_PX + DECODE_REACH_PX) // STRIDE)
"""What a tile sees beyond the ground it owns, native pixels."""

CORE_PX = 1536
"""Side of the ground a tile owns, native pixels."""


@dataclass(frozen=True)
class NativeNuclei:
    """Nuclei of an image at the network's native scale.

    Attributes
    ----------
    labels : ndarray of int32, shape (Y, X)
        1 to n in the order of the centres, row by row; 0 is background.
    centre_px : ndarray of int64, shape (n, 2)
        Row and column of each nucleus's centre.
    probability : ndarray of float64, shape (n,)
        Mean foreground probability over the nucleus.
    """

    labels: NDArray[np.int32]
    centre_px: NDArray[np.int64]
    probability: NDArray[np.float64]


def predict_labels(
    image: NDArray[np.generic],
    net: NucleusNet,
    device: str = "cpu",
    params: DecodeParams | None = None,
    core_px: int = CORE_PX,
) -> NativeNuclei:
    """Find the nuclei of an image whose median nucleus is about `NATIVE_DIAMETER_PX` wide.

    Parameters
    ----------
    image : ndarray, shape (Y, X)
        Brightness, any integer or float type, finite; bright nuclei on a dark ground.
    net : NucleusNet
        From `ctcfish.nets.weights.load_network`, on `device`.
    device : str
        `cpu`, `cuda` or `mps`.
    params : DecodeParams, optional
        Thresholds; by default those the shipped weights were tested with.
    core_px : int
        Side of a tile's own ground, a multiple of 8. Memory grows with its square; labels do not depend on it.

    Returns
    -------
    NativeNuclei
        Nothing found is zero labels and tables of no rows.
    """
    chosen = params or DecodeParams()
    field = measure_range(image)
    labels = np.zeros(image.shape, np.int32)
    centres: list[NDArray[np.int64]] = [np.empty((0, 2), np.int64)]
    scores: list[NDArray[np.float64]] = [np.empty(0)]
    known = 0
    for core, window in _tiles(image.shape, core_px):
        found = decode(_run(image, field, window, net, device), chosen)
        origin = np.array([window[0].start, window[1].start])
        centre = found.centre_px + origin
        own = _inside(centre, core)
        _write(labels[window], found, own, known)
        centres.append(centre[own])
        scores.append(found.score[own])
        known += int(own.sum())
    return _in_order(labels, np.concatenate(centres), np.concatenate(scores))


def _tiles(shape: tuple[int, ...], core_px: int) -> Iterator[tuple[tuple[slice, slice], tuple[slice, slice]]]:
    """Yield each tile's own ground and what it sees, row by row."""
    for first in product(*(range(0, side, core_px) for side in shape)):
        core = tuple(slice(at, min(at + core_px, side)) for at, side in zip(first, shape, strict=True))
        window = tuple(
            slice(max(part.start - MARGIN_PX, 0), min(part.stop + MARGIN_PX, side))
            for part, side in zip(core, shape, strict=True)
        )
        yield (core[0], core[1]), (window[0], window[1])


def _run(
    image: NDArray[np.generic], field: RangeField, window: tuple[slice, slice], net: NucleusNet, device: str
) -> NDArray[np.float32]:
    """Return the network's maps of a window; sides are filled up to the stride by repeating the edge."""
    brightness = normalise(image[window], field, (window[0].start, window[1].start))
    height, width = brightness.shape
    filled = np.pad(brightness, ((0, -height % STRIDE), (0, -width % STRIDE)), mode="edge")
    inputs = torch.from_numpy(network_input(filled))[None].to(device, memory_format=torch.channels_last)
    with torch.inference_mode():
        maps = net(inputs)[0, :, :height, :width]
    result: NDArray[np.float32] = maps.float().cpu().numpy()
    return result


def _inside(centre: NDArray[np.int64], core: tuple[slice, slice]) -> NDArray[np.bool_]:
    rows, columns = core
    inside: NDArray[np.bool_] = (
        (centre[:, 0] >= rows.start)
        & (centre[:, 0] < rows.stop)
        & (centre[:, 1] >= columns.start)
        & (centre[:, 1] < columns.stop)
    )
    return inside


def _write(window: NDArray[np.int32], found: Decoded, own: NDArray[np.bool_], known: int) -> None:
    """Write a tile's own nuclei into the label image, numbered on from those known."""
    number = np.zeros(len(own) + 1, np.int32)
    number[1:][own] = known + 1 + np.arange(int(own.sum()), dtype=np.int32)
    drawn = number[found.labels]
    np.copyto(window, drawn, where=drawn > 0)


def _in_order(
    labels: NDArray[np.int32], centre: NDArray[np.int64], score: NDArray[np.float64], band: int = 1024
) -> NativeNuclei:
    """Number nuclei by their centres, row by row, whatever the tiles were."""
    order = np.lexsort((centre[:, 1], centre[:, 0]))
    number = np.zeros(len(order) + 1, np.int32)
    number[1 + order] = 1 + np.arange(len(order), dtype=np.int32)
    for start in range(0, labels.shape[0], band):
        labels[start : start + band] = number[labels[start : start + band]]
    return NativeNuclei(labels, centre[order], score[order])
