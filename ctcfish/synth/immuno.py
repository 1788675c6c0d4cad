"""The immunofluorescence scan of the same cells: nuclei, cytokeratin, CD45 and HER2 protein, before re-mounting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ctcfish.synth.camera import expose, shading
from ctcfish.synth.nucleus import mask
from ctcfish.synth.population import Cell, generator, populate, world_um
from ctcfish.synth.spec import AMPLIFIED, IfScan, SlideSpec, Stage
from ctcfish.tables import IF_CELLS

CHANNELS = ("DAPI", "CK", "CD45", "HER2")
_ROLES = ("nucleus", "inclusion", "exclusion", "her2_protein")
SCENE = "scan"
_FINE_UM = 0.2
_BODY = {"ctc": 1.5, "wbc": 1.32}
"""Cell over nucleus: 12.4 and 9.4 um whole objects."""


@dataclass(frozen=True)
class IfField:
    """The simulated IF scan with its truth.

    Attributes
    ----------
    scene : str
    pixels : ndarray of uint16, (C, 1, Y, X)
    voxel_um : tuple of float
        ``(0, y, x)``.
    channels : tuple of str
    labels : ndarray of int32, (Y, X)
    cells : pandas.DataFrame
        Columns of ``if_cells``, and ``cell`` (number on the slide), ``copy_class``, ``in_fish``.
    to_fish : ndarray of float64, (2, 3)
        IF um ``(y, x)`` to um on the slide, from the first FISH field's first pixel centre.
    """

    scene: str
    pixels: NDArray[np.uint16]
    voxel_um: tuple[float, float, float]
    channels: tuple[str, ...]
    labels: NDArray[np.int32]
    cells: pd.DataFrame
    to_fish: NDArray[np.float64]


def if_field(spec: SlideSpec) -> IfField:
    """Simulate the IF scan of a slide in memory."""
    return render_if(spec, populate(spec))


def render_if(spec: SlideSpec, cells: Sequence[Cell]) -> IfField:
    """Photograph the IF scan of a slide whose cells are known."""
    scan, rng = spec.immuno, generator(spec, "if")
    shape, to_if = geometry(spec)
    light = np.zeros((4, *shape), np.float32)
    labels = np.zeros(shape, np.int32)
    rows = []
    for cell in cells:
        chance = generator(spec, "if", cell.number)
        moved = _place(cell, to_if, spec.stage, chance)
        levels = _levels(cell, scan, chance)
        if not cell.in_if:
            continue
        label = len(rows) + 1
        if _draw(light, labels, (cell, moved, levels, label), to_if, spec, chance):
            rows.append((label, moved, cell, levels))
    for _ in range(spec.nuisance.debris):
        _draw_debris(light, scan, rng)
    per_pixel = (scan.pixel_um / 0.64) ** 2
    for channel in range(4):
        light[channel] = _blur(light[channel], scan, _ROLES[channel]) * np.float32(per_pixel)
        light[channel] += np.float32(scan.background_photons * per_pixel)
        light[channel] *= shading(shape, scan.shading, rng)
    pixels = expose(light, scan.camera, rng)[:, None]
    inverse = _inverse(to_if)
    return IfField(
        SCENE, pixels, (0.0, scan.pixel_um, scan.pixel_um), CHANNELS, labels, _rows(spec, rows, labels), inverse
    )


def geometry(spec: SlideSpec) -> tuple[tuple[int, int], NDArray[np.float64]]:
    """Size of the IF image and the transform ``(2, 3)`` from um on the slide to um in the IF scan.

    The image holds the FISH fields and a margin, turned as the stage turned them; the shift moves them off its middle.
    """
    stage, scan = spec.stage, spec.immuno
    angle = np.deg2rad(stage.rotation_deg)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    linear = stage.scale * turn @ np.diag([1.0, -1.0 if stage.mirrored else 1.0])
    world = np.array(world_um(spec.fish))
    size_um = np.abs(linear) @ world + 2 * scan.margin_um
    shape = tuple(int(np.ceil(s / scan.pixel_um)) for s in size_um)
    offset = size_um / 2 + np.array(stage.shift_um) - linear @ (world / 2)
    return (shape[0], shape[1]), np.column_stack([linear, offset])


def _inverse(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    linear = np.linalg.inv(matrix[:, :2])
    return np.column_stack([linear, -linear @ matrix[:, 2]])


def _place(cell: Cell, to_if: NDArray[np.float64], stage: Stage, rng: np.random.Generator) -> NDArray[np.float64]:
    return np.asarray(to_if[:, :2] @ cell.zyx_um[1:] + to_if[:, 2] + stage.jitter_um * rng.standard_normal(2))


def _levels(cell: Cell, scan: IfScan, rng: np.random.Generator) -> NDArray[np.float64]:
    """Photons of each marker in the cell: DNA, cytokeratin, CD45, HER2 protein."""
    spread = np.exp(scan.marker_log_sd * rng.standard_normal(4))
    spread[0] = np.exp(0.15 * rng.standard_normal())
    if cell.kind == "wbc":
        own = (scan.nucleus_photons, 0.02 * scan.ck_photons, scan.cd45_photons, 0.08 * scan.her2_photons)
    else:
        amplified = scan.amplified_her2_ratio if cell.copy_class in AMPLIFIED else 1.0
        own = (
            0.8 * scan.nucleus_photons, scan.ck_photons, 0.02 * scan.cd45_photons, amplified * scan.her2_photons,
        )  # fmt: skip
    return np.asarray(own * spread)


_Drawn = tuple[Cell, NDArray[np.float64], NDArray[np.float64], int]


def _draw(
    light: NDArray[np.float32],
    labels: NDArray[np.int32],
    drawn: _Drawn,
    to_if: NDArray[np.float64],
    spec: SlideSpec,
    rng: np.random.Generator,
) -> bool:
    """Add one cell to the image; false where nothing of its nucleus lies in it."""
    cell, moved, levels, label = drawn
    pixel = spec.immuno.pixel_um
    body = _BODY[cell.kind] * float(rng.uniform(0.92, 1.1))
    reach = 1.3 * body * cell.shape.reach_um * spec.stage.scale + 1.0
    fine = max(1, int(np.ceil(pixel / _FINE_UM)))
    spans = [
        (max(0, int((m - reach) / pixel)), min(side, int((m + reach) / pixel) + 2))
        for m, side in zip(moved, labels.shape, strict=True)
    ]
    if any(high <= low for low, high in spans):
        return False
    axes = [
        (np.arange((high - low) * fine) - (fine - 1) / 2) / fine * pixel + low * pixel - m
        for (low, high), m in zip(spans, moved, strict=True)
    ]
    dy, dx = np.broadcast_arrays(axes[0][:, None], axes[1])
    back = np.linalg.inv(to_if[:, :2]) * spec.stage.swelling
    local = (back[0, 0] * dy + back[0, 1] * dx, back[1, 0] * dy + back[1, 1] * dx)
    stains = _stains(cell, local, body, rng)
    window = (slice(*spans[0]), slice(*spans[1]))
    shape = (spans[0][1] - spans[0][0], fine, spans[1][1] - spans[1][0], fine)
    for channel, stain in enumerate(stains):
        light[channel][window] += (levels[channel] * stain.reshape(shape).mean(axis=(1, 3))).astype(np.float32)
    inside = mask(cell.shape, *local).reshape(shape).mean(axis=(1, 3)) >= 0.5
    labels[window][inside] = label
    return bool(inside.any())


def _stains(
    cell: Cell, local: tuple[NDArray[np.float64], NDArray[np.float64]], body: float, rng: np.random.Generator
) -> tuple[NDArray[np.float64], ...]:
    """Share of each marker's light over the cell: DNA, cytokeratin, CD45, HER2 protein."""
    shape = cell.shape
    aside = rng.normal(0, 0.08 * shape.radius_um, 2)
    nucleus = mask(shape, *local)
    rim = shape.depth(local[0] - aside[0], local[1] - aside[1]) / body
    dna = nucleus * (1.8 if cell.dying else shape.half_thickness_um(shape.depth(*local)) * 2 / shape.thickness_um)
    inside = np.clip((1.0 - rim) / 0.08, 0.0, 1.0)
    filaments = np.clip(1.0 + 0.35 * _grain(rim.shape, rng), 0.2, 2.5)
    ring = np.exp(-0.5 * ((rim - 0.93) / 0.07) ** 2)
    cytokeratin = inside * filaments * np.where(nucleus, 0.4, 1.0) * np.clip(1.25 - 0.45 * rim, 0.4, None)
    membrane = ring * np.clip(1.0 + 0.25 * _grain(rim.shape, rng), 0.3, 2.0) + 0.3 * inside
    return dna, cytokeratin, membrane, membrane * (1.0 if cell.kind == "ctc" else 0.6)


