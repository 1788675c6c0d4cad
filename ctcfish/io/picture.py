"""PNG and JPEG pictures, as FISH workstations and cameras export them."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from ctcfish.errors import InputError
from ctcfish.flags import SlideFlag
from ctcfish.io.codestream import Frame, jpeg_frame
from ctcfish.io.failures import check_bytes, damaged, finite, refusing
from ctcfish.io.image import FileImage
from ctcfish.io.names import stem
from ctcfish.io.window import window_of

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_SAMPLES = {0: 1, 2: 3, 4: 2, 6: 4}


@dataclass(frozen=True)
class PicturePixels:
    """Pixels of a picture, decoded whole: pictures hold one plane and their formats know no windows."""

    path: Path
    shape: tuple[int, int, int, int]
    dtype: np.dtype[Any]

    def read(self, channel: int, planes: slice, rows: slice, columns: slice) -> NDArray[Any]:
        """Read ``(Z, Y, X)`` pixels of one channel.

        Raises
        ------
        InputError
            A damaged file.
        """
        depths, window = window_of(self.shape, planes, rows, columns)
        with refusing(self.path):
            state = self.path.stat()
            pixels = _decode(self.path, state.st_size, state.st_mtime_ns)
        if pixels.shape[:2] != self.shape[2:] or pixels.dtype != self.dtype:
            raise damaged(self.path, f"pixels of shape {pixels.shape} after a header of {self.shape[2:]}")
        plane = pixels[window.rows, window.columns, channel]
        return finite(self.path, np.repeat(plane[None], len(depths), axis=0))


# three channels of one picture are read one after the other; one decoded picture is kept for them
@lru_cache(maxsize=1)
def _decode(path: Path, _size: int, _mtime_ns: int) -> NDArray[Any]:
    data = path.read_bytes()
    decoded = imagecodecs.png_decode(data) if data.startswith(_PNG) else imagecodecs.jpeg_decode(data)
    pixels = np.asarray(decoded)
    return pixels[..., None] if pixels.ndim == 2 else pixels


def open_picture(path: Path) -> tuple[FileImage, ...]:
    """The image of a PNG or JPEG file, its pixels not yet decoded.

    Raises
    ------
    InputError
        A file that is damaged, or holds a palette, bits or other colours than grey and RGB.
    """
    with refusing(path):
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(1 << 22)
        header = _png(path, head) if head.startswith(_PNG) else _jpeg(path, head)
    dtype = np.dtype(np.uint8 if header.bits <= 8 else np.uint16)
    if header.height < 1 or header.width < 1:
        raise damaged(path, f"an image of size {header.height} x {header.width}")
    declared = header.height * header.width * header.samples * dtype.itemsize
    check_bytes(path, declared, size, block=declared)
    composite = header.samples >= 3
    names = ("R", "G", "B") if composite else ("",)
    flags = SlideFlag.COMPOSITE if composite else SlideFlag(0)
    if header.lossy:
        flags |= SlideFlag.LOSSY
    pixels = PicturePixels(path, (len(names), 1, header.height, header.width), dtype)
    kind = "JPEG" if header.lossy else "PNG"
    return (FileImage(stem(path), path, kind, pixels, channel_names=names, flags=flags, files=(path,)),)


def _png(path: Path, head: bytes) -> Frame:
    width, height, bits, colour = struct.unpack(">IIBB", head[16:26])
    if colour not in _PNG_SAMPLES or bits not in (8, 16):
        raise InputError(
            path.name,
            "a palette" if colour == 3 else f"{bits}-bit pixels",
            "8 or 16 bit grey values or RGB",
            "Export the original grey values or RGB.",
        )
    return Frame(height, width, _PNG_SAMPLES[colour], bits, lossy=False)


def _jpeg(path: Path, head: bytes) -> Frame:
    frame = jpeg_frame(head)
    if frame is None:
        raise damaged(path, "no PNG or JPEG header")
    if frame.samples not in (1, 3):
        raise InputError(path.name, f"{frame.samples} colours", "grey values or RGB", "Export RGB, not CMYK.")
    return frame
