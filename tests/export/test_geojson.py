"""GeoJSON for QuPath: read back by json alone, painted again, every number where the tables have it."""

from __future__ import annotations

import dataclasses
import json
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.path import Path as Curve

from ctcfish import tables
from ctcfish.export.outlines import signed_area
from ctcfish.stages.nuclei.outlines import from_labels
from ctcfish.store.tablefiles import read_parquet
from tests import make, runs
from tests.export.conftest import names_no_folder

Feature = dict[str, Any]


@pytest.fixture(scope="module")
def exported(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("geojson") / "out"
    assert make.run("export", run, "--to", "geojson", "--out", out) == 0
    return out


def features(exported: Path, name: str = "a/fish_f") -> list[Feature]:
    text = (exported / f"{name}.geojson").read_text(encoding="utf-8")
    said = json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert set(said) == {"type", "features"}
    assert said["type"] == "FeatureCollection"
    return list(said["features"])


def measured(feature: Feature) -> dict[str, float]:
    return {m["name"]: m["value"] for m in feature["properties"]["measurements"]}


def test_a_file_for_every_scene(exported: Path, run: Path) -> None:
    found = {p.relative_to(exported).as_posix() for p in exported.rglob("*.geojson")}
    assert found == {f"{slide}/{scene}.geojson" for slide in "ab" for scene in ("fish_f", "if_i")}
    names_no_folder(exported, run)


@pytest.mark.parametrize("name", ["a/fish_f", "b/fish_f", "a/if_i"])
def test_every_object_is_one_that_qupath_reads(exported: Path, name: str) -> None:
    for feature in features(exported, name):
        assert set(feature) == {"type", "id", "geometry", "properties"}
        assert feature["type"] == "Feature"
        assert uuid.UUID(feature["id"]).version == 5
        own = feature["properties"]
        assert set(own) == {"objectType", "name", "classification", "measurements"}
        assert own["objectType"] == "detection"
        assert len(own["classification"]["color"]) == 3
        assert all(0 <= shade <= 255 for shade in own["classification"]["color"])
        for measurement in own["measurements"]:
            assert set(measurement) == {"name", "value"}
            assert isinstance(measurement["value"], float)


def test_outlines_painted_again_are_the_labels(exported: Path) -> None:
    expected = make.nuclei(2).paint()
    y, x = np.mgrid[: expected.shape[0], : expected.shape[1]]
    centres = np.column_stack([x.ravel() + 0.5, y.ravel() + 0.5])
    again = np.zeros(expected.size, np.int32)
    nuclei = [f for f in features(exported) if f["geometry"]["type"] == "Polygon"]
    for feature in nuclei:
        (outer,) = feature["geometry"]["coordinates"]
        again[Curve(outer).contains_points(centres)] = int(feature["properties"]["name"].rsplit("/")[-1])
        assert signed_area(outer) == 3600
    np.testing.assert_array_equal(again.reshape(expected.shape), expected)
    assert len(nuclei) == 2


def test_nuclei_carry_their_row(exported: Path, run: Path) -> None:
    cells = read_parquet(run / "a" / "cells.parquet", tables.CELLS).set_index("cell_id")
    for feature in features(exported)[:2]:
        own = feature["properties"]
        row = cells.loc[own["name"]]
        assert own["classification"]["name"] == f"{row['kind']}: {row['call']}"
        numbers = measured(feature)
        for name in ("her2_count", "cep17_low", "area_um2", "p_amplified"):
            assert numbers[name] == row[name]
        assert ("if_inclusion_cell" in numbers) == (own["name"] == "a/f/1"), "what is missing is left out"
        assert not {"flags", "label", "call"} & set(numbers)


def test_a_signal_lies_half_a_pixel_from_the_corner_of_its_pixel(exported: Path) -> None:
    signals = [f for f in features(exported) if f["geometry"]["type"] == "Point"]
    assert [f["geometry"]["coordinates"] for f in signals] == [[40.5, 30.5], [40.5, 35.5], [3.5, 2.5]]
    assert [f["properties"]["classification"]["name"] for f in signals] == ["HER2", "CEP17: doublet", "HER2: outside"]
    assert measured(signals[0])["photons"] == 1000.0
    assert measured(signals[2])["label"] == 0.0


def test_an_if_scene_has_nuclei_alone(exported: Path) -> None:
    (feature,) = features(exported, "a/if_i")
    assert feature["properties"]["name"] == "a/i/if:1"
    assert feature["properties"]["classification"]["name"] == "ctc"
    assert measured(feature) == {"y_um": 3.95, "x_um": 3.95, "area_um2": 36.0}


def test_identifiers_are_the_same_in_every_export_and_never_twice(exported: Path, run: Path, tmp_path: Path) -> None:
    make.run("export", run, "--to", "geojson", "--out", tmp_path / "again")
    names = ("a/fish_f", "b/fish_f", "a/if_i", "b/if_i")
    ids = [f["id"] for name in names for f in features(exported, name)]
    assert len(set(ids)) == len(ids) == 12
    assert (tmp_path / "again" / "a" / "fish_f.geojson").read_bytes() == (exported / "a/fish_f.geojson").read_bytes()


def test_what_is_infinite_is_left_out(tmp_path: Path) -> None:
    own = runs.changed(runs.result("a"), log10_bayes_factor=[np.inf, -1.5, np.nan])
    assert make.run("export", runs.write(tmp_path / "run", own), "--to", "geojson", "--out", tmp_path / "out") == 0
    first, second, *_ = features(tmp_path / "out")
    assert "log10_bayes_factor" not in measured(first)
    assert measured(second)["log10_bayes_factor"] == -1.5


def test_a_nucleus_in_parts_is_a_multipolygon(tmp_path: Path) -> None:
    labels = np.zeros((80, 170), np.int32)
    labels[2:5, 2:5], labels[10:12, 2:5], labels[20:23, 20:23] = 1, 1, 2
    labels[21, 21] = 0
    own = runs.result("a")
    nuclei = dict(own.nuclei) | {"fish/f": from_labels(labels, (0.1, 0.1))}
    run = runs.write(tmp_path / "run", dataclasses.replace(own, nuclei=nuclei))
    assert make.run("export", run, "--to", "geojson", "--out", tmp_path / "out") == 0
    first, second, *_ = (f["geometry"] for f in features(tmp_path / "out"))
    assert (first["type"], [signed_area(rings[0]) for rings in first["coordinates"]]) == ("MultiPolygon", [9, 6])
    assert (second["type"], [signed_area(ring) for ring in second["coordinates"]]) == ("Polygon", [9, -1])
