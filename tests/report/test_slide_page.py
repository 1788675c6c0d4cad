"""The page of a slide says what its tables say, and carries everything within itself."""

from __future__ import annotations

import html
import json
import re
import shutil
import tomllib
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ctcfish import pipeline
from ctcfish.config import Config
from ctcfish.flags import SlideFlag, sentence
from ctcfish.report.calibration import measured
from ctcfish.report.slide import render
from ctcfish.report.text import about, as_toml, screen
from ctcfish.report.words import number, percent
from ctcfish.types import Scene, SlideResult
from ctcfish.unit import Job, score_slide
from tests import make

NAME = "a & <b>"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("page") / "out"


@pytest.fixture(scope="module")
def result(folder: Path) -> SlideResult:
    """Two bright discs, one with two signals of each colour, under a name that is no good HTML."""
    y, x = np.ogrid[:200, :300]
    pixels = np.random.default_rng(0).poisson(40, (3, 1, 200, 300)) * 2.0 + 100
    for cy, cx in ((100, 80), (100, 210)):
        pixels[0, 0] += 1200 * ((y - cy) ** 2 + (x - cx) ** 2 < 38**2)
    for channel in (1, 2):
        for cy, cx in ((90, 65 + 4 * channel), (115, 90)):
            pixels[channel, 0] += 300 * np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / 2)
    roles = {"nucleus": 0, "her2": 1, "cep17": 2}
    scene = Scene(NAME, "fish", make.ArraySource(pixels.astype(np.uint16)), (0.0, 0.1, 0.1), roles)
    slide = make.slide(slide_id=NAME, fish_scenes=(scene,))
    return score_slide(slide, Job(Config(), "cpu", folder), pipeline.quiet, {})


@pytest.fixture(scope="module")
def page(folder: Path, result: SlideResult) -> str:
    return (folder / result.slide_id / "report.html").read_text(encoding="utf-8")


