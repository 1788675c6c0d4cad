"""What a batch costs beside its slides: ``python scripts/bench.py batch [--slides N] [--empty N] [--recall N]``.

Slides per hour with one and two workers; overhead per near-empty slide; a run that goes on under another preset; a
killed worker. Wall times mean something on a quiet machine only, so the processor time of the whole command, workers
included, stands beside each.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import faults
import numpy as np
import psutil
import tifffile

SAMPLE = Path(__file__).resolve().parent.parent / "data_samples" / "sample"


@dataclass(frozen=True)
class Cost:
    """Wall and processor time of a command, and the time inside its tasks."""

    wall_s: float
    cpu_s: float
    inside_s: float


def measured(folder: Path, out: str, *where: object) -> Cost:
    """Run a batch to its end."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    running = faults.batch(folder, out, "--log-json", *where)
    assert running.wait() == 0, (folder / "log").read_text()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    lines = [json.loads(line) for line in (folder / out / "run.log").read_text().splitlines()]
    inside = sum(line.get("seconds", 0.0) for line in lines)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(time.monotonic() - began, cpu, inside)


def empty_slides(folder: Path, n: int) -> None:
    """Slides of noise without any nucleus."""
    about = {"axes": "CYX", "PhysicalSizeX": 0.1, "PhysicalSizeY": 0.1, "Channel": {"Name": ["DAPI", "HER2", "CEP17"]}}
    for k in range(n):
        target = folder / f"slide{k:04d}" / "fish" / "field.ome.tif"
        target.parent.mkdir(parents=True)
        pixels = np.random.default_rng(k).poisson(100, (3, 64, 64)).astype(np.uint16)
        tifffile.imwrite(target, pixels, metadata=about, photometric="minisblack")


def sample_slides(folder: Path, n: int) -> None:
    """The sample slide under many names, each of a patient of its own."""
    for k in range(n):
        for scan in ("if", "fish"):
            shutil.copytree(SAMPLE / scan, folder / f"slide{k:04d}" / scan)


def throughput(folder: Path, n: int) -> None:
    sample_slides(folder / "study", n)
    one, two = (measured(folder, f"out{workers}", "--workers", workers) for workers in (1, 2))
    for name, cost in (("1 worker", one), ("2 workers", two)):
        rate = 3600 * n / cost.wall_s
        print(
            f"{name}: {n} slides in {cost.wall_s:.1f} s ({rate:.0f} an hour), {cost.cpu_s / n:.2f} s of processor each"
        )
    print(f"2 workers over 1: {one.wall_s / two.wall_s:.2f} times the slides an hour")
    assert faults.results(folder / "out1") == faults.results(folder / "out2")


def overhead(folder: Path, n: int) -> None:
    few = max(n // 4, 2)
    costs = []
    for count in (few, n):
        place = folder / f"of{count}"
        empty_slides(place / "study", count)
        costs.append(measured(place, "out", "--workers", 2))
    small, large = costs
    per_slide = (2 * large.wall_s - large.inside_s) / n
    each = (2 * (large.wall_s - small.wall_s) - (large.inside_s - small.inside_s)) / (n - few)
    cpu = (large.cpu_s - small.cpu_s) / (n - few)
    print(f"{n} near-empty slides: {1000 * per_slide:.1f} ms beside each task, start and end included")
    print(f"  beyond the first {few}: {1000 * each:.1f} ms beside each task, {1000 * cpu:.0f} ms of processor in all")


def recall(folder: Path, n: int) -> None:
    sample_slides(folder / "study", n)
    first = measured(folder, "out", "--workers", 2)
    (folder / "out" / "run.log").unlink()
    again = measured(folder, "out", "--resume", "--preset", "asco_cap_2018")
    (folder / "out" / "run.log").unlink()
    idle = measured(folder, "out", "--resume", "--preset", "asco_cap_2018")
    for name, cost in (("scored", first), ("called again", again), ("found done", idle)):
        print(f"{n} slides {name}: {cost.wall_s:.1f} s, {cost.cpu_s:.1f} s of processor")


def killed(folder: Path, n: int) -> None:
    sample_slides(folder / "study", n)
    calm = measured(folder, "calm", "--workers", 2)
    began = time.monotonic()
    running = faults.batch(folder, "out", "--workers", 2)
    time.sleep(calm.wall_s * 0.6)
    family = psutil.Process(running.pid).children(recursive=True)
    workers = [child for child in family if "spawn_main" in " ".join(child.cmdline())]
    workers[0].kill()
    assert running.wait() == 0
    lost = time.monotonic() - began - calm.wall_s
    same = faults.results(folder / "out") == faults.results(folder / "calm")
    said = f"{n} slides in {calm.wall_s:.1f} s; a worker killed at 60 %: {lost:+.1f} s"
    print(f"{said}, bytes {'equal' if same else 'DIFFERENT'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, about in (
        ("slides", "slides of the throughput"),
        ("empty", "near-empty slides"),
        ("recall", "slides called again"),
        ("kill", "slides of the run with a killed worker"),
    ):
        parser.add_argument(f"--{name}", type=int, default=0, help=f"number of {about}; 0: left out")
    given = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores, Python {sys.version.split()[0]}")
    benches = {throughput: given.slides, overhead: given.empty, recall: given.recall, killed: given.kill}
    for bench, n in benches.items():
        if n:
            with tempfile.TemporaryDirectory() as name:
                bench(Path(name), n)


if __name__ == "__main__":
    main()
