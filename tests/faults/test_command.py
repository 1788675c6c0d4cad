"""The command over a study: where it may run, what it tells, and how it ends."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from ctcfish import unit
from ctcfish.engine.lock import only_batch
from ctcfish.engine.workers import Where
from tests.faults import methods
from tests.faults.conftest import STUDY, results
from tests.make import run

QUICK = ("--device", "cpu", "--set", "segment.nuclei={method='custom', function='tests.faults.methods:nuclei'}")


@pytest.mark.parametrize(
    "given",
    [
        ("--workers", 2, "--scheduler", "tcp://a:1"),
        ("--workers", 2, "--slurm", "p.toml"),
        ("--scheduler", "tcp://a:1", "--slurm", "p.toml"),
    ],
)
def test_slides_are_scored_in_one_place(tmp_path: Path, given: tuple[Any, ...], capsys: Any) -> None:
    assert run("batch", tmp_path, "--out", tmp_path / "out", *given) == 2
    assert "give one of them" in capsys.readouterr().err


def test_a_second_batch_on_one_folder_is_turned_away(study: STUDY, tmp_path: Path, capsys: Any) -> None:
    folder, out = study(a=methods.SOUND), tmp_path / "out"
    out.mkdir()
    with only_batch(out):
        assert run("batch", folder, "--out", out, "--resume", *QUICK) == 2
    assert f"is being written by another batch (process {os.getpid()} on " in capsys.readouterr().err
    assert not (out / "a").exists()
    assert run("batch", folder, "--out", out, "--resume", *QUICK) == 0


def test_progress_and_log_are_lines_of_json_on_request(study: STUDY, tmp_path: Path, capsys: Any) -> None:
    folder, out = study(a=methods.SOUND, b=methods.SOUND), tmp_path / "out"
    (folder / "c" / "fish").mkdir(parents=True)
    assert run("batch", folder, "--out", out, "--log-json", "--json", *QUICK) == 4
    said = capsys.readouterr()
    assert json.loads(said.out) == {"slides": 2, "failed": ["c"], "out": str(out)}
    told = [json.loads(line) for line in said.err.splitlines() if line.startswith("{")]
    assert [(s["slide_id"], s["did"], s["done"], s["failed"]) for s in told] == [
        ("a", "scored", 1, 0),
        ("b", "scored", 2, 0),
        ("c", "failed", 3, 1),
    ]
    assert told[1]["slides"] == 3
    assert told[1]["slides_per_hour"] > 0
    logged = [json.loads(line) for line in (out / "run.log").read_text(encoding="utf-8").splitlines()]
    assert [(line["level"], line.get("did")) for line in logged] == [
        ("INFO", "scored"),
        ("INFO", "scored"),
        ("ERROR", "failed"),
    ]
    assert "no image" in logged[2]["message"]


def test_an_interrupt_is_130_and_the_run_can_go_on(
    study: STUDY, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, out = study(a=methods.SOUND, b=methods.SOUND), tmp_path / "out"
    score = unit.score_slide

    def interrupted(slide: Any, *others: Any) -> Any:
        if slide.slide_id == "b":
            raise KeyboardInterrupt
        return score(slide, *others)

    with monkeypatch.context() as patch:
        patch.setattr(unit, "score_slide", interrupted)
        assert run("batch", folder, "--out", out, *QUICK) == 130
    assert run("batch", folder, "--out", out, "--resume", *QUICK) == 0
    assert run("batch", folder, "--out", tmp_path / "fresh", *QUICK) == 0
    assert results(out) == results(tmp_path / "fresh")


def test_a_device_elsewhere_is_the_processors_unless_one_is_named(
    study: STUDY, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is known here of the devices there, and a result must not hang on which worker was asked."""
    seen: list[tuple[str, Where]] = []

    def noted(_: object, job: Any, plan: Any, __: object) -> Any:
        seen.append((job.device, plan.where))
        raise KeyboardInterrupt

    monkeypatch.setattr("ctcfish.batch.run_batch", noted)
    folder = study(a=methods.SOUND)
    for number, device in enumerate(("auto", "cuda")):
        given = ("--scheduler", "tcp://a:1", "--device", device)
        assert run("batch", folder, "--out", tmp_path / f"out{number}", *given) == 130
    assert seen == [("cpu", Where(scheduler="tcp://a:1")), ("cuda", Where(scheduler="tcp://a:1"))]
