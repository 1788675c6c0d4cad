"""Measure relocation: correct, wrong, lost and refused on simulated constellations and on real nuclei moved about."""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from ctcfish.flags import SlideFlag
from ctcfish.parameters import Relocate
from ctcfish.stages.relocate import relocate
from ctcfish.synth.constellations import Pair, Remounting, into_fields, remount
from ctcfish.types import Relocation

REAL = Path(__file__).resolve().parents[2] / "shared" / "data"
PARAMS = Relocate()
REAL_UM = 0.52
"""Makes the median nucleus of the real pair 9 um wide; its files carry no pixel size."""
REAL_MIDDLE_PX = np.array([450.0, 310.0])


@dataclass(frozen=True)
class Tally:
    """What became of the cells of one slide."""

    trusted: bool
    present: int
    right: int
    gone: int
    declared_lost: int
    sure: int
    sure_wrong: int
    residual_um: float
    seconds: float
    flags: SlideFlag


def tally(result: Relocation, pair: Pair, seconds: float) -> Tally:
    """Compare one result with the truth."""
    table = pair.if_points[["if_scene", "if_label"]].assign(truth=pair.truth).merge(result.matches, how="left")
    label, truth = table["label"].fillna(0).to_numpy(int), table["truth"].to_numpy()
    sure = (label > 0) & (table["probability"] >= 0.95).to_numpy()
    residual = table["residual_um"].dropna()
    return Tally(
        trusted=result.trusted,
        present=int((truth > 0).sum()),
        right=int(((label == truth) & (truth > 0)).sum()),
        gone=int((truth == 0).sum()),
        declared_lost=int(((label == 0) & (truth == 0)).sum()),
        sure=int(sure.sum()),
        sure_wrong=int((sure & (label != truth)).sum()),
        residual_um=float(residual.median()) if len(residual) else float("nan"),
        seconds=seconds,
        flags=result.flags,
    )


def timed(pair: Pair, stage_um: dict[str, tuple[float, float]] | None = None) -> Tally:
    """Relocate and compare."""
    start = time.process_time()
    result = relocate(pair.if_points, pair.fish_points, PARAMS, stage_um)
    return tally(result, pair, time.process_time() - start)


def ranges(n: int, seed: int) -> Remounting:
    """A re-mounting drawn from the whole range the program promises."""
    rng = np.random.default_rng([n, seed])
    return Remounting(
        n_common=n,
        missing=rng.uniform(0, 0.3),
        extra=rng.uniform(0, 0.3),
        rotation_deg=rng.uniform(0, 360),
        mirrored=bool(rng.integers(2)),
        scale=rng.uniform(0.97, 1.03),
        shift_um=(rng.uniform(-500, 500), rng.uniform(-500, 500)),
        jitter_um=rng.uniform(0.5, 0.8),
        strain=rng.uniform(0, 0.004),
        density_per_mm2=float(np.exp(rng.uniform(np.log(200), np.log(3000)))),
    )


def whole_range(few: bool) -> Iterator[tuple[str, list[Tally]]]:
    """Mosaics over the ranges, by the number of nuclei both scans show; and the hardest corner of the range."""
    for n, seeds in ((12, 20), (20, 15), (50, 15), (200, 15), (1000, 8), (5000, 4)):
        seeds = min(seeds, 2) if few else seeds
        yield f"{n} common", [timed(remount(ranges(n, s), s)) for s in range(seeds)]
    hard = [replace(ranges(n, s), missing=0.3, extra=0.3) for n in (20, 50, 200) for s in range(2 if few else 10)]
    yield "30 % missing, 30 % extra", [timed(remount(spec, k)) for k, spec in enumerate(hard)]


def awkward(few: bool) -> Iterator[tuple[str, list[Tally]]]:
    """Crowded slides, and scans that share only a part of the slide."""
    seeds = range(1 if few else 5)
    crowd = [replace(ranges(n, s), density_per_mm2=6000.0, jitter_um=0.4) for n in (50, 150, 600) for s in seeds]
    yield "crowded, 6,000 per mm2", [timed(remount(spec, k)) for k, spec in enumerate(crowd)]
    yield "IF shows half of FISH", [timed(partly(400, s, (0.0, 1.0), 0.5)) for s in seeds]
    yield "a fifth in common", [timed(partly(2000, s, (0.4, 1.0), 0.6)) for s in seeds]


