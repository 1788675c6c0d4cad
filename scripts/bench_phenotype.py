"""Measure the IF phenotype: CTC recall, false CTC, calibration, HER2 protein class; a cartridge's time and memory."""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ctcfish.config import Config
from ctcfish.gates import load_gates
from ctcfish.parameters import Correct, Phenotype
from ctcfish.pipeline import score
from ctcfish.stages.correct import correct
from ctcfish.stages.immuno.kinds import densities
from ctcfish.stages.immuno.leukocytes import leukocyte_model
from ctcfish.stages.immuno.markers import measure
from ctcfish.stages.phenotype import classify
from ctcfish.synth.stained import ROLES, StainedScan, Staining, stain
from ctcfish.types import Scene, Slide

PARAMS, GATES = Phenotype(), load_gates("gates_cellsearch")
FRAME = (1036, 1384)
"""Rows and columns of a frame of the analyser; a cartridge is 5 by 35 of them."""
ORDINARY = Staining(leukocytes=5000, ctc=60, debris=300, doublets=15, bare=50)
CASES = {
    "ordinary": ORDINARY,
    "wide spread (log sd 0.5), faint stains (half)": replace(ORDINARY, log_sd=0.5, ck=350, cd45=175, her2=60),
    "unspecific stain doubled, spread 0.8": replace(ORDINARY, unspecific=24, unspecific_log_sd=0.8),
    "10 % of leukocytes with a fifth of the CD45": replace(ORDINARY, faint_cd45=0.1),
    "shading 20 %": replace(ORDINARY, shading=0.2),
    "shading 20 %, wide spread, faint stains": replace(ORDINARY, shading=0.2, log_sd=0.5, ck=350, cd45=175, her2=60),
    "three times as dense, doublets, debris": replace(ORDINARY, density_per_mm2=2000, doublets=30, debris=600),
    "100 leukocytes, 8 CTC": replace(ORDINARY, leukocytes=100, ctc=8, debris=6, doublets=1, bare=1),
    "40 leukocytes, 60 CTC": replace(ORDINARY, leukocytes=40, ctc=60, debris=10, doublets=3, bare=1),
}


@dataclass(frozen=True)
class Judged:
    """Every nucleus of some slides: what it is, what it was called, and how probable a CTC it was."""

    truth: np.ndarray
    kind: np.ndarray
    p_ctc: np.ndarray
    amplified: np.ndarray
    protein: np.ndarray


def flat(scan: StainedScan) -> pd.DataFrame:
    """Markers with the scan's shading taken out; one field of the microscope."""
    height, width = (float(n * um) for n, um in zip(scan.nuclei.shape_px, scan.nuclei.pixel_um, strict=True))
    measured = measure(scan.pixels, scan.nuclei, PARAMS)
    return correct({"a": measured}, {"a": (height, width)}, Correct()).cells["a"]


