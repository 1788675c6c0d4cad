"""Measure the whole route on one 20 x 4 x 2048 x 2048 stack: read, nuclei, signals with fits, counts, calls.

This program and the OpenCV script, which only counts maxima, run in processes of their own, which outlive their imports
and take turns; each tells its seconds by stage and the most memory it ever held. The stack is a simulated field, the
script is from the folder of benches beside the repository, its threshold chosen so that it counts about as many signals
as there are. What memory bandwidth alone would allow for each stage is printed too.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

PEERS = Path(__file__).resolve().parents[2] / "shared" / "bench"
WORK = Path(__file__).resolve().parents[1] / ".bench"
PASSES = {"read": 2.0, "nuclei": 1.0, "survey": 2.0, "signals": 1.0}
"""How often a stage's pixels cross the memory bus at least: reading writes what it copies, the survey looks twice."""
CHANNELS = {"read": 5, "nuclei": 1, "survey": 2, "signals": 2}
THRESHOLD = 5.46  # of the OpenCV script in a stack, chosen with the truth

Run = Callable[[], dict[str, Any]]


def make(target: Path, side_px: int = 2048, planes: int = 20, cells: tuple[int, int] = (40, 150)) -> Path:
    """A simulated field of so many CTC and leukocytes, made once; its fourth channel is the nuclei again."""
    if target.is_file():
        return target
    import tifffile

    from ctcfish.synth.memory import slide_in_memory
    from ctcfish.synth.spec import SlideSpec

    population = {"ctc": cells[0], "leukocytes": cells[1], "touching_pairs": cells[0] // 4}
    fish = {"shape_px": [side_px, side_px], "planes": planes}
    slide, truth = slide_in_memory(SlideSpec.model_validate({"seed": 7, "population": population, "fish": fish}))
    (scene,) = slide.fish_scenes
    channels = [scene.read(role) for role in ("nucleus", "her2", "cep17", "nucleus")]
    target.parent.mkdir(parents=True, exist_ok=True)
    options = {"metadata": {"axes": "ZCYX"}, "photometric": "minisblack", "ome": False}
    tifffile.imwrite(target, np.stack(channels, 1), **options)
    told = {"nuclei": len(truth.cells), "her2": int(truth.cells["countable_her2"].sum()), "voxel_um": scene.voxel_um}
    target.with_suffix(".json").write_text(json.dumps(told))
    return target


class Stopwatch:
    """Wall and processor seconds by stage, of one run."""

    def __init__(self) -> None:
        self.stages: dict[str, list[float]] = {}
        self.current = ""
        self._began = (0.0, 0.0)

    def lap(self, name: str) -> None:
        """A stage ends and another, named, begins."""
        now = (time.perf_counter(), time.process_time())
        if self.current:
            kept = self.stages.setdefault(self.current, [0.0, 0.0])
            kept[0], kept[1] = (kept[i] + now[i] - self._began[i] for i in (0, 1))
        self.current, self._began = name, now


@dataclasses.dataclass(frozen=True)
class Watched:
    """Pixels whose reading is a stage of its own."""

    source: Any
    watch: Stopwatch

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return tuple(self.source.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self.source.dtype)

    def read(self, channel: int, planes: slice, rows: slice, columns: slice) -> NDArray[Any]:
        before = self.watch.current
        self.watch.lap("read")
        pixels = self.source.read(channel, planes, rows, columns)
        self.watch.lap(before)
        return np.asarray(pixels)


def ours(image: Path) -> Run:
    """This program, as ``ctcfish score`` runs it up to its tables."""
    from ctcfish import pipeline
    from ctcfish.config import Config
    from ctcfish.device import fix_threads
    from ctcfish.io.image import Overrides
    from ctcfish.io.open import open_slide

    os.environ.setdefault("OMP_NUM_THREADS", "1")  # like for like, unless told
    fix_threads()
    config = Config()
    told = json.loads(image.with_suffix(".json").read_text())
    step_um, pixel_um, _ = told["voxel_um"]
    given = Overrides(pixel_um=pixel_um, z_step_um=step_um, channels={"nucleus": "0", "her2": "1", "cep17": "2"})

    def run() -> dict[str, Any]:
        watch = Stopwatch()
        watch.lap("open")
        slide = open_slide(image, given, config.panel)
        scenes = tuple(dataclasses.replace(s, pixels=Watched(s.pixels, watch)) for s in slide.fish_scenes)
        slide = dataclasses.replace(slide, fish_scenes=scenes)
        result = pipeline.score(slide, config, progress=lambda name: watch.lap(name.split()[0]))
        watch.lap("")
        counted = result.spots[result.spots["status"] == "counted"]
        return {
            "stages": watch.stages,
            "nuclei": len(result.cells),
            "her2": int(result.cells["her2_count"].fillna(0).sum()),
            "her2_rows": int((counted["probe"] == "HER2").sum()),
        }

    return run


def opencv(image: Path, peers: Path) -> Run:
    """The peers' OpenCV script, its steps in its order; what it runs at import is silenced."""
    sys.path.insert(0, str(peers))
    sys.argv = ["x", "--local"]
    import common
    import cv2
    import seg_common
    import tifffile

    cv2.setNumThreads(1)
    modules: list[ModuleType] = [common, seg_common]
    for module in modules:
        vars(module)["run"] = lambda *_a, **_k: None
    import p_opencv_fast
    import s_opencv

    def run() -> dict[str, Any]:
        watch = Stopwatch()
        watch.lap("read")
        stack = tifffile.imread(image)
        watch.lap("nuclei")
        labels = s_opencv.f(stack[:, 0].max(0))
        counts = []
        for channel in (1, 2):
            watch.lap("signals")
            places = p_opencv_fast.det(np.ascontiguousarray(stack[:, channel]), 3, thr=THRESHOLD)[0]
            y, x = np.clip(np.round(places[:, 1:]).astype(int), 0, np.array(labels.shape) - 1).T
            counts.append(np.bincount(labels[y, x], minlength=int(labels.max()) + 1)[1:])
        watch.lap("")
        rows = int(counts[0].sum())
        return {"stages": watch.stages, "nuclei": int((np.bincount(labels.ravel())[1:] > 0).sum()), "her2_rows": rows}

    return run


def child(which: str, image: Path, peers: Path) -> None:
    """Run once for every line of the input, a line of JSON each; or make the field."""
    if which == "make":
        make(image)
        return
    run = ours(image) if which == "ours" else opencv(image, peers)
    print("ready", flush=True)
    for _ in sys.stdin:
        wall, own = time.perf_counter(), time.process_time()
        told = run()
        told |= {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - own}
        told["peak_gb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
        print(json.dumps(told), flush=True)


def own_command(image: Path, peers: Path) -> list[str]:
    """Start this script as a child; the child's name is to follow."""
    script = str(Path(__file__).resolve())
    return [sys.executable, script, "--image", str(image), "--peers", str(peers), "--child"]


def turns(image: Path, peers: Path, repeats: int) -> dict[str, list[dict[str, Any]]]:
    """Both programs, alternating, after one run of each that does not count."""
    both = {
        name: subprocess.Popen(
            [*own_command(image, peers), name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for name in ("opencv", "ours")
    }
    told: dict[str, list[dict[str, Any]]] = {name: [] for name in both}
    for turn in range(repeats + 1):
        for name, process in both.items():
            told[name].append(ask(process, first=turn == 0))
    for process in both.values():
        process.communicate()
    return {name: runs[1:] for name, runs in told.items()}


def ask(process: subprocess.Popen[str], first: bool) -> dict[str, Any]:
    """One run of a process."""
    if process.stdin is None or process.stdout is None:
        raise SystemExit("no pipes to the process")
    while first and process.stdout.readline().strip() != "ready":
        if process.poll() is not None:
            raise SystemExit("a process ended before it was ready")
    process.stdin.write("run\n")
    process.stdin.flush()
    answer: dict[str, Any] = json.loads(process.stdout.readline())
    return answer


def bandwidth() -> float:
    """Bytes a second that a copy of memory larger than any cache reads and writes, best of five."""
    source, target = np.ones(1 << 27, np.uint8), np.empty(1 << 27, np.uint8)
    best = 1e9
    for _ in range(5):
        began = time.perf_counter()
        np.copyto(target, source)
        best = min(best, time.perf_counter() - began)
    return 2 * source.nbytes / best


def figures(told: dict[str, list[dict[str, Any]]], channel_bytes: int, bytes_per_s: float) -> dict[str, Any]:
    """Medians over the runs: ratios, peak memory, share of time by stage, and how many times the roofline's time."""
    cpu = {name: np.array([r["cpu_s"] for r in runs]) for name, runs in told.items()}
    wall = {name: np.array([r["wall_s"] for r in runs]) for name, runs in told.items()}
    stages = {
        name: {s: float(np.median([r["stages"].get(s, [0, 0])[1] for r in runs])) for s in runs[0]["stages"]}
        for name, runs in told.items()
    }
    own = stages["ours"]
    floor = {s: CHANNELS[s] * channel_bytes * PASSES[s] / bytes_per_s for s in PASSES if s in own}
    return {
        "ratio_cpu": round(float(np.median(cpu["ours"] / cpu["opencv"])), 2),
        "ratio_wall": round(float(np.median(wall["ours"] / wall["opencv"])), 2),
        "cpu_s": {name: round(float(np.median(v)), 2) for name, v in cpu.items()},
        "wall_s": {name: round(float(np.median(v)), 2) for name, v in wall.items()},
        "peak_gb": {name: round(max(r["peak_gb"] for r in runs), 2) for name, runs in told.items()},
        "stages_cpu_s": {name: {s: round(v, 3) for s, v in parts.items()} for name, parts in stages.items()},
        "share": {s: round(v / max(sum(own.values()), 1e-9), 3) for s, v in own.items()},
        "times_roofline": {s: round(own[s] / limit, 1) for s, limit in floor.items()},
        "bandwidth_gb_s": round(bytes_per_s / 1e9, 1),
        "found": {name: {k: runs[-1].get(k) for k in ("nuclei", "her2_rows", "her2")} for name, runs in told.items()},
    }


def main(argv: list[str] | None = None) -> None:
    """Print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", type=Path, default=PEERS, help="folder of the OpenCV script")
    parser.add_argument("--work", type=Path, default=WORK, help="where the field is kept, made if it is not there")
    parser.add_argument("--image", type=Path, default=None, help=argparse.SUPPRESS)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--child", choices=("ours", "opencv", "make"), default=None, help=argparse.SUPPRESS)
    given = parser.parse_args(argv)
    if given.child:
        child(given.child, given.image, given.peers)
        return
    image = (given.image or given.work / "field.tif").resolve()
    if not image.is_file():
        # a process inherits the peak memory of the one that started it, so that this one must stay small
        subprocess.run([*own_command(image, given.peers), "make"], check=True)
    speed = bandwidth()
    told = turns(image, given.peers.resolve(), given.repeats)
    truth = json.loads(image.with_suffix(".json").read_text())
    print(json.dumps(figures(told, 20 * 2048 * 2048 * 2, speed) | {"truth": truth}))


if __name__ == "__main__":
    main()