def partly(n: int, seed: int, fish: tuple[float, float], if_until: float) -> Pair:
    """IF shows the left part of the slide, FISH the part between two shares of its width."""
    whole = remount(replace(ranges(n, seed), missing=0.2, extra=0.2, density_per_mm2=680.0), seed)
    x = whole.if_points["x_um"]
    low, high = x.quantile(fish[0]), x.quantile(fish[1])
    outside = set(whole.truth[(x < low) | (x > high)].tolist())
    fish_points = whole.fish_points[~whole.fish_points["label"].isin(outside)].reset_index(drop=True)
    truth = np.where(np.isin(whole.truth, fish_points["label"]), whole.truth, 0)
    seen = (x <= x.quantile(if_until)).to_numpy()
    return Pair(whole.if_points[seen].reset_index(drop=True), fish_points, truth[seen])


def fields(few: bool) -> Iterator[tuple[str, list[Tally]]]:
    """FISH as fields of 200 um, without and with stage coordinates, and small fields that only the stage can place."""
    cases = ((200.0, 260.0, False), (200.0, 260.0, True), (200.0, 180.0, False), (110.0, 140.0, True))
    for size, step, staged in cases:
        found = []
        for seed in range(1 if few else 5):
            pair = remount(replace(ranges(400, seed), density_per_mm2=680.0), seed)
            cut = into_fields(pair.fish_points, size, step, 10.0, seed)
            truth = np.where(np.isin(pair.truth, cut.fish_points["label"]), pair.truth, 0)
            found.append(timed(Pair(pair.if_points, cut.fish_points, truth), cut.stage_um if staged else None))
        yield f"fields of {size:.0f} um every {step:.0f}{', stage' if staged else ''}", found


def refusals(few: bool) -> Iterator[tuple[str, list[Tally]]]:
    """Too few common nuclei, and the wrong slide."""
    yield "6 to 11 common", [timed(remount(ranges(n, n), n)) for n in range(6, 12)]
    sizes = (30, 100) if few else (12, 20, 30, 50, 80, 120, 200, 300, 500, 1000) * 2
    wrong = []
    for k, n in enumerate(sizes):
        here, there = remount(ranges(n, k), k), remount(ranges(n, k), 1000 + k)
        wrong.append(timed(Pair(here.if_points, there.fish_points, np.zeros(len(here.if_points), np.int64))))
    yield "wrong partner", wrong


def scales(few: bool) -> Iterator[tuple[str, list[Tally]]]:
    """A pixel size that is wrong by ten percent or more."""
    factors = (0.8, 1.25) if few else (0.5, 0.64, 0.7, 0.8, 0.9, 1.1, 1.15, 1.25, 1.5, 1.9)
    yield "wrong pixel size", [timed(remount(replace(ranges(150, k), scale=f), k)) for k, f in enumerate(factors)]


def real_nuclei(few: bool) -> Iterator[tuple[str, list[Tally]]]:
    """Centroids of real segmented nuclei, moved by a known transform, some taken away and some put in."""
    from scipy.ndimage import center_of_mass
    from tifffile import imread

    found = []
    for file in sorted((REAL / "nuclei" / "train" / "masks").glob("*.tif")):
        mask = imread(file)
        labels = np.unique(mask[mask > 0])
        if len(labels) < 60 or len(found) >= (3 if few else 30):
            continue
        places = np.array(center_of_mass(np.ones_like(mask), mask, labels)) * 0.4
        area = np.bincount(mask.ravel())[labels] * 0.16
        found.append(timed(moved(places, area, len(found))))
    yield "real nuclei, moved", found


def moved(places: np.ndarray, area: np.ndarray, seed: int) -> Pair:
    """Re-mount given nuclei: turned, mirrored, scaled, jittered; 20 % missing, 20 % extra."""
    rng = np.random.default_rng(seed)
    turn, s = rng.uniform(0, 2 * np.pi), rng.uniform(0.97, 1.03)
    matrix = (
        s * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) @ np.diag([1, rng.choice([-1, 1])])
    )
    n = len(places)
    split = rng.permutation(n)
    in_if, in_fish = np.sort(split[: int(0.85 * n)]), split[int(0.15 * n) :]
    there = places @ matrix.T + rng.normal(0, 0.6, places.shape) + rng.uniform(-300, 300, 2)
    fish = pd.DataFrame({"y_um": there[in_fish, 0], "x_um": there[in_fish, 1], "area_um2": area[in_fish] * 1.1})
    fish = fish.assign(scene="fish", label=np.arange(1, len(fish) + 1))
    here = pd.DataFrame({"y_um": places[in_if, 0], "x_um": places[in_if, 1], "area_um2": area[in_if]})
    truth = np.zeros(n, np.int64)
    truth[in_fish] = fish["label"].to_numpy()
    return Pair(here.assign(if_scene="if", if_label=np.arange(1, len(here) + 1)), fish, truth[in_if])


