"""Roles of channels by hand, sheet and name; pixel sizes that cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ctcfish.errors import InputError
from ctcfish.flags import SlideFlag
from ctcfish.io.image import FileImage, Overrides
from ctcfish.io.picture import PicturePixels
from ctcfish.io.resolve import Given, Resolved, resolve
from ctcfish.parameters import ChannelPanel, Panel
from ctcfish.types import Modality


def image(*names: str, planes: int = 1, **stated: Any) -> FileImage:
    pixels = PicturePixels(Path("none.png"), (len(names), planes, 9, 9), np.dtype(np.uint8))
    return FileImage("f", Path("f.tif"), "TIFF", pixels, channel_names=names, **{"pixel_um": (0.1, 0.1)} | stated)


def resolved(names: tuple[str, ...], modality: Modality = "fish", **given: Any) -> Resolved:
    return resolve(image(*names), modality, Given(**given))


def refusal(found: Resolved) -> str:
    with pytest.raises(InputError) as caught:
        found.scene()
    assert caught.value.exit_code == 3
    return str(caught.value)


@pytest.mark.parametrize(
    ("names", "roles"),
    [
        (("DAPI", "SpectrumOrange", "SpectrumGreen"), {"nucleus": 0, "her2": 1, "cep17": 2}),
        (("d17z1", " erbb2 ", "HOECHST"), {"nucleus": 2, "her2": 1, "cep17": 0}),
        (("DAPI", "HER2"), {"nucleus": 0, "her2": 1}),
        (("DAPI", "CEP17", "FITC"), {"nucleus": 0, "cep17": 1}),
    ],
)
def test_names_of_the_fish_panel(names: tuple[str, ...], roles: dict[str, int]) -> None:
    assert dict(resolved(names).scene().roles) == roles


def test_her2_is_protein_in_the_if_scan() -> None:
    scene = resolved(("DAPI", "CK", "CD45", "HER2"), "if").scene()
    assert dict(scene.roles) == {"nucleus": 0, "inclusion": 1, "exclusion": 2, "her2_protein": 3}


def test_if_scan_needs_its_three_channels() -> None:
    said = refusal(resolved(("DAPI", "CK"), "if"))
    assert "no exclusion channel in 2 channels (0: DAPI, 1: CK); needed a channel for exclusion" in said
    assert "--channel exclusion=NAME or INDEX (from 0), if_channels in the study sheet" in said


def test_own_aliases() -> None:
    stains = ChannelPanel(aliases={"nucleus": ("blau",), "her2": ("rot",), "cep17": ("gruen",)}, emission_nm={})
    scene = resolved(("Blau", "Rot", "Gruen"), panel=Panel(fish=stains)).scene()
    assert dict(scene.roles) == {"nucleus": 0, "her2": 1, "cep17": 2}


@pytest.mark.parametrize("text", ["1", "#1", "weird", "WEIRD "])
def test_index_name_and_case(text: str) -> None:
    assert resolved(("DAPI", "weird"), option=Overrides(channels={"her2": text})).scene().roles["her2"] == 1


def test_option_wins_over_sheet_and_name() -> None:
    option, sheet = Overrides(channels={"her2": "2"}), Overrides(channels={"her2": "3"})
    scene = resolved(("DAPI", "HER2", "a", "b"), option=option, sheet=sheet).scene()
    assert scene.roles["her2"] == 2
    assert scene.origin["role:her2"] == "option"


def test_a_channel_taken_by_hand_is_free_of_its_name() -> None:
    said = refusal(resolved(("DAPI", "HER2"), option=Overrides(channels={"her2": "0"})))
    assert "no nucleus channel in 2 channels" in said


@pytest.mark.parametrize(
    ("names", "channels", "message"),
    [
        (("DAPI", "HER2", "Orange"), {}, r"channels 1 (HER2), 2 (Orange) that could all be her2; needed one channel"),
        (("DAPI", "x", "x"), {"her2": "x"}, "2 channels named 'x'; needed a channel for her2"),
        (("DAPI", "x"), {"her2": "7"}, "no channel '7' in 2 channels (0: DAPI, 1: x)"),
        (("DAPI", "x"), {"her2": "-1"}, "no channel '-1' in 2 channels"),
        (("1", "0"), {"nucleus": "1", "her2": "0"}, "channel '1' is a name (of channel 0) and an index; write #1"),
        (("a", "b"), {"nucleus": "0", "her2": "a"}, "channel 0 for nucleus and her2; needed a channel of its own"),
        (("", ""), {}, "no nucleus channel in 2 channels (0: unnamed, 1: unnamed)"),
        (("DAPI", "x"), {}, "no her2 or cep17 channel in 2 channels"),
    ],
)
def test_roles_that_are_refused(names: tuple[str, ...], channels: dict[str, str], message: str) -> None:
    assert message in refusal(resolved(names, option=Overrides(channels=channels)))


def test_many_channels_are_listed_in_short() -> None:
    assert "40 channels (0: unnamed, " in (said := refusal(resolved(("",) * 40)))
    assert "11: unnamed, ...)" in said


@pytest.mark.parametrize("um", [0.01, 5.0001, 72.0, -1.0, float("nan"), float("inf")])
def test_pixel_sizes_that_no_microscope_has(um: float) -> None:
    said = refusal(resolved(("DAPI", "HER2"), option=Overrides(pixel_um=um)))
    assert f"a pixel size of {um:g} um; needed a pixel size above 0.01 and up to 5 um" in said


@pytest.mark.parametrize("um", [0.0101, 0.1, 5.0])
def test_pixel_sizes_that_are_taken(um: float) -> None:
    assert resolved(("DAPI", "HER2"), option=Overrides(pixel_um=um)).scene().voxel_um == (0.0, um, um)


def test_oblong_pixels_are_refused_above_one_percent() -> None:
    given = Given()
    assert resolve(image("DAPI", "HER2", pixel_um=(0.1, 0.1009)), "fish", given).scene().voxel_um[2] == 0.1009
    said = refusal(resolve(image("DAPI", "HER2", pixel_um=(0.1, 0.1012)), "fish", given))
    assert "pixels of 0.1 x 0.1012 um (y, x); needed square pixels" in said


@pytest.mark.parametrize("um", [0.0, 51.0, float("nan")])
def test_z_steps_that_cannot_be(um: float) -> None:
    said = refusal(resolve(image("DAPI", "HER2", planes=5), "fish", Given(Overrides(z_step_um=um))))
    assert f"a z step of {um:g} um; needed a z step above" in said


def test_one_plane_needs_no_z_step_and_its_depth_is_zero() -> None:
    scene = resolve(image("DAPI", "HER2", z_step_um=0.3), "fish", Given()).scene()
    assert scene.voxel_um[0] == 0.0
    assert scene.flags == SlideFlag.SINGLE_PLANE


@pytest.mark.parametrize(("um", "coarse"), [(0.25, False), (0.26, True)])
def test_coarse_fish_pixels_are_flagged(um: float, coarse: bool) -> None:
    scene = resolved(("DAPI", "HER2"), option=Overrides(pixel_um=um)).scene()
    assert bool(scene.flags & SlideFlag.COARSE_PIXELS) is coarse


def test_optics_from_file_else_panel_else_unknown() -> None:
    told = image(
        "DAPI", "HER2", "CEP17", na=1.3, emission_nm=(None, 600.0, None), gain_adu_per_photon=2.0, offset_adu=90.0
    )
    scene = resolve(told, "fish", Given()).scene()
    assert dict(scene.optics.emission_nm) == {"nucleus": 461.0, "her2": 600.0, "cep17": 524.0}
    assert [scene.origin[k] for k in ("na", "emission:her2", "emission:cep17", "camera")] == [
        "file",
        "file",
        "panel",
        "file",
    ]
    assert (scene.optics.na, scene.optics.gain_adu_per_photon, scene.optics.offset_adu) == (1.3, 2.0, 90.0)
    bare = resolved(("DAPI", "HER2")).scene()
    assert bare.optics.na is None
    assert "na" not in bare.origin
