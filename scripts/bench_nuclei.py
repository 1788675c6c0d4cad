"""Measure nuclei: the network, the classical case and other people's scripts on the same images, in one run.

Methods take turns on every image. Sets: ``val`` (real, ``nuclei/val`` of the shared data: once per model version, for
the report), ``synthetic`` (made by the opponents' ``gen.py``), ``fields`` (projections of simulated z-stacks),
``speed``, ``flags`` (how often each is raised on simulated cells of each kind), ``memory`` (beyond input and labels).
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import os
import platform
import subprocess
import sys
import time
import types
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from ctcfish.flags import CellFlag, to_text
from ctcfish.metrics import NucleiScores, nuclei_scores, pool_nuclei
from ctcfish.parameters import ClassicalNuclei, NetworkNuclei, Segment
from ctcfish.stages.nuclei.focus import view
from ctcfish.stages.segment import segment, segment_nuclei
from ctcfish.synth import SlideSpec, field
from ctcfish.synth.spec import FishScan, Nuisance, Population

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
NUCLEUS_UM = 9.0
OPTICS = (
    {"na": 1.3, "planes": 15, "z_step_um": 0.4},
    {"na": 0.75, "planes": 12, "z_step_um": 0.6},
    {"na": 0.95, "planes": 12, "z_step_um": 0.5},
    {"na": 1.3, "planes": 1},
    {"na": 0.75, "planes": 1, "pixel_um": 0.16, "shape_px": (700, 700)},
    {"na": 1.3, "planes": 20, "z_step_um": 0.3},
)

Image = NDArray[np.generic]
Method = Callable[[Image, float], NDArray[np.integer]]


@dataclass(frozen=True)
class Case:
    """One image with its truth and the pixel that makes its median nucleus 9 um wide."""

    image: Image
    truth: NDArray[np.integer]
    pixel_um: float


def own_methods(model: str) -> dict[str, Method]:
    """This program's cases of the union, and the network at a scale it guesses itself."""
    network, classical = Segment(nuclei=NetworkNuclei(model=model)), Segment(nuclei=ClassicalNuclei())

    def with_params(params: Segment) -> Method:
        return lambda image, pixel: segment(image[None], (0.0, pixel, pixel), params, "cpu").paint()

    return {
        "network": with_params(network),
        "network, scale guessed": lambda image, _: segment_nuclei(image),
        "classical": with_params(classical),
    }


def opponent_methods(folder: Path) -> dict[str, Method]:
    """Functions of the opponents' scripts, each loaded without running its own benchmark."""
    scripts = (("scikit-image", "s_skimage.py", "--local"), ("scikit-image Otsu", "s_skimage.py", ""))
    return {
        name: _opponent(folder / file, flag) for name, file, flag in (*scripts, ("OpenCV", "s_opencv.py", "--local"))
    }


def _opponent(script: Path, flag: str) -> Method:
    caught: list[Callable[[Image], NDArray[np.integer]]] = []
    stand_in = types.ModuleType("seg_common")
    stand_in.__dict__.update(np=np, os=os, time=time, run=lambda _, function, **__: caught.append(function))
    before = list(sys.argv)
    sys.modules["seg_common"], sys.argv = stand_in, [str(script), *([flag] if flag else [])]
    try:
        _load(script)
    finally:
        sys.argv = before
        del sys.modules["seg_common"]
    return lambda image, _: caught[0](image)


