"""What a batch costs beside its slides: ``python scripts/bench.py batch [--slides N] [--empty N] [--recall N] …``.

Slides per hour with one and two workers; overhead per near-empty slide; a run that goes on under another preset; a
killed worker; the memory of each process while a mosaic far larger than it is scored; a mosaic shared among workers.
Wall times mean something on a quiet machine only, so the processor time of the whole command, workers included, stands
beside each.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import os
import resource
import shutil
import sys
import tempfile
import threading
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from struct import pack

import faults
import numpy as np
import psutil
import tifffile

SUBREAPER = 36
"""``PR_SET_CHILD_SUBREAPER`` of Linux: what a command leaves behind becomes our child."""

SAMPLE = Path(__file__).resolve().parent.parent / "data_samples" / "sample"


@dataclass(frozen=True)
class Cost:
    """Wall and processor time of a command, that of its own process alone, and the time inside its tasks."""

    wall_s: float
    cpu_s: float
    own_s: float
    inside_s: float


def measured(folder: Path, out: str, *where: object) -> Cost:
    """Run a batch to its end, and wait for what it was forked from, whose processor time is that of the workers too."""
    ctypes.CDLL(None).prctl(SUBREAPER, 1)
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    running = faults.batch(folder, out, "--log-json", *where)
    own = 0.0
    while running.poll() is None:
        with contextlib.suppress(psutil.Error):
            own = max(own, sum(psutil.Process(running.pid).cpu_times()[:2]))
        time.sleep(0.05)
    assert running.returncode == 0, (folder / "log").read_text()
    wall = time.monotonic() - began
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    lines = [json.loads(line) for line in (folder / out / "run.log").read_text().splitlines()]
    inside = sum(line.get("seconds", 0.0) for line in lines)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(wall, cpu, own, inside)


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
    cpu, own = ((getattr(large, name) - getattr(small, name)) / (n - few) for name in ("cpu_s", "own_s"))
    print(f"{n} near-empty slides: {1000 * per_slide:.1f} ms beside each task, start and end included")
    print(f"  beyond the first {few}: {1000 * each:.1f} ms beside each task; of processor {1000 * cpu:.0f} ms in all,")
    print(f"  {1000 * own:.1f} ms of them in the batch's own process: scheduler, outcomes, tables of the run")


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
    faults.workers_of(running)[0].kill()
    assert running.wait() == 0
    lost = time.monotonic() - began - calm.wall_s
    same = faults.results(folder / "out") == faults.results(folder / "calm")
    said = f"{n} slides in {calm.wall_s:.1f} s; a worker killed at 60 %: {lost:+.1f} s"
    print(f"{said}, bytes {'equal' if same else 'DIFFERENT'}")


def write_mosaic(target: Path, side_tiles: int, every: int) -> int:
    """Write a FISH mosaic of 512-pixel tiles, the sample's field in every so many of them, the rest dark.

    Equal tiles are stored once, so that the file is small whatever the image's size. Returns the bytes of the pixels.
    """
    field = tifffile.imread(SAMPLE / "fish" / "field001.ome.tif")
    planes = [plane for channel in field for plane in channel]
    noise = np.random.default_rng(1)
    stored = bytearray(pack("<2sHHHQ", b"II", 43, 8, 0, 0))

    def tile(pixels: np.ndarray) -> tuple[int, int]:
        data = zlib.compress(np.ascontiguousarray(pixels).tobytes(), 1)
        stored.extend(data)
        return len(stored) - len(data), len(data)

    grid = np.arange(side_tiles**2) % every == 0
    tables = []
    for plane in planes:
        low = np.percentile(plane, 10)
        dark = noise.poisson(low, (512, 512)).astype(np.uint16)
        full = dark.copy()
        full[: plane.shape[0], : plane.shape[1]] = plane
        empty, shown = tile(dark), tile(full)
        tables.append([shown if hit else empty for hit in grid.tolist()])
    side, count = 512 * side_tiles, side_tiles**2
    said = tifffile.OmeXml()
    said.addimage(
        np.uint16,
        (*field.shape[:2], side, side),
        (len(planes), 1, 1, side, side, 1),
        axes="CZYX",
        PhysicalSizeX=0.1,
        PhysicalSizeY=0.1,
        PhysicalSizeZ=0.4,
        Channel={"Name": ["DAPI", "HER2", "CEP17"]},
    )
    words = said.tostring().encode() + b"\0"
    stored.extend(words)
    text, link = len(stored) - len(words), 8
    for number, table in enumerate(tables):
        where = len(stored)
        stored.extend(np.array(table, "<u8").T.tobytes())
        tags = [(256, 4, 1, side), (257, 4, 1, side), (258, 3, 1, 16), (259, 3, 1, 8), (262, 3, 1, 1), (277, 3, 1, 1)]
        tags += [(322, 3, 1, 512), (323, 3, 1, 512), (324, 16, count, where), (325, 16, count, where + 8 * count)]
        tags = sorted(tags + ([(270, 2, len(words), text)] if number == 0 else []))
        stored[link : link + 8] = pack("<Q", len(stored))
        stored.extend(pack("<Q", len(tags)) + b"".join(pack("<HHQQ", *tag) for tag in tags))
        link = len(stored)
        stored.extend(pack("<Q", 0))
    target.parent.mkdir(parents=True)
    target.write_bytes(stored)
    return 2 * len(planes) * side**2


def memory(folder: Path, gigabytes: int, limit_gb: float = 2.0) -> None:
    """Peak memory of every process of a batch that scores one mosaic."""
    side = round((gigabytes * 1e9 / (2 * 21 * 512**2)) ** 0.5) + 1
    size = write_mosaic(folder / "study" / "mosaic" / "fish" / "mosaic.ome.tif", side, 150)
    began = time.monotonic()
    running = faults.batch(folder, "out", "--max-ram-gb", limit_gb)
    peaks: dict[int, int] = {}

    def watch() -> None:
        while running.poll() is None:
            for process in psutil.Process(running.pid).children(recursive=True):
                try:
                    peaks[process.pid] = max(peaks.get(process.pid, 0), process.memory_info().rss)
                except psutil.NoSuchProcess:
                    continue
            time.sleep(0.1)

    watcher = threading.Thread(target=watch)
    watcher.start()
    assert running.wait() == 0, (folder / "log").read_text()
    watcher.join()
    slide = json.loads((folder / "out" / "mosaic" / "slide.json").read_text())["slide"]
    said = f"{size / 1e9:.1f} GB of pixels, {slide['n_nuclei']} nuclei, in {time.monotonic() - began:.0f} s"
    print(f"{said}; peak of a process {max(peaks.values()) / 1e9:.2f} GB, allowed {limit_gb:g} GB")


def large(folder: Path, gigabytes: int) -> None:
    """One slide whose parts are shared among the workers."""
    side = round((gigabytes * 1e9 / (2 * 21 * 512**2)) ** 0.5) + 1
    write_mosaic(folder / "study" / "mosaic" / "fish" / "mosaic.ome.tif", side, 4)
    one, two = (measured(folder, f"out{workers}", "--workers", workers) for workers in (1, 2))
    for name, cost in (("1 worker", one), ("2 workers", two)):
        print(f"{name}: a mosaic of {gigabytes} GB in {cost.wall_s:.1f} s, {cost.cpu_s:.1f} s of processor")
    print(f"2 workers over 1: {one.wall_s / two.wall_s:.2f} times as fast")
    assert faults.results(folder / "out1") == faults.results(folder / "out2")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, about in (
        ("slides", "slides of the throughput"),
        ("empty", "near-empty slides"),
        ("recall", "slides called again"),
        ("kill", "slides of the run with a killed worker"),
        ("mosaic", "gigabytes of pixels scored in 2 GB of memory"),
        ("large", "gigabytes of one mosaic shared among workers"),
    ):
        parser.add_argument(f"--{name}", type=int, default=0, help=f"number of {about}; 0: left out")
    given = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores, Python {sys.version.split()[0]}")
    benches = {
        throughput: given.slides,
        overhead: given.empty,
        recall: given.recall,
        killed: given.kill,
        memory: given.mosaic,
        large: given.large,
    }
    for bench, n in benches.items():
        if n:
            with tempfile.TemporaryDirectory() as name:
                bench(Path(name), n)


if __name__ == "__main__":
    main()
