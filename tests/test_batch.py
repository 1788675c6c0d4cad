"""A run over slides: whole folders, failures as rows, resumed runs the same bytes as fresh ones."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import json
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ctcfish import pipeline, tables, unit
from ctcfish.batch import OnError, Plan, attempt, raise_failures, refuse_existing, score_alone
from ctcfish.batch import run_batch as run_batch_to
from ctcfish.config import Config
from ctcfish.engine.lock import only_batch
from ctcfish.errors import BatchIncompleteError, InputError, UsageError
from ctcfish.io import SlideRef
from ctcfish.stages import summarise
from ctcfish.types import Scene, Slide, SlideResult
from ctcfish.unit import Job
from tests import make

ROLES = {"nucleus": 0, "her2": 1, "cep17": 2}


def dark(slide_id: str, **other: Any) -> Slide:
    """A slide of one small field without any nucleus."""
    scene = Scene("f", "fish", make.ArraySource(np.full((3, 1, 64, 64), 100, np.uint16)), (0.0, 0.1, 0.1), ROLES)
    return make.slide(slide_id=slide_id, patient_id=f"patient {slide_id}", fish_scenes=(scene,), **other)


def refs(*names: str) -> list[SlideRef]:
    return [SlideRef(name, Path(name), {"patient_id": f"patient {name}"}) for name in names]


def run_batch(slides: list[SlideRef], job: Job, on_error: OnError, tell: Callable[[str], object]) -> pd.DataFrame:
    """The batch, told only which slides took work."""
    plan = Plan(on_error=on_error)
    return run_batch_to(slides, job, plan, lambda s: tell(s.slide_id) if s.did != "kept" else None)


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(Config(), "cpu", tmp_path / "out")


@pytest.fixture(autouse=True)
def opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slides come from memory by their name; some names go wrong."""

    def open_ref(ref: SlideRef, *_: object) -> Slide:
        if ref.slide_id.startswith("refused"):
            raise InputError(ref.slide_id, "no pixel size", "one", "Give --pixel-size-um.")
        if ref.slide_id.startswith("broken"):
            raise ZeroDivisionError("by zero")
        return dark(ref.slide_id)

    monkeypatch.setattr(unit, "open_ref", open_ref)


def untrusted(of: Callable[..., SlideResult]) -> Callable[..., SlideResult]:
    """``pipeline.score`` that trusts no transform of a slide named ``moved``."""

    def score(slide: Slide, *others: Any) -> SlideResult:
        result = of(slide, *others)
        if not slide.slide_id.startswith("moved"):
            return result
        relocation = {"trusted": False, "evidence": "3 of 40 nuclei agree.", "transforms": []}
        return dataclasses.replace(
            result, failure="RELOCATION", summary=dict(result.summary) | {"relocation": relocation}
        )

    return score


def bytes_of(out: Path) -> dict[str, bytes]:
    """Everything but what is hidden: the lock and the ledgers, which tell of times."""
    files = [p.relative_to(out) for p in sorted(out.rglob("*")) if p.is_file()]
    return {f.as_posix(): (out / f).read_bytes() for f in files if not any(x.startswith(".") for x in f.parts)}


def test_a_result_that_is_there_is_left_alone(tmp_path: Path) -> None:
    refuse_existing(tmp_path / "new")
    (tmp_path / "old").mkdir()
    with pytest.raises(UsageError, match=r"old exists and is left alone; give another --out"):
        refuse_existing(tmp_path / "old")


def test_slides_are_scored_in_order_and_told(job: Job) -> None:
    told: list[str] = []
    failures = run_batch(refs("b", "a"), job, "continue", told.append)
    assert told == ["b", "a"]
    assert len(failures) == 0
    assert failures.columns.tolist() == tables.FAILURES.names
    slides = pd.read_csv(job.out / "slides.csv")
    assert slides["slide_id"].tolist() == ["b", "a"]
    assert slides["patient_id"].tolist() == ["patient b", "patient a"]
    assert slides["flags"].str.contains("NO_NUCLEI").all()
    assert pd.read_csv(job.out / "patients.csv")["eligible"].tolist() == ["not_evaluable"] * 2


