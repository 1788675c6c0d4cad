"""Stain of the immunofluorescence scan left on the slide, shining into the FISH channels."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from ctcfish.synth.body import enlarge, window
from ctcfish.synth.population import Cell, generator
from ctcfish.synth.spec import SlideSpec

_COARSE_UM = 0.2
_BODY = 1.5
_DEPTH_UM = 3.0


def photograph_residue(spec: SlideSpec, cells: Sequence[Cell], origin_um: tuple[float, float]) -> NDArray[np.float32]:
    """Cytokeratin left in the HER2 channel and HER2 protein left in CEP17's.

    Parameters
    ----------
    spec : SlideSpec
    cells : sequence of Cell
    origin_um : tuple of float

    Returns
    -------
    ndarray of float32, (2, Z, Y, X)
        About 1 in the stained cytoplasm of a CTC in focus, in patches; fading over 3 um of defocus.
    """
    scan = spec.fish
    factor = max(1, round(_COARSE_UM / scan.pixel_um))
    coarse_um = factor * scan.pixel_um
    shape = (-(-scan.shape_px[0] // factor), -(-scan.shape_px[1] // factor))
    result = np.zeros((2, scan.planes, *scan.shape_px), np.float32)
    planes = np.arange(scan.planes) * scan.z_step_um
    for cell in (c for c in cells if c.kind == "ctc"):
        rng = generator(spec, "residue", cell.number)
        place = (cell.zyx_um[1] - origin_um[0], cell.zyx_um[2] - origin_um[1])
        seen = window(place, _BODY * cell.shape.reach_um, coarse_um, shape)
        depth = cell.shape.depth(seen.dy_um, seen.dx_um)
        noise = [cv2.GaussianBlur(rng.standard_normal(seen.side_px), (0, 0), 0.5 / coarse_um) for _ in range(2)]
        rows, columns = (slice(c, c + n) for c, n in zip(seen.cut_px, depth.shape, strict=True))
        cytoplasm = np.clip((_BODY - depth) / 0.15, 0, 1) * np.where(depth < 1, 0.5, 1.0)
        membrane = np.exp(-0.5 * ((depth - 0.93 * _BODY) / 0.1) ** 2) + 0.2 * (depth < _BODY)
        fade = np.exp(-0.5 * ((planes - cell.zyx_um[0]) / _DEPTH_UM) ** 2)
        strength = rng.lognormal(0.0, 0.4)
        for probe, stain in enumerate((cytoplasm, membrane)):
            patches = np.clip(1 + 0.6 * noise[probe] / noise[probe].std(), 0.1, 3)[rows, columns]
            coarse = np.zeros(shape, np.float32)
            coarse[seen.rows, seen.columns] = strength * stain * patches
            fine = enlarge(
                np.asarray(cv2.GaussianBlur(coarse, (0, 0), 0.25 / coarse_um), np.float32)[None], factor, scan.shape_px
            )[0]
            result[probe] += fade.astype(np.float32)[:, None, None] * fine
    return result
