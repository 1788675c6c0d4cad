"""Several one-channel files as the channels of one image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctcfish.errors import InputError
from ctcfish.flags import SlideFlag
from ctcfish.io.image import FileImage
from ctcfish.io.names import stem
from ctcfish.types import PixelSource


@dataclass(frozen=True)
class StackedPixels:
    """Channel ``c`` is the only channel of source ``c``."""

    sources: tuple[PixelSource, ...]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Size ``(C, Z, Y, X)``."""
        return (len(self.sources), *self.sources[0].shape[1:])

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type that holds every source's pixels."""
        return np.result_type(*(s.dtype for s in self.sources))

    def read(self, channel: int, planes: slice, rows: slice, columns: slice) -> NDArray[Any]:
        """Read ``(Z, Y, X)`` pixels of one channel."""
        return self.sources[channel].read(0, planes, rows, columns).astype(self.dtype, copy=False)


def stack(images: Sequence[FileImage]) -> FileImage:
    """One image whose channels are the given files, in their order.

    Channels are named as their file names them, else by the file's stem.

    Raises
    ------
    InputError
        Files of several channels, of different size, or that contradict each other.
    """
    first = images[0]
    for image in images:
        _check_one_channel(image)
        if image.pixels.shape != first.pixels.shape:
            raise InputError(
                f"{first.path.name} and {image.path.name}",
                f"sizes (Z, Y, X) {first.pixels.shape[1:]} and {image.pixels.shape[1:]}",
                "channels of one size",
                "Give files of one field; different images are scored one at a time, or as a slide folder.",
            )
    flags = SlideFlag(0)
    for image in images:
        flags |= image.flags
    return replace(
        first,
        kind=f"{len(images)} files, one channel each",
        pixels=StackedPixels(tuple(i.pixels for i in images)),
        pixel_um=_agreed(images, "pixel size", [i.pixel_um for i in images]),
        z_step_um=_agreed(images, "z step", [i.z_step_um for i in images]),
        channel_names=tuple((i.channel_names[0] if i.channel_names else "") or stem(i.path) for i in images),
        emission_nm=tuple(i.emission_nm[0] if i.emission_nm else None for i in images),
        flags=flags,
        notes=tuple(dict.fromkeys(note for i in images for note in i.notes)),
        files=tuple(file for i in images for file in i.files),
    )


def _check_one_channel(image: FileImage) -> None:
    n_channels = image.pixels.shape[0]
    if n_channels != 1:
        raise InputError(
            image.path.name,
            f"{n_channels} channels",
            "one channel in each of several files",
            "Give this file alone, or files of one channel each.",
        )


def _agreed(images: Sequence[FileImage], what: str, values: Sequence[Any]) -> Any:
    """The value of the files that state one, if they agree within 1 %."""
    stated = [(i, v) for i, v in zip(images, values, strict=True) if v is not None]
    for image, value in stated:
        if not np.allclose(value, stated[0][1], rtol=0.01, atol=0):
            raise InputError(
                f"{stated[0][0].path.name} and {image.path.name}",
                f"a {what} of {stated[0][1]} and {value} um",
                f"one {what}",
                "Give files of one field, or export them again with the right size.",
            )
    return stated[0][1] if stated else None
