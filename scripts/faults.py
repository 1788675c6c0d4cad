"""Kill a batch at random moments and see that nothing is lost or counted twice.

``python scripts/faults.py --times 50``: in turn a worker, the client (the batch itself) and the scheduler of a running
batch are killed without warning; the batch is resumed, and its results are compared byte by byte with those of a run
that nothing disturbed.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
import tifffile

SAMPLE = Path(__file__).resolve().parent.parent / "data_samples" / "sample" / "fish" / "field001.ome.tif"
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}


def make_study(folder: Path, slides: int, side: int = 224) -> Path:
    """Small slides, each another corner of the sample's field."""
    pixels = tifffile.imread(SAMPLE)
    about = {
        "axes": "CZYX",
        "PhysicalSizeX": 0.1,
        "PhysicalSizeY": 0.1,
        "PhysicalSizeZ": 0.4,
        "Channel": {"Name": ["DAPI", "HER2", "CEP17"]},
    }
    place = np.random.default_rng(1)
    for k in range(slides):
        top, left = (int(place.integers(0, n - side)) for n in pixels.shape[-2:])
        target = folder / f"slide{k}" / "fish" / "field.ome.tif"
        target.parent.mkdir(parents=True)
        own = np.ascontiguousarray(pixels.reshape(3, -1, *pixels.shape[-2:])[..., top : top + side, left : left + side])
        tifffile.imwrite(target, own, metadata=about, photometric="minisblack")
    return folder


def start(folder: Path, *arguments: object) -> subprocess.Popen[bytes]:
    """A program of this Python, its words in a log."""
    with (folder / "log").open("ab") as log:
        command = [sys.executable, "-m", *map(str, arguments)]
        return subprocess.Popen(command, env=ENVIRONMENT, stdout=log, stderr=log, cwd=folder)


def batch(folder: Path, out: str, *where: object) -> subprocess.Popen[bytes]:
    return start(folder, "ctcfish", "batch", "study", "--out", out, "--device", "cpu", *where)


def results(out: Path) -> dict[str, bytes]:
    files = [p.relative_to(out) for p in sorted(out.rglob("*")) if p.is_file()]
    shown = [f for f in files if f.name != "run.log" and not any(part.startswith(".") for part in f.parts)]
    return {f.as_posix(): (out / f).read_bytes() for f in shown}


class Cluster:
    """A scheduler and two workers in processes of their own."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.folder, self.address = folder, f"tcp://127.0.0.1:{self.port}"
        self.up()

    def up(self) -> None:
        where = ("--host", "127.0.0.1", "--port", self.port)
        self.scheduler = start(self.folder, "dask", "scheduler", *where, "--no-dashboard")
        worker = ("dask", "worker", self.address, "--nthreads", 1, "--no-dashboard", "--death-timeout", 120)
        self.workers = [start(self.folder, *worker) for _ in range(2)]

    def down(self) -> None:
        for process in (*self.workers, self.scheduler):
            end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process and all its children, if there are any left."""
    try:
        family = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
    except psutil.NoSuchProcess:
        family = []
    for member in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()
    process.wait()


def kill_worker(folder: Path, out: str, wait_s: float) -> str:
    running = batch(folder, out, "--workers", 2)
    time.sleep(wait_s)
    while not (found := workers_of(running)) and running.poll() is None:
        time.sleep(0.1)  # not up yet
    if found:
        random.choice(found).kill()
    return f"exit {running.wait()}" + ("" if found else " (no worker left)")


def workers_of(running: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Worker processes of a batch; none before they are up, and none after its end."""
    try:
        children = psutil.Process(running.pid).children(recursive=True)
        # A fork has the words of the process that it was forked from, which is the batch's own child.
        forked = [child for child in children if child.ppid() != running.pid and "forkserver" in str(child.cmdline())]
        return forked or [child for child in children if "spawn_main" in str(child.cmdline())]
    except psutil.NoSuchProcess:
        return []


def lasts(folder: Path, out: str) -> float:
    """Seconds of a batch that nothing disturbs; on a busy machine the shorter of two is nearer to the rounds' own."""
    began = time.monotonic()
    assert batch(folder, out, "--workers", 2).wait() == 0, (folder / "log").read_text()
    return time.monotonic() - began


def kill_client(folder: Path, out: str, wait_s: float) -> str:
    running = batch(folder, out, "--workers", random.choice((1, 2)))
    time.sleep(wait_s)
    running.send_signal(signal.SIGKILL)
    return f"exit {running.wait()}"


def kill_scheduler(folder: Path, out: str, wait_s: float) -> str:
    cluster = Cluster(folder)
    running = batch(folder, out, "--scheduler", cluster.address)
    time.sleep(wait_s)
    cluster.scheduler.kill()
    cluster.scheduler.wait()
    cluster.down()
    cluster.up()
    code = running.wait()
    cluster.down()
    return f"exit {code}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=6)
    parser.add_argument("--slides", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    random.seed(given.seed)
    kills = {"worker": kill_worker, "client": kill_client, "scheduler": kill_scheduler}
    bad = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_study(folder / "study", given.slides)
        lasts_s = min(lasts(folder, out) for out in ("undisturbed", "again"))
        expected = results(folder / "undisturbed")
        print(f"undisturbed: {lasts_s:.0f} s, {len(expected)} files", flush=True)
        for k in range(given.times):
            what, out = list(kills)[k % len(kills)], f"out{k}"
            wait_s = random.uniform(0.2, 0.9) * lasts_s
            how = kills[what](folder, out, wait_s)
            done = len(list((folder / out).glob("slide*/slide.json")))
            resumed = batch(folder, out, "--resume").wait()
            same = resumed == 0 and results(folder / out) == expected
            bad += not same
            said = f"{how}, {done} of {given.slides} slides kept, resumed {resumed}"
            print(f"{k + 1:3d} {what} after {wait_s:.0f} s: {said}, {'same' if same else 'DIFFERENT'}", flush=True)
        print(f"{given.times - bad} of {given.times} kills ended byte-identical")
    return bad


if __name__ == "__main__":
    sys.exit(main())
