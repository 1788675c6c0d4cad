"""A cell's strip: IF, then FISH, then the planes of its stack with every signal marked once."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import cv2
import numpy as np
import pandas as pd
import pytest

from ctcfish import tables
from ctcfish.parameters import Call
from ctcfish.report.drawing import PERCENTILES, PLANE_PERCENTILES, data_uri, limits_of
from ctcfish.report.strips import PLANE_SIDE, strips
from ctcfish.stages.call import call
from ctcfish.store.pictures import Picture, read_pictures, write_pictures
from tests import make

HEIGHTS = (0.4, 1.2, 2.0)


def plane(z_um: float, roles: tuple[str, ...] = ("her2", "cep17"), level: int = 0) -> Picture:
    pixels = np.full((len(roles), 60, 60), level, np.uint16)
    return Picture(pixels, roles, 0.1, (1.0, 2.0), "f", z_um)


def cell(**columns: Any) -> pd.DataFrame:
    return tables.CELLS.check(call(make.cells((2, 2)), make.rates(), Call()).assign(**columns))


def spots(*heights: float) -> pd.DataFrame:
    rows = [make.spot(4.0, 3.0 + k, z_um=z, status="counted") for k, z in enumerate(heights)]
    return tables.SPOTS.check(make.detections(rows).spots.assign(slide_id="s", scene="f", cell_id="s/f/1"))


def pictures(*planes: Picture, with_if: bool = False) -> dict[str, Picture]:
    fish = Picture(np.zeros((3, 80, 80), np.uint16), ("nucleus", "her2", "cep17"), 0.1, (0.0, 1.0), "f")
    seen = Picture(np.zeros((4, 20, 20), np.uint16), ("nucleus", "inclusion", "exclusion", "her2_protein"), 0.64,
                   (0.0, 0.0), "scan")  # fmt: skip
    taken = {"cell/s/f/1/if": seen} if with_if else {}
    return taken | {"cell/s/f/1/fish": fish} | {f"cell/s/f/1/plane/{k}": p for k, p in enumerate(planes)}


LABELS = {"fish/f": make.nuclei(1).paint(), "if/scan": np.ones((20, 20), np.int32)}


def captions(tiles: list[str]) -> list[str]:
    return [re.findall("<figcaption>(.*)</figcaption>", tile)[0] for tile in tiles]


def test_if_comes_before_fish_and_planes_stand_in_their_own_row() -> None:
    shown = pictures(*map(plane, HEIGHTS), with_if=True)
    [strip] = strips(cell(if_scene="scan", if_label=1), spots(1.0), shown, LABELS)
    assert captions(strip["tiles"]) == ["IF", "cytokeratin", "CD45", "HER2 protein", "FISH", "HER2", "CEP17"]
    assert captions(strip["planes"]) == ["z 0.4 µm", "z 1.2 µm", "z 2.0 µm"]
    for tile in strip["tiles"] + strip["planes"]:
        svg = ElementTree.fromstring(tile)[0]
        assert [t.text for t in svg.iter("text") if "µm" in str(t.text)], "a scale bar"
    assert f'width="{PLANE_SIDE}"' in strip["planes"][0]


def test_a_cluster_is_one_ring_round_its_signals_with_their_number() -> None:
    rows = [make.spot(4.0, 3.0, status="counted")]
    rows += [make.spot(6.0, x, status="counted", cluster=1) for x in (3.0, 3.4, 4.0, 4.4)]
    seen = tables.SPOTS.check(make.detections(rows).spots.assign(slide_id="s", scene="f", cell_id="s/f/1"))
    [strip] = strips(cell(), seen, pictures(), LABELS)
    [tile] = [t for t in strip["tiles"] if "<figcaption>HER2<" in t]
    svg = ElementTree.fromstring(tile)[0]
    single, ring = sorted(svg.iter("circle"), key=lambda c: float(c.attrib["r"]))
    assert float(single.attrib["r"]) == pytest.approx(6.0)
    assert float(ring.attrib["r"]) == pytest.approx(6.0 + 7.0)
    assert float(ring.attrib["cx"]) == pytest.approx((3.7 - 1.0) / 0.1, abs=0.1)
    assert "cluster of 4" in str(ring[0].text)
    assert [t.text for t in svg.iter("text") if t.attrib.get("class") == "HER2"] == ["4"]


def test_each_signal_is_marked_in_the_plane_nearest_to_it() -> None:
    [strip] = strips(cell(), spots(0.0, 0.7, 0.9, 1.5, 3.0), pictures(*map(plane, HEIGHTS)), LABELS)
    assert [tile.count("<circle") for tile in strip["planes"]] == [2, 2, 1]
    places = [re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', tile) for tile in strip["planes"]]
    # Signals lie at x = 3, 4, ... um; the plane's window begins at (1, 2) um.
    assert places == [[("10.0", "30.0"), ("20.0", "30.0")], [("30.0", "30.0"), ("40.0", "30.0")], [("50.0", "30.0")]]


def test_planes_carry_the_outline_where_it_is_in_their_window() -> None:
    [strip] = strips(cell(), spots(), pictures(plane(0.4)), LABELS)
    [path] = re.findall(r'<path d="([^"]*)" class="nucleus"', strip["planes"][0])
    corners = {tuple(map(int, pair.split(","))) for pair in re.findall(r"\d+,\d+", path)}
    # The nucleus spans pixels 10 to 69 both ways; the window shows rows 10 to 69 and columns 20 to 79.
    assert corners == {(0, 0), (49, 0), (0, 59), (49, 59)}


@pytest.mark.parametrize("n", [0, 1])
def test_few_or_no_planes(n: int) -> None:
    [strip] = strips(cell(), spots(1.0, 2.0), pictures(*map(plane, HEIGHTS[:n])), LABELS)
    assert len(strip["planes"]) == n
    assert sum(tile.count("<circle") for tile in strip["planes"]) == 2 * n


def test_a_plane_of_one_colour_is_grey() -> None:
    [strip] = strips(cell(), spots(), pictures(plane(0.4, ("her2",))), LABELS)
    assert len(strip["planes"]) == 1


def test_planes_have_a_contrast_of_their_own() -> None:
    """Were they counted with the projections, a bright plane would darken every projection."""
    dark, bright = (pictures(plane(0.4, level=level)) for level in (0, 60_000))
    tiles = [strips(cell(), spots(), shown, LABELS)[0]["tiles"] for shown in (dark, bright)]
    assert tiles[0] == tiles[1]


def test_planes_show_less_of_the_haze() -> None:
    values = np.arange(10_000, dtype=np.uint16).reshape(1, 100, 100)
    given = [Picture(values, ("her2",), 0.1, (0, 0), "f")]
    ends = [limits_of(given, own)["her2"] for own in (PERCENTILES, PLANE_PERCENTILES)]
    assert ends[0] == pytest.approx(np.quantile(values, [0.88, 0.998]))
    assert ends[1] == pytest.approx(np.quantile(values, [0.96, 0.999]))


@pytest.mark.parametrize("grey", [True, False])
def test_a_grey_picture_is_written_as_one_channel(grey: bool) -> None:
    image = np.random.default_rng(1).integers(0, 200, (40, 30, 3)).astype(np.uint8)
    image = image[..., :1].repeat(3, axis=2) if grey else image
    uri = data_uri(image)
    raw = np.frombuffer(base64.b64decode(uri.removeprefix("data:image/png;base64,")), np.uint8)
    read = cv2.imdecode(raw, cv2.IMREAD_UNCHANGED)
    assert read.ndim == (2 if grey else 3)
    np.testing.assert_array_equal(cv2.imdecode(raw, cv2.IMREAD_COLOR)[..., ::-1], image)
    assert len(uri) < (2500 if grey else 6000)


def test_heights_are_stored_with_the_pictures(tmp_path: Path) -> None:
    shown = pictures(*map(plane, HEIGHTS))
    write_pictures(shown, tmp_path / "p.zarr")
    read = read_pictures(tmp_path / "p.zarr")
    assert [read[key].z_um for key in shown] == [None, *HEIGHTS]
    assert list(read) == list(shown)
