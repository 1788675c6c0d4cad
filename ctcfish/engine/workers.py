"""Where slides are scored: in this process, in processes of this machine, on a running scheduler, or through Slurm.

A reference goes out and an outcome comes back; pixels never travel. Everything between is dask.distributed.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass
from multiprocessing import forkserver, resource_tracker
from pathlib import Path
from typing import Any, TypeVar

from ctcfish.errors import CtcfishError, UsageError

Task = TypeVar("Task")
Outcome = TypeVar("Outcome")

DEATHS = 3
"""Workers that a slide may take along before it is given up."""

RETURNS = 3
"""How often a scheduler that was lost may come back."""

THREADS = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""What workers find in their environment, unless something else is there."""

METHOD = "forkserver" if sys.platform == "linux" else "spawn"
"""How worker processes begin. A fork is as good as a new process where nothing runs beside it, which the libraries of
other systems do not grant."""

SETTINGS: dict[str, Any] = {
    "distributed.scheduler.allowed-failures": DEATHS - 1,
    # One slide a worker: the next one shall not be blamed for a death, nor wait behind a slow one.
    "distributed.scheduler.worker-saturation": 1.0,
    # Nothing of a slide lies in dask's memory, so that only the end of memory matters.
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": 0.95,
    "distributed.worker.multiprocessing-method": METHOD,
    # distributed's own default sets MALLOC_TRIM_THRESHOLD_, too: every array is then given back to the system and asked
    # for again, 200,000 to 300,000 page faults a slide in the place of 10,000 to 50,000.
    "distributed.nanny.pre-spawn-environ": THREADS,
    # Servers that look at themselves 50 times a second take 4 % of a core from the slides, and 2 % of each worker.
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "10s",
}


@dataclass(frozen=True)
class Where:
    """Where slides are scored.

    Attributes
    ----------
    workers : int
        Processes on this machine; one and no bound on memory is this process itself.
    scheduler : str or None
        Address of a running scheduler; ``tls://`` takes its certificates from distributed's own configuration.
    slurm : Path or None
        TOML with the arguments of :class:`dask_jobqueue.SLURMCluster` and ``jobs``, their number.
    max_ram_gb : float or None
        Memory at which a worker process on this machine is ended.
    """

    workers: int = 1
    scheduler: str | None = None
    slurm: Path | None = None
    max_ram_gb: float | None = None

    @property
    def here(self) -> bool:
        """Whether slides are scored in this process."""
        return self == Where()


@dataclass(frozen=True)
class Lost:
    """A task whose outcome never came.

    Attributes
    ----------
    cause : {"WorkerDied", "SchedulerLost"}
    message : str
        What to do.
    """

    cause: str
    message: str


class LostError(CtcfishError):
    """Parts of a task never came, and with them the task."""

    def __init__(self, lost: Lost) -> None:
        self.lost = lost
        super().__init__(lost)


DIED = Lost(
    "WorkerDied",
    f"{DEATHS} workers died over it, killed from outside or for want of memory; give each more memory (--max-ram-gb, "
    "fewer --workers), then --resume.",
)
NO_SCHEDULER = Lost("SchedulerLost", "the scheduler was lost before the slide was done; start it again, then --resume.")


def start_ahead() -> None:
    """Have the libraries of this machine's workers imported, once for all of them, while the batch does other things.

    Workers are forked from the process that did, those too that stand in for a dead one. Where processes are not forked
    each imports for itself, when it begins.
    """
    if METHOD == "forkserver":
        for name, value in THREADS.items():
            os.environ.setdefault(name, value)  # libraries look when they are imported
        multiprocessing.set_forkserver_preload(["ctcfish.warm"])
        resource_tracker.ensure_running()  # which would let Ctrl-C in again, were it left to the next
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # Ctrl-C is for the batch, which ends them
        try:
            forkserver.ensure_running()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def pool(where: Where) -> Iterator[Any]:
    """Connect to workers; yields a ``distributed.Client``.

    Raises
    ------
    UsageError
        No scheduler answers there, or the profile or its package is missing.
    """
    import dask
    import distributed  # brings the defaults that the settings depart from

    with dask.config.set(SETTINGS), ExitStack() as stack:
        address = where.scheduler or stack.enter_context(_cluster(where))
        try:
            client = distributed.Client(address, set_as_default=False)
        except (OSError, TimeoutError, ValueError, TypeError) as error:
            raise UsageError(
                f"--scheduler {where.scheduler}: no scheduler answers there ({error}); start `dask scheduler`, and "
                "give its address as it prints it."
            ) from None
        yield stack.enter_context(client)


