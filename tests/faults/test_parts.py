"""A slide in parts ends with the same bytes whoever does them, and whoever dies on the way."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from ctcfish import pipeline, unit
from ctcfish.batch import Plan, run_batch
from ctcfish.config import Config, load
from ctcfish.engine.workers import DIED, LostError
from ctcfish.io import study_slides
from ctcfish.stages import parts
from ctcfish.unit import Job
from tests.conftest import REPOSITORY
from tests.faults import methods
from tests.faults.conftest import STUDY, results

pytestmark = [pytest.mark.xdist_group("cluster"), pytest.mark.timeout(600)]

LOOKED, DETECTED = 2, 4
"""Steps of the slide: nuclei and markers of the IF scan are 0 and 1, nuclei, survey and signals of the field follow."""

START = "import sys, tests.faults.small; from ctcfish.cli import main; sys.argv[0] = 'ctcfish'; main()"
Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of the sample."""
    place = tmp_path_factory.mktemp("parts")
    (place / "workers").mkdir()
    for scan in ("if", "fish"):
        shutil.copytree(REPOSITORY / "data_samples" / "sample" / scan, place / "study" / "large" / scan)
    return place


def started(folder: Path, *arguments: object) -> subprocess.Popen[bytes]:
    """The program, in whose every process scenes are cut small."""
    said = {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    said |= {"DASK_DISTRIBUTED__WORKER__PRELOAD": "['tests.faults.small']", methods.NOTES: str(folder / "workers")}
    with (folder / "log").open("ab") as log:
        command = [sys.executable, "-c", START, *map(str, arguments), "--device", "cpu"]
        return subprocess.Popen(command, env=os.environ | said, cwd=folder, stdout=log, stderr=log)


def batch(folder: Path, out: str, *where: object) -> subprocess.Popen[bytes]:
    return started(folder, "batch", "study", "--out", out, *where)


@pytest.fixture
def start(folder: Path) -> Iterator[Start]:
    """Start a batch; whatever still runs at the end is ended."""
    running: list[subprocess.Popen[bytes]] = []

    def of(*arguments: object) -> subprocess.Popen[bytes]:
        running.append(batch(folder, *map(str, arguments)))
        return running[-1]

    yield of
    for process in running:
        if process.poll() is None:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def undisturbed(folder: Path) -> dict[str, bytes]:
    """The run of one process."""
    assert batch(folder, "calm").wait() == 0, (folder / "log").read_text()
    return results(folder / "calm")


def wait_for(folder: Path, out: str, running: subprocess.Popen[bytes], step: int) -> None:
    """Wait until the first part of a step is done."""
    while running.poll() is None:
        if list((folder / out / ".ctcfish" / "parts").glob(f"large/*/{step}.[0-9].npz")):
            return
        time.sleep(0.01)
    pytest.fail(f"the slide was done before a part of step {step} was seen: {(folder / 'log').read_text()}")


def workers(folder: Path) -> list[int]:
    """Workers alive, the youngest last."""
    notes = sorted((folder / "workers").iterdir(), key=lambda note: note.stat().st_mtime_ns)
    return [int(note.name) for note in notes if psutil.pid_exists(int(note.name))]


def test_alone_the_slide_is_the_same(folder: Path, undisturbed: dict[str, bytes]) -> None:
    running = started(folder, "score", "study/large", "--out", "alone")
    assert running.wait() == 0, (folder / "log").read_text()
    slide = {name: held for name, held in undisturbed.items() if name.startswith("large/")}
    found = results(folder / "alone")
    assert len(slide) > 5
    assert {name: found[name] for name in slide} == slide
    assert not (folder / "alone" / ".ctcfish").exists()
    assert not (folder / "calm" / ".ctcfish" / "parts" / "large").exists()


@pytest.mark.slow
def test_workers_killed_in_the_middle_of_parts_change_nothing(
    folder: Path, undisturbed: dict[str, bytes], start: Start
) -> None:
    """One in the search for nuclei, one in the search for signals: whichever of them waits for the other's parts."""
    running = start("killed", "--workers", 2)
    for step in (LOOKED, DETECTED):
        wait_for(folder, "killed", running, step)
        os.kill(workers(folder)[0], signal.SIGKILL)
    assert running.wait() == 0, (folder / "log").read_text()
    assert results(folder / "killed") == undisturbed
    assert not (folder / "killed" / ".ctcfish" / "parts" / "large").exists()


@pytest.mark.slow
def test_a_batch_killed_in_the_middle_of_parts_goes_on(
    folder: Path, undisturbed: dict[str, bytes], start: Start
) -> None:
    running = start("resumed", "--workers", 2)
    wait_for(folder, "resumed", running, DETECTED)
    running.kill()
    running.wait()
    assert not (folder / "resumed" / "large").exists()
    assert start("resumed", "--resume", "--workers", 2).wait() == 0, (folder / "log").read_text()
    assert results(folder / "resumed") == undisturbed


@pytest.fixture
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "MOST_VOXELS", 200 * 200 * 7)


