"""What JPEG and JPEG 2000 headers declare, against the encoder that wrote them."""

from __future__ import annotations

import imagecodecs
import numpy as np
import pytest

from ctcfish.io.codestream import Frame, jpeg_2000_frame, jpeg_frame


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("options", [{}, {"optimize": True}, {"level": 20}, {"subsampling": "444"}])
def test_jpeg(samples: int, options: dict[str, object]) -> None:
    pixels = np.zeros((37, 53, samples), np.uint8).squeeze()
    frame = jpeg_frame(imagecodecs.jpeg_encode(pixels, **options))
    assert frame == Frame(37, 53, samples, 8, lossy=True)


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_lossless_jpeg(bits: int) -> None:
    pixels = np.zeros((37, 53), np.uint8 if bits == 8 else np.uint16)
    frame = jpeg_frame(imagecodecs.ljpeg_encode(pixels, bitspersample=bits))
    assert frame == Frame(37, 53, 1, bits, lossy=False)


def segment(marker: int, body: bytes) -> bytes:
    return bytes((0xFF, marker)) + (len(body) + 2).to_bytes(2, "big") + body


SIZE = bytes.fromhex("08 0010 0020 01 011100".replace(" ", ""))


@pytest.mark.parametrize(
    ("before", "marker", "lossy"),
    [
        (b"", 0xC0, True),
        (segment(0xE0, bytes(14)) + segment(0xFE, b"made by a microscope"), 0xC2, True),
        (segment(0xC4, bytes(30)) + segment(0xCC, bytes(2)), 0xC1, True),
        (b"\xff" * 3, 0xC0, True),
        (b"\xff\xd0\xff\x01", 0xC3, False),
    ],
    ids=["plain", "application and comment", "tables", "fill bytes", "bare markers"],
)
def test_frames_behind_other_segments(before: bytes, marker: int, lossy: bool) -> None:
    assert jpeg_frame(b"\xff\xd8" + before + segment(marker, SIZE)) == Frame(16, 32, 1, 8, lossy)


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff", b"\xff\xd8", b"\xff\xd8" + b"\xff" * 900, b"\xff\xd8\xff\xe0\xff\xff", b"\x89PNG", bytes(500)],
)
def test_no_frame(data: bytes) -> None:
    assert jpeg_frame(data) is None
    assert jpeg_2000_frame(data) is None


@pytest.mark.parametrize("codec", ["j2k", "jp2"])
@pytest.mark.parametrize("reversible", [True, False])
@pytest.mark.parametrize(("dtype", "samples"), [(np.uint8, 1), (np.uint16, 1), (np.uint8, 3)])
def test_jpeg_2000(codec: str, reversible: bool, dtype: type, samples: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 200, (70, 90, samples)).astype(dtype).squeeze()
    data = imagecodecs.jpeg2k_encode(pixels, level=30, codecformat=codec, reversible=reversible)
    bits = np.dtype(dtype).itemsize * 8
    assert jpeg_2000_frame(data) == Frame(70, 90, samples, bits, lossy=not reversible)
