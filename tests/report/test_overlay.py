"""Outlines lie on the nuclei they belong to, in every scene and at every reduction; drawings are true to scale."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any
from xml.etree import ElementTree

import cv2
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from ctcfish import tables
from ctcfish.parameters import Call
from ctcfish.report.drawing import Mark, composite, limits_of, outline_path, svg_marks, svg_tile
from ctcfish.report.overlay import outlines, overlays
from ctcfish.report.plots import counts_plot
from ctcfish.report.strips import strips
from ctcfish.stages.call import call
from ctcfish.store.pictures import Picture
from tests import make


def view(shape: tuple[int, int], pixel_um: float = 0.1, scene: str = "f") -> Picture:
    return Picture(np.zeros((1, *shape), np.uint16), ("nucleus",), pixel_um, (0.0, 0.0), scene)


def called(*counts: tuple[int | None, int | None], **columns: Any) -> pd.DataFrame:
    return tables.CELLS.check(call(make.cells(*counts, **columns), make.rates(), Call()))


def filled(path: ElementTree.Element, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """The pixels inside an outline, filled by another program's polygon routine."""
    moved = re.fullmatch(r"translate\((-?\d+) (-?\d+)\)", path.attrib["transform"])
    assert moved is not None
    ring = np.array([tuple(map(int, pair.split(","))) for pair in re.findall(r"-?\d+,-?\d+", path.attrib["d"])])
    image = np.zeros(shape, np.uint8)
    cv2.fillPoly(image, [ring + np.array([int(moved[1]), int(moved[2])])], 1)
    return image.astype(bool)


@pytest.mark.parametrize("shape", [(9, 9), (5, 14), (11, 3)])
def test_a_filled_outline_is_its_nucleus(shape: tuple[int, int]) -> None:
    y, x = np.ogrid[: shape[0], : shape[1]]
    inside = ((y - shape[0] / 2) / shape[0]) ** 2 + ((x - shape[1] / 2) / shape[1]) ** 2 < 0.2
    labels = np.zeros((30, 40), np.int32)
    for k, (top, left) in enumerate([(0, 0), (12, 20), (30 - shape[0], 40 - shape[1])], start=1):
        labels[top : top + shape[0], left : left + shape[1]][inside] = k
    drawn = ElementTree.fromstring(f"<g>{outlines(labels, {})}</g>")
    assert len(drawn) == 3
    for k, path in enumerate(drawn, start=1):
        np.testing.assert_array_equal(filled(path, labels.shape), labels == k)


def test_gaps_in_the_labels_are_passed_over() -> None:
    labels = np.zeros((20, 20), np.int32)
    labels[2:8, 2:8], labels[10:18, 10:18] = 3, 7
    drawn = ElementTree.fromstring(f"<g>{outlines(labels, {7: ('ctc', 'TRUNCATED')})}</g>")
    assert [path[0].text for path in drawn] == ["3 unknown ", "7 ctc TRUNCATED"]
    assert outlines(np.zeros((5, 5), np.int32), {}) == ""


def test_there_is_one_overlay_a_scene_with_its_own_nuclei() -> None:
    nuclei = make.nuclei(2)
    cells = called((2, 2), (9, 2), (2, 2), kind=["wbc", "ctc", "wbc"], label=[1, 2, 1], scene=["f", "f", "other"])
    if_cells = pd.DataFrame({"if_scene": ["scan"], "if_label": [1], "kind": ["ctc"], "flags": ["UNSURE_KIND"]})
    pictures = {
        "view/if/scan": view(nuclei.shape_px, scene="scan"),
        "cell/s/f/1/fish": view((5, 5)),
        "view/fish/f": view(nuclei.shape_px),
    }
    shown = overlays(cells, if_cells, pictures, {"fish/f": nuclei.paint(), "if/scan": make.nuclei(2).paint()})
    assert [o["title"] for o in shown] == ["IF scene scan: 1 nuclei", "FISH scene f: 2 nuclei"]
    classes = [re.findall(r'class="outline ([^"]*)"', o["figure"]) for o in shown]
    assert classes == [["ctc doubtful", "unknown"], ["wbc", "ctc"]]


def test_a_lost_ctc_has_no_outline() -> None:
    cells = called((2, 2), (2, 2), label=pd.array([1, None], dtype="Int64"), scene=["f", None])
    nuclei = make.nuclei(1)
    [shown] = overlays(
        cells, tables.IF_CELLS.empty(), {"view/fish/f": view(nuclei.shape_px)}, {"fish/f": nuclei.paint()}
    )
    assert shown["title"] == "FISH scene f: 1 nuclei"


