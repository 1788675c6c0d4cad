"""What stands beside a cell's pictures on the page."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ctcfish import tables
from ctcfish.config import Config
from ctcfish.parameters import Call
from ctcfish.pipeline import score
from ctcfish.report.slide import render
from ctcfish.stages.call import call
from ctcfish.store.pictures import Picture
from ctcfish.store.results import write_slide
from ctcfish.types import SlideResult
from tests import make


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A CTC with HER2 protein that was found again, one that was lost, and the constellation they lie in."""
    dark = dataclasses.replace(make.SCENE, pixels=make.ArraySource(np.zeros((1, 1, 80, 100), np.uint16)))
    empty = score(make.slide(fish_scenes=(dark,)), Config())
    cells = make.cells((9, 2), (None, None)).assign(
        scene=["f", None],
        label=pd.array([1, None], dtype="Int64"),
        y_um=[4.0, np.nan],
        x_um=[4.0, np.nan],
        area_um2=[36.0, np.nan],
        her2_protein=[129.84, np.nan],
        her2_protein_class=["high", None],
        if_scene="scan",
        if_label=pd.array([1, 2], dtype="Int64"),
        relocation_residual_um=[0.62, np.nan],
        relocation_probability=[0.9988, np.nan],
    )
    called = tables.CELLS.check(call(cells, make.rates(), Call()))
    seen = pd.DataFrame(
        {"slide_id": "s", "if_scene": "scan", "if_label": [1, 2], "if_y_um": [4.0, 2.0], "if_x_um": [4.0, 8.0],
         "area_um2": 30.0, "kind": "ctc", "flags": ""}
    )  # fmt: skip
    transform: dict[str, Any] = {"if_scene": "scan", "scene": "f", "matrix": [[1.0, 0, 0], [0, 1.0, 0]]}
    transform |= {"n_matched": 12, "rms_um": 0.5}
    told = {"trusted": True, "evidence": "They agree.", "transforms": [transform]}
    result = SlideResult(
        "s", "p", "", called, tables.SPOTS.empty(), tables.IF_CELLS.check(seen), {"fish/f": make.nuclei(1)},
        dict(empty.summary) | {"relocation": told},
    )  # fmt: skip
    pixels = np.zeros((3, 80, 90), np.uint16)
    roles = ("nucleus", "her2", "cep17")
    whole = Picture(pixels, roles, 0.1, (0.0, 0.0), "f")
    pictures = {"view/fish/f": whole, "cell/s/f/1/fish": whole, "cell/s/f/1/plane/0": dataclasses.replace(
        whole, pixels=pixels[1:], roles=roles[1:], z_um=1.2)}  # fmt: skip
    pictures["cell/s/f/2/if"] = Picture(np.zeros((1, 20, 20), np.uint16), ("nucleus",), 0.64, (0.0, 0.0), "scan")
    folder: Path = tmp_path_factory.mktemp("cells")
    result = dataclasses.replace(result, nuclei={"fish/f": make.nuclei(1), "if/scan": make.nuclei(1, 0.64)})
    write_slide(result, {}, pictures, folder)
    return render(folder)


def rows(page: str) -> list[dict[str, list[str]]]:
    """Facts of each strip: heading to cells."""
    found = []
    for strip in re.findall(r"<article.*?</article>", page, re.DOTALL):
        table = re.findall(r"<tr><th>(.*?)</th>(.*?)</tr>", strip, re.DOTALL)
        found.append({head: [t.strip() for t in re.findall(r"<td[^>]*>(.*?)</td>", rest)] for head, rest in table})
    return found


def test_a_found_cell_tells_its_protein_and_how_surely_it_was_found(page: str) -> None:
    found = rows(page)[0]
    assert found["HER2 in IF"] == ["high", "129.8 SD"]
    assert found["found again"] == ["p 0.999", "0.6 µm off"]
    assert found["HER2"] == ["9", "9–9"]


def test_a_lost_cell_tells_neither(page: str) -> None:
    lost = rows(page)[1]
    assert not {"HER2 in IF", "found again"} & set(lost)
    assert lost["HER2"] == ["–", ""]


def test_planes_stand_below_the_pictures_of_the_cell_they_belong_to(page: str) -> None:
    found, lost = re.findall(r"<article.*?</article>", page, re.DOTALL)
    assert found.count('<div class="tiles">') == 2
    assert "z 1.2 µm" in found
    assert lost.count('<div class="tiles">') == 1


def test_the_constellation_is_drawn_once_with_its_evidence(page: str) -> None:
    section = page[page.index("IF laid on FISH") :]
    assert "They agree." in section
    assert section.count("scan on f: 12 nuclei paired, rms 0.5 µm; 1 CTC found again, 1 lost</figcaption>") == 1
    assert "fields with most CTC" not in section
