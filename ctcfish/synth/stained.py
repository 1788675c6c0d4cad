"""An IF scan by stamps: fast enough for a hundred thousand leukocytes; with CTC, debris, doublets and truth."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ctcfish.synth.constellations import scatter
from ctcfish.types import Nuclei

Floats = NDArray[np.float64]
ROLES = ("nucleus", "inclusion", "exclusion", "her2_protein")


@dataclass(frozen=True)
class Staining:
    """What is stained how brightly (photons per pixel of 0.64 um, medians).

    Attributes
    ----------
    leukocytes, ctc, debris, doublets, bare : int
        Cells; scraps of cytokeratin without nucleus; CTC that a leukocyte touches; nuclei without either stain.
    ck, cd45, her2 : float
    amplified : float
        Share of CTC with six times the HER2 protein.
    unspecific : float
        Stain where it does not belong.
    log_sd, unspecific_log_sd : float
        Spread between cells on the natural logarithm.
    faint_cd45 : float
        Share of leukocytes with a fifth of the CD45.
    shading : float
        Light lost in the corners.
    density_per_mm2, pixel_um, background : float
    """

    leukocytes: int = 2000
    ctc: int = 20
    debris: int = 100
    doublets: int = 4
    bare: int = 20
    ck: float = 700.0
    cd45: float = 350.0
    her2: float = 120.0
    amplified: float = 0.25
    unspecific: float = 12.0
    log_sd: float = 0.35
    unspecific_log_sd: float = 0.6
    faint_cd45: float = 0.03
    shading: float = 0.1
    density_per_mm2: float = 680.0
    pixel_um: float = 0.64
    background: float = 60.0


@dataclass(frozen=True)
class StainedScan:
    """Pixels ``(Y, X)`` by role, the true outlines, and what each nucleus is.

    Attributes
    ----------
    pixels : dict of str to ndarray of uint16
    nuclei : Nuclei
    truth : pandas.DataFrame
        ``if_label, kind, her2_amplified``, in the order of the nuclei.
    """

    pixels: dict[str, NDArray[np.uint16]]
    nuclei: Nuclei
    truth: pd.DataFrame


def stain(spec: Staining, seed: int) -> StainedScan:
    """Simulate one IF scan."""
    rng = np.random.default_rng(seed)
    cells = _population(spec, rng)
    side = round((cells["reach"].iloc[0] + 40) / spec.pixel_um)
    light = {role: np.full((side, side), spec.background, np.float32) for role in ROLES}
    for row in cells.to_dict("records"):
        _stamp(light, row, spec.pixel_um, rng)
    shading = 1 - spec.shading * (np.hypot(*np.meshgrid(*(np.linspace(-1, 1, side),) * 2)) ** 2 / 2).astype(np.float32)
    pixels = {}
    for role, image in light.items():
        blurred = cv2.GaussianBlur(image, (0, 0), 0.28 / spec.pixel_um) * shading
        counts = 100 + 2.0 * (rng.poisson(np.maximum(blurred, 0)) + rng.normal(0, 2, blurred.shape))
        pixels[role] = np.clip(counts, 0, 65535).astype(np.uint16)
    nucleated = cells[cells["kind"] != "debris"].reset_index(drop=True)
    nuclei = _outlines(nucleated, (side, side), spec.pixel_um)
    truth = pd.DataFrame(
        {"if_label": nuclei.label, "kind": nucleated["kind"], "her2_amplified": nucleated["her2"] > 2.5 * spec.her2}
    )
    return StainedScan(pixels, nuclei, truth)


def _population(spec: Staining, rng: np.random.Generator) -> pd.DataFrame:
    kinds = np.repeat(["wbc", "ctc", "other", "debris"], [spec.leukocytes, spec.ctc, spec.bare, spec.debris])
    n = len(kinds)
    side = float(np.sqrt(n / spec.density_per_mm2) * 1000)
    place = scatter(n, side, 0.1, rng)[rng.permutation(n)]

    def spread(median: float, sd: float) -> Floats:
        return np.asarray(median * rng.lognormal(0, sd, n))

    wbc, ctc, debris = (kinds == k for k in ("wbc", "ctc", "debris"))
    cd45 = np.where(wbc, spread(spec.cd45, spec.log_sd), spread(spec.unspecific, spec.unspecific_log_sd))
    cd45 *= np.where(wbc & (rng.random(n) < spec.faint_cd45), 0.2, 1.0)
    ck = np.where(ctc | debris, spread(spec.ck, spec.log_sd), spread(spec.unspecific, spec.unspecific_log_sd))
    her2 = np.where(ctc, spread(spec.her2, spec.log_sd), spread(spec.unspecific / 2, spec.unspecific_log_sd))
    her2 *= np.where(ctc & (rng.random(n) < spec.amplified), 6.0, 1.0)
    radius = np.where(ctc, rng.normal(4.3, 0.5, n), rng.normal(3.5, 0.3, n)).clip(2.8, 7.5)
    radius = np.where(debris, rng.uniform(1.0, 3.5, n), radius)
    beside = np.flatnonzero(wbc)[: spec.doublets + spec.debris // 4]
    hosts = np.concatenate([np.flatnonzero(ctc)[: spec.doublets], np.flatnonzero(debris)[: spec.debris // 4]])
    angle = rng.uniform(0, 2 * np.pi, len(hosts))
    gap = radius[hosts] + radius[beside[: len(hosts)]] + 0.5
    place[beside[: len(hosts)]] = place[hosts] + gap[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    y, x = np.clip(place, 0, side).T + 20
    return pd.DataFrame(
        {"kind": kinds, "y": y, "x": x, "radius": radius, "aspect": rng.uniform(0.8, 1.0, n), "ck": ck, "cd45": cd45}
        | {"turn": rng.uniform(0, np.pi, n), "her2": her2, "dapi": spread(900, 0.2), "reach": side}
    )


def _disc(row: dict[str, float], wider: float, pixel_um: float) -> tuple[slice, slice, NDArray[np.float32]]:
    """An ellipse with soft edges and where it lies."""
    long, short = row["radius"] * wider, row["radius"] * row["aspect"] * wider
    half = int(np.ceil(long / pixel_um)) + 2
    cy, cx = round(row["y"] / pixel_um), round(row["x"] / pixel_um)
    y, x = np.mgrid[cy - half : cy + half + 1, cx - half : cx + half + 1] * pixel_um
    dy, dx = y - row["y"], x - row["x"]
    c, s = np.cos(row["turn"]), np.sin(row["turn"])
    distance = (np.hypot((c * dy + s * dx) / long, (c * dx - s * dy) / short) - 1) * short
    cover = np.clip(0.5 - distance / pixel_um, 0, 1).astype(np.float32)
    return slice(max(cy - half, 0), cy + half + 1), slice(max(cx - half, 0), cx + half + 1), cover


def _stamp(light: dict[str, NDArray[np.float32]], row: dict[str, float], um: float, rng: np.random.Generator) -> None:
    rows, columns, body = _disc(row, 1.0 if str(row["kind"]) == "debris" else 1.45, um)
    grain = rng.lognormal(0, 0.25, body.shape).astype(np.float32)
    light["inclusion"][rows, columns] += row["ck"] * body * grain
    if str(row["kind"]) == "debris":
        return
    light["exclusion"][rows, columns] += row["cd45"] * body
    light["her2_protein"][rows, columns] += row["her2"] * body
    rows, columns, core = _disc(row, 1.0, um)
    light["nucleus"][rows, columns] += row["dapi"] * core


def _outlines(cells: pd.DataFrame, shape: tuple[int, int], um: float) -> Nuclei:
    boxes, packed, areas = [], [], []
    for row in cells.to_dict("records"):
        rows, columns, core = _disc(row, 1.0, um)
        mask = core > 0.5
        boxes.append((rows.start, columns.start, rows.stop, columns.stop))
        packed.append(np.packbits(mask).tobytes())
        areas.append(mask.sum() * um * um)
    n = len(cells)
    nothing = np.full(n, np.nan)
    return Nuclei(
        label=np.arange(1, n + 1, dtype=np.int32),
        box_px=np.array(boxes, np.int32).reshape(n, 4),
        packed=tuple(packed),
        pixel_um=(um, um),
        centroid_um=cells[["y", "x"]].to_numpy(float),
        area_um2=np.array(areas, float),
        z_um=np.zeros(n),
        thickness_um=nothing,
        focus=nothing,
        flags=np.zeros(n, np.int64),
        shape_px=shape,
    )
