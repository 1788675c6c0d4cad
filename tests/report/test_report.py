from __future__ import annotations

import base64
import re
from fractions import Fraction
from xml.etree import ElementTree

import cv2
import numpy as np
import pandas as pd
import pytest

from ctcfish import tables
from ctcfish.flags import SlideFlag
from ctcfish.parameters import Call
from ctcfish.report.drawing import Mark, composite, data_uri, limits_of, outline_path, svg_marks, svg_tile
from ctcfish.report.overlay import outlines
from ctcfish.report.plots import counts_plot
from ctcfish.report.strips import strips
from ctcfish.report.text import as_toml, screen
from ctcfish.report.windows import gallery
from ctcfish.report.words import number, percent, sentences
from ctcfish.stages.call import call
from ctcfish.store.pictures import Picture
from tests import make


def picture(value: int = 100, origin_um: tuple[float, float] = (0.0, 0.0)) -> Picture:
    pixels = np.zeros((3, 80, 170), np.uint16)
    pixels[:, 40, 40] = value
    return Picture(pixels, ("nucleus", "her2", "cep17"), 0.1, origin_um, "f")


def called(*counts: tuple[int, int], **columns: object) -> pd.DataFrame:
    return tables.CELLS.check(call(make.cells(*counts, **columns), make.rates(), Call()))


def test_one_contrast_for_all_windows() -> None:
    limits = limits_of([picture(100), picture(1000)])
    bright, dim = (composite(p, ["nucleus"], {"nucleus": (0.0, 1000.0)}) for p in (picture(1000), picture(100)))
    assert (bright[40, 40, 0], dim[40, 40, 0]) == (255, 26)
    assert set(limits) == {"nucleus", "her2", "cep17"}
    assert all(low < high for low, high in limits.values())


def test_a_composite_shows_each_role_in_its_colour() -> None:
    one = Picture(np.array([[[0]], [[9]], [[0]]], np.uint16), ("nucleus", "her2", "cep17"), 0.1, (0, 0), "f")
    red, green, blue = composite(one, one.roles, dict.fromkeys(one.roles, (0.0, 9.0)))[0, 0].tolist()
    assert red > green > blue


def test_a_data_uri_is_the_image() -> None:
    image = np.random.default_rng(0).integers(0, 255, (5, 7, 3)).astype(np.uint8)
    raw = base64.b64decode(data_uri(image).removeprefix("data:image/png;base64,"))
    assert (cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_COLOR)[..., ::-1] == image).all()


def test_an_outline_goes_round_the_mask() -> None:
    mask = np.zeros((9, 9), bool)
    mask[2:6, 3:8] = True
    corners = {tuple(map(int, pair.split(","))) for pair in re.findall(r"\d+,\d+", outline_path(mask))}
    assert corners == {(3, 2), (3, 5), (7, 5), (7, 2)}
    assert outline_path(np.zeros((3, 3), bool)) == ""


@pytest.mark.parametrize(
    ("status", "tag"), [("counted", "circle"), ("doublet", "circle"), ("vetoed", "path"), ("outside", "path")]
)
def test_marks_say_what_became_of_a_signal(status: str, tag: str) -> None:
    drawn = svg_marks([Mark(3.0, 4.0, 2.0, "HER2", status, "HER2 <1>".replace("<", "&lt;"))], 0.1)
    element = ElementTree.fromstring(drawn)
    assert element.tag == tag
    assert element.attrib["class"] == f"HER2 {status}"


@pytest.mark.parametrize(("pixel_um", "bar"), [(0.1, "2 µm"), (0.64, "20 µm"), (0.02, "0.5 µm")])
def test_the_scale_bar_is_round_and_true(pixel_um: float, bar: str) -> None:
    tile = ElementTree.fromstring(svg_tile(np.zeros((100, 100, 3), np.uint8), "t", "", pixel_um))
    line = next(e for e in tile.iter() if e.tag == "line")
    length_px = float(line.attrib["x2"]) - float(line.attrib["x1"])
    assert next(e.text for e in tile.iter() if e.tag == "text") == bar
    assert length_px * pixel_um == pytest.approx(float(bar.split(maxsplit=1)[0]), rel=0.02)


def test_overlay_outlines_carry_kind_and_doubt() -> None:
    drawn = outlines(make.nuclei(3).paint(), {1: ("ctc", ""), 2: ("wbc", "OVERLAP")})
    assert [e.attrib["class"] for e in ElementTree.fromstring(f"<g>{drawn}</g>")] == [
        "outline ctc",
        "outline wbc doubtful",
        "outline unknown",
    ]
    moved = ElementTree.fromstring(f"<g>{drawn}</g>")[1].attrib["transform"]
    assert moved == "translate(89 9)"


