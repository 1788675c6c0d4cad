"""The route on a slide in memory: order of steps, what comes out, and what the summary says of it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

import ctcfish
from ctcfish import pipeline, synth, tables
from ctcfish.conclude import rates_of
from ctcfish.config import Config, load
from ctcfish.flags import SlideFlag, from_text
from ctcfish.stages.calibrate import calibrate
from ctcfish.stages.call import call, false_amplified
from ctcfish.store.atomic import to_json
from ctcfish.types import Scene, Slide, SlideResult
from tests import make

SPEC = synth.SlideSpec.model_validate(
    {
        "seed": 3,
        "population": {"ctc": 1, "leukocytes": 3, "touching_pairs": 0, "ctc_mix": {"diploid": 1}},
        "fish": {"shape_px": [300, 300], "planes": 3, "z_step_um": 0.8},
    }
)

pytestmark = pytest.mark.xdist_group("route")


@pytest.fixture(scope="module")
def whole() -> Slide:
    """A slide of four cells in both scans."""
    return synth.slide_in_memory(SPEC)[0]


@pytest.fixture(scope="module")
def fish(whole: Slide) -> Slide:
    """The same in two FISH fields (one field twice), without IF."""
    field = whole.fish_scenes[0]
    return dataclasses.replace(whole, if_scenes=(), fish_scenes=(field, dataclasses.replace(field, name="again")))


@pytest.fixture(scope="module")
def told() -> list[str]:
    return []


@pytest.fixture(scope="module")
def result(whole: Slide, told: list[str]) -> SlideResult:
    return pipeline.score(whole, Config(), "cpu", told.append)


@pytest.fixture(scope="module")
def fish_result(fish: Slide) -> SlideResult:
    return pipeline.score(fish, Config())


def test_steps_are_told_in_the_order_of_the_route(result: SlideResult, told: list[str], whole: Slide) -> None:
    expected = ["IF scan", "nuclei field001", "survey field001", "signals field001", "relocate", "call"]
    assert told == expected
    assert pipeline.steps(whole) == len(expected)


def test_all_scenes_are_surveyed_before_any_is_counted(fish: Slide) -> None:
    said: list[str] = []
    pipeline.score(fish, Config(), "cpu", said.append)
    surveyed = ["nuclei field001", "survey field001", "nuclei again", "survey again"]
    assert said == [*surveyed, "signals field001", "signals again", "relocate", "call"]
    assert pipeline.steps(fish) == len(said)


@pytest.mark.parametrize(("n_if", "n_fish", "n"), [(0, 0, 2), (1, 0, 3), (0, 1, 5), (2, 3, 13)])
def test_steps_count_scenes(n_if: int, n_fish: int, n: int) -> None:
    assert pipeline.steps(make.slide(if_scenes=(make.SCENE,) * n_if, fish_scenes=(make.SCENE,) * n_fish)) == n


def test_every_nucleus_is_a_row_and_an_outline(result: SlideResult) -> None:
    assert set(result.nuclei) == {"if/scan", "fish/field001"}
    assert result.cells["label"].tolist() == result.nuclei["fish/field001"].label.tolist()
    assert result.if_cells["if_label"].tolist() == result.nuclei["if/scan"].label.tolist()
    assert len(result.cells) == 4
    assert result.cells["cell_id"].tolist() == [f"simulated/field001/{label}" for label in result.cells["label"]]
    centroids = result.nuclei["fish/field001"].centroid_um
    np.testing.assert_array_equal(result.cells[["y_um", "x_um"]].to_numpy(), centroids)


def test_tables_are_as_declared(result: SlideResult) -> None:
    declared = (tables.CELLS, tables.SPOTS, tables.IF_CELLS)
    for table, frame in zip(declared, (result.cells, result.spots, result.if_cells), strict=True):
        pd.testing.assert_frame_equal(table.check(frame), frame)
        assert set(frame["slide_id"]) <= {"simulated"}


def test_a_few_nuclei_in_common_are_not_trusted(result: SlideResult) -> None:
    assert result.failure == "RELOCATION"
    assert result.summary["relocation"]["trusted"] is False
    assert "12 are needed" in result.summary["relocation"]["evidence"]
    assert set(result.cells["kind"]) == {"unknown"}
    row = result.summary["slide"]
    assert row["technical_code"] == "RELOCATION"
    assert row["n_ctc"] is None
    assert row["n_nuclei"] == 4


def test_the_summary_says_what_was_scored(result: SlideResult, whole: Slide) -> None:
    said = result.summary
    assert (said["program"], said["version"]) == ("ctcfish", ctcfish.__version__)
    assert said["configuration_sha256"] == Config().sha256()
    assert said["notice"] == "Research use only."
    assert said["note"] == ""
    assert said["rule"]["cut"] == "11/5"
    assert list(said["slide"]) == tables.SLIDES.names
    assert [(s["scene"], s["modality"]) for s in said["scenes"]] == [("scan", "if"), ("field001", "fish")]
    field = said["scenes"][1]
    assert field["shape_czyx"] == (3, 3, 300, 300)
    assert field["voxel_um"] == (0.8, 0.1, 0.1)
    assert field["roles"] == {"nucleus": 0, "her2": 1, "cep17": 2}
    assert field["optics"]["na"] == whole.fish_scenes[0].optics.na
    assert said["leukocytes"]["n_leukocytes"] <= len(result.if_cells)


def test_the_summarys_model_is_in_units_people_read(result: SlideResult) -> None:
    model = result.summary["model"]
    assert set(model["probes"]) == {"HER2", "CEP17"}
    for probe in model["probes"].values():
        assert probe["fwhm_um"] == pytest.approx(2 * np.sqrt(2 * np.log(2)) * probe["sigma_xy_um"], rel=0.2)
    assert model["camera_origin"] == "metadata"
    assert (model["gain_adu_per_photon"], model["offset_adu"]) == (2.0, 100.0)
    flags = SlideFlag(int(from_text([model["flags"]], SlideFlag)[0]))
    assert SlideFlag.FEW_SIGNALS in flags
    assert set(model["flags"].split("|")) <= set(result.summary["slide"]["flags"].split("|"))


def test_rates_of_the_summary_call_the_cells_again(result: SlideResult) -> None:
    """``call`` is pure: what ``slide.json`` tells is enough to call once more."""
    rates = rates_of(json.loads(to_json(result.summary)))
    again = tables.CELLS.check(call(result.cells, rates, Config().call))
    pd.testing.assert_frame_equal(again, result.cells)
    assert result.summary["slide"]["false_amplified_per_cell"] == pytest.approx(false_amplified(rates, Config().call))


def test_rates_are_those_of_the_cells(result: SlideResult) -> None:
    rates = calibrate(result.cells, Config().calibrate)
    assert rates_of(result.summary).errors == rates.errors
    assert result.summary["error_rates"]["flags"] == "UNCONTROLLED"


def test_another_preset_calls_the_same_counts(fish: Slide, fish_result: SlideResult) -> None:
    other = pipeline.score(fish, load("circe_guarded"))
    counts = ["cell_id", "her2_count", "her2_low", "her2_high", "cep17_count", "ratio", "call_guarded"]
    pd.testing.assert_frame_equal(other.cells[counts], fish_result.cells[counts])
    assert other.cells["call"].tolist() == fish_result.cells["call_guarded"].tolist()
    assert other.summary["slide"]["preset"] == "circe_guarded"
    assert other.summary["configuration_sha256"] != fish_result.summary["configuration_sha256"]


def test_without_if_every_nucleus_is_unknown_and_the_note_says_so(fish_result: SlideResult) -> None:
    assert set(fish_result.cells["kind"]) == {"unknown"}
    assert fish_result.failure == ""
    assert fish_result.summary["relocation"] is None
    assert fish_result.summary["leukocytes"] is None
    assert "every nucleus is of unknown kind" in fish_result.summary["note"]
    assert "NO_IF" in fish_result.summary["slide"]["flags"].split("|")
    pd.testing.assert_frame_equal(fish_result.if_cells, tables.IF_CELLS.empty())


def test_a_list_of_ctc_without_if_scan_is_said_to_be_unused(fish: Slide) -> None:
    listed = pd.DataFrame({"scene": ["field001"] * 2, "modality": "fish", "y_um": 1.0, "x_um": 1.0})
    assert "ctc.csv" not in pipeline._without_if(fish)
    assert "ctc.csv" not in pipeline._without_if(dataclasses.replace(fish, chosen_ctc=listed.iloc[:0]))
    said = pipeline._without_if(dataclasses.replace(fish, chosen_ctc=listed))
    assert said.endswith("The 2 cells of ctc.csv are CTC of no IF scan and were not used.")


def test_equal_fields_are_counted_equally(fish_result: SlideResult) -> None:
    """One threshold a slide: the same pixels under two names give the same cells and signals."""
    halves = [fish_result.cells[fish_result.cells["scene"] == name] for name in ("field001", "again")]
    left, right = (half.drop(columns=["cell_id", "scene"]).reset_index(drop=True) for half in halves)
    pd.testing.assert_frame_equal(left, right)
    spots = [fish_result.spots[fish_result.spots["scene"] == name] for name in ("field001", "again")]
    assert len(spots[0]) > 0
    assert spots[0]["photons"].tolist() == spots[1]["photons"].tolist()
    assert fish_result.spots.set_index(["scene", "spot_id"]).index.is_unique


def test_the_order_of_fields_changes_no_cell(fish: Slide, fish_result: SlideResult) -> None:
    turned = pipeline.score(dataclasses.replace(fish, fish_scenes=fish.fish_scenes[::-1]), Config())
    assert turned.cells["scene"].tolist() == fish_result.cells["scene"].tolist()[::-1]
    by_id = [frame.sort_values("cell_id", ignore_index=True) for frame in (turned.cells, fish_result.cells)]
    pd.testing.assert_frame_equal(*by_id)


def test_the_same_slide_gives_the_same_bytes(fish: Slide, fish_result: SlideResult) -> None:
    def digest(of: SlideResult) -> str:
        text = of.cells.to_csv() + of.spots.to_csv() + to_json(of.summary)
        return hashlib.sha256(text.encode()).hexdigest()

    assert digest(pipeline.score(fish, Config())) == digest(fish_result)


def test_without_cep17_every_cell_is_a_row_without_ratio(whole: Slide) -> None:
    field = whole.fish_scenes[0]
    roles = {role: k for role, k in field.roles.items() if role != "cep17"}
    alone = dataclasses.replace(whole, if_scenes=(), fish_scenes=(dataclasses.replace(field, roles=roles),))
    result = pipeline.score(alone, Config())
    assert len(result.cells) == 4
    assert set(result.cells["call"]) == {"not_evaluable"}
    assert "NO_CEP17" in set(result.cells["reason"])
    assert result.cells["cep17_count"].isna().all()
    assert result.cells["her2_count"].notna().all()
    assert set(result.spots["probe"]) <= {"HER2"}
    assert set(result.summary["model"]["probes"]) == {"HER2"}


def test_an_if_scan_alone_makes_its_ctc_lost(whole: Slide) -> None:
    chosen = dataclasses.replace(whole, fish_scenes=())
    result = pipeline.score(chosen, Config())
    n_ctc = int((result.if_cells["kind"] == "ctc").sum())
    assert n_ctc == 1
    assert result.cells["reason"].tolist() == ["LOST"] * n_ctc
    assert result.cells["label"].isna().all()
    [cell] = result.cells.to_dict("records")
    [seen] = result.if_cells[result.if_cells["kind"] == "ctc"].to_dict("records")
    assert cell["cell_id"] == f"simulated/scan/if:{seen['if_label']}"
    assert (cell["if_y_um"], cell["if_x_um"]) == (seen["if_y_um"], seen["if_x_um"])
    assert (result.summary["slide"]["n_ctc"], result.summary["slide"]["n_lost"]) == (1, 1)
    assert result.failure == ""


@pytest.mark.parametrize("planes", [1, 3])
def test_an_empty_field_is_a_table_of_no_rows(planes: int) -> None:
    pixels = make.ArraySource(np.full((3, planes, 64, 64), 100, np.uint16))
    roles = {"nucleus": 0, "her2": 1, "cep17": 2}
    scene = Scene("f", "fish", pixels, (0.4 * (planes > 1), 0.1, 0.1), roles)
    result = pipeline.score(make.slide(fish_scenes=(scene,)), Config())
    assert (len(result.cells), len(result.spots), len(result.if_cells)) == (0, 0, 0)
    assert result.cells.columns.tolist() == tables.CELLS.names
    assert "NO_NUCLEI" in result.summary["slide"]["flags"]
    assert result.summary["slide"]["n_nuclei"] == 0


def test_the_first_words_of_the_sheet_reach_the_result(whole: Slide) -> None:
    named: dict[str, Any] = {"slide_id": "x", "patient_id": "y", "visit": "z"}
    empty = dataclasses.replace(make.slide(), **named, fish_scenes=(make.SCENE,))
    result = pipeline.score(empty, Config())
    assert (result.slide_id, result.patient_id, result.visit) == ("x", "y", "z")
    assert {name: result.summary["slide"][name] for name in named} == named
