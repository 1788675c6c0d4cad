"""Measure detection: accuracy, speed and the ideal observer, interleaved with a hand-tuned OpenCV detector.

The scenes, the scoring and the opponent come from the folder of benches beside the repository; nothing of the truth
reaches the program, which measures camera, width and threshold on the image itself.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pandas as pd
import torch
from scipy.spatial import cKDTree
from scipy.stats import norm
from spots_hybrid import HYBRID, hybrid, log_maxima, opponent

from ctcfish.ops.bands import Bands
from ctcfish.parameters import Detect, Survey
from ctcfish.stages.detect import detect
from ctcfish.stages.nuclei.outlines import from_labels
from ctcfish.stages.signals.camera import Camera
from ctcfish.stages.signals.candidates import Search, find
from ctcfish.stages.signals.measure import measure
from ctcfish.stages.signals.optics import patch_half
from ctcfish.stages.signals.regions import regions, tiles
from ctcfish.stages.survey import SceneInfo, merge, survey
from ctcfish.types import Detections, Nuclei, SlideModel

PEERS = Path(__file__).resolve().parents[2] / "shared" / "bench"
STEP_UM = np.array([0.3, 0.1, 0.1])
SHOWN = ("F1", "F1_1px", "P", "R", "R_iso", "R_clu", "clu_MAE", "clu_ratio", "nuc_exact_nonamp", "rmse_xy_iso")
NEAR_PX = 3.0
OPENCV_THRESHOLD = {2: 5.0, 3: 5.46}


@dataclass(frozen=True)
class Scene:
    """One simulated image with its truth, as the peers' generator makes it."""

    axes: int
    image: np.ndarray
    truth: np.ndarray
    labels: np.ndarray

    @property
    def stack(self) -> np.ndarray:
        return self.image[None] if self.axes == 2 else self.image

    @property
    def voxel_um(self) -> tuple[float, float, float]:
        return (0.3 if self.axes == 3 else 0.0, 0.1, 0.1)

    @property
    def megavoxels(self) -> float:
        return self.image.size / 1e6


def peers(folder: Path) -> tuple[ModuleType, ModuleType, ModuleType]:
    """Generator, scoring and OpenCV opponent; the opponent's own run at import is silenced."""
    sys.path.insert(0, str(folder))
    import common
    import gen

    common.run = lambda *_a, **_k: None
    import p_opencv_fast

    return gen, common, p_opencv_fast


def nuclei_of(scene: Scene, with_labels: bool) -> Nuclei:
    flat = scene.labels if scene.axes == 2 else scene.labels.max(0)
    return from_labels(flat, (0.1, 0.1)) if with_labels else tiles(scene.stack.shape[1:], (0.1, 0.1))


def look(scene: Scene, nuclei: Nuclei) -> tuple[SlideModel, Detections]:
    params = Detect(margin_um=0.0)
    field = survey({"her2": scene.stack}, nuclei, SceneInfo(scene.voxel_um), Survey(), params)
    model = merge([field], Survey(), params)
    return model, detect({"her2": scene.stack}, nuclei, scene.voxel_um, model, params)


def stage(scene: Scene, nuclei: Nuclei, model: SlideModel) -> None:
    """Filter, maxima and shape measures: what the opponent's script does, and the gate."""
    probe = model.probes["HER2"]
    sigma = (probe.sigma_z_um / 0.3 if scene.axes == 3 else 1.0, probe.sigma_xy_um / 0.1)
    bands = Bands.of(sigma, len(scene.stack), Detect().surround)
    camera = Camera(model.gain_adu_per_photon, model.offset_adu, model.read_noise_photons, model.camera_origin)
    search = Search(bands, camera, 0.8 * probe.threshold_snr, patch_half(sigma[1]), bands.signal_gain(sigma))
    measure(find(scene.stack, regions(nuclei, 0, len(scene.stack)), search), sigma[1], 0.1, bands)


def seconds(call: Callable[[], Any]) -> tuple[float, float, Any]:
    """Wall and processor seconds of a call, and what it gave."""
    wall, own = time.perf_counter(), time.process_time()
    result = call()
    return time.perf_counter() - wall, time.process_time() - own, result