def _grain(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float32]:
    noise = cv2.GaussianBlur(rng.standard_normal(shape, dtype=np.float32), (0, 0), 2.5)
    return np.asarray(noise / max(float(noise.std()), 1e-9), np.float32)


def _draw_debris(light: NDArray[np.float32], scan: IfScan, rng: np.random.Generator) -> None:
    """Add a stained scrap without nucleus."""
    shape = light.shape[1:]
    centre = tuple(int(c) for c in rng.uniform((0, 0), shape))
    axes = tuple(max(1, round(a / scan.pixel_um)) for a in rng.uniform(0.8, 4.0, 2))
    scrap = np.zeros(shape, np.float32)
    cv2.ellipse(scrap, (centre[1], centre[0]), axes, float(rng.uniform(0, 180)), 0, 360, 1.0, -1)
    strength = np.array([0.1 * scan.nucleus_photons, scan.ck_photons, scan.cd45_photons, scan.her2_photons])
    light += scrap * (strength * rng.uniform(0.1, 1.2, 4) * (1, 1, 0.5, 1)).astype(np.float32)[:, None, None]


def _blur(image: NDArray[np.float32], scan: IfScan, role: str) -> NDArray[np.float32]:
    """Lens blur (a Gaussian of the Airy disc's width) and a faint halo of what lies out of focus."""
    emission = {str(k): v for k, v in scan.emission_nm.items()}[role] / 1000.0
    sigma = 0.51 * emission / scan.na / 2.355 / scan.pixel_um
    sharp = cv2.GaussianBlur(image, (0, 0), max(sigma, 0.1))
    return np.asarray(0.85 * sharp + 0.15 * cv2.GaussianBlur(image, (0, 0), 3.0 / scan.pixel_um), np.float32)