@pytest.mark.parametrize("factor", [2, 3, 5])
def test_reduced_outlines_lie_on_the_reduced_nuclei(factor: int) -> None:
    nuclei = make.nuclei(2)
    height, width = (n // factor for n in nuclei.shape_px)
    [shown] = overlays(
        called((2, 2), (2, 2)),
        tables.IF_CELLS.empty(),
        {"view/fish/f": view((height, width), 0.1 * factor)},
        {"fish/f": nuclei.paint()},
    )
    paths = [
        e for e in ElementTree.fromstring(shown["figure"]).iter() if e.attrib.get("class", "").startswith("outline")
    ]
    assert len(paths) == 2
    for row, path in enumerate(paths):
        y, x = np.nonzero(filled(path, (height, width)))
        # Pixel i of the view is centred on pixel factor * i + (factor - 1) / 2 of the scene.
        centre_um = [(axis.mean() * factor + (factor - 1) / 2) * 0.1 for axis in (y, x)]
        assert centre_um == pytest.approx(nuclei.centroid_um[row].tolist(), abs=0.06 * factor)


def test_titles_are_text_and_no_markup() -> None:
    tile = svg_tile(np.zeros((4, 4, 3), np.uint8), 'a "b" & <c>', "", 0.1)
    figure = ElementTree.fromstring(tile)
    assert [e.text for e in figure if e.tag == "figcaption"] == ['a "b" & <c>']
    assert figure[0].attrib["aria-label"] == 'a "b" & <c>'


def test_pixel_centres_stand_at_whole_numbers() -> None:
    svg = ElementTree.fromstring(svg_tile(np.zeros((30, 50, 3), np.uint8), "t", "", 0.1, side=200))[0]
    assert svg.attrib["viewBox"] == "-0.5 -0.5 50 30"
    assert svg.attrib["width"] == "200"
    image = svg[0].attrib
    assert (image["x"], image["y"], image["width"], image["height"]) == ("-0.5", "-0.5", "50", "30")


def test_limits_are_percentiles_over_all_windows() -> None:
    rng = np.random.default_rng(0)
    planes = rng.integers(0, 4000, (2, 2, 30, 30)).astype(np.uint16)
    given = [Picture(plane, ("nucleus", "her2"), 0.1, (0, 0), "f") for plane in planes]
    limits = limits_of(given)
    for k, (role, ends) in enumerate({"nucleus": (5.0, 99.7), "her2": (88.0, 99.8)}.items()):
        assert limits[role] == pytest.approx(tuple(np.quantile(planes[:, k], np.array(ends) / 100)))
    assert limits_of([]) == {}


def test_a_flat_channel_is_black_and_no_division_by_zero() -> None:
    flat = Picture(np.full((1, 4, 4), 7, np.uint16), ("her2",), 0.1, (0, 0), "f")
    image = composite(flat, ["her2"], limits_of([flat]))
    assert image.dtype == np.uint8
    assert not image.any()


def test_brightness_is_linear_between_the_limits() -> None:
    one = Picture(np.array([[[0, 10, 20, 30, 99]]], np.uint16), ("cep17",), 0.1, (0, 0), "f")
    grey = composite(one, ["cep17"], {"cep17": (10.0, 30.0)})
    assert grey[0, :, 0].tolist() == [0, 0, 128, 255, 255]
    assert (grey[..., :1] == grey).all()


@pytest.mark.parametrize("status", tables.STATUSES)
def test_a_mark_is_centred_on_its_signal(status: str) -> None:
    [mark] = ElementTree.fromstring(f"<g>{svg_marks([Mark(12.3, 4.5, 5.0, 'CEP17', status, 'w')], 0.1)}</g>")
    assert mark[0].text == "w"
    if mark.tag == "circle":
        assert (mark.attrib["cx"], mark.attrib["cy"], mark.attrib["r"]) == ("12.3", "4.5", "5.0")
        return
    # The first stroke starts at one corner and runs through the centre to the other.
    numbers = [float(n) for n in re.findall(r"-?[\d.]+", mark.attrib["d"])]
    assert numbers[0] + numbers[2] / 2 == pytest.approx(12.3)
    assert numbers[1] + numbers[3] / 2 == pytest.approx(4.5)


def test_parts_of_a_mask_are_rings_of_their_own() -> None:
    mask = np.zeros((12, 12), bool)
    mask[1:4, 1:4] = mask[6:11, 6:11] = True
    assert outline_path(mask).count("M") == 2
    assert outline_path(mask).count("Z") == 2


def test_a_strip_outlines_the_cell_and_its_neighbours_at_the_border() -> None:
    """The window starts outside the scene: pixels of the outline are counted from the window's corner."""
    cells = called((1, 1), (1, 1), if_scene="scan", if_label=[2, 1])
    window = Picture(np.zeros((2, 60, 190), np.uint16), ("nucleus", "inclusion"), 0.1, (-1.0, -2.0), "scan")
    [strip] = strips(cells, tables.SPOTS.empty(), {"cell/s/f/1/if": window}, {"if/scan": make.nuclei(2).paint()})
    assert strip["cell"]["cell_id"] == "s/f/1"
    assert [re.findall("<figcaption>(.*)</figcaption>", tile)[0] for tile in strip["tiles"]] == ["IF", "cytokeratin"]
    paths = {e.attrib["class"]: e.attrib["d"] for e in ElementTree.fromstring(strip["tiles"][0]).iter("path")}
    corners = {key: {tuple(map(int, p.split(","))) for p in re.findall(r"\d+,\d+", d)} for key, d in paths.items()}
    # Label 2 spans columns 90 to 149 and rows from 10 of the scene; the window begins 20 columns and 10 rows before it.
    assert corners["nucleus"] == {(110, 20), (169, 20), (110, 59), (169, 59)}
    assert corners["neighbour"] == {(30, 20), (89, 20), (30, 59), (89, 59)}


def test_the_plot_counts_only_cells_of_both_colours() -> None:
    cells = called((9, 2), (2, 2), (None, 3), (4, None), kind=["ctc", "wbc", "ctc", "ctc"])
    said = [e.text for e in ElementTree.fromstring(counts_plot(cells, [("ratio 1", Fraction(1))])).iter() if e.text]
    assert "ctc (1)" in said
    assert "wbc (1)" in said
    assert "ratio 1" in said
    assert not any(text.startswith(("other (", "unknown (")) for text in said)