def score(common: ModuleType, scene: Scene, found: Detections) -> dict[str, float]:
    spots = found.spots[found.spots["status"].isin(("counted", "outside"))]
    places = (spots[["z_um", "y_um", "x_um"]].to_numpy() / STEP_UM)[:, 3 - scene.axes :]
    result = common.evaluate(places, scene.truth, scene.labels, scene.axes)
    return {name: round(float(result[name]), 3) for name in SHOWN}


def coverage(common: ModuleType, scene: Scene, found: Detections) -> dict[str, float]:
    """How often the 95 % interval of a cluster holds the true signals that lie nearest to its members."""
    spots = found.spots[found.spots["status"].isin(("counted", "outside"))]
    places = (spots[["z_um", "y_um", "x_um"]].to_numpy() / STEP_UM)[:, 3 - scene.axes :]
    true = common.scale(scene.truth[:, : scene.axes], scene.axes)
    distance, nearest = cKDTree(common.scale(places, scene.axes)).query(true)
    own = spots["cluster"].to_numpy()[nearest[distance < NEAR_PX]]
    number = found.clusters["cluster"].map(pd.Series(own).value_counts()).fillna(0)
    high = found.clusters["copies_high"].astype("Float64").fillna(np.inf).astype(float)
    held = (found.clusters["copies_low"] <= number) & (number <= high)
    return {"clusters": len(held), "interval_holds": round(float(held.mean()), 3)}


def compare(scene: Scene, modules: tuple[ModuleType, ModuleType, ModuleType], repeats: int) -> dict[str, Any]:
    """Interleave the opponent, the whole program and its detection stage."""
    _, common, opencv = modules
    nuclei = nuclei_of(scene, with_labels=False)
    model, found = look(scene, nuclei)
    times = []
    for _ in range(repeats):
        other = seconds(lambda: opencv.det(scene.image, scene.axes, thr=OPENCV_THRESHOLD[scene.axes]))
        alone = seconds(lambda: stage(scene, nuclei, model))
        whole = seconds(lambda: look(scene, nuclei))
        times.append([t / scene.megavoxels * 1e3 for pair in (other, alone, whole) for t in pair[:2]])
    names = ("opencv", "opencv_cpu", "stage", "stage_cpu", "whole", "whole_cpu")
    medians = dict(zip(names, np.median(times, 0).round(1).tolist(), strict=True))
    ratios = np.array(times)
    medians["stage_over_opencv"] = round(float(np.median(ratios[:, 3] / ratios[:, 1])), 2)
    probe = model.probes["HER2"]
    kept = {"threshold_snr": round(probe.threshold_snr, 2), "sigma_xy_um": round(probe.sigma_xy_um, 4)}
    told = {**score(common, scene, found), **coverage(common, scene, found)}
    return {"axes": scene.axes, **told, "ms_per_megavoxel": medians, **kept}


def scanning_level(rate: float, voxels: float, sigma_px: tuple[float, float], axes: int) -> float:
    """Level that maxima of a matched filter's pure noise exceed ``rate`` times in so many voxels.

    The response has the correlation of a Gaussian of √2 times the signal's width; maxima by Adler's formula.
    """
    widths = np.sqrt(2) * np.array([sigma_px[1], sigma_px[1], sigma_px[0]][:axes])
    amount = voxels / np.prod(widths) / (2 * np.pi) ** ((axes + 1) / 2)
    levels = np.arange(3.0, 8.0, 0.001)
    expected = amount * (levels if axes == 2 else levels**2 - 1) * np.exp(-(levels**2) / 2)
    return float(levels[np.argmax(expected < rate)])


