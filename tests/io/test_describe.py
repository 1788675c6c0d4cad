"""``describe``: everything an image says, complete or not, in plain values."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile

from ctcfish.errors import InputError
from ctcfish.io import Overrides, describe

KEYS = {
    "name",
    "file",
    "format",
    "modality",
    "size",
    "dtype",
    "pixel_um",
    "z_step_um",
    "channels",
    "na",
    "gain_adu_per_photon",
    "offset_adu",
    "stage_um",
    "origin",
    "flags",
    "notes",
    "missing",
}


def test_a_complete_image(ome_tiff: Callable[..., Path]) -> None:
    told = describe(ome_tiff())
    assert json.loads(json.dumps(told)) == told
    assert (told["slide_id"], told["ready"]) == ("slide7", True)
    (scene,) = told["scenes"]
    assert set(scene) == KEYS
    assert (scene["file"], scene["format"], scene["modality"]) == ("slide7.ome.tif", "OME-TIFF", "fish")
    assert (scene["dtype"], scene["pixel_um"], scene["z_step_um"]) == ("uint16", [0.1, 0.1], 0.4)
    assert scene["channels"] == [
        {"index": 0, "name": "DAPI", "role": "nucleus", "emission_nm": 461.0},
        {"index": 1, "name": "HER2", "role": "her2", "emission_nm": 588.0},
        {"index": 2, "name": "CEP17", "role": "cep17", "emission_nm": 524.0},
    ]
    assert (scene["missing"], scene["notes"], scene["flags"]) == ([], [], "")


def test_the_same_image_as_if(ome_tiff: Callable[..., Path]) -> None:
    told = describe(ome_tiff(), Overrides(modality="if"))
    assert not told["ready"]
    assert [m["needed"] for m in told["scenes"][0]["missing"]] == ["a channel for inclusion", "a channel for exclusion"]


def test_options_are_seen(ome_tiff: Callable[..., Path]) -> None:
    given = Overrides(pixel_um=0.2, z_step_um=0.5, channels={"her2": "CEP17", "cep17": "#1"})
    (scene,) = describe(ome_tiff(), given)["scenes"]
    assert (scene["pixel_um"], scene["z_step_um"]) == ([0.2, 0.2], 0.5)
    assert [c["role"] for c in scene["channels"]] == ["nucleus", "cep17", "her2"]
    assert {scene["origin"][k] for k in ("pixel_size", "z_step", "role:her2", "role:cep17")} == {"option"}


@pytest.mark.parametrize(
    ("name", "kind", "flags"),
    [("a.png", "PNG", "COMPOSITE"), ("a.jpg", "JPEG", "COMPOSITE|LOSSY"), ("a.tif", "TIFF", "COMPOSITE")],
)
def test_composites(name: str, kind: str, flags: str, tmp_path: Path) -> None:
    pixels = np.zeros((6, 7, 3), np.uint8)
    path = tmp_path / name
    if name.endswith("tif"):
        tifffile.imwrite(path, pixels, photometric="rgb")
    else:
        path.write_bytes(imagecodecs.png_encode(pixels) if kind == "PNG" else imagecodecs.jpeg_encode(pixels))
    told = describe(path)
    (scene,) = told["scenes"]
    assert (scene["format"], scene["flags"], told["ready"]) == (kind, flags, False)
    assert scene["size"] == {"C": 3, "Z": 1, "Y": 6, "X": 7}
    assert [c["name"] for c in scene["channels"]] == ["R", "G", "B"]
    found = [m["found"] for m in scene["missing"]]
    listed = "in 3 channels (0: R, 1: G, 2: B)"
    assert found == ["no pixel size", f"no nucleus channel {listed}", f"no her2 or cep17 channel {listed}"]
    assert all(m["remedy"].startswith("Give --") for m in scene["missing"])


def test_several_files(tmp_path: Path) -> None:
    paths = [tmp_path / "DAPI.tif", tmp_path / "HER2.tif"]
    for path in paths:
        tifffile.imwrite(path, np.zeros((4, 6, 7), np.uint16), photometric="minisblack")
    (scene,) = describe(paths)["scenes"]
    assert scene["format"] == "2 files, one channel each"
    assert scene["size"] == {"C": 2, "Z": 4, "Y": 6, "X": 7}
    assert [m["found"] for m in scene["missing"]] == ["no pixel size", "4 planes and no z step"]


def test_what_was_found_and_not_used_is_said(tmp_path: Path) -> None:
    path = tmp_path / "screen.tif"
    pixels = np.zeros((2, 6, 7), np.uint16)
    tifffile.imwrite(
        path, pixels, photometric="minisblack", resolution=(300, 300), resolutionunit="INCH", metadata=None
    )
    (scene,) = describe(path)["scenes"]
    assert scene["pixel_um"] is None
    assert scene["notes"] == ["a resolution tag of 84.6667 um per pixel, which no microscope has"]


def test_a_damaged_file_is_not_described(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(b"II*\0")
    with pytest.raises(InputError, match="needed an intact image"):
        describe(tmp_path / "a.tif")


def test_real_images(shared_data: Path) -> None:
    told = describe(shared_data / "formats" / "valid" / "multi-channel.ome.tif")
    assert told["slide_id"] == "multi-channel"
    assert told["scenes"][0]["size"] == {"C": 3, "Z": 1, "Y": 167, "X": 439}
    assert told["scenes"][0]["dtype"] == "int8"
    told = describe(shared_data / "nucleus_3d" / "cell_1.tif")
    assert told["scenes"][0]["size"] == {"C": 2, "Z": 27, "Y": 76, "X": 95}
    assert [m["found"] for m in told["scenes"][0]["missing"]][:2] == ["no pixel size", "27 planes and no z step"]
