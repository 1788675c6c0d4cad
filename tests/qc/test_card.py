"""The method card: each set of optics once, who told it, and what is missing without a manifest."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ctcfish.qc.card import card
from ctcfish.report.calibration import measured
from tests.qc.conftest import Scorer, cells_of


def scene(name: str, voxel_um: list[float], origin: str = "file") -> dict[str, object]:
    optics = {"na": 1.3, "emission_nm": {"her2": 588.0, "cep17": 524.0}}
    return {
        "scene": name,
        "modality": "fish",
        "shape_czyx": [3, 13, 960, 960],
        "voxel_um": voxel_um,
        "roles": {"nucleus": 0, "her2": 1, "cep17": 2},
        "optics": optics,
        "origin": {"voxel_um": origin},
    }


@pytest.fixture
def run(tmp_path: Path, scored: Scorer, places: Callable[[int], np.ndarray]) -> Path:
    out = tmp_path / "run"
    scenes = {
        "a": [scene("f1", [0.4, 0.1, 0.1]), scene("f2", [0.4, 0.1, 0.1])],
        "b": [scene("f1", [0.4, 0.1, 0.1])],
        "c": [scene("f1", [0.5, 0.13, 0.13], "option")],
    }
    for name, own in scenes.items():
        folder = scored(out, name, cells_of(name, [2], [2], places(1)), false_amplified_per_cell=0.0101)
        said = json.loads((folder / "slide.json").read_text(encoding="utf-8")) | {"scenes": own}
        said["error_rates"] |= {"rates": {"missed_her2": {"value": 0.05}}, "n_leukocytes": 44, "origin": "slide"}
        (folder / "slide.json").write_text(json.dumps(said), encoding="utf-8")
    return out


def rows_of(run: Path, title: str) -> list[tuple[str, ...]]:
    (section,) = [section for section in card(run) if section.title == f"Method card: {title}"]
    return [row for grid in section.grids for row in grid.rows]


def test_each_set_of_optics_stands_once_with_its_slides(run: Path) -> None:
    rows = rows_of(run, "probes and optics")
    shape, emission = "13 x 960 x 960", "cep17 524, her2 588"
    assert rows[0] == ("fish", "0.4 x 0.1 x 0.1", shape, "1.30", emission, "2")
    assert rows[1] == ("fish", "0.5 x 0.13 x 0.13", shape, "1.30", emission, "1")
    assert rows[2:] == [("fish", "voxel_um", "file"), ("fish", "voxel_um", "option")]


def test_error_rates_of_every_slide_stand_on_the_card(run: Path) -> None:
    rows = rows_of(run, "validation")
    assert rows[0] == ("a", "44", "slide", "1.010 %", "missed_her2 0.050")
    assert [row[0] for row in rows[:3]] == ["a", "b", "c"]


def test_the_reliability_of_the_probabilities_stands_on_the_card(run: Path) -> None:
    told = [row for row in rows_of(run, "validation") if row[0] == "p_amplified"]
    assert [row[1] for row in told] == [f"{own.name}: {own.about}" for own in measured()]
    assert all("expected calibration error 0.0" in row[2] for row in told)


def test_without_a_manifest_the_slides_still_say_what_they_know(run: Path) -> None:
    program = dict(rows_of(run, "program"))
    assert program["ctcfish"] == "0.1.0"
    assert program["configuration"] == "c" * 64
    assert program["device"] == "not stated"
    assert rows_of(run, "parameters") == []


def test_no_doubt_is_no_row_and_the_standing_limits_remain(run: Path) -> None:
    assert rows_of(run, "limits") == []
    assert "Research use only" in card(run)[-1].text
