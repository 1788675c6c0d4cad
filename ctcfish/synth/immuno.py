"""The immunofluorescence scan of the same cells: nuclei, cytokeratin, CD45 and HER2 protein, before re-mounting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ctcfish.synth.body import window
from ctcfish.synth.camera import expose, shading
from ctcfish.synth.nucleus import mask
from ctcfish.synth.population import Cell, Scrap, generator, populate, scraps_of, world_um
from ctcfish.synth.spec import IfScan, SlideSpec
from ctcfish.synth.stains import BODY, levels, protein_class, stain
from ctcfish.tables import IF_CELLS

CHANNELS = ("DAPI", "CK", "CD45", "HER2")
SCENE = "scan"
_FINE_UM = 0.2
_HALO_SHARE, _HALO_UM = 0.15, 3.0
_COVERED = 0.5


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
        Projected nuclei; the one drawn last holds the ground.
    cells : pandas.DataFrame
        One row per nucleus in the scan: columns of ``if_cells``, and ``cell`` (number on the slide), ``copy_class``,
        ``in_fish`` (not lost between the scans), ``her2_photons``.
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


@dataclass(frozen=True)
class _Seen:
    """A cell as it lies in the IF scan."""

    cell: Cell
    yx_um: NDArray[np.float64]
    levels: NDArray[np.float64]
    protein: str


def if_field(spec: SlideSpec) -> IfField:
    """Simulate the IF scan of a slide in memory.

    Raises
    ------
    ConfigError
        The cells do not fit on the slide.
    """
    return render_if(spec, populate(spec))


def render_if(spec: SlideSpec, cells: Sequence[Cell]) -> IfField:
    """Photograph the IF scan of a slide whose cells are known."""
    scan, rng = spec.immuno, generator(spec, "if")
    shape, to_if = geometry(spec)
    light = np.zeros((4, *shape), np.float32)
    labels = np.zeros(shape, np.int32)
    shown: list[_Seen] = []
    for cell in cells:
        chance = generator(spec, "if", cell.number)
        seen = _see(spec, cell, to_if, chance)
        if cell.in_if and _draw(light, labels, (seen, len(shown) + 1, to_if), spec, chance):
            shown.append(seen)
    for scrap in scraps_of(spec):
        _draw_scrap(light, scrap, to_if, scan)
    per_pixel = np.float32((scan.pixel_um / 0.64) ** 2)
    for channel, emission in enumerate(scan.emission_nm):
        light[channel] = _blur(light[channel], scan, emission) + np.float32(scan.background_photons)
        light[channel] *= per_pixel * shading(shape, scan.shading, rng)
    return IfField(
        scene=SCENE,
        pixels=expose(light, scan.camera, rng)[:, None],
        voxel_um=(0.0, scan.pixel_um, scan.pixel_um),
        channels=CHANNELS,
        labels=labels,
        cells=_rows(spec, shown, labels),
        to_fish=inverse(to_if),
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
    height, width = (int(np.ceil(s / scan.pixel_um)) for s in size_um)
    offset = size_um / 2 + np.array(stage.shift_um) - linear @ (world / 2)
    return (height, width), np.column_stack([linear, offset])


def inverse(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inverse of an affine transform ``(2, 3)``."""
    linear = np.linalg.inv(matrix[:, :2])
    return np.column_stack([linear, -linear @ matrix[:, 2]])


def warp(spec: SlideSpec, yx_um: tuple[float, float]) -> NDArray[np.float64]:
    """Displacement ``(y, x)`` of a place on the slide between the scans: a smooth wave in each direction."""
    phase = generator(spec, "warp").uniform(0, 2 * np.pi, 4)
    angle = 2 * np.pi / spec.stage.warp_length_um * np.array([*yx_um, *yx_um]) + phase
    waves = np.sin(angle)
    return np.asarray(spec.stage.warp_um / np.sqrt(2.0) * (waves[:2] + waves[3:1:-1]))


def _see(spec: SlideSpec, cell: Cell, to_if: NDArray[np.float64], rng: np.random.Generator) -> _Seen:
    place = to_if[:, :2] @ (cell.zyx_um[1:] + warp(spec, cell.zyx_um[1:])) + to_if[:, 2]
    place = place + spec.stage.jitter_um * rng.standard_normal(2)
    protein = protein_class(cell, spec.immuno, rng)
    return _Seen(cell, place, levels(cell, protein, spec.immuno, rng), protein)