def nuclei_of(file: Path) -> pd.DataFrame:
    """Nuclei by Otsu on the logarithm and watershed of the distance: not the program's own segmentation."""
    from scipy.ndimage import distance_transform_edt
    from skimage.feature import peak_local_max
    from skimage.filters import gaussian, threshold_otsu
    from skimage.measure import label, regionprops_table
    from skimage.segmentation import watershed
    from tifffile import imread

    image = gaussian(np.log1p(imread(file)), 1)
    mask = image > threshold_otsu(image)
    distance = gaussian(distance_transform_edt(mask), 1)
    peaks = peak_local_max(distance, min_distance=4, labels=label(mask))
    seeds = np.zeros(mask.shape, int)
    seeds[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    table = pd.DataFrame(
        regionprops_table(watershed(-distance, seeds, mask=mask), properties=("label", "centroid", "area"))
    )
    table = table[table["area"] > 20].rename(columns={"centroid-0": "y_um", "centroid-1": "x_um", "area": "area_um2"})
    return table * [1, REAL_UM, REAL_UM, REAL_UM**2]


def two_rounds() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Nuclei of one real field in two imaging rounds."""
    return tuple(nuclei_of(REAL / "registration" / f"{name}_downsampled.tiff") for name in ("anchor_nuclei", "r1_DAPI"))


def real_pair() -> Iterator[str]:
    """Where the one real pair of scans comes to lie."""
    here, there = two_rounds()
    start = time.process_time()
    found = relocate(
        here.rename(columns={"label": "if_label"}).assign(if_scene="anchor"), there.assign(scene="r1"), PARAMS
    )
    seconds = time.process_time() - start
    yield f"two rounds of a real field, {len(here)} and {len(there)} nuclei: {found.evidence}"
    for transform in found.transforms:
        y, x = shift_px(np.array(transform["matrix"]))
        residual, sure = found.matches["residual_um"].median(), (found.matches["probability"] >= 0.95).sum()
        yield (
            f"shift at the middle ({y:.1f}, {x:.1f}) px, published about (11.4, -3.8); {transform['n_matched']} pairs, "
            f"{sure} of them sure, scale {transform['scale']:.4f}, turn {transform['rotation_deg']:.2f} degrees, "
            f"median residual {residual:.2f} um, {seconds:.2f} s"
        )


def shift_px(matrix: np.ndarray) -> np.ndarray:
    """How far a transform moves the middle of the real field."""
    middle = REAL_MIDDLE_PX * REAL_UM
    return (matrix[:, :2] @ middle + matrix[:, 2] - middle) / REAL_UM


def cartridge(few: bool) -> Iterator[tuple[str, list[Tally]]]:
    """As many nuclei as a cartridge holds."""
    n = 5000 if few else 49_000
    yield f"{n} common: time", [timed(remount(replace(ranges(n, 1), missing=0.3, extra=0.3, density_per_mm2=680.0), 1))]


def line(name: str, tallies: list[Tally]) -> str:
    """One row of the report."""
    good = [t for t in tallies if t.trusted]
    total = {
        key: sum(getattr(t, key) for t in good)
        for key in ("present", "right", "gone", "declared_lost", "sure", "sure_wrong")
    }

    def share(part: str, whole: str) -> str:
        return f"{100 * total[part] / total[whole]:.2f}" if total[whole] else "-"

    mismatch = sum(SlideFlag.SCALE_MISMATCH in t.flags for t in good)
    residual = np.median([t.residual_um for t in good]) if good else float("nan")
    return (
        f"| {name} | {len(tallies)} | {len(tallies) - len(good)} | {mismatch} | {share('right', 'present')} |"
        f" {total['sure_wrong']}/{total['sure']} | {share('declared_lost', 'gone')} | {residual:.2f} |"
        f" {max(t.seconds for t in tallies):.2f} |"
    )


def main(argv: list[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--few", action="store_true", help="a few slides of each kind")
    few = parser.parse_args(argv).few
    print(
        "| slides | n | refused | pixel size reported | right % of present | wrong / sure (p >= 0.95) |"
        " LOST % of lost | median residual um | most CPU s |"
    )
    print("|---|--:|--:|--:|--:|--:|--:|--:|--:|")
    suites = [whole_range, awkward, fields, refusals, scales, cartridge] + ([real_nuclei] if REAL.is_dir() else [])
    for suite in suites:
        for name, tallies in suite(few):
            print(line(name, tallies), flush=True)
    print(*(real_pair() if REAL.is_dir() else ()), sep="\n", flush=True)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
