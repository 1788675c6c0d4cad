"""The overlay of both constellations: every nucleus where the transform puts it, and what became of each."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from ctcfish import tables
from ctcfish.parameters import Call
from ctcfish.report.constellation import MOST_PANELS, NARROW, WIDE, constellations
from ctcfish.stages.call import call
from ctcfish.store.pictures import Picture
from tests import make

TURN = [[0.0, -1.0, 30.0], [1.0, 0.0, 2.0]]
"""IF (y, x) to FISH (30 - x, y + 2)."""


def view(scene: str = "f", pixel_um: float = 0.5) -> Picture:
    return Picture(np.full((1, 80, 100), 9, np.uint16), ("nucleus",), pixel_um, (0.25, 0.25), scene)


def transform(scene: str = "f", n_matched: int = 14) -> dict[str, Any]:
    return {"if_scene": "scan", "scene": scene, "matrix": TURN, "n_matched": n_matched, "rms_um": 0.84}


def if_cells(*places: tuple[float, float], kinds: list[str]) -> pd.DataFrame:
    labels = range(1, len(places) + 1)
    return pd.DataFrame(
        {
            "if_scene": "scan",
            "if_label": pd.array(labels, dtype="Int64"),
            "if_y_um": [y for y, _ in places],
            "if_x_um": [x for _, x in places],
            "kind": kinds,
        }
    )


def cells(*rows: dict[str, Any]) -> pd.DataFrame:
    given: dict[str, Any] = {
        "scene": "f", "y_um": np.nan, "x_um": np.nan, "area_um2": 50.0, "if_scene": None, "if_label": pd.NA,
        "relocation_residual_um": np.nan, "relocation_probability": np.nan,
    }  # fmt: skip
    columns = pd.DataFrame([given | {"kind": "ctc"} | row for row in rows])
    made = make.cells(*[(2, 2)] * len(rows)).drop(columns=["scene", "kind"])
    table = made.assign(**{c: columns[c].to_numpy() for c in columns})
    table["label"] = pd.array([k if row.get("scene", "f") else None for k, row in enumerate(rows, 1)], dtype="Int64")
    return tables.CELLS.check(call(table, make.rates(), Call()))


FOUND: dict[str, Any] = {"y_um": 20.5, "x_um": 14.0, "if_scene": "scan", "if_label": 1}
PLACES = [(12.0, 10.0), (25.0, 5.0), (4.0, 20.0)]
"""Moved: (20, 14), (25, 27), (10, 6)."""


@pytest.fixture
def figure() -> ElementTree.Element:
    """A CTC found half a micrometre away, a lost CTC, a lost leukocyte, and a FISH nucleus of no IF nucleus."""
    own = cells(
        FOUND | {"relocation_residual_um": 0.5, "relocation_probability": 0.997},
        {"scene": None, "if_scene": "scan", "if_label": 2},
        {"y_um": 35.0, "x_um": 45.0, "kind": "unknown"},
    )
    [panel] = constellations(
        own, if_cells(*PLACES, kinds=["ctc", "ctc", "wbc"]), {"view/fish/f": view()}, [transform()]
    )
    assert panel["title"] == "scan on f: 14 nuclei paired, rms 0.8 µm; 1 CTC found again, 1 lost"
    return ElementTree.fromstring(panel["figure"])


def stars(figure: ElementTree.Element) -> dict[str, ElementTree.Element]:
    return {str(g[0].text): g for g in figure.iter("g")}


def test_every_nucleus_says_what_became_of_it(figure: ElementTree.Element) -> None:
    drawn = {text: g.attrib["class"] for text, g in stars(figure).items()}
    assert drawn == {
        "IF 1 ctc, 0.5 um off, p 0.997": "star ctc",
        "IF 2 ctc, lost": "star ctc lost",
        "IF 3 wbc, lost": "star lost",
    }
    assert [len(list(g.iter("circle"))) for g in stars(figure).values()] == [1, 1, 0]


def test_crosses_stand_where_the_transform_puts_them(figure: ElementTree.Element) -> None:
    """Pixel k of the view is centred on 0.25 + 0.5 k um."""
    ring = stars(figure)["IF 2 ctc, lost"].find("circle")
    assert ring is not None
    assert (float(ring.attrib["cx"]), float(ring.attrib["cy"])) == ((27 - 0.25) / 0.5, (25 - 0.25) / 0.5)
    path = stars(figure)["IF 3 wbc, lost"].find("path")
    assert path is not None
    left, right = re.findall(r"M(-?[\d.]+),(-?[\d.]+)", path.attrib["d"])
    assert float(left[1]) == (10 - 0.25) / 0.5
    assert float(right[0]) == (6 - 0.25) / 0.5


def test_a_line_leads_to_the_partner_and_lost_ones_have_none(figure: ElementTree.Element) -> None:
    path = stars(figure)["IF 1 ctc, 0.5 um off, p 0.997"].find("path")
    assert path is not None
    [end] = re.findall(r"L([\d.]+),([\d.]+)", path.attrib["d"])
    assert (float(end[0]), float(end[1])) == ((14 - 0.25) / 0.5, (20.5 - 0.25) / 0.5)
    for text in ("IF 2 ctc, lost", "IF 3 wbc, lost"):
        path = stars(figure)[text].find("path")
        assert path is not None
        assert "L" not in path.attrib["d"]


def test_fish_nuclei_are_rings_of_their_area(figure: ElementTree.Element) -> None:
    rings = [c.attrib for c in figure.iter("circle") if c.attrib.get("class", "").startswith("fish")]
    assert [r["class"] for r in rings] == ["fish", "fish alone"]
    assert [float(r["r"]) for r in rings] == pytest.approx([np.sqrt(50 / np.pi) / 0.5] * 2, abs=0.05)
    assert (float(rings[1]["cx"]), float(rings[1]["cy"])) == pytest.approx(((45 - 0.25) / 0.5, (35 - 0.25) / 0.5))


def test_what_lies_elsewhere_is_not_drawn() -> None:
    """One IF nucleus far outside, one found in another field at a place inside both."""
    own = cells(FOUND | {"scene": "g", "if_label": 2})
    seen = if_cells((500.0, 500.0), PLACES[0], kinds=["ctc", "ctc"])
    pictures = {"view/fish/f": view(), "view/fish/g": view("g")}
    panels = constellations(own, seen, pictures, [transform("f"), transform("g")])
    assert ["1 CTC found again, 0 lost" in p["title"] for p in panels] == [True, False]
    assert panels[0]["title"].startswith("scan on g")
    assert [p["figure"].count('class="star') for p in panels] == [1, 0]


def test_several_panels_are_narrower_and_most_ctc_come_first() -> None:
    names = [f"f{k}" for k in range(MOST_PANELS + 3)]
    pictures = {f"view/fish/{n}": view(n) for n in names}
    own = cells(FOUND | {"scene": "f5"})
    panels = constellations(
        own, if_cells(*PLACES, kinds=["ctc", "wbc", "wbc"]), pictures, [transform(n) for n in names]
    )
    assert len(panels) == MOST_PANELS
    assert panels[0]["title"].startswith("scan on f5: ")
    assert f'width="{NARROW}"' in panels[0]["figure"]
    [alone] = constellations(own, if_cells(*PLACES, kinds=["ctc", "wbc", "wbc"]), pictures, [transform("f5")])
    assert f'width="{WIDE}"' in alone["figure"]


def test_without_transform_or_view_there_is_no_panel() -> None:
    seen = if_cells(*PLACES, kinds=["ctc", "wbc", "wbc"])
    assert constellations(cells(FOUND), seen, {"view/fish/f": view()}, []) == []
    assert constellations(cells(FOUND), seen, {}, [transform()]) == []
