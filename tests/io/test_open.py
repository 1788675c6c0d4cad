"""A single image, one-channel files, and what is refused for want of numbers or names."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from ctcfish.errors import InputError, UsageError
from ctcfish.flags import SlideFlag
from ctcfish.io import Overrides, describe, open_slide

ALL = slice(None)


def test_ome_tiff_says_everything_itself(ome_tiff: Callable[..., Path], volume: NDArray[np.uint16]) -> None:
    slide = open_slide(ome_tiff())
    (scene,) = slide.fish_scenes
    assert (slide.slide_id, slide.patient_id, scene.name) == ("slide7", "slide7", "slide7")
    assert scene.voxel_um == (0.4, 0.1, 0.1)
    assert dict(scene.roles) == {"nucleus": 0, "her2": 1, "cep17": 2}
    assert scene.origin["pixel_size"] == "file"
    assert scene.origin["z_step"] == "file"
    assert scene.origin["role:her2"] == "panel"
    for channel in range(3):
        np.testing.assert_array_equal(scene.pixels.read(channel, ALL, ALL, ALL), volume[channel])
    assert slide.flags == SlideFlag.NO_IF


def test_scene_can_be_sent_to_another_process(ome_tiff: Callable[..., Path], volume: NDArray[np.uint16]) -> None:
    scene = pickle.loads(pickle.dumps(open_slide(ome_tiff()))).fish_scenes[0]
    np.testing.assert_array_equal(scene.read("cep17", slice(3, 9), slice(10, 20)), volume[2, :, 3:9, 10:20])


def test_everything_missing_is_named_at_once(ome_tiff: Callable[..., Path]) -> None:
    path = ome_tiff(PhysicalSizeX=None, PhysicalSizeY=None, PhysicalSizeZ=None, Channel=None)
    with pytest.raises(InputError, match=r"slide7\.ome\.tif: found no pixel size; 4 planes and no z step;") as caught:
        open_slide(path)
    for text in ("--pixel-size-um", "--z-step-um", "fish_pixel_um", "--channel nucleus=", "no nucleus channel in 3"):
        assert text in str(caught.value)
    assert caught.value.exit_code == 3


def test_options_supply_what_is_missing_and_are_recorded(ome_tiff: Callable[..., Path]) -> None:
    path = ome_tiff(PhysicalSizeX=None, PhysicalSizeY=None, PhysicalSizeZ=None, Channel=None)
    given = Overrides(pixel_um=0.12, z_step_um=0.5, channels={"nucleus": "2", "her2": "0"})
    (scene,) = open_slide(path, given).fish_scenes
    assert scene.voxel_um == (0.5, 0.12, 0.12)
    assert dict(scene.roles) == {"nucleus": 2, "her2": 0}
    assert {scene.origin[k] for k in ("pixel_size", "z_step", "role:her2", "role:nucleus")} == {"option"}


def test_info_describes_what_open_refuses(ome_tiff: Callable[..., Path]) -> None:
    told = describe(ome_tiff(PhysicalSizeX=None, PhysicalSizeY=None))
    (scene,) = told["scenes"]
    assert not told["ready"]
    assert scene["size"] == {"C": 3, "Z": 4, "Y": 40, "X": 50}
    assert scene["pixel_um"] is None
    assert [c["role"] for c in scene["channels"]] == ["nucleus", "her2", "cep17"]
    assert [m["needed"] for m in scene["missing"]] == ["the size of a pixel in um"]


def test_one_channel_files_are_channels_of_one_image(tmp_path: Path, volume: NDArray[np.uint16]) -> None:
    paths = [tmp_path / f"{name}.tif" for name in ("DAPI", "HER2", "CEP17")]
    for path, stack in zip(paths, volume, strict=True):
        tifffile.imwrite(path, stack, photometric="minisblack")
    (scene,) = open_slide(paths, Overrides(pixel_um=0.1, z_step_um=0.3)).fish_scenes
    assert scene.pixels.shape == (3, 4, 40, 50)
    np.testing.assert_array_equal(scene.read("her2"), volume[1])


def test_a_role_of_the_other_scan_is_a_usage_error(ome_tiff: Callable[..., Path]) -> None:
    with pytest.raises(UsageError, match="the roles of this scan are nucleus, her2, cep17"):
        open_slide(ome_tiff(), Overrides(channels={"inclusion": "1"}))


def test_real_fields_without_metadata(shared_data: Path) -> None:
    path = shared_data / "puncta_ometiff" / "C2.ome.tif"
    with pytest.raises(InputError, match="found no pixel size; no nucleus channel in 4 channels"):
        open_slide(path)
    given = Overrides(pixel_um=0.1, channels={"nucleus": "0", "her2": "1", "cep17": "2"})
    (scene,) = open_slide(path, given).fish_scenes
    np.testing.assert_array_equal(scene.read("her2")[0], tifffile.imread(path)[1])


def test_real_foci_as_two_files(shared_data: Path) -> None:
    paths = [shared_data / "speckles" / f"1-162hrh{end}.tif" for end in ("oe2", "2ax2")]
    with pytest.raises(InputError, match=r"a resolution tag of 1e\+06 um per pixel, which no microscope has"):
        open_slide(paths)
    (scene,) = open_slide(paths, Overrides(pixel_um=0.1, channels={"nucleus": "0", "her2": "1"})).fish_scenes
    assert dict(scene.roles) == {"nucleus": 0, "her2": 1}
    np.testing.assert_array_equal(scene.read("her2")[0], tifffile.imread(paths[1]))