def test_a_strip_marks_the_signals_where_they_are() -> None:
    cells = called((1, 1))
    spots = tables.SPOTS.check(
        make.detections([make.spot(4.0, 4.0), make.spot(4.0, 5.0, probe="CEP17", status="vetoed")]).spots.assign(
            slide_id="s", scene="f", cell_id="s/f/1"
        )
    )
    labels = {"fish/f": make.nuclei(1).paint()}
    [strip] = strips(cells, spots, {"cell/s/f/1/fish": picture(origin_um=(1.0, 2.0))}, labels)
    assert len(strip["tiles"]) == 3
    circle = re.search(r'<circle cx="([\d.]+)" cy="([\d.]+)"', strip["tiles"][1])
    assert circle is not None
    assert (float(circle[1]), float(circle[2])) == (20.0, 30.0)
    assert "CEP17 vetoed" in strip["tiles"][2]
    for tile in strip["tiles"]:
        ElementTree.fromstring(tile)


def test_a_cell_without_picture_has_no_strip() -> None:
    assert strips(called((1, 1)), tables.SPOTS.empty(), {}, {}) == []


def test_the_gallery_shows_ctc_first_and_few_leukocytes() -> None:
    kinds = ["wbc"] * 20 + ["unknown", "ctc"]
    cells = called(*[(2, 2)] * 22, kind=kinds)
    assert gallery(cells, 60)["kind"].tolist() == ["ctc", "unknown"] + ["wbc"] * 4
    assert gallery(cells, 1)["kind"].tolist() == ["ctc"]
    assert len(gallery(cells.iloc[:0], 60)) == 0


def test_the_plot_is_the_same_bytes_and_names_its_axes() -> None:
    cells = called((9, 2), (2, 2), (4, 4), kind=["ctc", "wbc", "unknown"])
    cuts = [("ratio 2.2", Fraction(11, 5))]
    plot = counts_plot(cells, cuts)
    assert plot == counts_plot(cells, cuts)
    text = " ".join(e.text or "" for e in ElementTree.fromstring(plot).iter())
    for word in ("HER2 signals", "CEP17 signals", "ratio 2.2", "ctc (1)", "wbc (1)"):
        assert word in text
    assert {"0", "1", "2", "4"} <= set(text.split())
    ElementTree.fromstring(counts_plot(cells.iloc[:0], cuts))


def test_the_plot_bears_an_open_interval_of_either_colour() -> None:
    cells = called((9, 2), (2, 9), kind="ctc")
    cells["her2_high"] = pd.array([400, 2], dtype="Int64")
    cells["cep17_high"] = pd.array([2, 400], dtype="Int64")
    plot = counts_plot(cells, [("ratio 2.2", Fraction(11, 5))])
    text = " ".join(e.text or "" for e in ElementTree.fromstring(plot).iter())
    assert "150" not in text.split()  # the axis ends where the counts end, not where the open intervals do


def test_shares_in_per_cent() -> None:
    said = [percent(v) for v in (None, float("nan"), 0.0, 0.00997, 0.0000123, 0.126, 1.0, 0.997)]
    assert said == ["–", "–", "0 %", "1 %", "0.0012 %", "13 %", "100 %", "100 %"]


def test_numbers_and_doubts_in_words() -> None:
    assert [number(v) for v in (None, pd.NA, float("nan"), 3, 2.345, "x")] == ["–", "–", "–", "3", "2.35", "x"]
    assert list(sentences("NO_IF|UNCONTROLLED", SlideFlag)) == ["NO_IF", "UNCONTROLLED"]
    assert sentences("", SlideFlag) == {}


def test_the_screen_names_denominators_and_doubts() -> None:
    row = {"slide_id": "s", "preset": "circe_tdm1", "n_ctc": 2, "n_lost": 0, "n_evaluable": 2, "n_amplified": 1}
    row |= {"n_amplified_guarded": 1, "n_nuclei": 9, "n_leukocytes": 7, "flags": "UNCONTROLLED"}
    text = screen(row, called((9, 2), (2, 2)), "a note")
    assert "evaluable 2, amplified 1" in text
    assert "! Too few leukocytes" in text
    assert text.endswith("a note")
    assert "research use only" in text
    absent = make.cells((2, None))
    assert "NO_CEP17" in screen(row, tables.CELLS.check(call(absent, make.rates(), Call())), "")
    mixed = screen(row, called((3, 2), (None, None), label=pd.array([1, None], dtype="Int64")), "").splitlines()
    assert [line.split()[2:4] for line in mixed if line.lstrip().startswith("s/f/")] == [["3", "2"], ["–", "–"]]
    many = screen(row, called(*[(2, 2)] * 30), "")
    assert "10 more in cells.csv" in many


def test_toml_of_a_tree_reads_back() -> None:
    import tomllib

    tree = {"a": 1, "b": {"c": [1.5, "x"], "d": {"e": True, "f": 'q"'}, "none": None}}
    assert tomllib.loads(as_toml(tree)) == {"a": 1, "b": {"c": [1.5, "x"], "d": {"e": True, "f": 'q"'}}}