class Tags(HTMLParser):
    """Opens and closes, and the links out of the page."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [v or "" for k, v in attrs if k in ("src", "href", "xlink:href")]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [v or "" for k, v in attrs if k in ("src", "href", "xlink:href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_asks_for_nothing_else(page: str) -> None:
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    assert tags.links
    assert all(link.startswith(("data:image/png;base64,", "#")) for link in tags.links)
    assert "<script" not in page


def test_every_shown_cell_has_its_counts(page: str, result: SlideResult) -> None:
    articles = re.findall(r'<article class="strip (\w+)">(.*?)</article>', page, flags=re.DOTALL)
    assert len(articles) == len(result.cells) == 2
    for cell in result.cells.to_dict("records"):
        shown_id = cell["cell_id"].replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        [(status, text)] = [(s, t) for s, t in articles if f"<h3>{shown_id}</h3>" in t]
        assert status == cell["call"]
        for probe in ("her2", "cep17"):
            assert f"<td>{number(cell[f'{probe}_count'])}</td>" in text
        assert len(re.findall('<figure class="tile">', text)) == 3


def test_names_are_escaped_everywhere(page: str) -> None:
    assert "<b>/" not in page
    assert f"<h1>{NAME}" not in page
    assert "<h1>a &amp; &lt;b&gt;</h1>" in page


def test_the_slides_doubts_are_sentences(page: str, result: SlideResult) -> None:
    names = result.summary["slide"]["flags"].split("|")
    assert {"NO_IF", "SINGLE_PLANE"} & set(names)
    listed = re.findall(r"<li><code>(\w+)</code> (.*?)</li>", html.unescape(page))
    assert listed == [(name, sentence(SlideFlag[name])) for name in names]


def test_the_page_is_made_again_from_the_folder_alone(page: str, folder: Path, result: SlideResult) -> None:
    assert render(folder / result.slide_id) == page


def test_an_unknown_count_on_screen_is_a_dash() -> None:
    cells = make.cells((2, None)).assign(ratio=np.nan, p_amplified=np.nan, call="not_evaluable")
    cells = cells.assign(call_guarded="not_evaluable", reason="NO_CEP17")
    row: dict[str, Any] = {"slide_id": "s", "preset": "p", "n_nuclei": 1, "n_leukocytes": 0, "flags": ""}
    lines = screen(row, cells, "").splitlines()
    assert len(lines) == 4
    assert not any(line.startswith("CTC") for line in lines)
    assert lines[-1].split() == ["s/f/1", "ctc", "2", "–", "–", "–", "not_evaluable", "not_evaluable", "NO_CEP17"]


def test_info_names_what_is_there_and_what_is_missing() -> None:
    scene = {
        "name": "a",
        "format": "TIFF",
        "modality": "fish",
        "size": {"C": 2, "Y": 5},
        "dtype": "uint16",
        "pixel_um": [0.1, 0.2],
        "z_step_um": None,
        "na": None,
        "channels": [{"index": 0, "name": "DAPI", "role": "nucleus"}, {"index": 1, "name": "", "role": None}],
        "notes": ["n"],
        "missing": [{"found": "no z step", "remedy": "Give --z-step-um."}],
    }
    lines = about({"slide_id": "s", "ready": False, "scenes": [scene]}).splitlines()
    assert lines == [
        "s: cannot be scored yet",
        "scene a (TIFF, fish): C=2 Y=5, uint16",
        "  pixel 0.1 x 0.2 um, z step -, NA -",
        "  channel 0 DAPI: nucleus",
        "  channel 1 (no name): no role",
        "  note: n",
        "  missing: no z step. Give --z-step-um.",
    ]


@pytest.mark.parametrize("text", ["a\\b", 'a "b"', "two\nlines", "tab\t", "µ"], ids=repr)
def test_any_text_is_a_toml_string(text: str) -> None:
    assert tomllib.loads(as_toml({"a": {"b": text, "c": [text]}})) == {"a": {"b": text, "c": [text]}}


def test_false_calls_of_leukocytes_stand_on_the_page(result: SlideResult, page: str) -> None:
    told = result.summary["false_amplified"]
    assert {"circe_tdm1", "circe_guarded", "meng_2004"} <= set(told)
    assert "if_detect" not in told
    for name, own in told.items():
        row = re.search(rf"<tr><td>{name}</td>(.*?)</tr>", page, re.DOTALL)
        assert row is not None, name
        cells = re.findall(r"<td>(.*?)</td>", row[1])
        assert cells[0] == f"{own['amplified']} of {own['leukocytes']}" == "0 of 0"
        assert cells[1] == "– (0 %–100 %)"
        assert (
            cells[3] == f"{percent(own['modelled'])} ({percent(own['modelled_low'])}–{percent(own['modelled_high'])})"
        )


def test_keys_that_are_no_plain_words_are_quoted_as_toml_wants() -> None:
    tree = {"calibrate": {"history": {"2/2": 950, "plain_key": 1}, "x": 2}}
    assert tomllib.loads(as_toml(tree)) == tree
    assert '"2/2" = 950' in as_toml(tree)


def test_the_page_shows_how_far_probabilities_can_be_believed(result: SlideResult, page: str) -> None:
    section = page.partition("How far the probabilities can be believed")[2].partition("</section>")[0]
    for own in measured():
        assert f"<b>{own.name}</b>: {own.about}" in section
        assert f"{own.name} (ECE {own.curve.error:.3f})" in section
    assert "no leukocyte that shows both colours: not controlled" in section
    same = measured()[0].configuration_sha256 == result.summary["configuration_sha256"]
    assert ("this slide was scored with" in section) != same
    assert "not for this run's" not in section


def test_another_cut_is_said_beside_the_curve(folder: Path, result: SlideResult, tmp_path: Path) -> None:
    other = shutil.copytree(folder / result.slide_id, tmp_path / "slide")
    file = other / "slide.json"
    told = json.loads(file.read_text(encoding="utf-8"))
    told["rule"]["cut"] = "2.0"
    file.write_text(json.dumps(told), encoding="utf-8")
    assert "They hold for the cut 2.2, not for this run's." in render(other)
