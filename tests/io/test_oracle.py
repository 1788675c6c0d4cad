"""Any TIFF, read by window, against the TIFF library reading it whole: the general path equals the fast one."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ctcfish.errors import InputError
from ctcfish.io import Overrides, open_slide
from ctcfish.io.tiff_layout import read_layout
from ctcfish.types import PixelSource

ALL = slice(None)
GIVEN = Overrides(pixel_um=0.1, z_step_um=0.4, channels={"nucleus": "0", "her2": "1"})


@st.composite
def files(draw: st.DrawFn) -> tuple[NDArray[Any], dict[str, Any]]:
    """Pixels ``(C, Z, Y, X)`` and how to write them."""
    shape = (draw(st.integers(2, 4)), draw(st.integers(1, 3)), draw(st.integers(2, 40)), draw(st.integers(2, 40)))
    dtype = draw(st.sampled_from([np.uint8, np.int16, np.uint16, np.uint32, np.float32, np.float64]))
    pixels = np.random.default_rng(draw(st.integers(0, 99))).integers(0, 120, shape).astype(dtype)
    options: dict[str, Any] = {"byteorder": draw(st.sampled_from("<>")), "bigtiff": draw(st.booleans())}
    options["compression"] = draw(st.sampled_from([None, "zlib", "lzw", "zstd", "packbits", "lzma"]))
    if options["compression"] not in (None, "packbits") and np.dtype(dtype).kind != "f":
        options["predictor"] = draw(st.booleans())
    layout = draw(st.sampled_from(["page", "strips", "tiles"]))
    if layout == "strips":
        options["rowsperstrip"] = draw(st.integers(1, 20))
    elif layout == "tiles":
        options["tile"] = (16 * draw(st.integers(1, 3)), 16 * draw(st.integers(1, 2)))
    return pixels, options


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files(), st.data())
def test_windows_of_any_file(tmp_path: Path, case: tuple[NDArray[Any], dict[str, Any]], data: st.DataObject) -> None:
    pixels, options = case
    path = tmp_path / "any.tif"
    tifffile.imwrite(path, pixels, photometric="minisblack", metadata={"axes": "CZYX"}, **options)
    np.testing.assert_array_equal(tifffile.imread(path).reshape(pixels.shape), pixels)
    (scene,) = open_slide(path, GIVEN).fish_scenes
    assert scene.pixels.shape == pixels.shape
    for _ in range(3):
        y, x = (sorted(data.draw(st.tuples(st.integers(0, n), st.integers(0, n)))) for n in pixels.shape[2:])
        channel = data.draw(st.integers(0, pixels.shape[0] - 1))
        read = scene.pixels.read(channel, ALL, slice(*y), slice(*x))
        np.testing.assert_array_equal(read, pixels[channel, :, slice(*y), slice(*x)])
        assert read.dtype == pixels.dtype
        assert read.dtype.isnative


def both(path: Path) -> PixelSource:
    return open_slide(path, GIVEN).fish_scenes[0].pixels


@pytest.mark.parametrize("axes", ["CZYX", "ZCYX"])
@pytest.mark.parametrize("options", [{}, {"rowsperstrip": 5}, {"byteorder": ">"}], ids=["run", "strips", "big endian"])
def test_mapped_bytes_equal_decoded_ones(axes: str, options: dict[str, Any], tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 4000, (3, 4, 33, 21)).astype(np.uint16)
    stored = pixels if axes == "CZYX" else pixels.transpose(1, 0, 2, 3)
    fast, general = tmp_path / "fast.tif", tmp_path / "general.tif"
    tifffile.imwrite(fast, stored, photometric="minisblack", metadata={"axes": axes}, **options)
    tifffile.imwrite(general, stored, photometric="minisblack", metadata={"axes": axes}, compression="zlib", **options)
    assert read_layout(fast, 0).raw
    assert not read_layout(general, 0).raw
    for rows, columns, channel in itertools.product((ALL, slice(5, 6)), (ALL, slice(20, 21)), range(3)):
        one = both(fast).read(channel, slice(1, 4), rows, columns)
        np.testing.assert_array_equal(one, both(general).read(channel, slice(1, 4), rows, columns))
        np.testing.assert_array_equal(one, pixels[channel, 1:4, rows, columns])


def test_layout_of_one_run_names_every_plane(tmp_path: Path) -> None:
    path = tmp_path / "run.tif"
    pixels = np.arange(6 * 20 * 30, dtype=np.uint16).reshape(6, 20, 30)
    tifffile.imwrite(path, pixels, photometric="minisblack", metadata={"axes": "ZYX"})
    layout = read_layout(path, 0)
    assert layout.lead == (6,)
    content = path.read_bytes()
    for plane, expected in zip(layout.planes, pixels, strict=True):
        (start,), (size,) = plane.offsets, plane.sizes
        assert content[start : start + size] == expected.tobytes()


def test_layout_is_kept_until_the_file_changes(tmp_path: Path) -> None:
    path = tmp_path / "run.tif"
    tifffile.imwrite(path, np.zeros((2, 20, 30), np.uint16), photometric="minisblack", metadata={"axes": "CYX"})
    first = read_layout(path, 0)
    assert read_layout(path, 0) is first
    tifffile.imwrite(path, np.zeros((3, 20, 30), np.uint16), photometric="minisblack", metadata={"axes": "CYX"})
    assert read_layout(path, 0).lead == (3,)
    path.unlink()
    with pytest.raises(InputError, match=r"run\.tif: found no such file"):
        read_layout(path, 0)


def test_real_images_of_every_folder(shared_data: Path) -> None:
    groups = {
        "nuclei/train/images": 6,
        "nuclei/val/images": 3,
        "nucleus_3d": 3,
        "puncta_ometiff": 2,
        "registration": 2,
        "speckles": 2,
    }
    for folder, n_files in groups.items():
        paths = sorted(p for p in (shared_data / folder).iterdir() if p.suffix in (".tif", ".tiff"))[:n_files]
        assert len(paths) == n_files
        for path in paths:
            _same_as_library(path)


def _same_as_library(path: Path) -> None:
    whole = tifffile.imread(path)
    with tifffile.TiffFile(path) as file:
        axes = file.series[0].axes
    given = Overrides(pixel_um=0.1, z_step_um=0.3, channels={"nucleus": "0", "her2": "1"})
    if whole.ndim == 2:
        with pytest.raises(InputError, match=r"no channel '1' in 1 channel \(0: unnamed\)"):
            open_slide(path, given)
        return
    pixels = open_slide(path, given).fish_scenes[0].pixels
    order = [axes.index(letter) for letter in "CZYX" if letter in axes]
    expected = whole.transpose(order).reshape(pixels.shape)
    for channel in range(pixels.shape[0]):
        np.testing.assert_array_equal(pixels.read(channel, ALL, ALL, ALL), expected[channel])
        np.testing.assert_array_equal(
            pixels.read(channel, ALL, slice(7, 40), slice(9, 31)), expected[channel, :, 7:40, 9:31]
        )


def test_a_file_that_shrinks_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.tif"
    tifffile.imwrite(path, np.ones((2, 20, 30), np.uint16), photometric="minisblack", metadata={"axes": "CYX"})
    pixels = both(path)
    layout = read_layout(path, 0)
    path.write_bytes(path.read_bytes()[:1000])
    monkeypatch.setattr("ctcfish.io.tiff_pixels.read_layout", lambda *_: layout)
    with pytest.raises(InputError, match=r"run\.tif: found fewer bytes than declared; needed an intact image"):
        pixels.read(1, ALL, ALL, ALL)
    with pytest.raises(InputError, match=r"run\.tif: found bytes that cannot be read .*; needed an intact image"):
        pixels.read(1, ALL, ALL, slice(3))