def shading(few: bool) -> Iterator[str]:
    """What shading of 20 % does to a marker, and what is left of it: the same cells under even light are the truth."""
    yield "| leukocytes | stain, of | off by, as measured % | off by, corrected % |"
    yield "|---|---|--:|--:|"
    for n, seeds in ((100, 8), (300, 6), (1000, 3), (5000, 2)):
        spec = replace(ORDINARY, leukocytes=n, ctc=max(n // 50, 8), debris=n // 20, doublets=1, bare=2)
        errors: dict[str, list[tuple[float, float]]] = {}
        for seed in range(1 if few else seeds):
            shaded, even = (stain(replace(spec, shading=s), seed) for s in (0.2, 0.0))
            true = measure(even.pixels, even.nuclei, PARAMS)
            tables = measure(shaded.pixels, shaded.nuclei, PARAMS), flat(shaded)
            for kind, role in (("wbc", "exclusion"), ("ctc", "inclusion"), ("ctc", "her2_protein")):
                own, column = (shaded.truth["kind"] == kind).to_numpy(), f"if_{role}_cell"
                off = (spread(t.loc[own, column] / true.loc[own, column]) for t in tables)
                errors.setdefault(f"{role}, {kind}", []).append((next(off), next(off)))
        for what, pairs in errors.items():
            before, after = 100 * np.mean(pairs, axis=0)
            yield f"| {n} | {what} | {before:.1f} | {after:.1f} |"


def spread(ratio: pd.Series) -> float:
    """Robust standard deviation of a logarithm."""
    logs = np.log(ratio.clip(lower=1e-3))
    return float(1.4826 * (logs - logs.median()).abs().median())


def judge(spec: Staining, seeds: range) -> Judged:
    """Simulate, measure and classify."""
    parts = []
    for seed in seeds:
        scan = stain(spec, seed)
        measured = flat(scan)
        model = leukocyte_model([measured], PARAMS.min_leukocytes)
        cells = classify(measured, model, GATES, PARAMS)
        chances = densities(measured, model.markers) * np.asarray(model.shares)
        own = scan.truth.assign(called=cells["kind"], p=chances[:, 1] / chances.sum(1), h=cells["her2_protein_class"])
        parts.append(own)
    table = pd.concat(parts, ignore_index=True)
    return Judged(*(table[c].to_numpy() for c in ("kind", "called", "p", "her2_amplified", "h")))


def calibration_error(p: np.ndarray, truth: np.ndarray, bins: int = 10) -> float:
    """Expected calibration error: mean distance of probability and frequency over bins, weighted by their number."""
    place = np.minimum((p * bins).astype(int), bins - 1)
    rows = [(abs(p[place == b].mean() - truth[place == b].mean()), (place == b).sum()) for b in np.unique(place)]
    return float(sum(d * n for d, n in rows) / max(len(p), 1))


def row(name: str, found: Judged) -> str:
    """One row of the report."""
    ctc, wbc = found.truth == "ctc", found.truth == "wbc"
    called = found.kind == "ctc"
    doubtful = (found.p_ctc > 0.01) & (found.p_ctc < 0.99)
    near = ctc | (found.p_ctc > 0.01)
    high = found.protein == "high"
    return (
        f"| {name} | {ctc.sum()} | {wbc.sum()} | {100 * called[ctc].mean():.2f} |"
        f" {100 * (found.kind[ctc] == 'unknown').mean():.2f} | {called[wbc].sum()} |"
        f" {1e4 * called[wbc].mean():.2f} | {100 * (found.kind[wbc] == 'wbc').mean():.2f} |"
        f" {called[found.truth == 'other'].sum()}/{(found.truth == 'other').sum()} |"
        f" {calibration_error(found.p_ctc, ctc):.4f} | {calibration_error(found.p_ctc[near], ctc[near]):.4f} |"
        f" {doubtful.sum()} | {100 * (high[ctc] == found.amplified[ctc]).mean():.1f} |"
    )


@dataclass(frozen=True)
class Repeated:
    """Pixels of a small scan repeated over a large one; no more of it is ever made than a window."""

    tile: np.ndarray
    size: tuple[int, int]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Size ``(C, Z, Y, X)`` of the whole."""
        return len(self.tile), 1, *self.size

    @property
    def dtype(self) -> np.dtype:
        """Type of a pixel."""
        return self.tile.dtype

    def read(self, channel: int, planes: slice, rows: slice, columns: slice) -> np.ndarray:
        """Pixels ``(Z, Y, X)`` of a window."""
        places = (np.arange(side)[part] for side, part in zip(self.size, (rows, columns), strict=True))
        where = np.ix_(*(at % side for at, side in zip(places, self.tile.shape[1:], strict=True)))
        return self.tile[channel][where][None][planes]


def cartridge(frames: tuple[int, int]) -> Iterator[str]:
    """Time and memory of the whole IF route, from pixels to kinds, on so many frames of the analyser."""
    scan = stain(Staining(leukocytes=1070, ctc=5, debris=30, doublets=2, bare=5, density_per_mm2=750.0), 1)
    pixels = Repeated(np.stack([scan.pixels[role] for role in ROLES]), (frames[0] * FRAME[0], frames[1] * FRAME[1]))
    um = scan.nuclei.pixel_um
    roles = {role: channel for channel, role in enumerate(ROLES)}
    scene = Scene("cartridge", "if", pixels, (0.0, *um), roles, frame_px=FRAME)
    wall, cpu = time.perf_counter(), time.process_time()
    cells = score(Slide("cartridge", "cartridge", "", (scene,), ()), Config()).if_cells
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    times = repeats(scan.nuclei.centroid_um / np.array(um), scan.pixels["nucleus"].shape, pixels.size)
    drawn = times.sum(), times[(scan.truth["kind"] == "ctc").to_numpy()].sum()
    yield f"{np.prod(pixels.size) / 1e6:.0f} megapixels x {len(ROLES)} channels, {drawn[0]} nuclei with {drawn[1]} CTC:"
    yield f"{len(cells)} and {(cells['kind'] == 'ctc').sum()} found in {wall:.0f} s ({cpu:.0f} s of processor),"
    yield f"peak memory {peak:.0f} MB"


def repeats(place_px: np.ndarray, tile: tuple[int, ...], size: tuple[int, int]) -> np.ndarray:
    """How often each place of a tile ``(N, 2)`` lies in the large scan."""
    per_axis = [np.ceil((side - place_px[:, k]) / tile[k]).astype(int) for k, side in enumerate(size)]
    return per_axis[0] * per_axis[1]


def main(argv: list[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--few", action="store_true", help="one slide of each kind, a small cartridge")
    parser.add_argument("--cartridge", action="store_true", help="a whole cartridge and nothing else, for its memory")
    chosen = parser.parse_args(argv)
    few = chosen.few
    if chosen.cartridge:
        print(*cartridge((2, 2) if few else (5, 35)), sep="\n", flush=True)
        return 0
    print(
        "| slides | CTC | leukocytes | CTC found % | CTC unsure % | false CTC | per 10,000 | wbc found % |"
        " other called CTC | ECE all | ECE p > 0.01 | 0.01 < p < 0.99 | HER2 high = amplified % |"
    )
    print("|---" * 13 + "|")
    for name, spec in CASES.items():
        slides = 1 if few else (3 if spec.leukocytes > 1000 else 10)
        print(row(name, judge(spec, range(slides))), flush=True)
    print(*shading(few), sep="\n", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
