"""PNG and JPEG pictures, against the encoder's input."""

from __future__ import annotations

import pickle
import struct
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest

from ctcfish.errors import InputError
from ctcfish.flags import SlideFlag
from ctcfish.io import Overrides, describe, open_slide

RGB = Overrides(pixel_um=0.1, channels={"her2": "R", "cep17": "G", "nucleus": "B"})


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("samples", [3, 4])
def test_png_colours(dtype: type, samples: int, tmp_path: Path) -> None:
    pixels = np.random.default_rng(2).integers(0, 250, (31, 17, samples)).astype(dtype)
    path = tmp_path / "cell.png"
    path.write_bytes(imagecodecs.png_encode(pixels))
    slide = pickle.loads(pickle.dumps(open_slide(path, RGB)))
    (scene,) = slide.fish_scenes
    assert scene.pixels.shape == (3, 1, 31, 17)
    assert scene.pixels.dtype == dtype
    np.testing.assert_array_equal(scene.read("nucleus", slice(1, 9), slice(4, 6))[0], pixels[1:9, 4:6, 2])
    assert slide.flags & SlideFlag.COMPOSITE
    assert not slide.flags & SlideFlag.LOSSY


def test_grey_pngs_are_channels_of_one_image(tmp_path: Path) -> None:
    paths = []
    for k, name in enumerate(("DAPI", "HER2")):
        paths.append(tmp_path / f"{name}.png")
        paths[-1].write_bytes(imagecodecs.png_encode(np.full((5, 6), 40 + k, np.uint8)))
    slide = open_slide(paths, Overrides(pixel_um=0.1))
    assert slide.fish_scenes[0].read("her2").tolist() == np.full((1, 5, 6), 41).tolist()
    assert not slide.flags & SlideFlag.COMPOSITE


def test_jpeg_is_a_lossy_composite(tmp_path: Path) -> None:
    ramp = np.tile(np.arange(0, 160, 2, dtype=np.uint8), (60, 1))
    pixels = np.stack([ramp, ramp[:, ::-1], np.full_like(ramp, 90)], axis=-1)
    path = tmp_path / "cell.JPG"
    path.write_bytes(imagecodecs.jpeg_encode(pixels, level=95))
    slide = open_slide(path, RGB)
    assert slide.slide_id == "cell"
    assert slide.flags & SlideFlag.LOSSY
    assert slide.flags & SlideFlag.COMPOSITE
    assert np.abs(slide.fish_scenes[0].read("her2")[0].astype(int) - ramp).max() < 20


def test_a_picture_never_has_a_pixel_size(tmp_path: Path) -> None:
    path = tmp_path / "cell.png"
    path.write_bytes(imagecodecs.png_encode(np.zeros((5, 6, 3), np.uint8)))
    missing = describe(path, Overrides(channels=RGB.channels))["scenes"][0]["missing"]
    assert [m["needed"] for m in missing] == ["the size of a pixel in um"]


def png(width: int, height: int, bits: int, colour: int, data: bytes = b"") -> bytes:
    """A PNG by hand: header, one data chunk, end."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (png(4, 4, 8, 3), "found a palette; needed 8 or 16 bit"),
        (png(4, 4, 1, 0), "found 1-bit pixels"),
        (png(0, 4, 8, 0), "found an image of size 4 x 0"),
        (png(2**31 - 1, 2**31 - 1, 16, 2), "bytes of pixels declared by"),
        (png(60000, 17000, 8, 2), "bytes of pixels declared by"),
        (b"\x89PNG\r\n\x1a\n", "found bytes that cannot be read"),
        (b"\xff\xd8\xff\xe0\x00\x02\xff\xd9", "found no PNG or JPEG header"),
        (b"\xff\xd8" + b"\xff" * 5000, "found no PNG or JPEG header"),
        (b"BM not a picture", "found no PNG or JPEG header"),
        (b"", "found an empty file"),
    ],
)
def test_pictures_that_are_refused(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "cell.png"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        open_slide(path, RGB)


def test_cut_pictures_are_refused_when_read(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    path = tmp_path / "cell.png"
    path.write_bytes(imagecodecs.png_encode(noise)[:5000])
    (scene,) = open_slide(path, RGB).fish_scenes
    with pytest.raises(InputError, match="bytes that cannot be read"):
        scene.read("her2")