def test_whatever_goes_wrong_is_a_row_and_the_others_are_scored(job: Job) -> None:
    failures = run_batch(refs("refused", "a", "broken", "b"), job, "continue", pipeline.quiet)
    assert failures["slide_id"].tolist() == ["refused", "broken"]
    assert failures["cause"].tolist() == ["InputError", "ZeroDivisionError"]
    assert failures["message"][0] == "refused: found no pixel size; needed one. Give --pixel-size-um."
    assert failures["message"][1] == "unexpected: by zero; run.log holds the details, please report them."
    assert pd.read_csv(job.out / "slides.csv")["slide_id"].tolist() == ["a", "b"]
    pd.testing.assert_frame_equal(pd.read_csv(job.out / "failures.csv", dtype=object), failures)
    assert sorted(p.name for p in job.out.iterdir() if p.is_dir()) == [".ctcfish", "a", "b"]


def test_the_details_of_the_unexpected_are_logged(job: Job, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", logger="ctcfish"):
        run_batch(refs("refused", "broken"), job, "continue", pipeline.quiet)
    said = [record.getMessage() for record in caplog.records]
    assert "slide refused: refused: found no pixel size; needed one. Give --pixel-size-um." in said
    assert any("Traceback" in text and "ZeroDivisionError" in text for text in said)
    assert not any("Traceback" in text for text in said if "InputError" in text)


def test_stop_ends_at_the_first_failure_and_tables_are_written(job: Job) -> None:
    failures = run_batch(refs("a", "refused 1", "refused 2", "b"), job, "stop", pipeline.quiet)
    assert failures["slide_id"].tolist() == ["refused 1"]
    assert pd.read_csv(job.out / "slides.csv")["slide_id"].tolist() == ["a"]
    assert not (job.out / "b").exists()


def test_no_slide_at_all_is_tables_of_no_rows(job: Job) -> None:
    assert len(run_batch([], job, "continue", pipeline.quiet)) == 0
    for name in ("slides", "patients", "heterogeneity", "sensitivity", "failures"):
        assert len(pd.read_csv(job.out / f"{name}.csv")) == 0
    assert "0 patients, 0 slides" in (job.out / "report.html").read_text(encoding="utf-8")


def test_an_untrusted_transform_is_a_failure_with_its_slide_kept(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "score", untrusted(pipeline.score))
    failures = run_batch(refs("moved", "a"), job, "continue", pipeline.quiet)
    assert failures.to_dict("records") == [
        {"slide_id": "moved", "cause": "RELOCATION", "message": "3 of 40 nuclei agree."}
    ]
    assert (job.out / "moved" / "cells.csv").is_file()
    assert pd.read_csv(job.out / "slides.csv")["slide_id"].tolist() == ["moved", "a"]


def test_a_resumed_run_is_the_run_to_the_byte(job: Job, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(pipeline, "score", untrusted(pipeline.score))
    names = ("moved", "a", "refused", "b")
    run_batch(refs(*names[:2]), job, "continue", pipeline.quiet)
    told: list[str] = []
    resumed = run_batch(refs(*names), job, "continue", told.append)
    assert told == ["refused", "b"]
    told.clear()
    run_batch(refs(*names), job, "continue", told.append)
    assert told == ["refused"]
    fresh = Job(job.config, job.device, tmp_path / "fresh")
    at_once = run_batch(refs(*names), fresh, "continue", pipeline.quiet)
    pd.testing.assert_frame_equal(resumed, at_once)
    assert resumed["slide_id"].tolist() == ["moved", "refused"]
    assert bytes_of(job.out) == bytes_of(fresh.out)


def test_a_stored_failure_does_not_stop_a_resumed_run(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "score", untrusted(pipeline.score))
    assert len(run_batch(refs("moved", "a"), job, "stop", pipeline.quiet)) == 1
    assert not (job.out / "a").exists()
    assert run_batch(refs("moved", "a"), job, "stop", pipeline.quiet)["slide_id"].tolist() == ["moved"]
    assert (job.out / "a" / "slide.json").is_file()


def test_a_slide_may_be_called_anything(job: Job) -> None:
    names = ["007", "NA", "1e5", "a & <b>"]
    assert len(run_batch(refs(*names), job, "continue", pipeline.quiet)) == 0
    text = (job.out / "report.html").read_text(encoding="utf-8")
    for name in names:
        shown = name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        assert f'<a href="{shown}/report.html">{shown}</a>' in text
        assert (job.out / name / "report.html").is_file()


def test_the_manifest_lists_every_file_and_its_hash(job: Job) -> None:
    run_batch(refs("a", "refused"), job, "continue", pipeline.quiet)
    (job.out / "run.log").write_text("a clock", encoding="utf-8")
    said = json.loads((job.out / "manifest.json").read_text(encoding="utf-8"))
    there = bytes_of(job.out)
    assert set(said["outputs_sha256"]) == set(there) - {"manifest.json", "run.log"}
    for name, digest in said["outputs_sha256"].items():
        assert digest == hashlib.sha256(there[name]).hexdigest(), name
    assert said["configuration_sha256"] == job.config.sha256()


def test_an_interrupted_slide_leaves_no_folder_and_ends_the_batch(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> str:
        raise KeyboardInterrupt

    run_batch(refs("a"), job, "continue", pipeline.quiet)
    before = bytes_of(job.out)
    monkeypatch.setattr(unit, "page", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_batch(refs("a", "b"), job, "continue", pipeline.quiet)
    assert bytes_of(job.out) == before
    assert not list(job.out.glob(".b.*"))


def when_answered(answered: threading.Event, ended: threading.Event, step: Callable[[], None]) -> None:
    """A read that hangs until it is answered, and the step after it, which ends what is late."""
    answered.wait(60)
    try:
        step()
    except TimeoutError:
        ended.set()
        raise


def test_a_slide_that_hangs_is_given_up_and_writes_nothing_later(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its thread is left behind; when the read comes back at last, the next step ends it."""
    answered, ended = threading.Event(), threading.Event()

    def hanging(ref: SlideRef, job: Job, progress: pipeline.Progress) -> str:
        when_answered(answered, ended, lambda: progress("write"))
        return "scored"

    monkeypatch.setattr(unit, "bring_up", hanging)
    outcome = attempt(refs("a")[0], job, timeout_s=0.1)
    assert (outcome.did, outcome.failure and outcome.failure["cause"]) == ("failed", "TimeoutError")
    assert "not done after 0.1 s; see whether its files can be read" in outcome.details
    answered.set()
    assert ended.wait(60)


def test_a_finished_slide_whose_look_stalls_is_a_row_and_the_others_are_looked_at(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_batch(refs("a", "b"), job, "continue", pipeline.quiet)
    answered, ended = threading.Event(), threading.Event()

    def stalled(ref: SlideRef, job: Job, progress: pipeline.Progress) -> str:
        if ref.slide_id == "a":
            when_answered(answered, ended, lambda: progress("call"))
        return "kept"

    monkeypatch.setattr(unit, "without_pixels", stalled)
    seen: list[str] = []
    failed = run_batch_to(refs("a", "b"), job, Plan(timeout_s=0.2), lambda s: seen.append(f"{s.slide_id} {s.did}"))
    assert failed[["slide_id", "cause"]].to_numpy().tolist() == [["a", "TimeoutError"]]
    assert seen == ["a failed", "b kept"]
    answered.set()
    assert ended.wait(60)


def test_a_full_disk_at_the_very_end_loses_no_slide(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(job.out / "slides.csv"))

    with monkeypatch.context() as patch:
        patch.setattr("ctcfish.batch.write_run_tables", full)
        with pytest.raises(BatchIncompleteError, match=r"tables of the run were not written: the disk .* is full"):
            run_batch(refs("a"), job, "continue", pipeline.quiet)
    assert (job.out / "a" / "slide.json").is_file()
    told: list[str] = []
    assert len(run_batch(refs("a"), job, "continue", told.append)) == 0
    assert told == []
    assert (job.out / "manifest.json").is_file()


def test_a_slide_in_time_is_scored_as_without_a_limit(job: Job) -> None:
    outcome = attempt(refs("a")[0], job, timeout_s=600)
    assert (outcome.did, outcome.failure) == ("scored", None)
    assert 0 < outcome.seconds < 600


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.EDQUOT, "Disk quota exceeded", "/a/b.csv"), "the disk of the results is full; make room there"),
        (OSError(errno.EIO, "Input/output error", "/a/b.tif"), r"Input/output error \(b\.tif\); see whether the file"),
        (OSError("odd"), "odd; see whether the file can be read whole, then --resume"),
        (MemoryError(), "memory ran out; give each worker more"),
    ],
    ids=str,
)
def test_what_the_system_refuses_is_told_with_a_remedy(
    job: Job, monkeypatch: pytest.MonkeyPatch, error: Exception, message: str
) -> None:
    def failing(*_: object) -> None:
        raise error

    monkeypatch.setattr(unit, "open_ref", failing)
    outcome = attempt(refs("a")[0], job)
    assert outcome.failure is not None
    assert re.match(message, outcome.failure["message"])
    assert "Traceback" in outcome.details


def test_a_job_of_another_program_or_another_batch_is_refused(job: Job) -> None:
    job.out.mkdir()
    with only_batch(job.out) as token:
        ours = dataclasses.replace(job, batch=token)
        for wrong, said in (
            (dataclasses.replace(ours, program="0"), "the worker runs another ctcfish, or other weights"),
            (dataclasses.replace(ours, batch="0"), "is not this batch's"),
        ):
            outcome = attempt(refs("a")[0], wrong)
            assert outcome.failure is not None
            assert outcome.failure["cause"] == "UsageError"
            assert said in outcome.failure["message"]
    assert not (job.out / "a").exists()


def test_a_slide_alone_is_a_run_of_its_own(job: Job, tmp_path: Path) -> None:
    told: list[str] = []
    result = score_alone(dark("a"), job, told.append)
    assert told[-1] == "write"
    assert len(told) == pipeline.steps(dark("a")) + 1
    assert len(result.cells) == 0
    other = Job(job.config, job.device, tmp_path / "batch")
    run_batch(refs("a"), other, "continue", pipeline.quiet)
    assert bytes_of(job.out) == bytes_of(other.out)


def test_inputs_are_named_below_the_slides_folder(job: Job, tmp_path: Path) -> None:
    files = [tmp_path / "slide" / kind / "x.tif" for kind in ("if", "fish")] + [tmp_path / "slide" / "ctc.csv"]
    for k, file in enumerate(files):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(bytes([k]))
    score_alone(dark("a", files=tuple(files)), job, pipeline.quiet)
    said = json.loads((job.out / "a" / "slide.json").read_text(encoding="utf-8"))["inputs_sha256"]
    assert said == {
        name: hashlib.sha256(bytes([k])).hexdigest() for k, name in enumerate(("if/x.tif", "fish/x.tif", "ctc.csv"))
    }
    of_run = json.loads((job.out / "manifest.json").read_text(encoding="utf-8"))["inputs_sha256"]
    assert of_run == {f"a/{name}": digest for name, digest in said.items()}


def test_lost_slides_end_the_batch_by_name() -> None:
    raise_failures(tables.FAILURES.empty())
    failed = pd.DataFrame({"slide_id": ["x", "y"], "cause": "InputError", "message": "m"})
    with pytest.raises(BatchIncompleteError, match=r"2 slide\(s\) failed: x, y; failures\.csv says why"):
        raise_failures(tables.FAILURES.check(failed))


def test_replicates_and_controls_stand_among_the_slides_and_add_to_no_patient(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = {
        "again": {"replicate_of": "a", "day": "2", "operator": "ABC", "probe_lot": "L7"},
        "line": {"control": "negative line", "scanner": "M1", "site": "north", "run": "1"},
    }

    def open_ref(ref: SlideRef, *_: object) -> Slide:
        patient = {"patient_id": "P"} if ref.slide_id != "line" else {}
        return dataclasses.replace(dark(ref.slide_id, sheet=said.get(ref.slide_id, {})), **patient)

    monkeypatch.setattr(unit, "open_ref", open_ref)
    run_batch(refs("a", "again", "line"), job, "continue", pipeline.quiet)
    slides = pd.read_csv(job.out / "slides.csv", dtype=str).set_index("slide_id")
    assert slides.loc["again", ["replicate_of", "day", "operator", "probe_lot"]].tolist() == ["a", "2", "ABC", "L7"]
    assert slides.loc["line", ["control", "scanner", "site", "run"]].tolist() == ["negative line", "M1", "north", "1"]
    assert slides.loc["a", list(summarise.LABORATORY)].isna().all()
    patients = pd.read_csv(job.out / "patients.csv")
    assert patients[["patient_id", "n_slides"]].to_numpy().tolist() == [["P", 1]]
