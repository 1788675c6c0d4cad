"""The folder of a simulated slide: files, metadata, truth, and the same bytes each time."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
import tifffile

from ctcfish import tables
from ctcfish.errors import UsageError
from ctcfish.synth import SlideSpec, if_field, simulate_slide
from ctcfish.synth.fish import render_field
from ctcfish.synth.ometiff import OmeInfo, ome_xml, write_ome_tiff
from ctcfish.synth.population import populate
from ctcfish.synth.slide import CELL_COLUMNS, IF_COLUMNS, SPOT_COLUMNS, write_csv
from ctcfish.synth.spec import FishScan, Population

NAMESPACE = {"ome": "http://www.openmicroscopy.org/Schemas/OME/2016-06"}
CAMERA = {"gain_adu_per_photon": 1.0, "offset_adu": 0.0}
TINY = SlideSpec(
    slide_id="tiny",
    population=Population(ctc=1, leukocytes=2, touching_pairs=0),
    fish=FishScan(shape_px=(200, 220), planes=2),
)


def digests(folder: Path) -> dict[str, str]:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_files(two_fields_slide: Path) -> None:
    assert two_fields_slide.name == "two"
    assert list(digests(two_fields_slide)) == [
        "fish/field001.ome.tif",
        "fish/field002.ome.tif",
        "if/scan.ome.tif",
        "slide.toml",
        "truth/cells.csv",
        "truth/if_cells.csv",
        "truth/slide.json",
        "truth/spots.csv",
    ]
    assert [p.name for p in two_fields_slide.parent.iterdir()] == ["two"]


def test_pixels_are_those_of_memory(two_fields_slide: Path, two_fields_spec: SlideSpec) -> None:
    cells = populate(two_fields_spec)
    for index in (0, 1):
        stored = tifffile.imread(two_fields_slide / "fish" / f"field{index + 1:03d}.ome.tif")
        np.testing.assert_array_equal(stored, render_field(two_fields_spec, cells, index).pixels)
    seen = if_field(two_fields_spec)
    np.testing.assert_array_equal(tifffile.imread(two_fields_slide / "if" / "scan.ome.tif"), seen.pixels[:, 0])


def test_ome_metadata(two_fields_slide: Path) -> None:
    with tifffile.TiffFile(two_fields_slide / "fish" / "field002.ome.tif") as file:
        assert file.is_ome
        assert file.series[0].axes == "CZYX"
        assert file.series[0].shape == (3, 5, 300, 360)
        assert file.pages[0].is_tiled
        assert "DateTime" not in file.pages[0].tags
        assert "Software" not in file.pages[0].tags
        text = file.ome_metadata
    assert text is not None
    root = ElementTree.fromstring(text)
    pixels = root.find(".//ome:Pixels", NAMESPACE)
    assert pixels is not None
    assert (pixels.get("PhysicalSizeX"), pixels.get("PhysicalSizeZ")) == ("0.1", "0.4")
    assert pixels.get("PhysicalSizeXUnit") == "µm"
    channels = root.findall(".//ome:Channel", NAMESPACE)
    assert [(c.get("Name"), c.get("EmissionWavelength")) for c in channels] == [
        ("DAPI", "461"), ("HER2", "588"), ("CEP17", "524"),
    ]  # fmt: skip
    objective = root.find(".//ome:Objective", NAMESPACE)
    assert objective is not None
    assert (objective.get("LensNA"), objective.get("Immersion")) == ("1.3", "Oil")
    settings = root.find(".//ome:DetectorSettings", NAMESPACE)
    assert settings is not None
    assert (settings.get("Gain"), settings.get("Offset")) == ("2", "100")
    plane = root.find(".//ome:Plane", NAMESPACE)
    assert plane is not None
    assert plane.get("PositionX") == "30"
    assert "UUID" not in text


def test_if_metadata_have_no_z_step(two_fields_slide: Path) -> None:
    with tifffile.TiffFile(two_fields_slide / "if" / "scan.ome.tif") as file:
        text = file.ome_metadata or ""
    assert "PhysicalSizeZ" not in text
    assert 'Immersion="Air"' in text
    assert 'Name="CD45"' in text


def test_truth_tables(two_fields_slide: Path) -> None:
    cells = pd.read_csv(two_fields_slide / "truth" / "cells.csv")
    spots = pd.read_csv(two_fields_slide / "truth" / "spots.csv")
    seen = pd.read_csv(two_fields_slide / "truth" / "if_cells.csv")
    assert tuple(cells.columns) == CELL_COLUMNS
    assert tuple(spots.columns) == SPOT_COLUMNS
    assert tuple(seen.columns) == IF_COLUMNS
    for table, own in ((tables.CELLS, CELL_COLUMNS), (tables.SPOTS, SPOT_COLUMNS), (tables.IF_CELLS, IF_COLUMNS)):
        assert set(table.key) <= set(own)
    assert cells["cell_id"].is_unique
    assert set(cells["scene"]) == {"field001", "field002"}
    assert not spots.duplicated(["slide_id", "scene", "spot_id"]).any()
    assert set(spots["cell_id"]) <= set(cells["cell_id"])
    assert seen["if_label"].is_unique


def test_partners_in_the_if_scan(two_fields_slide: Path) -> None:
    cells = pd.read_csv(two_fields_slide / "truth" / "cells.csv")
    seen = pd.read_csv(two_fields_slide / "truth" / "if_cells.csv").set_index("cell")
    assert cells["if_label"].isna().any()  # cells seen in FISH only
    assert (~seen["in_fish"]).any()
    paired = cells.dropna(subset=["if_label"])
    assert (seen.loc[paired["cell"], "if_label"].to_numpy() == paired["if_label"].to_numpy()).all()
    alone = cells[cells["if_label"].isna()]
    assert not set(alone["cell"]) & set(seen.index)


def test_facts(two_fields_slide: Path, two_fields_spec: SlideSpec) -> None:
    facts = json.loads((two_fields_slide / "truth" / "slide.json").read_text(encoding="utf-8"))
    assert SlideSpec.model_validate(facts["specification"]) == two_fields_spec
    assert facts["fields"]["field002"]["origin_um"] == [0.0, 30.0]
    assert set(facts["signal_fwhm_um"]) == {"HER2", "CEP17"}
    np.testing.assert_allclose(facts["if_to_slide_um"], if_field(two_fields_spec).to_fish, atol=1e-8)


def test_same_bytes_each_time(tmp_path: Path) -> None:
    first, second = simulate_slide(TINY, tmp_path / "a"), simulate_slide(TINY, tmp_path / "b")
    assert digests(first) == digests(second)


def test_without_if(tmp_path: Path) -> None:
    slide = simulate_slide(TINY.model_copy(update={"with_if": False}), tmp_path)
    assert not (slide / "if").exists()
    assert not (slide / "truth" / "if_cells.csv").exists()
    assert pd.read_csv(slide / "truth" / "cells.csv")["if_label"].isna().all()


def test_progress(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    simulate_slide(TINY, tmp_path, lambda *step: told.append(step))
    assert told == [("scan", 1, 2), ("field001", 2, 2)]


def test_existing_slide_is_left_alone(tmp_path: Path) -> None:
    simulate_slide(TINY, tmp_path)
    before = digests(tmp_path)
    with pytest.raises(UsageError, match="tiny: exists already in the output folder; choose another folder"):
        simulate_slide(TINY, tmp_path)
    assert digests(tmp_path) == before


def test_what_an_interrupted_run_left_is_replaced(tmp_path: Path) -> None:
    (tmp_path / ".tiny.part" / "fish").mkdir(parents=True)
    (tmp_path / ".tiny.part" / "fish" / "old.tif").write_text("half")
    slide = simulate_slide(TINY, tmp_path)
    assert not list(slide.rglob("old.tif"))
    assert not (tmp_path / ".tiny.part").exists()


def test_names_are_escaped_in_xml() -> None:
    info = OmeInfo('a<"b">&', (0.3, 0.1, 0.1), [("H&E", 500.0)], 0.5, 1.0, CAMERA, (0, 0))
    image = ElementTree.fromstring(ome_xml((1, 2, 4, 4), info)).find(".//ome:Image", NAMESPACE)
    assert image is not None
    assert image.get("Name") == 'a<"b">&'


def test_noise_survives_compression(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 65536, (2, 3, 300, 270)).astype(np.uint16)
    info = OmeInfo("x", (0.3, 0.1, 0.1), [("a", 500.0), ("b", 600.0)], 0.5, 1.0, CAMERA, (0, 0))
    write_ome_tiff(tmp_path / "x.ome.tif", pixels, info)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "x.ome.tif"), pixels)


def test_csv_is_plain(tmp_path: Path) -> None:
    write_csv(pd.DataFrame({"a": [1.23456, np.nan], "b": ["x", None]}), tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_bytes() == b"a,b\n1.2346,x\n,\n"