def outcomes(
    work: Callable[[Task], Outcome], tasks: Sequence[Task], client: Any
) -> Iterator[tuple[Task, Outcome | Lost]]:
    """Outcome of every task as it comes, each task once; what its workers' deaths took along is tried again.

    Parameters
    ----------
    work : callable
        Can be pickled; whatever goes wrong inside is an outcome.
    tasks : sequence
    client : distributed.Client
    """
    from distributed import as_completed
    from distributed.scheduler import KilledWorker

    left = list(tasks)
    for _ in range(RETURNS + 1):
        if not left or client.status not in ("running", "connecting"):
            break
        futures = dict(zip(client.map(work, left, pure=False), left, strict=True))
        left = []
        for future in as_completed(futures, loop=client.loop):
            task = futures.pop(future)
            try:
                yield task, future.result()
            except KilledWorker:
                yield task, DIED
            except _cancelled():
                left.append(task)  # the scheduler went, and with it all that it knew
    yield from ((task, NO_SCHEDULER) for task in left)


def everywhere(work: Callable[[Task], None], tasks: Sequence[Task]) -> None:
    """Do the parts of the task in work, on all workers where this process is one of them, before any task not begun.

    While it waits, the task leaves its place to other parts, of its own or of another task.

    Parameters
    ----------
    work : callable
        Can be pickled; what goes wrong inside is raised here.
    tasks : sequence
        Small, for they travel.

    Raises
    ------
    LostError
        Workers died over a part.
    """
    from distributed import get_client, get_worker, rejoin, secede
    from distributed.scheduler import KilledWorker

    try:
        get_worker()
    except ValueError:  # one process, or a thread of a worker that is watched and cannot leave its place
        for task in tasks:
            work(task)
        return
    parts = get_client().map(work, tasks, pure=False, priority=1)
    secede()
    try:
        for part in parts:
            part.result()
    except KilledWorker:
        raise LostError(DIED) from None
    finally:
        rejoin()


def _cancelled() -> tuple[type[BaseException], ...]:
    from asyncio import CancelledError
    from concurrent.futures import CancelledError as Cancelled

    from distributed.client import FutureCancelledError

    return CancelledError, Cancelled, FutureCancelledError


def _cluster(where: Where) -> AbstractContextManager[Any]:
    """A cluster of this machine's processes, or Slurm's."""
    if where.slurm is not None:
        return _slurm(where.slurm)
    start_ahead()
    from distributed import LocalCluster

    limit = 0 if where.max_ram_gb is None else int(where.max_ram_gb * 1e9)
    for _ in range(DEATHS):
        try:
            return LocalCluster(
                n_workers=where.workers,
                threads_per_worker=1,
                processes=True,
                memory_limit=limit,
                dashboard_address="127.0.0.1:0",
                silence_logs=logging.CRITICAL,
                env=dict(os.environ),  # as it is now, not as it was when the libraries were imported
            )
        except RuntimeError:  # a worker died before it was up; no slide is to blame
            continue
    raise UsageError(
        f"--workers {where.workers}: their processes end before they are up, {DEATHS} times over; give fewer, or more "
        "memory (--max-ram-gb)."
    )


def _slurm(profile: Path) -> AbstractContextManager[Any]:
    try:
        from dask_jobqueue.slurm import SLURMCluster
    except ImportError:
        raise UsageError("--slurm needs dask-jobqueue: install ctcfish with its extra `slurm`.") from None
    try:
        given = tomllib.loads(profile.read_text(encoding="utf-8"))
        jobs = int(given.pop("jobs"))
        cluster = SLURMCluster(**({"cores": 1, "processes": 1} | given))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"--slurm {profile.name}: {error!s}; needed a TOML file with `jobs`, their number, and arguments of "
            "dask_jobqueue.SLURMCluster such as memory, walltime and queue."
        ) from None
    cluster.scale(jobs=jobs)
    return closing(cluster)