def _draw(
    light: NDArray[np.float32],
    labels: NDArray[np.int32],
    drawn: tuple[_Seen, int, NDArray[np.float64]],
    spec: SlideSpec,
    rng: np.random.Generator,
) -> bool:
    """Add one cell to the image; false where nothing of its nucleus lies in it."""
    seen, label, to_if = drawn
    pixel, cell = spec.immuno.pixel_um, seen.cell
    body = BODY[cell.kind] * float(rng.uniform(0.92, 1.1))
    reach = 1.2 * body * cell.shape.reach_um * spec.stage.scale / spec.stage.swelling + 1.0
    shape = (labels.shape[0], labels.shape[1])
    around = window((seen.yx_um[0], seen.yx_um[1]), reach, pixel, shape)
    fine = max(1, int(np.ceil(pixel / _FINE_UM)))
    within = ((np.arange(fine) + 0.5) / fine - 0.5) * pixel
    dy = (around.dy_um[:, :1] + within).ravel()[:, None]
    dx = (around.dx_um[:1].T + within).ravel() if around.dx_um.size else np.zeros(0)
    if not (dy.size and dx.size):
        return False
    back = np.linalg.inv(to_if[:, :2]) * spec.stage.swelling
    own_y, own_x = back[0, 0] * dy + back[0, 1] * dx, back[1, 0] * dy + back[1, 1] * dx
    parts = (4, dy.size // fine, fine, dx.size // fine, fine)
    share, nucleus = stain(cell, own_y, own_x, body, rng)
    share = share.reshape(parts).mean(axis=(2, 4))
    light[:, around.rows, around.columns] += seen.levels.astype(np.float32)[:, None, None] * share
    inside = nucleus.reshape(parts[1:]).mean(axis=(1, 3)) >= _COVERED
    labels[around.rows, around.columns][inside] = label
    return bool(inside.any())


def _draw_scrap(light: NDArray[np.float32], scrap: Scrap, to_if: NDArray[np.float64], scan: IfScan) -> None:
    y, x = to_if[:, :2] @ scrap.zyx_um[1:] + to_if[:, 2]
    around = window((float(y), float(x)), scrap.shape.reach_um, scan.pixel_um, (light.shape[1], light.shape[2]))
    inside = mask(scrap.shape, around.dy_um, around.dx_um).astype(np.float32)
    own = np.array([scan.nucleus_photons, scan.ck_photons, scan.cd45_photons, scan.her2_photons])
    light[:, around.rows, around.columns] += (own * scrap.stain).astype(np.float32)[:, None, None] * inside


def _blur(image: NDArray[np.float32], scan: IfScan, emission_nm: float) -> NDArray[np.float32]:
    """Lens blur (a Gaussian of the Airy disc's width) and a faint halo of what lies out of focus."""
    sigma = 0.51 * emission_nm / 1000.0 / scan.na / 2.355 / scan.pixel_um
    sharp = cv2.GaussianBlur(image, (0, 0), max(sigma, 0.1))
    halo = cv2.GaussianBlur(image, (0, 0), _HALO_UM / scan.pixel_um)
    return np.asarray((1 - _HALO_SHARE) * sharp + _HALO_SHARE * halo, np.float32)


def _rows(spec: SlideSpec, shown: Sequence[_Seen], labels: NDArray[np.int32]) -> pd.DataFrame:
    area = np.bincount(labels.ravel(), minlength=len(shown) + 1)[1:] * spec.immuno.pixel_um**2
    frame = pd.DataFrame(
        {
            "slide_id": spec.slide_id,
            "if_scene": SCENE,
            "if_label": np.arange(1, len(shown) + 1),
            "if_y_um": [float(s.yx_um[0]) for s in shown],
            "if_x_um": [float(s.yx_um[1]) for s in shown],
            "area_um2": area,
            "kind": [s.cell.kind for s in shown],
            "her2_protein_class": [s.protein for s in shown],
            "flags": "",
        }
    )
    own = pd.DataFrame(
        {
            "cell": [s.cell.number for s in shown],
            "copy_class": [s.cell.copy_class for s in shown],
            "in_fish": [s.cell.in_fish for s in shown],
            "her2_photons": [float(s.levels[3]) for s in shown],
        }
    )
    return pd.concat([IF_CELLS.check(frame), own], axis=1)
