"""Layers for napari: in its own CSV formats, in its own coordinates, and opened by the script that travels along."""

from __future__ import annotations

import ast
import csv
import json
import runpy
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tifffile
from skimage.draw import polygon2mask

from ctcfish import tables
from ctcfish.export import napari
from ctcfish.store.tablefiles import read_parquet
from tests import make
from tests.export.conftest import names_no_folder


@pytest.fixture(scope="module")
def exported(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("napari") / "out"
    assert make.run("export", run, "--to", "napari", "--out", out) == 0
    names_no_folder(out, run)
    return out


@pytest.fixture
def fish(exported: Path) -> Path:
    return exported / "a" / "fish_f"


def test_a_folder_for_every_scene(exported: Path) -> None:
    names = {"nuclei.tif", "nuclei.csv", "outlines.csv", "signals.csv", "scene.json", "open_in_napari.py"}
    for slide in "ab":
        for scene in ("fish_f", "if_i"):
            assert {p.name for p in (exported / slide / scene).iterdir()} == names


@pytest.mark.parametrize("tile_px", [16, 64, 1024])
def test_labels_come_back_whatever_the_tiles(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tile_px: int
) -> None:
    monkeypatch.setattr(napari, "TILE_PX", tile_px)
    napari.export_napari(run, tmp_path)
    labels = tifffile.imread(tmp_path / "a" / "fish_f" / "nuclei.tif")
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(labels, make.nuclei(2).paint())


def test_points_are_pixels_with_centres_at_whole_numbers(fish: Path) -> None:
    with (fish / "signals.csv").open(encoding="utf-8", newline="") as stream:
        header, *rows = csv.reader(stream)
    assert header[:3] == ["index", "axis-0", "axis-1"]
    assert [row[0] for row in rows] == ["0", "1", "2"]
    np.testing.assert_allclose([[float(v) for v in row[1:3]] for row in rows], [[30, 40], [35, 40], [2, 3]], atol=1e-9)
    assert {"probe", "status", "photons", "cell_id"} <= set(header)
    assert not any(name.startswith("axis-") for name in header[3:])


def test_shapes_filled_again_are_the_labels(fish: Path) -> None:
    shapes = pd.read_csv(fish / "outlines.csv")
    assert shapes.columns[:5].tolist() == ["index", "shape-type", "vertex-index", "axis-0", "axis-1"]
    assert set(shapes["shape-type"]) == {"polygon"}
    expected = make.nuclei(2).paint()
    again = np.zeros_like(expected)
    for _, own in shapes.groupby("index"):
        assert own["vertex-index"].tolist() == list(range(len(own)))
        again[polygon2mask(expected.shape, own[["axis-0", "axis-1"]].to_numpy())] = own["label"].iloc[0]
    np.testing.assert_array_equal(again, expected)


def test_nuclei_carry_their_row_by_label(fish: Path, run: Path) -> None:
    nuclei = pd.read_csv(fish / "nuclei.csv")
    cells = read_parquet(run / "a" / "cells.parquet", tables.CELLS)
    assert nuclei["index"].tolist() == [1, 2]
    assert nuclei["cell_id"].tolist() == cells["cell_id"].tolist()[:2]
    assert nuclei["her2_count"].tolist() == [9, 2]


def test_an_if_scene_has_nuclei_and_no_signal(exported: Path) -> None:
    folder = exported / "a" / "if_i"
    assert len(pd.read_csv(folder / "signals.csv")) == 0
    assert pd.read_csv(folder / "nuclei.csv")["cell_id"].tolist() == ["a/i/if:1"]


def test_the_scene_says_its_pixel_size(fish: Path) -> None:
    said = json.loads((fish / "scene.json").read_text(encoding="utf-8"))
    assert (said["slide_id"], said["scene"], said["pixel_um"]) == ("a", "f", [0.1, 0.1])


class Viewer:
    """Notes what the script shows."""

    shown: list[tuple[str, Any, dict[str, Any]]]

    def __init__(self, title: str) -> None:
        Viewer.shown = []
        self.scale_bar = SimpleNamespace()

    def add_labels(self, data: Any, **options: Any) -> None:
        Viewer.shown.append(("labels", data, options))

    def add_points(self, data: Any, **options: Any) -> None:
        Viewer.shown.append(("points", data, options))


@pytest.mark.parametrize("scene", ["fish_f", "if_i"])
def test_the_script_opens_every_layer(exported: Path, monkeypatch: pytest.MonkeyPatch, scene: str) -> None:
    stand_in: Any = ModuleType("napari")
    stand_in.Viewer, stand_in.run = Viewer, lambda: None
    monkeypatch.setitem(sys.modules, "napari", stand_in)
    runpy.run_path(str(exported / "a" / scene / "open_in_napari.py"))
    (kind, labels, options), *points = Viewer.shown
    assert (kind, options["scale"], options["units"]) == ("labels", [0.1, 0.1], ("um", "um"))
    assert sorted(set(np.unique(labels)) - {0}) == options["features"]["index"].tolist()
    expected = ["CEP17 doublet", "HER2 counted", "HER2 outside"] if scene == "fish_f" else []
    assert [own["name"] for _, _, own in points] == expected
    assert [own["visible"] for _, _, own in points] == [name.endswith("counted") for name in expected]
    for _, data, own in points:
        assert data.shape == (1, 2)
        assert (own["scale"], own["units"]) == ([0.1, 0.1], ("um", "um"))
        assert len(own["features"]) == 1


def test_the_script_is_python_without_this_program(fish: Path) -> None:
    tree = ast.parse((fish / "open_in_napari.py").read_text(encoding="utf-8"))
    imported = {a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names}
    assert imported == {"json", "napari", "pandas", "tifffile"}
