"""Images as OME-Zarr 0.5: every level written block by block from the one above it, so that memory stays small."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from yaozarrs import v05
from yaozarrs.write.v05 import LabelsBuilder, prepare_image

CHUNK_PX = 1024
SMALLEST_PX = 512
"""Halving ends at the first level whose longer side is not above this."""

COLOURS = {
    "nucleus": "4073FF",
    "her2": "FF731A",
    "cep17": "33FF59",
    "inclusion": "33E64D",
    "exclusion": "FF4040",
    "her2_protein": "FFCC33",
}


class Readable(Protocol):
    """What pixels are read from, a window at a time."""

    def read(self, channel: int, planes: slice, rows: slice, columns: slice) -> NDArray[Any]:
        """Return ``(Z, Y, X)`` pixels of one channel."""
        ...


@dataclass(frozen=True)
class Image:
    """An image to write.

    Attributes
    ----------
    name : str
    pixels : Readable
    shape_czyx : tuple of int
    dtype : numpy.dtype
    voxel_um : tuple of float
        ``(z, y, x)``.
    origin_um : tuple of float
        ``(y, x)`` of the first pixel centre in its scene.
    channels : tuple of str
    limits : mapping of str to (float, float)
        Range in which a channel is shown first.
    """

    name: str
    pixels: Readable
    shape_czyx: tuple[int, int, int, int]
    dtype: np.dtype[Any]
    voxel_um: tuple[float, float, float]
    origin_um: tuple[float, float]
    channels: tuple[str, ...]
    limits: Mapping[str, tuple[float, float]] = field(default_factory=dict)


def write_image(image: Image, target: Path) -> None:
    """Write an image and its pyramid, halved in y and x by the mean of 2 x 2 pixels."""
    sizes = level_sizes(image.shape_czyx[2:])
    shapes = [(*image.shape_czyx[:2], *size) for size in sizes]
    model = v05.Image(
        multiscales=[_multiscale(image, "czyx", len(sizes))],
        omero=v05.Omero(channels=[_channel(name, image) for name in image.channels]),
    )
    chunks = (1, 1, *(min(CHUNK_PX, side) for side in sizes[0]))
    _, arrays = prepare_image(target, model, [(shape, image.dtype) for shape in shapes], chunks=chunks, writer="zarr")
    levels = [arrays[str(k)] for k in range(len(sizes))]
    for c in range(image.shape_czyx[0]):
        for z in range(image.shape_czyx[1]):
            for rows, columns in blocks(sizes[0]):
                levels[0][c, z, rows, columns] = image.pixels.read(c, slice(z, z + 1), rows, columns)[0]
            for above, level, size in zip(levels, levels[1:], sizes[1:], strict=False):
                for rows, columns in blocks(size):
                    level[c, z, rows, columns] = halved(np.asarray(above[c, z, _twice(rows), _twice(columns)]))


def write_nuclei(labels: Any, image: Image, target: Path) -> None:
    """Write a label image ``nuclei`` below an image, with a pyramid that keeps the first of each 2 x 2 labels.

    Parameters
    ----------
    labels : array of int, (Y, X)
        On disk; read block by block.
    image : Image
        Name, pixel size and origin of the labels.
    target : Path
        The ``.ome.zarr`` folder of the image.
    """
    sizes = level_sizes(labels.shape)
    model = v05.LabelImage(
        multiscales=[_multiscale(image, "yx", len(sizes))],
        **{"image-label": v05.ImageLabel(version="0.5", source=v05.LabelSource(image="../../"))},
    )
    chunks = (min(CHUNK_PX, sizes[0][0]), min(CHUNK_PX, sizes[0][1]))
    builder = LabelsBuilder(target / "labels", writer="zarr", chunks=chunks)
    builder.add_label("nuclei", model, [(size, labels.dtype) for size in sizes])
    _, arrays = builder.prepare()
    levels = [arrays[f"nuclei/{k}"] for k in range(len(sizes))]
    for rows, columns in blocks(sizes[0]):
        levels[0][rows, columns] = labels[rows, columns]
    for above, level, size in zip(levels, levels[1:], sizes[1:], strict=False):
        for rows, columns in blocks(size):
            level[rows, columns] = np.asarray(above[_twice(rows), _twice(columns)])[::2, ::2]


def level_sizes(size: Sequence[int]) -> list[tuple[int, int]]:
    """``(Y, X)`` of every level, from the full one; an odd side is rounded up.

    Examples
    --------
    >>> level_sizes((1500, 900))
    [(1500, 900), (750, 450), (375, 225)]
    """
    sizes = [(int(size[0]), int(size[1]))]
    while max(sizes[-1]) > SMALLEST_PX:
        sizes.append(((sizes[-1][0] + 1) // 2, (sizes[-1][1] + 1) // 2))
    return sizes


def blocks(size: tuple[int, int]) -> Iterator[tuple[slice, slice]]:
    """Windows of a level that are one chunk each."""
    for top in range(0, size[0], CHUNK_PX):
        for left in range(0, size[1], CHUNK_PX):
            yield slice(top, min(top + CHUNK_PX, size[0])), slice(left, min(left + CHUNK_PX, size[1]))


def halved(block: NDArray[Any]) -> NDArray[Any]:
    """Mean of 2 x 2 pixels, rounded in integer types; at an odd edge the last row or column counts twice."""
    even = np.pad(block, [(0, side % 2) for side in block.shape], mode="edge")
    quarters = even.reshape(even.shape[0] // 2, 2, even.shape[1] // 2, 2)
    mean = quarters.mean(axis=(1, 3), dtype=np.float64)
    rounded: NDArray[Any] = np.rint(mean) if np.issubdtype(block.dtype, np.integer) else mean
    return rounded.astype(block.dtype)


def _twice(part: slice) -> slice:
    return slice(2 * part.start, 2 * part.stop)


def _multiscale(image: Image, letters: str, n_levels: int) -> v05.Multiscale:
    """Axes and levels; the first pixel of a halved level lies half a pixel of the level above further in."""
    axes = [v05.ChannelAxis(name="c") if k == "c" else v05.SpaceAxis(name=k, unit="micrometer") for k in letters]
    z_um, y_um, x_um = image.voxel_um
    datasets = []
    for k in range(n_levels):
        size = {"c": 1.0, "z": z_um or 1.0, "y": y_um * 2**k, "x": x_um * 2**k}
        shift = {
            "y": image.origin_um[0] + y_um * (2**k - 1) / 2,
            "x": image.origin_um[1] + x_um * (2**k - 1) / 2,
        }
        scale = v05.ScaleTransformation(scale=[size[letter] for letter in letters])
        translation = v05.TranslationTransformation(translation=[shift.get(letter, 0.0) for letter in letters])
        datasets.append(v05.Dataset(path=str(k), coordinateTransformations=[scale, translation]))
    return v05.Multiscale(name=image.name, axes=axes, datasets=datasets)


def _channel(name: str, image: Image) -> v05.OmeroChannel:
    """Name, colour and range of display of a channel; without a range the whole of an integer type, else 0 to 1."""
    whole = np.issubdtype(image.dtype, np.integer)
    least, most = (float(v) for v in ((np.iinfo(image.dtype).min, np.iinfo(image.dtype).max) if whole else (0, 1)))
    start, end = image.limits.get(name, (least, most))
    window = v05.OmeroWindow(start=start, min=least, end=end, max=most)
    return v05.OmeroChannel(window=window, label=name, color=COLOURS.get(name, "FFFFFF"), active=True)
