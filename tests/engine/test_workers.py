"""Tasks on real processes of this machine: each outcome once, whoever dies on the way."""

from __future__ import annotations

import os
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ctcfish.engine import workers
from ctcfish.engine.workers import DIED, NO_SCHEDULER, Where, outcomes, pool
from ctcfish.errors import UsageError

pytestmark = pytest.mark.xdist_group("cluster")


def worker(folder: Path) -> Callable[[str], str]:
    """Work by its name; a closure, so that it travels whole and the workers need import nothing."""

    def work(name: str) -> str:
        import os
        import signal

        marker = folder / name
        died_before = marker.exists()
        marker.touch()
        if name == "deadly" or (name == "deadly once" and not died_before):
            os.kill(os.getpid(), signal.SIGKILL)
        if name == "greedy":
            hoard = bytearray(10**9)
            for page in range(0, len(hoard), 4096):
                hoard[page] = 1
            import time

            time.sleep(600)
        return f"{name} done"

    return work


def test_each_task_has_one_outcome_whoever_dies(tmp_path: Path) -> None:
    names = ["a", "deadly once", "deadly", "greedy", "z"]
    with pool(Where(workers=2, max_ram_gb=0.5)) as client:
        found = list(outcomes(worker(tmp_path), names, client))
    assert sorted(task for task, _ in found) == sorted(names)
    said = dict(found)
    assert said["deadly"] == said["greedy"] == DIED
    assert [said[n] for n in ("a", "deadly once", "z")] == ["a done", "deadly once done", "z done"]
    assert DIED.cause == "WorkerDied"
    assert "3 workers died over it" in DIED.message
    assert "--max-ram-gb" in DIED.message


class Future:
    """A future of a scheduler that is told what to answer."""

    def __init__(self, answer: object) -> None:
        self.answer = answer

    def result(self) -> object:
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


class Client:
    """A client whose scheduler goes away some times before it answers."""

    loop = None

    def __init__(self, losses: int, closes: bool = False) -> None:
        self.losses, self.closes, self.status, self.rounds = losses, closes, "running", 0

    def map(self, work: Callable[[str], str], tasks: list[str], pure: bool) -> list[Future]:
        assert not pure
        return [self.answer(work, task) for task in tasks]

    def answer(self, work: Callable[[str], str], task: str) -> Future:
        if task == "b" and self.rounds < self.losses:
            self.rounds += 1
            self.status = "closed" if self.closes else "connecting"
            return Future(workers._cancelled()[0]())
        return Future(work(task))


