"""Damaged and hostile files end in a refusal: no traceback, no hang, no memory beyond the stated cap."""

from __future__ import annotations

import contextlib
import logging
import random
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from ctcfish.errors import CtcfishError, InputError
from ctcfish.io import Overrides, describe, open_slide
from ctcfish.io.failures import FREE_BYTES, MAX_BLOCK_BYTES, MAX_RATIO, check_bytes
from ctcfish.io.names import VENDOR

ALL = slice(None)
GIVEN = Overrides(pixel_um=0.1, z_step_um=0.4, channels={"nucleus": "0", "her2": "1"})
RGB = Overrides(pixel_um=0.1, channels={"nucleus": "B", "her2": "R"})


def test_real_malformed_files_are_refused(shared_data: Path, caplog: pytest.LogCaptureFixture) -> None:
    paths = sorted((shared_data / "formats" / "malformed").iterdir())
    assert len(paths) == 13
    with caplog.at_level(logging.DEBUG):
        for path in paths:
            for given in (GIVEN, RGB):
                with pytest.raises(InputError, match=f"^{path.name}: found .*; needed .*") as caught:
                    open_slide(path, given)
                assert caught.value.exit_code == 3
    assert not caplog.records


LIMITED = """
import resource, sys, time
from pathlib import Path
import zarr, tifffile, pandas
from ctcfish.errors import InputError
from ctcfish.io import Overrides, open_slide
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (512 << 20),) * 2)
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
for path in map(Path, sys.argv[1:]):
    start = time.perf_counter()
    try:
        slide = open_slide(path, Overrides(pixel_um=0.1, z_step_um=0.4, channels={"nucleus": "0", "her2": "1"}))
        slide.fish_scenes[0].read("nucleus")
        print("opened", path.name)
    except InputError as error:
        print("refused", path.name)
    if time.perf_counter() - start > 5:
        print("slow", path.name)
"""


