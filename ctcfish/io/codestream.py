"""Sizes that JPEG and JPEG 2000 streams declare, read without decoding them."""

from __future__ import annotations

import struct
from dataclasses import dataclass

_NO_FRAME = (0xC4, 0xC8, 0xCC)
_LOSSLESS = (0xC3, 0xC7, 0xCB, 0xCF)


@dataclass(frozen=True)
class Frame:
    """Size and type that a stream declares."""

    height: int
    width: int
    samples: int
    bits: int
    lossy: bool


def jpeg_frame(data: bytes) -> Frame | None:
    """Start-of-frame segment of a JPEG stream (ITU T.81, B.2.2); ``None`` where there is none.

    Examples
    --------
    >>> jpeg_frame(bytes.fromhex("ffd8ffc0000b080010002001011100"))
    Frame(height=16, width=32, samples=1, bits=8, lossy=True)
    """
    position = 2
    while data[:2] == b"\xff\xd8" and position + 10 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if 0xC0 <= marker <= 0xCF and marker not in _NO_FRAME:
            bits, height, width, samples = struct.unpack_from(">BHHB", data, position + 4)
            return Frame(height, width, samples, bits, lossy=marker not in _LOSSLESS)
        if marker == 0xFF:
            position += 1
        elif 0xD0 <= marker <= 0xD8 or marker == 1:
            position += 2
        else:
            position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return None


def jpeg_2000_frame(data: bytes) -> Frame | None:
    """Size and first coding style of a JPEG 2000 stream (ISO/IEC 15444-1, A.5.1 and A.6.1).

    A stream whose wavelet cannot be told counts as lossy.
    """
    size = data.find(b"\xff\x4f\xff\x51")
    if size < 0 or len(data) < size + 43:
        return None
    x1, y1, x0, y0 = struct.unpack_from(">IIII", data, size + 8)
    (samples,) = struct.unpack_from(">H", data, size + 40)
    bits = (data[size + 42] & 0x7F) + 1
    style = data.find(b"\xff\x52", size)
    reversible = style >= 0 and len(data) > style + 13 and data[style + 13] == 1
    return Frame(y1 - y0, x1 - x0, samples, bits, lossy=not reversible)