@pytest.mark.parametrize("deaths", [0, 1, workers.DEATHS - 1, workers.DEATHS])
def test_a_worker_that_dies_before_it_is_up_is_started_again(deaths: int, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[int] = []

    def start(n_workers: int, **_: object) -> str:
        tries.append(n_workers)
        if len(tries) <= deaths:
            raise RuntimeError("Nanny failed to start.")
        return "up"

    monkeypatch.setattr("distributed.LocalCluster", start)
    if deaths < workers.DEATHS:
        assert workers._cluster(Where(workers=2)) == "up"
        assert tries == [2] * (deaths + 1)
    else:
        with pytest.raises(UsageError, match="--workers 2: their processes end before they are up, 3 times over"):
            workers._cluster(Where(workers=2))


def test_workers_keep_their_memory_and_one_thread() -> None:
    """The default of distributed has each array given back to the system, an eighth of a slide's time."""

    def environment(_: str) -> dict[str, str | None]:
        import os

        return {name: os.environ.get(name) for name in ("MALLOC_TRIM_THRESHOLD_", "OMP_NUM_THREADS")}

    with pool(Where(workers=2)) as client:
        [(_, seen)] = outcomes(environment, ["a"], client)
    assert seen == {"MALLOC_TRIM_THRESHOLD_": None, "OMP_NUM_THREADS": "1"}


@pytest.mark.skipif(workers.METHOD != "forkserver", reason="processes are not forked here")
def test_workers_begin_with_what_was_imported_once_in_the_environment_of_now(monkeypatch: pytest.MonkeyPatch) -> None:
    workers.start_ahead()
    monkeypatch.setenv("SAID_AFTERWARDS", "yes")

    def seen(_: str) -> tuple[int, bool, str | None]:
        import os
        import sys

        return os.getppid(), "ctcfish.warm" in sys.modules, os.environ.get("SAID_AFTERWARDS")

    with pool(Where(workers=2)) as client:
        told = [found for _, found in outcomes(seen, ["a", "b", "c"], client)]
    assert {answer[1:] for answer in told} == {(True, "yes")}  # type: ignore[index]
    [parent] = {answer[0] for answer in told}  # type: ignore[index]
    assert parent != os.getpid()


@pytest.mark.skipif(workers.METHOD != "forkserver", reason="processes are not forked here")
def test_an_interrupt_while_libraries_are_imported_is_the_batchs_alone() -> None:
    """What workers are forked from, like every program of the terminal, is sent Ctrl-C too."""
    code = (
        "import os, signal, time; from ctcfish.engine.workers import start_ahead\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's background has it ignored
        "start_ahead(); time.sleep(0.5)\n"
        "try: os.killpg(0, signal.SIGINT); time.sleep(1)\n"
        "except KeyboardInterrupt: print('interrupted')"
    )
    asked = [sys.executable, "-c", code]
    done = subprocess.run(asked, capture_output=True, text=True, check=True, start_new_session=True)
    assert (done.stdout, done.stderr) == ("interrupted\n", "")


@pytest.fixture
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("distributed.as_completed", lambda futures, loop: list(futures))


@pytest.mark.usefixtures("_at_once")
@pytest.mark.parametrize(("losses", "answer"), [(0, "B"), (1, "B"), (workers.RETURNS, "B"), (9, NO_SCHEDULER)])
def test_a_scheduler_that_comes_back_is_asked_again(losses: int, answer: object) -> None:
    client: Any = Client(losses)
    assert sorted(outcomes(str.upper, ["a", "b", "c"], client), key=str) == [("a", "A"), ("b", answer), ("c", "C")]


@pytest.mark.usefixtures("_at_once")
def test_a_scheduler_that_stays_away_leaves_rows() -> None:
    client: Any = Client(1, closes=True)
    assert dict(outcomes(str.upper, ["a", "b"], client)) == {"a": "A", "b": NO_SCHEDULER}
    assert (NO_SCHEDULER.cause, "start it again" in NO_SCHEDULER.message) == ("SchedulerLost", True)


def test_no_scheduler_at_an_address_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import dask

    with (
        dask.config.set({"distributed.comm.timeouts.connect": "200ms"}),
        pytest.raises(UsageError, match=r"--scheduler tcp://127\.0\.0\.1:1: no scheduler answers there"),
        pool(Where(scheduler="tcp://127.0.0.1:1")),
    ):
        pass


@pytest.mark.parametrize(
    ("where", "here"),
    [
        (Where(), True),
        (Where(workers=2), False),
        (Where(max_ram_gb=2.0), False),
        (Where(scheduler="tcp://a:1"), False),
        (Where(slurm=Path("p.toml")), False),
    ],
)
def test_one_worker_without_a_bound_is_this_process(where: Where, here: bool) -> None:
    assert where.here == here


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Arguments that Slurm's cluster is made with."""
    seen: dict[str, Any] = {}

    class Cluster:
        def __init__(self, cores: int, processes: int, memory: str, **other: object) -> None:
            seen.update(cores=cores, processes=processes, memory=memory, **other)

        def scale(self, jobs: int) -> None:
            seen["jobs"] = jobs

        def close(self) -> None:
            seen["closed"] = True

    module: Any = types.ModuleType("dask_jobqueue.slurm")
    module.SLURMCluster = Cluster
    monkeypatch.setitem(sys.modules, "dask_jobqueue", types.ModuleType("dask_jobqueue"))
    monkeypatch.setitem(sys.modules, "dask_jobqueue.slurm", module)
    return seen


def test_a_slurm_profile_is_what_its_cluster_takes(given: dict[str, Any], tmp_path: Path) -> None:
    profile = tmp_path / "slurm.toml"
    profile.write_text('jobs = 8\nmemory = "4GB"\nqueue = "long"\nwalltime = "12:00:00"\n')
    with workers._cluster(Where(slurm=profile)):
        assert given == {
            "jobs": 8,
            "cores": 1,
            "processes": 1,
            "memory": "4GB",
            "queue": "long",
            "walltime": "12:00:00",
        }
    assert given["closed"]


@pytest.mark.parametrize("text", ["", "jobs = ", 'memory = "4GB"', "jobs = 2"])
@pytest.mark.usefixtures("given")
def test_a_slurm_profile_that_says_too_little_is_refused(tmp_path: Path, text: str) -> None:
    profile = tmp_path / "slurm.toml"
    profile.write_text(text)
    with pytest.raises(UsageError, match=r"--slurm slurm\.toml: .*needed a TOML file with `jobs`"):
        workers._cluster(Where(slurm=profile))
    with pytest.raises(UsageError, match=r"needed a TOML file"):
        workers._cluster(Where(slurm=tmp_path / "none.toml"))


def test_slurm_without_its_package_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "dask_jobqueue.slurm", None)
    with pytest.raises(UsageError, match="install ctcfish with its extra `slurm`"):
        workers._cluster(Where(slurm=tmp_path / "slurm.toml"))