def observer(axes: int, photons: float, seed: int) -> dict[str, float]:
    """Misses of isolated signals against the observer who knows image and background.

    Two hundred signals per field on a level background, at one false signal per 100 nuclei; ``photons_needed`` is how
    much brighter the signals must be for the same misses.
    """
    rng = np.random.default_rng(seed)
    side, planes, background = 1000, (1 if axes == 2 else 9), 40.0
    centres = [(y, x) for y in range(35, side - 30, 66) for x in range(35, side - 30, 66)]
    profile = norm(scale=1.3)
    light = np.full((planes, side, side), background)
    axial = np.diff(norm(scale=1.4).cdf(np.arange(planes + 1) - planes / 2)) if axes == 3 else np.ones(1)
    template = 0.0
    for y, x in centres:
        oy, ox = y + rng.uniform(-0.5, 0.5), x + rng.uniform(-0.5, 0.5)
        gy, gx = (np.diff(profile.cdf(np.arange(-10.5, 11.0) - (o - round(o)))) for o in (oy, ox))
        image = axial[:, None, None] * gy[:, None] * gx
        light[:, round(oy) - 10 : round(oy) + 11, round(ox) - 10 : round(ox) + 11] += photons * image
        template += float((image**2).sum()) / len(centres)
    pixels = np.round(100 + 2 * (rng.poisson(light) + rng.normal(0, 2, light.shape))).astype(np.uint16)
    nuclei = tiles((side, side), (0.1, 0.1))
    params = Detect(margin_um=0.0, false_per_nucleus=0.01)
    voxel = (0.3 if axes == 3 else 0.0, 0.1, 0.1)
    model = merge([survey({"her2": pixels}, nuclei, SceneInfo(voxel), Survey(), params)], Survey(), params)
    spots = detect({"her2": pixels}, nuclei, voxel, model, params).spots
    own = spots[spots["status"] == "counted"][["y_um", "x_um"]].to_numpy() / 0.1
    near = np.array([np.hypot(*(own - c).T).min() < 4 if len(own) else False for c in centres])
    false = sum(np.hypot(*(np.array(centres) - s).T).min() > 8 for s in own)
    sharpness = photons * np.sqrt(template / (background + 4.0))
    level = scanning_level(0.01, 8100.0 * planes, (1.4, 1.3), axes)
    missed = 1 - near.mean()
    needed = (level + norm.isf(np.clip(missed, 0.5 / len(centres), 0.999))) / sharpness
    return {
        "axes": axes,
        "photons": photons,
        "missed": round(float(missed), 3),
        "ideal_missed": round(float(norm.cdf(level - sharpness)), 3),
        "photons_needed": round(1 / float(needed), 2),
        "false_per_nucleus": round(false / len(nuclei), 4),
        "few_signals": bool(int(model.flags) & 64),
    }


def main() -> None:
    """Print one line of JSON per measurement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", type=Path, default=PEERS, help="folder of the benches' generator and opponents")
    parser.add_argument("--axes", type=int, choices=(2, 3), nargs="*", default=[2, 3])
    parser.add_argument("--seed", type=int, default=None, help="None: the bench's own scene")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--observer", action="store_true", help="isolated signals against the ideal observer instead")
    parser.add_argument(
        "--hybrid", type=Path, nargs="?", const=HYBRID, help="folder of spots on real backgrounds instead"
    )
    given = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # like for like, unless told
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    if given.hybrid:
        told = hybrid(given.hybrid)
        print(json.dumps({"ctcfish": told}), flush=True)
        if "skipped" not in told:
            opencv = peers(given.peers)[2]
            named = {"OpenCV": lambda image: opencv.det(image, 2, thr=0.5), "LoG maxima": log_maxima}
            print(json.dumps({name: opponent(given.hybrid, own) for name, own in named.items()}), flush=True)
        return
    if given.observer:
        for axes, photons in [(2, p) for p in (600, 300, 200, 150)] + [(3, p) for p in (1000, 600, 450, 350)]:
            if axes in given.axes:
                print(json.dumps(observer(axes, float(photons), given.seed or 0)), flush=True)
        return
    modules = peers(given.peers)
    for axes in given.axes:
        make = modules[0].gen2d if axes == 2 else modules[0].gen3d
        scene = Scene(axes, *(make() if given.seed is None else make(seed=given.seed)))
        print(json.dumps(compare(scene, modules, given.repeats)), flush=True)


if __name__ == "__main__":
    main()
