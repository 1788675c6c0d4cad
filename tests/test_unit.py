"""What is done again when a run goes on: exactly what changed, and to the bytes of a fresh run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ctcfish import pipeline, unit
from ctcfish.batch import Plan, run_batch
from ctcfish.config import load
from ctcfish.engine.status import Status
from ctcfish.io import SlideRef, study_slides
from ctcfish.pipeline import quiet
from ctcfish.store.results import read_slide_json
from ctcfish.unit import Job, base_of
from tests.faults.conftest import results, write_slide

SET = ["segment.nuclei={method = 'custom', function = 'tests.faults.methods:nuclei'}"]
Run = Callable[..., dict[str, str]]


@pytest.fixture
def study(tmp_path: Path) -> Path:
    for name in ("a", "b"):
        write_slide(tmp_path / "study" / name, 100)
    (tmp_path / "study" / "b" / "slide.toml").write_text('patient_id = "p"\nblood_ml = 7.5\n')
    return tmp_path / "study"


@pytest.fixture
def run(study: Path, tmp_path: Path) -> Run:
    """Score the study and say what became of each slide."""

    def score(out: str = "out", *sets: str, preset: str | None = None) -> dict[str, str]:
        told: list[Status] = []
        job = Job(load(preset, None, [*SET, *sets]), "cpu", tmp_path / out)
        run_batch(study_slides(study), job, Plan(), told.append)
        return {status.slide_id: status.did for status in sorted(told, key=lambda s: s.slide_id)}

    return score


def both(word: str) -> dict[str, str]:
    return {"a": word, "b": word}


def test_nothing_is_opened_where_nothing_changed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run() == both("scored")
    monkeypatch.setattr(unit, "open_ref", lambda *_: pytest.fail("an image was opened"))
    assert run() == both("kept")


def test_a_study_named_from_the_working_folder_is_known(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def score(folder: Path) -> list[str]:
        told: list[Status] = []
        run_batch(study_slides(folder), Job(load(None, None, SET), "cpu", tmp_path / "out"), Plan(), told.append)
        return [status.did for status in told]

    monkeypatch.chdir(tmp_path)
    assert score(Path(study.name)) == ["scored"] * 2
    monkeypatch.setattr(unit, "open_ref", lambda *_: pytest.fail("an image was opened"))
    assert score(Path(study.name)) == ["kept"] * 2
    assert score(study) == ["kept"] * 2


def test_another_rule_calls_again_without_pixels(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run()
    with monkeypatch.context() as patch:
        patch.setattr(unit, "open_ref", lambda *_: pytest.fail("an image was opened"))
        assert run(preset="asco_cap_2018") == both("called")
        assert run("out", "calibrate.missed=0.1", preset="asco_cap_2018") == both("called")
        assert run(preset="asco_cap_2018") == both("called")
        assert run(preset="asco_cap_2018") == both("kept")
    run("fresh", preset="asco_cap_2018")
    assert results(tmp_path / "out") == results(tmp_path / "fresh")


def test_another_detection_measures_again(run: Run, tmp_path: Path) -> None:
    run()
    assert run("out", "detect.margin_um=2.0") == both("scored")
    run("fresh", "detect.margin_um=2.0")
    assert results(tmp_path / "out") == results(tmp_path / "fresh")


def test_a_changed_image_measures_its_slide_again(run: Run, study: Path, tmp_path: Path) -> None:
    run()
    write_slide(tmp_path / "new", 101)
    (tmp_path / "new" / "fish" / "a.ome.tif").replace(study / "a" / "fish" / "a.ome.tif")
    assert run() == {"a": "scored", "b": "kept"}
    run("fresh")
    assert results(tmp_path / "out") == results(tmp_path / "fresh")


def test_a_new_field_is_seen(run: Run, study: Path, tmp_path: Path) -> None:
    run()
    write_slide(tmp_path / "new", 101)
    (tmp_path / "new" / "fish" / "a.ome.tif").replace(study / "a" / "fish" / "b.ome.tif")
    assert run() == {"a": "scored", "b": "kept"}
    assert run() == both("kept")


def test_a_touched_image_is_read_and_kept(run: Run, study: Path) -> None:
    run()
    (study / "a" / "fish" / "a.ome.tif").touch()
    assert run() == both("kept")


@pytest.mark.parametrize("change", ["blood_ml = 15", 'patient_id = "q"'])
def test_what_the_sheet_says_of_the_slide_calls_it_again(run: Run, study: Path, tmp_path: Path, change: str) -> None:
    run()
    (study / "b" / "slide.toml").write_text(change)
    assert run() == {"a": "kept", "b": "called"}
    run("fresh")
    assert results(tmp_path / "out") == results(tmp_path / "fresh")


def test_what_the_sheet_says_of_the_pixels_measures_again(run: Run, study: Path) -> None:
    run()
    (study / "b" / "slide.toml").write_text("fish_channels = 'nucleus, cep17, her2'")
    assert run()["b"] != "called"


def test_a_result_that_was_tampered_with_is_made_again(run: Run, tmp_path: Path) -> None:
    run()
    before = results(tmp_path / "out")
    (tmp_path / "out" / "a" / "cells.csv").write_text("nothing")
    (tmp_path / "out" / "b" / "report.html").unlink()
    assert run() == both("scored")
    assert results(tmp_path / "out") == before


def test_without_its_ledger_a_result_is_known_by_its_identity(run: Run, tmp_path: Path) -> None:
    run()
    for file in (tmp_path / "out" / ".ctcfish" / "slides").iterdir():
        file.unlink()
    assert run() == both("kept")


def test_a_call_that_was_cut_short_is_made_again(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever was written when it ended; going back to the old rule included."""
    run()
    before = results(tmp_path / "out")
    with monkeypatch.context() as patch:
        patch.setattr(unit, "page", lambda *_: exec("raise KeyboardInterrupt"))
        with pytest.raises(KeyboardInterrupt):
            run(preset="asco_cap_2018")
    assert read_slide_json(tmp_path / "out" / "a")["identity"]["called"] == ""
    run()
    assert results(tmp_path / "out") == before


def test_another_device_measures_again(run: Run, study: Path, tmp_path: Path) -> None:
    run()
    job = Job(load(None, None, SET), "cpu", tmp_path / "out")
    ref = study_slides(study)[0]
    assert unit.without_pixels(ref, job, quiet) == "kept"
    assert unit.without_pixels(ref, replace(job, device="cuda"), quiet) is None
    assert unit.without_pixels(SlideRef("never", study / "never"), job, quiet) is None
    assert pipeline.quiet("") is None


@pytest.mark.parametrize(
    ("files", "base"),
    [
        ([], "."),
        (["/s/x/if/1.tif", "/s/x/fish/1.tif", "/s/x/ctc.csv"], "/s/x"),
        (["/s/x/fish/1.tif"], "/s/x"),
        (["/s/scans/a/1.tif", "/s/scans/b/1.tif"], "/s/scans"),
        (["/s/1.tif"], "/s"),
    ],
)
def test_inputs_are_named_from_the_folder_that_holds_them_all(files: list[str], base: str) -> None:
    assert base_of(tuple(map(Path, files))).as_posix() == base
