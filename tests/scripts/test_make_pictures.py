"""Pictures of the counting rules: every rule and every reason has one, drawn by the script."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from ctcfish.flags import SpotFlag
from scripts.make_pictures import FOLDER, PICTURES, Dot, Picture, svg

PAGE = (FOLDER.parent / "counting.md").read_text(encoding="utf-8")
SVG = "{http://www.w3.org/2000/svg}"
FITS_ONLY = {SpotFlag.POOR_FIT, SpotFlag.EDGE, SpotFlag.OUTSIDE_NUCLEUS, SpotFlag.IN_CLUSTER}
"""Flags that are no rule of counting, or whose rule stands under its status."""


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_on_disk_are_as_drawn(name: str) -> None:
    assert (FOLDER / f"{name}.svg").read_text(encoding="utf-8") == svg(PICTURES[name])


def test_every_picture_is_shown_once_and_every_one_shown_exists() -> None:
    shown = re.findall(r"\]\(counting/(\w+)\.svg\)", PAGE)
    assert sorted(shown) == sorted(PICTURES)
    assert {path.stem for path in FOLDER.glob("*.svg")} == set(PICTURES)


@pytest.mark.parametrize("flag", [f for f in SpotFlag if f not in FITS_ONLY], ids=lambda f: f.name)
def test_every_reason_has_a_row_with_a_picture(flag: SpotFlag) -> None:
    rows = [line for line in PAGE.splitlines() if f"`{flag.name}`" in line and line.startswith("| ![")]
    assert rows, flag.name


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_well_formed_and_holds_what_it_draws(name: str) -> None:
    picture = PICTURES[name]
    root = ET.fromstring(svg(picture))
    circles = root.findall(f"{SVG}circle")
    assert len(circles) == len(picture.dots)
    for circle, dot in zip(circles, picture.dots, strict=True):
        x, y, radius = (float(circle.attrib[k]) for k in ("cx", "cy", "r"))
        assert (x, y, radius) == (dot.x, dot.y, dot.radius)
        assert 0 < x - radius < x + radius < 200
        assert 0 < y - radius < y + radius < 165
    label = root.find(f"{SVG}text")
    assert label is not None
    assert label.text == picture.counted
    assert len(picture.counted) * 7.5 < 200  # 14 px letters, within the picture


def test_haze_lies_around_each_nucleus() -> None:
    plain, hazy = (svg(Picture((Dot(90, 80, 9),), "HER2 1", haze=h)) for h in ("", "#ff8c42"))
    count = [len(ET.fromstring(text).findall(f"{SVG}ellipse")) for text in (plain, hazy)]
    assert count == [1, 2]
