"""What the immunofluorescence stains show of one cell: how bright, and where in the cell."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ctcfish.synth.nucleus import mask
from ctcfish.synth.population import Cell
from ctcfish.synth.spec import AMPLIFIED, IfScan

BODY = {"ctc": 1.5, "wbc": 1.32}
"""Cell over nucleus: 12.4 and 9.4 um whole objects."""
_GRAIN_PX = 2.5


def protein_class(cell: Cell, scan: IfScan, rng: np.random.Generator) -> str:
    """HER2 protein of a cell: high with amplification, else negative or, in some CTC, medium."""
    if cell.kind != "ctc":
        return "negative"
    if cell.copy_class in AMPLIFIED:
        return "high"
    return "medium" if rng.random() < scan.medium_her2_share else "negative"


def levels(cell: Cell, protein: str, scan: IfScan, rng: np.random.Generator) -> NDArray[np.float64]:
    """Photons of each stain in the cell ``(4,)``: DNA, cytokeratin, CD45, HER2 protein."""
    spread = np.exp(scan.marker_log_sd * rng.standard_normal(4))
    dna = scan.nucleus_photons * cell.shape.brightness
    if cell.kind == "wbc":
        own = (dna, 0.02 * scan.ck_photons, scan.cd45_photons, 0.08 * scan.her2_photons)
    else:
        ratio = {"negative": 1.0, "medium": scan.medium_her2_ratio, "high": scan.amplified_her2_ratio}[protein]
        own = (dna, scan.ck_photons, 0.02 * scan.cd45_photons, ratio * scan.her2_photons)
    return np.asarray(own * np.array([1.0, *spread[1:]]))


def stain(
    cell: Cell, dy_um: NDArray[np.float64], dx_um: NDArray[np.float64], body: float, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Share of each stain's light over the cell.

    Parameters
    ----------
    cell : Cell
    dy_um, dx_um : ndarray, (Y, X)
        Offsets from the nucleus's centre, turned into the cell's own frame.
    body : float
        Cell over nucleus.
    rng : numpy.random.Generator

    Returns
    -------
    share : ndarray of float32, (4, Y, X)
        DNA through the nucleus's thickness; cytokeratin as filaments in the cytoplasm, fewer over the nucleus; CD45
        and HER2 protein as a patchy membrane seen edge-on, fainter over the cell's face.
    nucleus : ndarray of bool, (Y, X)
    """
    shape = cell.shape
    depth = shape.depth(dy_um, dx_um)
    nucleus = mask(shape, dy_um, dx_um) if cell.dying else depth <= 1.0
    aside = rng.normal(0, 0.08 * shape.radius_um, 2)
    rim = shape.depth(dy_um - aside[0], dx_um - aside[1]) / body
    thickness = shape.half_thickness_um(depth) * 2 / shape.thickness_um
    dna = nucleus * (1.8 if cell.dying else thickness)
    inside = np.clip((1.0 - rim) / 0.08, 0.0, 1.0)
    filaments = np.clip(1.0 + 0.35 * _grain(rim.shape, rng), 0.2, 2.5)
    cytokeratin = inside * filaments * np.where(nucleus, 0.4, 1.0) * np.clip(1.25 - 0.45 * rim, 0.4, None)
    edge = np.exp(-0.5 * ((rim - 0.93) / 0.07) ** 2)
    membrane = edge * np.clip(1.0 + 0.25 * _grain(rim.shape, rng), 0.3, 2.0) + 0.3 * inside
    return np.stack([dna, cytokeratin, membrane, membrane]).astype(np.float32), nucleus


def _grain(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float32]:
    noise = cv2.GaussianBlur(rng.standard_normal(shape, dtype=np.float32), (0, 0), _GRAIN_PX)
    return np.asarray(noise / max(float(noise.std()), 1e-9), np.float32)
