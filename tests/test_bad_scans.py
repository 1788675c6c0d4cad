"""Scans that do not fit: what is refused, what is a result, and what is reported."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ctcfish import pipeline, synth
from ctcfish.config import Config, load
from ctcfish.types import Scene, Slide, SlideResult
from tests import make
from tests.make import run

CLASSICAL = "segment.nuclei.method=classical"

pytestmark = pytest.mark.xdist_group("route")


def spec(seed: int, slide_id: str = "simulated", ctc: int = 2) -> synth.SlideSpec:
    return synth.SlideSpec.model_validate(
        {
            "slide_id": slide_id,
            "seed": seed,
            "population": {"ctc": ctc, "leukocytes": 24, "touching_pairs": 0},
            "fish": {"shape_px": [840, 840], "planes": 3, "z_step_um": 0.8},
            "nuisance": {"granules_per_nucleus": 0.0, "if_residue_photons": 0.0},
        }
    )


@pytest.fixture(scope="module")
def config() -> Config:
    return load(sets=[CLASSICAL])


@pytest.fixture(scope="module")
def whole() -> Slide:
    return synth.slide_in_memory(spec(5))[0]


def with_if(slide: Slide, **changes: Any) -> Slide:
    return dataclasses.replace(slide, if_scenes=(dataclasses.replace(slide.if_scenes[0], **changes),))


def refused(result: SlideResult) -> str:
    """Evidence of a slide that could not be relocated: every nucleus a row, none of a kind, no patient."""
    assert result.failure == "RELOCATION"
    assert set(result.cells["kind"]) <= {"unknown"}
    row = result.summary["slide"]
    assert (row["technical_code"], row["n_ctc"]) == ("RELOCATION", None)
    assert row["n_nuclei"] == len(result.cells) > 20
    return str(result.summary["relocation"]["evidence"])


def test_no_nucleus_in_the_if_scan_is_refused(whole: Slide, config: Config) -> None:
    scan: Scene = whole.if_scenes[0]
    _, planes, rows, columns = scan.pixels.shape
    dark = make.ArraySource(np.full((4, planes, rows, columns), 100, np.uint16))
    result = pipeline.score(with_if(whole, pixels=dark), config)
    assert refused(result) == "No nucleus was found in the IF scan: nothing can be relocated."
    assert len(result.if_cells) == 0


@pytest.mark.parametrize("factor", [0.8, 1.15])
def test_a_wrong_pixel_size_is_found_and_said(factor: float, whole: Slide, config: Config) -> None:
    """FISH lengths over IF lengths come out as the inverse of what the IF pixels were stretched by."""
    _, y, x = whole.if_scenes[0].voxel_um
    result = pipeline.score(with_if(whole, voxel_um=(0.0, y * factor, x * factor)), config)
    assert result.failure == ""
    assert "SCALE_MISMATCH" in result.summary["slide"]["flags"].split("|")
    evidence = result.summary["relocation"]["evidence"]
    assert f"FISH lengths are {1 / factor:.2f} times the IF lengths" in evidence
    assert "correct if_pixel_um or fish_pixel_um" in evidence
    assert result.cells["if_label"].notna().sum() >= 20


def test_right_pixel_sizes_are_not_doubted(whole: Slide, config: Config) -> None:
    result = pipeline.score(whole, config)
    assert result.failure == ""
    assert "SCALE_MISMATCH" not in result.summary["slide"]["flags"]


def test_without_her2_protein_the_slide_is_scored(whole: Slide, config: Config) -> None:
    roles = {role: k for role, k in whole.if_scenes[0].roles.items() if role != "her2_protein"}
    result = pipeline.score(with_if(whole, roles=roles), config)
    assert result.failure == ""
    assert (result.cells["kind"] == "wbc").sum() >= 15
    assert result.if_cells["her2_protein"].isna().all()


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two slides as files: one without CTC, and one with the FISH scan of another slide."""
    folder = tmp_path_factory.mktemp("bad")
    synth.simulate_slide(spec(6, "none", ctc=0), folder)
    synth.simulate_slide(spec(7, "other"), folder)
    (folder / "other" / "if" / "scan.ome.tif").write_bytes((folder / "none" / "if" / "scan.ome.tif").read_bytes())
    return folder


def test_no_ctc_is_a_valid_result(study: Path, tmp_path: Path) -> None:
    assert run("score", study / "none", "--out", tmp_path / "out", "--set", CLASSICAL) == 0
    said = json.loads((tmp_path / "out" / "none" / "slide.json").read_text(encoding="utf-8"))
    row = said["slide"]
    assert (said["failure"], row["technical_code"], row["n_ctc"]) == ("", "S2", 0)
    assert row["n_leukocytes"] >= 15
    assert said["relocation"]["trusted"] is True
    assert "No cell to show" not in (tmp_path / "out" / "none" / "report.html").read_text(encoding="utf-8")


def test_scans_of_two_slides_are_refused(study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("score", study / "other", "--out", tmp_path / "out", "--set", CLASSICAL) == 3
    said = " ".join(capsys.readouterr().err.split())
    assert "nuclei agree in one constellation; 12 are needed before the scans are taken for the same slide" in said


def test_a_missing_stain_is_refused_with_the_ways_to_give_it(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    panel = tmp_path / "panel.toml"
    panel.write_text('[panel.if.aliases]\nexclusion = ["CD14"]\n', encoding="utf-8")
    assert run("score", study / "none", "--out", tmp_path / "out", "--config", panel) == 3
    said = " ".join(capsys.readouterr().err.split())
    assert "no exclusion channel in 4 channels (0: DAPI, 1: CK, 2: CD45, 3: HER2)" in said
    assert "--channel exclusion=NAME or INDEX" in said
    assert "if_channels in the study sheet" in said