def within_limits(*paths: Path) -> list[str]:
    """Open files in a process that may take half a gigabyte more and a minute of processor time."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", LIMITED, *map(str, paths)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are Linux's here")
def test_malformed_files_stay_within_half_a_gigabyte(shared_data: Path) -> None:
    paths = sorted((shared_data / "formats" / "malformed").iterdir())
    assert within_limits(*paths) == [f"refused {path.name}" for path in paths]


def tiff(width: int, height: int, *, compression: int = 1, stored: int = 100, rows: int | None = None) -> bytes:
    """A little-endian TIFF of one 16-bit grey page, by hand: header, directory, ``stored`` bytes in one strip."""
    tags = [
        (256, 4, width),
        (257, 4, height),
        (258, 3, 16),
        (259, 3, compression),
        (262, 3, 1),
        (273, 4, 8 + 2 + 9 * 12 + 4),
        (277, 3, 1),
        (278, 4, rows or height),
        (279, 4, stored),
    ]
    body = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + body + struct.pack("<I", 0) + bytes(stored)


OME_CLAIM = (
    '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0"><Pixels ID="P:0" '
    'DimensionOrder="XYZCT" Type="uint16" SizeX="8" SizeY="8" SizeZ="{z}" SizeC="2" SizeT="1">'
    '<TiffData IFD="0" PlaneCount="{n}"/></Pixels></Image></OME>'
)
CLAIMS = {
    "imagej": "ImageJ=1.53\nimages=2000000000\nchannels=2000000000\nhyperstack=true\n",
    "shaped": '{"shape": [2000000000, 8, 8]}',
    "negative": '{"shape": [-1, 8, 8], "axes": "ZYX"}',
    "planes": OME_CLAIM.format(z=2_000_000_000, n=1),
    "count": OME_CLAIM.format(z=1, n=2_000_000_000),
    "text": OME_CLAIM.format(z="many", n=1),
    "missing": OME_CLAIM.format(z=300_000, n=1),
}


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are Linux's here")
def test_hostile_files_stay_within_half_a_gigabyte(tmp_path: Path) -> None:
    hostile = {
        "uncompressed.tif": tiff(60000, 60000),
        "deflate.tif": tiff(60000, 60000, compression=8),
        "strip.tif": tiff(2**31 - 1, 2**31 - 1, compression=5),
    }
    for name, content in hostile.items():
        (tmp_path / name).write_bytes(content)
    for name, claim in CLAIMS.items():
        tifffile.imwrite(tmp_path / f"{name}.tif", np.ones((8, 8), np.uint16), description=claim, metadata=None)
    names = [*hostile, *(f"{name}.tif" for name in CLAIMS)]
    assert within_limits(*(tmp_path / name for name in names)) == [f"refused {name}" for name in names]


@pytest.mark.parametrize(
    ("claim", "message"),
    [
        ("imagej", "found 1 of 2e[+]09 planes"),
        ("shaped", "found an image of size"),
        ("negative", r"found an image of size \(-1, 8, 8\)"),
        ("planes", "found SizeC 2, SizeZ 2000000000, SizeT 1; needed at most 1,000,000 planes"),
        ("count", "found PlaneCount 2000000000; needed at most 1,000,000 planes"),
        ("text", "SizeZ many"),
        ("missing", "found no page 1 of the 600000 declared"),
    ],
)
def test_claims_that_the_file_does_not_keep(claim: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "claim.tif"
    tifffile.imwrite(path, np.ones((8, 8), np.uint16), description=CLAIMS[claim], metadata=None)
    with pytest.raises(InputError, match=f"claim.tif: {message}" if message.startswith("found") else message):
        open_slide(path, GIVEN)


@pytest.mark.parametrize(
    ("declared", "stored", "block", "refused"),
    [
        (FREE_BYTES, 1, 0, False),
        (FREE_BYTES + 1, 1, 0, True),
        (2_000_000 * MAX_RATIO, 2_000_000, 0, False),
        (2_000_000 * MAX_RATIO + 1, 2_000_000, 0, True),
        (10, 10, MAX_BLOCK_BYTES, False),
        (10, 10, MAX_BLOCK_BYTES + 1, True),
        (FREE_BYTES + 1, 0, 0, True),
    ],
)
def test_the_cap_itself(declared: int, stored: int, block: int, refused: bool) -> None:
    if refused:
        with pytest.raises(InputError, match=r"bytes of pixels declared by|blocks of .* bytes"):
            check_bytes(Path("f.tif"), declared, stored, block=block)
    else:
        check_bytes(Path("f.tif"), declared, stored, block=block)


@pytest.mark.parametrize("keep", [0, 1, 7, 8, 100, 2000, 0.5, 0.99])
@pytest.mark.parametrize("options", [{}, {"tile": (16, 16), "compression": "zlib"}], ids=["raw", "tiled"])
def test_truncated_files_are_refused(keep: float, options: dict[str, object], ome_tiff: Callable[..., Path]) -> None:
    path = ome_tiff(options=options)
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content)) if isinstance(keep, float) else keep])
    with pytest.raises(InputError, match=r"slide7\.ome\.tif: found .*; needed "):
        open_slide(path)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.ome.tif", {"ome": True}),
        ("b.ome.tif", {"ome": True, "tile": (16, 16), "compression": "zlib"}),
        ("c.tif", {"imagej": True}),
        ("d.tif", {"imagej": True, "compression": "zlib"}),
        ("e.tif", {"compression": "zlib"}),
        ("f.tif", {"bigtiff": True, "truncate": True}),
    ],
)
def test_a_cut_file_never_opens_as_a_smaller_image(
    name: str, options: dict[str, object], tmp_path: Path, volume: NDArray[np.uint16]
) -> None:
    path = tmp_path / name
    stack = volume.transpose(1, 0, 2, 3)
    tifffile.imwrite(path, stack, metadata={"axes": "ZCYX"}, photometric="minisblack", **options)  # type: ignore[arg-type]
    whole = path.read_bytes()
    for cut in range(8, len(whole), len(whole) // 60):
        path.write_bytes(whole[:cut])
        with contextlib.suppress(InputError):
            assert describe(path)["scenes"][0]["size"] == {"C": 3, "Z": 4, "Y": 40, "X": 50}, cut


@pytest.mark.parametrize("compression", [1, 8])
def test_pixels_beyond_the_end_of_the_file(compression: int, tmp_path: Path) -> None:
    path = tmp_path / "cut.tif"
    path.write_bytes(tiff(10, 10, stored=200, compression=compression)[:-1])
    with pytest.raises(
        InputError, match=r"cut\.tif: found plane 0 ends at byte 322 of a file of 321; needed an intact"
    ):
        open_slide(path, GIVEN)


def test_a_file_cut_after_opening_is_refused_when_read(ome_tiff: Callable[..., Path]) -> None:
    path = ome_tiff()
    (scene,) = open_slide(path).fish_scenes
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(InputError, match="found another image than when it was opened; needed an intact image"):
        scene.read("cep17")
    path.unlink()
    with pytest.raises(InputError, match="found no such file"):
        scene.read("cep17")


def test_random_damage_never_ends_in_a_traceback(ome_tiff: Callable[..., Path]) -> None:
    draw = random.Random(5)
    for options in ({}, {"tile": (16, 16), "compression": "zlib", "predictor": True}):
        path = ome_tiff(options=options)
        whole = path.read_bytes()
        for _ in range(120):
            damaged = bytearray(whole)
            for _ in range(draw.choice((1, 3, 8))):
                damaged[draw.randrange(min(len(damaged), 900))] = draw.choice((0, 1, 127, 255))
            path.write_bytes(damaged)
            with contextlib.suppress(CtcfishError):
                open_slide(path, GIVEN).fish_scenes[0].pixels.read(0, ALL, slice(0, 9), ALL)
            with contextlib.suppress(CtcfishError):
                describe(path)


def test_a_stack_that_lost_its_last_planes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "planes.tif"
    with tifffile.TiffWriter(path) as writer:
        for k in range(6):
            writer.write(np.full((20, 20), k, np.uint16), photometric="minisblack", metadata=None, contiguous=False)
    whole = path.read_bytes()
    assert describe(path)["scenes"][0]["size"]["C"] == 6
    path.write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(InputError, match=r"planes\.tif: found page 4 named at byte [\d,]+ and not there"):
        open_slide(path, GIVEN)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_not_finite_pixels_are_refused_when_read(value: float, tmp_path: Path) -> None:
    path = tmp_path / "float.tif"
    pixels = np.ones((2, 8, 8), np.float32)
    pixels[1, 3, 4] = value
    tifffile.imwrite(path, pixels, photometric="minisblack")
    (scene,) = open_slide(path, GIVEN_FLAT).fish_scenes
    assert scene.read("nucleus").max() == 1
    assert scene.read("her2", slice(4, 8)).max() == 1
    with pytest.raises(InputError, match=r"float\.tif: found pixels that are NaN or infinite; needed finite"):
        scene.read("her2")


GIVEN_FLAT = Overrides(pixel_um=0.1, channels={"nucleus": "0", "her2": "1"})


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((2, 8, 8), np.uint16),
        np.full((2, 8, 8), 65535, np.uint16),
        np.full((2, 1, 1), 7, np.uint8),
        np.full((2, 1, 300), 7, np.uint8),
        np.full((2, 300, 1), -3.5, np.float32),
    ],
    ids=["black", "saturated", "one pixel", "one row", "one column"],
)
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_dull_images_open(pixels: NDArray[np.generic], compression: str | None, tmp_path: Path) -> None:
    path = tmp_path / "dull.tif"
    with tifffile.TiffWriter(path) as writer:
        for page in pixels:
            writer.write(page, photometric="minisblack", compression=compression, metadata=None)
    (scene,) = open_slide(path, GIVEN_FLAT).fish_scenes
    np.testing.assert_array_equal(scene.read("her2")[0], pixels[1])


def test_bits_complex_and_palettes_are_refused(tmp_path: Path) -> None:
    complex_, bits, palette, white = (tmp_path / f"{name}.tif" for name in ("complex", "bits", "palette", "white"))
    tifffile.imwrite(complex_, np.ones((2, 8, 8), np.complex64), photometric="minisblack")
    tifffile.imwrite(bits, np.ones((2, 8, 8), np.bool_), photometric="minisblack")
    tifffile.imwrite(palette, np.ones((8, 8), np.uint8), photometric="palette", colormap=np.ones((3, 256), np.uint16))
    tifffile.imwrite(white, np.ones((8, 8), np.uint8), photometric="miniswhite")
    for path, found in (
        (complex_, "pixels of type complex64; needed integer or floating-point grey values"),
        (bits, "pixels of type bool; needed integer"),
        (palette, "a palette image; needed grey values or RGB"),
        (white, "a white-is-zero image; needed grey values or RGB"),
    ):
        with pytest.raises(InputError, match=f"{path.name}: found {found}"):
            open_slide(path, GIVEN_FLAT)


@pytest.mark.parametrize("name", ["a.tif", "a.ome.tiff", "a.png", "a.jpg", "a.ome.zarr", "a.txt", "a"])
def test_empty_and_missing_files(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"{name}: found no such file; needed an existing image"):
        open_slide(tmp_path / name)
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(InputError, match=f"{name}: found an empty file"):
        open_slide(tmp_path / name)


def test_other_content_under_the_name_of_an_image(tmp_path: Path) -> None:
    for name, content in (
        ("a.tif", b"\x89PNG\r\n\x1a\n" + bytes(50)),
        ("b.tif", b"II*\0" + bytes(4)),
        ("c.tif", b"hello"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=f"{name}: found .*; needed an intact image"):
            open_slide(tmp_path / name)


def test_a_folder_that_is_no_image(tmp_path: Path) -> None:
    (tmp_path / "stuff.tif").mkdir()
    with pytest.raises(InputError, match=r"stuff\.tif: found a folder that is neither an image nor a slide; .* batch"):
        open_slide(tmp_path / "stuff.tif")


@pytest.mark.parametrize("suffix", sorted(VENDOR))
def test_vendor_formats_name_the_converter(suffix: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"found a {VENDOR[suffix]} file.*bioformats2raw.*OME-TIFF"):
        open_slide(tmp_path / f"scan{suffix.upper()}")


def test_real_vendor_file(shared_data: Path) -> None:
    with pytest.raises(InputError, match=r"cluster\.nd2: found a Nikon file"):
        open_slide(shared_data / "formats" / "valid" / "cluster.nd2")


def test_vendor_tiff_by_content(tmp_path: Path) -> None:
    path = tmp_path / "scan.tif"
    tifffile.imwrite(
        path,
        np.ones((64, 64, 3), np.uint8),
        photometric="rgb",
        tile=(16, 16),
        description="Aperio Image Library v1",
        metadata=None,
    )
    with pytest.raises(InputError, match=r"found a vendor's TIFF \(svs\); .*bioformats2raw"):
        open_slide(path, RGB)


@pytest.mark.parametrize(
    ("compression", "marker", "places"),
    [("jpeg", b"\xff\xc0", [(5, ">HH")]), ("jpeg2000", b"\xff\x51", [(6, ">II"), (22, ">II")])],
)
def test_a_block_that_declares_more_than_its_page_is_refused(
    compression: str, marker: bytes, places: list[tuple[int, str]], tmp_path: Path
) -> None:
    path = tmp_path / "bomb.tif"
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    tifffile.imwrite(path, pixels, photometric="rgb", compression=compression, tile=(64, 64))
    content = bytearray(path.read_bytes())
    start = content.index(marker)
    for place, kind in places:
        struct.pack_into(kind, content, start + place, 60000, 60000)
    path.write_bytes(content)
    (scene,) = open_slide(path, RGB).fish_scenes
    with pytest.raises(InputError, match="found a block of 60000 x 60000 pixels in place of 64 x 64; needed an intact"):
        scene.read("her2")


def test_too_little_memory_is_said_so(ome_tiff: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise MemoryError

    (scene,) = open_slide(ome_tiff()).fish_scenes
    monkeypatch.setattr("ctcfish.io.tiff_pixels._read_plane", full)
    with pytest.raises(InputError, match="found too little memory for it"):
        scene.read("her2")
