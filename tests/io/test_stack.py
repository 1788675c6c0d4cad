"""One-channel files as one image, and what keeps files apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from ctcfish.errors import InputError, UsageError
from ctcfish.flags import SlideFlag
from ctcfish.io import Overrides, open_slide

GIVEN = Overrides(pixel_um=0.1, channels={"nucleus": "0", "her2": "1"})


def write(path: Path, shape: tuple[int, ...] = (9, 8), value: int = 1, dtype: type = np.uint16, **options: Any) -> Path:
    tifffile.imwrite(path, np.full(shape, value, dtype), photometric="minisblack", **options)
    return path


def ome(path: Path, name: str | None = None, pixel_um: float | None = None, emission: float | None = None) -> Path:
    channel = {"Name": [name] if name else None, "EmissionWavelength": [emission] if emission else None}
    stated: dict[str, Any] = {"axes": "YX", "PhysicalSizeX": pixel_um, "PhysicalSizeY": pixel_um}
    stated["Channel"] = {key: value for key, value in channel.items() if value} or None
    return write(path, metadata={key: value for key, value in stated.items() if value is not None}, ome=True)


def test_order_of_the_files_is_the_order_of_the_channels(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{name}.tif", value=k) for k, name in enumerate("cab")]
    slide = open_slide(paths, GIVEN)
    assert slide.slide_id == "c"
    (scene,) = slide.fish_scenes
    assert scene.channel_names == ("c", "a", "b")
    assert [int(scene.pixels.read(k, slice(None), slice(1), slice(1))[0, 0, 0]) for k in range(3)] == [0, 1, 2]
    assert [f.name for f in slide.files] == ["c.tif", "a.tif", "b.tif"]


def test_a_file_may_name_its_channel_and_size(tmp_path: Path) -> None:
    first = ome(tmp_path / "x1.ome.tif", "DAPI", 0.12, 450.0)
    second = ome(tmp_path / "x2.ome.tif", "HER2")
    (scene,) = open_slide([first, second]).fish_scenes
    assert scene.voxel_um == (0.0, 0.12, 0.12)
    assert dict(scene.roles) == {"nucleus": 0, "her2": 1}
    assert dict(scene.optics.emission_nm) == {"nucleus": 450.0, "her2": 588.0}


def test_pixel_types_are_brought_together(tmp_path: Path) -> None:
    paths = [write(tmp_path / "a.tif", dtype=np.uint8, value=200), write(tmp_path / "b.tif", dtype=np.float32)]
    (scene,) = open_slide(paths, GIVEN).fish_scenes
    assert scene.pixels.dtype == np.float32
    assert scene.read("nucleus").dtype == np.float32
    assert scene.read("nucleus").max() == 200


def test_flags_of_every_file_count(tmp_path: Path) -> None:
    lossy = tmp_path / "b.tif"
    tifffile.imwrite(lossy, np.full((9, 8), 9, np.uint8), photometric="minisblack", compression="jpeg")
    slide = open_slide([write(tmp_path / "a.tif", dtype=np.uint8), lossy], GIVEN)
    assert slide.flags & SlideFlag.LOSSY
    assert not slide.flags & SlideFlag.COMPOSITE


def test_files_of_different_size_are_refused(tmp_path: Path) -> None:
    paths = [write(tmp_path / "a.tif"), write(tmp_path / "b.tif", (9, 9))]
    with pytest.raises(InputError, match=r"a\.tif and b\.tif: found sizes \(Z, Y, X\) \(1, 9, 8\) and \(1, 9, 9\)"):
        open_slide(paths, GIVEN)


def test_files_of_several_channels_are_refused(tmp_path: Path) -> None:
    two = write(tmp_path / "b.tif", (2, 9, 8), metadata={"axes": "CYX"})
    with pytest.raises(InputError, match=r"b\.tif: found 2 channels; needed one channel in each of several files"):
        open_slide([write(tmp_path / "a.tif"), two], GIVEN)


def test_files_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    paths = [ome(tmp_path / "a.ome.tif", pixel_um=0.1), ome(tmp_path / "b.ome.tif", pixel_um=0.12)]
    with pytest.raises(InputError, match=r"found a pixel size of \(0\.1, 0\.1\) and \(0\.12, 0\.12\) um"):
        open_slide(paths, Overrides(channels=GIVEN.channels))


def test_each_file_once(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif")
    for paths in ([path, path], []):
        with pytest.raises(UsageError, match="give each file once"):
            open_slide(paths, GIVEN)


def test_a_list_of_one_file_is_that_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", (2, 9, 8), metadata={"axes": "CYX"})
    assert open_slide([path], GIVEN) == open_slide(path, GIVEN)