def _load(script: Path) -> Any:
    spec = importlib.util.spec_from_file_location(f"loaded_{script.stem}", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# --- images ----------------------------------------------------------------------------------------------------


def real_cases(folder: Path) -> list[Case]:
    """Images of a folder ``images`` with masks of the same names in ``masks``."""
    import tifffile

    cases = []
    for path in sorted((folder / "images").glob("*.tif")):
        truth = tifffile.imread(folder / "masks" / path.name)
        area = np.bincount(truth.ravel())[1:]
        width = 2.0 * np.sqrt(np.median(area[area > 0]) / np.pi) if area.any() else 24.0
        cases.append(Case(tifffile.imread(path), truth, NUCLEUS_UM / float(width)))
    return cases


def synthetic_cases(folder: Path) -> list[Case]:
    """The opponents' own 2048 x 2048 field of touching nuclei."""
    image, truth = _load(folder / "gen.py").gen_dapi()
    return [Case(image, truth, 0.15)]


def simulated(
    seed: int, nuisances: bool
) -> tuple[Image, tuple[float, float, float], NDArray[np.integer], pd.DataFrame]:
    """Nucleus channel of one simulated field: stack, voxel, labels, cells."""
    scan = FishScan(**OPTICS[seed % len(OPTICS)])
    population = Population(ctc=12, leukocytes=66, touching_pairs=14, overlap_pairs=14 if nuisances else 0)
    nuisance = Nuisance(out_of_focus=3, apoptotic=5, debris=4) if nuisances else Nuisance()
    shot = field(SlideSpec(seed=seed, with_if=False, population=population, fish=scan, nuisance=nuisance))
    return shot.pixels[0], shot.voxel_um, shot.labels, shot.cells


def field_cases(seeds: Iterable[int]) -> list[Case]:
    """Focus-aware projections of ordinary simulated fields, so that every method sees the same image."""
    cases = []
    for seed in seeds:
        stack, voxel, labels, _ = simulated(seed, nuisances=False)
        cases.append(Case(view(stack, 1, voxel[1], voxel[0]).image, labels, voxel[1]))
    return cases


# --- measuring -------------------------------------------------------------------------------------------------


def compare(name: str, cases: list[Case], methods: dict[str, Method], repeats: int) -> pd.DataFrame:
    """Run every method on every image in turn; the fastest of the repeats is the time of an image."""
    scores: dict[str, list[NucleiScores]] = {key: [] for key in methods}
    seconds = {key: np.zeros(2) for key in methods}
    for method in methods.values():
        method(cases[0].image, cases[0].pixel_um)
    for case in cases:
        best = {key: np.full(2, np.inf) for key in methods}
        for turn in range(repeats):
            for key, method in methods.items():
                start = np.array([time.perf_counter(), time.process_time()])
                labels = method(case.image, case.pixel_um)
                best[key] = np.minimum(best[key], np.array([time.perf_counter(), time.process_time()]) - start)
                if turn == 0:
                    scores[key].append(nuclei_scores(labels, case.truth))
        for key in methods:
            seconds[key] += best[key]
    megapixels = sum(case.image.size for case in cases) / 1e6
    rows = []
    for key in methods:
        pooled = pool_nuclei(scores[key])
        rows.append(
            {
                "set": name,
                "method": key,
                "AP50": pooled.ap(0.5),
                "AP75": pooled.ap(0.75),
                "AP50-90": pooled.mean_ap,
                "found": pooled.found_fraction,
                "splits": pooled.splits,
                "merges": pooled.merges,
                "nuclei": pooled.n_truth,
                "ms/MP": 1e3 * seconds[key][0] / megapixels,
                "CPU ms/MP": 1e3 * seconds[key][1] / megapixels,
            }
        )
    return pd.DataFrame(rows)


def speed(cases: list[Case], methods: dict[str, Method], repeats: int) -> pd.DataFrame:
    """Fastest of the repeats on one field taken for 0.1 um per pixel, and reduced to the network's native 0.375 um."""
    field_ = np.asarray(cases[0].image, np.float32)
    native = cv2.resize(field_, None, fx=0.4, fy=0.4, interpolation=cv2.INTER_AREA)
    rows = []
    for name, image, pixel_um in (("0.1 um/px", field_, 0.1), ("0.375 um/px", native, 0.375)):
        best = {key: np.full(2, np.inf) for key in methods}
        for _ in range(repeats + 1):
            for key, method in methods.items():
                start = np.array([time.perf_counter(), time.process_time()])
                method(image, pixel_um)
                best[key] = np.minimum(best[key], np.array([time.perf_counter(), time.process_time()]) - start)
        rows += [(name, key, *(1e3 * best[key] / (image.size / 1e6))) for key in methods]
    return pd.DataFrame(rows, columns=["scale", "method", "ms/MP", "CPU ms/MP"])


def peak_megabytes(method: str, side: int, opponents: Path | None) -> float:
    """Peak memory of one call beyond input and labels, in a process of its own."""
    command = [sys.executable, __file__, "--peak", method, "--side", str(side)]
    if opponents is not None:
        command += ["--opponents", str(opponents)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=dict(os.environ))
    return float(done.stdout.split()[-1])


def _measure_peak(method: Method, side: int) -> float:
    """Tile a small picture of discs to the size asked for; discs of 8 um at 0.1 um/px."""
    axis = np.arange(128) - 64
    tile = np.where(axis[:, None] ** 2 + axis**2 < 40**2, 900, 100).astype(np.uint16)
    tile = tile + np.random.default_rng(0).integers(0, 20, tile.shape, np.uint16)
    method(np.tile(tile, (4, 4)), 0.1)
    image = np.tile(tile, (side // 128, side // 128))
    # 5 resets the high-water mark, which imports and the small picture have raised already.
    Path("/proc/self/clear_refs").write_text("5")
    before = _status_megabytes("VmRSS")
    labels = method(image, 0.1)
    return _status_megabytes("VmHWM") - before - labels.nbytes / 2**20


def _status_megabytes(key: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return float(next(line for line in lines if line.startswith(key)).split()[1]) / 1024


# --- flags -----------------------------------------------------------------------------------------------------


def flag_rates(seeds: Iterable[int], params: Segment) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Share of simulated cells of each kind that are found and carry each flag, and of pairs flagged as overlapping."""
    cells, pairs = [], []
    for seed in seeds:
        stack, voxel, labels, truth = simulated(seed, nuisances=True)
        nuclei = segment(stack, voxel, params, "cpu")
        table = _matched(nuclei.paint(), labels, truth, np.append([""], to_text(nuclei.flags, CellFlag)))
        cells.append(table)
        pairs += _pairs(table, labels)
    every = pd.concat(cells)
    named = {flag.name or "": every["flags"].str.contains(flag.name or "?") for flag in _RAISED}
    rates = every.assign(**named).groupby("kind")[["found", "merged", *named]].mean()
    rates.insert(0, "cells", every.groupby("kind").size())
    table = pd.DataFrame(pairs, columns=["pair", "both flagged", "any flagged"])
    summary = table.groupby("pair").mean()
    summary.insert(0, "pairs", table.groupby("pair").size())
    return rates, summary


_RAISED = (
    CellFlag.OVERLAP,
    CellFlag.TRUNCATED,
    CellFlag.OUT_OF_FOCUS,
    CellFlag.APOPTOTIC,
    CellFlag.TOO_SMALL,
    CellFlag.TOO_LARGE,
)


def _matched(
    found: NDArray[np.integer], labels: NDArray[np.integer], truth: pd.DataFrame, flags: NDArray[np.object_]
) -> pd.DataFrame:
    """One row per true cell: the outline that covers most of what shows of it."""
    rows = []
    for number, true_flags in zip(truth["label"], truth["flags"].fillna(""), strict=True):
        inside = found[labels == number]
        votes = np.bincount(inside, minlength=1)
        votes[0] = 0
        label = int(votes.argmax()) if len(inside) and votes.max() > 0.4 * len(inside) else 0
        rows.append((number, true_flags or "ordinary", label, flags[label]))
    table = pd.DataFrame(rows, columns=["number", "kind", "label", "flags"])
    table["found"] = table["label"] > 0
    table["merged"] = table["found"] & table.duplicated("label", keep=False)
    return table.assign(y_um=truth["y_um"].to_numpy(), x_um=truth["x_um"].to_numpy())


def _pairs(table: pd.DataFrame, labels: NDArray[np.integer]) -> list[tuple[str, bool, bool]]:
    """Pairs of whole cells in focus whose true outlines meet: overlapping where both are said to, else touching."""
    plain = table[table["kind"].isin(["ordinary", "OVERLAP"])].set_index("number")
    meets = set()
    for one, two in (np.s_[:-2], np.s_[2:]), (np.s_[:, :-2], np.s_[:, 2:]):
        a, b = labels[one], labels[two]
        beside = (a != b) & (a > 0) & (b > 0)
        meets |= set(
            zip(np.minimum(a[beside], b[beside]).tolist(), np.maximum(a[beside], b[beside]).tolist(), strict=True)
        )
    rows = []
    for a, b in sorted(meets):
        if a in plain.index and b in plain.index and plain.loc[a, "kind"] == plain.loc[b, "kind"]:
            said = ["OVERLAP" in str(plain.loc[k, "flags"]) for k in (a, b)]
            kind = "overlapping" if plain.loc[a, "kind"] == "OVERLAP" else "touching"
            rows.append((kind, all(said), any(said)))
    return rows


# --- command ---------------------------------------------------------------------------------------------------


def main(argv: list[str] | None = None) -> int:
    """Run the sets asked for and print one table each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--opponents", type=Path, help="folder with s_skimage.py, s_opencv.py and gen.py")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of real images that holds nuclei/val")
    parser.add_argument("--sets", nargs="+", default=["synthetic", "fields", "speed", "flags", "memory"])
    parser.add_argument("--model", default="nuclei")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--fields", type=int, default=12, help="simulated fields")
    parser.add_argument("--seed", type=int, default=700, help="of the first simulated field")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    parser.add_argument("--side", type=int, default=2048, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    cv2.setNumThreads(args.threads)
    methods = own_methods(args.model) | (opponent_methods(args.opponents) if args.opponents else {})
    if args.peak:
        print(_measure_peak(methods[args.peak], args.side))
        return 0
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {args.threads} threads")
    pd.set_option("display.width", 200)
    for name in args.sets:
        _print_set(name, args, methods)
    return 0


def _print_set(name: str, args: argparse.Namespace, methods: dict[str, Method]) -> None:
    seeds = range(args.seed, args.seed + args.fields)
    if name == "flags":
        for table in flag_rates(seeds, Segment(nuclei=NetworkNuclei(model=args.model))):
            print(f"\n{name}\n{table.round(3).to_string()}", flush=True)
        return
    if name == "memory":
        sides = (2048, 4096, 8192)
        rows = [[key, *(peak_megabytes(key, side, args.opponents) for side in sides)] for key in methods]
        table = pd.DataFrame(rows, columns=["MB beyond input and labels", *(f"{side} px" for side in sides)])
        print(f"\n{name}\n{table.round(0).to_string(index=False)}", flush=True)
        return
    if name == "speed":
        table = speed(synthetic_cases(args.opponents), methods, args.repeats)
        print(f"\n{name}\n{table.round(1).to_string(index=False)}", flush=True)
        return
    made: dict[str, Callable[[], list[Case]]] = {
        "val": lambda: real_cases(args.data / "nuclei" / "val"),
        "train": lambda: real_cases(args.data / "nuclei" / "train"),
        "synthetic": lambda: synthetic_cases(args.opponents),
        "fields": lambda: field_cases(seeds),
    }
    with contextlib.redirect_stderr(io.StringIO()):
        table = compare(name, made[name](), methods, args.repeats)
    print(f"\n{name}\n{table.round(3).to_string(index=False)}", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
