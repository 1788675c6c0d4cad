"""Measure the IF phenotype: CTC recall, false CTC, calibration, HER2 protein class; a cartridge's time and memory."""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ctcfish.gates import load_gates
from ctcfish.parameters import Correct, Phenotype
from ctcfish.stages.correct import correct
from ctcfish.stages.immuno.kinds import densities
from ctcfish.stages.immuno.leukocytes import leukocyte_model
from ctcfish.stages.immuno.markers import measure
from ctcfish.stages.phenotype import classify
from ctcfish.synth.stained import StainedScan, Staining, stain
from ctcfish.types import Nuclei

PARAMS, GATES = Phenotype(), load_gates("gates_cellsearch")
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
    """A small image repeated over a large one, read where it is sliced."""

    tile: np.ndarray
    times: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Size of the whole."""
        return (self.tile.shape[0] * self.times, self.tile.shape[1] * self.times)

    def __getitem__(self, window: tuple[slice, slice], /) -> np.ndarray:
        """Pixels of a window."""
        rows = np.arange(self.shape[0])[window[0]] % self.tile.shape[0]
        return np.tile(self.tile[rows], (1, self.times))[:, window[1]]


def repeated(nuclei: Nuclei, times: int) -> Nuclei:
    """The nuclei of a repeated image."""
    height, width = nuclei.shape_px
    um = np.array(nuclei.pixel_um)
    steps = [(a * height, b * width) for a in range(times) for b in range(times)]
    box = np.concatenate([nuclei.box_px + np.array([y, x, y, x], np.int32) for y, x in steps])
    place = np.concatenate([nuclei.centroid_um + np.array([y, x]) * um for y, x in steps])
    n = len(place)
    return Nuclei(
        label=np.arange(1, n + 1, dtype=np.int32),
        box_px=box.astype(np.int32),
        packed=nuclei.packed * len(steps),
        pixel_um=nuclei.pixel_um,
        centroid_um=place,
        area_um2=np.tile(nuclei.area_um2, len(steps)),
        z_um=np.zeros(n),
        thickness_um=np.full(n, np.nan),
        focus=np.full(n, np.nan),
        flags=np.zeros(n, np.int64),
        shape_px=(height * times, width * times),
    )


def cartridge(times: int) -> Iterator[str]:
    """Time and memory of a scan made of tiles."""
    scan = stain(Staining(leukocytes=1070, ctc=5, debris=30, doublets=2, bare=5), 1)
    nuclei = repeated(scan.nuclei, times)
    pixels = {role: Repeated(image, times) for role, image in scan.pixels.items()}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    wall, cpu = time.perf_counter(), time.process_time()
    frame = (nuclei.shape_px[0] / times * nuclei.pixel_um[0], nuclei.shape_px[1] / times * nuclei.pixel_um[1])
    measured = correct({"a": measure(pixels, nuclei, PARAMS)}, {"a": frame}, Correct()).cells["a"]
    cells = classify(measured, leukocyte_model([measured], PARAMS.min_leukocytes), GATES, PARAMS)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    megapixels, ctc = np.prod(nuclei.shape_px) / 1e6, (cells["kind"] == "ctc").sum()
    yield f"{megapixels:.0f} megapixels x 4 channels, {len(nuclei)} nuclei ({ctc} CTC): measured and classified in"
    yield f"{wall:.0f} s ({cpu:.0f} s CPU), peak memory {peak:.0f} MB ({before:.0f} before)"


def main(argv: list[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--few", action="store_true", help="one slide of each kind, a small cartridge")
    few = parser.parse_args(argv).few
    print(
        "| slides | CTC | leukocytes | CTC found % | CTC unsure % | false CTC | per 10,000 | wbc found % |"
        " other called CTC | ECE all | ECE p > 0.01 | 0.01 < p < 0.99 | HER2 high = amplified % |"
    )
    print("|---" * 13 + "|")
    for name, spec in CASES.items():
        slides = 1 if few else (3 if spec.leukocytes > 1000 else 10)
        print(row(name, judge(spec, range(slides))), flush=True)
    print(*shading(few), sep="\n", flush=True)
    print(*cartridge(3 if few else 8), sep="\n", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