def _rows(
    spec: SlideSpec,
    drawn: Sequence[tuple[int, NDArray[np.float64], Cell, NDArray[np.float64]]],
    labels: NDArray[np.int32],
) -> pd.DataFrame:
    area = np.bincount(labels.ravel(), minlength=len(drawn) + 1)[1:] * spec.immuno.pixel_um**2
    frame = pd.DataFrame(
        {
            "slide_id": spec.slide_id,
            "if_scene": SCENE,
            "if_label": [label for label, *_ in drawn],
            "if_y_um": [moved[0] for _, moved, *_ in drawn],
            "if_x_um": [moved[1] for _, moved, *_ in drawn],
            "area_um2": area[: len(drawn)],
            "kind": [cell.kind for _, _, cell, _ in drawn],
            "her2_protein_class": [_protein_class(cell) for _, _, cell, _ in drawn],
            "flags": "",
        }
    )
    own = pd.DataFrame(
        {
            "cell": [cell.number for _, _, cell, _ in drawn],
            "copy_class": [cell.copy_class for _, _, cell, _ in drawn],
            "in_fish": [cell.in_fish for _, _, cell, _ in drawn],
            "her2_photons": [float(levels[3]) for *_, levels in drawn],
        }
    )
    return pd.concat([IF_CELLS.check(frame), own], axis=1)


def _protein_class(cell: Cell) -> str:
    return "high" if cell.kind == "ctc" and cell.copy_class in AMPLIFIED else "negative"