@pytest.mark.slow
@pytest.mark.usefixtures("_small")
def test_a_resumed_slide_repeats_no_finished_part(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = {"survey": 0, "detect": 0}

    def counted(name: str, most: int) -> Callable[..., Any]:
        work = getattr(pipeline, name)

        def count(*given: Any) -> Any:
            calls[name] += 1
            if calls[name] > most:
                raise KeyboardInterrupt
            return work(*given)

        return count

    def score(out: str) -> None:
        run_batch(study_slides(folder / "study"), Job(Config(), "cpu", tmp_path / out), Plan(), lambda _: None)

    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "detect", counted("detect", 3))
        with pytest.raises(KeyboardInterrupt):
            score("out")
    assert len(list((tmp_path / "out" / ".ctcfish" / "parts").glob("large/*/*.[0-9].npz"))) > 3
    calls["detect"] = 0
    with monkeypatch.context() as patch:
        for name in calls:
            patch.setattr(pipeline, name, counted(name, 99))
        score("out")
        again = dict(calls)
        calls |= dict.fromkeys(calls, 0)
        score("fresh")
    assert again == {"survey": 0, "detect": calls["detect"] - 3}
    assert calls["survey"] > 1
    assert results(tmp_path / "out") == results(tmp_path / "fresh")
    assert list((tmp_path / "out" / ".ctcfish" / "parts").iterdir()) == []


@pytest.mark.slow
@pytest.mark.usefixtures("_small")
def test_parts_of_another_configuration_are_not_taken(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def score(out: str, *sets: str) -> None:
        job = Job(load(sets=list(sets)), "cpu", tmp_path / out)
        run_batch(study_slides(folder / "study"), job, Plan(), lambda _: None)

    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "join", interrupt)
        with pytest.raises(KeyboardInterrupt):
            score("out")
    assert len(list((tmp_path / "out" / ".ctcfish" / "parts" / "large").iterdir())) == 1
    score("out", "detect.false_per_nucleus=0.2")
    score("fresh", "detect.false_per_nucleus=0.2")
    assert results(tmp_path / "out") == results(tmp_path / "fresh")


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_what_was_left_of_parts_goes_when_the_slide_is_found_done(study: STUDY, config: Config, tmp_path: Path) -> None:
    """The batch was killed between the slide's rename and the end of its task."""
    refs, job = study_slides(study(a=methods.SOUND)), Job(config, "cpu", tmp_path / "out")
    run_batch(refs, job, Plan(), lambda _: None)
    left = tmp_path / "out" / ".ctcfish" / "parts" / "a" / "hash" / "0.0.npz"
    left.parent.mkdir(parents=True)
    left.touch()
    (tmp_path / "out" / ".ctcfish" / "slides" / "a.json").unlink()
    run_batch(refs, job, Plan(), lambda _: None)
    assert not left.parent.parent.exists()


def test_a_part_over_which_workers_died_makes_the_row_of_a_dead_worker(
    study: STUDY, config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: object) -> None:
        raise LostError(DIED)

    monkeypatch.setattr(unit, "bring_up", lost)
    refs, job = study_slides(study(a=methods.SOUND)), Job(config, "cpu", tmp_path / "out")
    failed = run_batch(refs, job, Plan(), lambda _: None)
    assert failed.to_dict("records") == [{"slide_id": "a", "cause": "WorkerDied", "message": DIED.message}]
