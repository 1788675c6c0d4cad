"""Cut from the scans what a report shows: a window per chosen cell, a reduced view per scene."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ctcfish.parameters import Report
from ctcfish.store.pictures import Picture
from ctcfish.types import Scene, Slide, SlideResult

VIEW_PX = 1600
"""Longer side of a reduced view."""

STRIP_ROWS = 512
"""Rows read at once for a reduced view: memory does not grow with the scene."""


def take_pictures(slide: Slide, result: SlideResult, params: Report) -> dict[str, Picture]:
    """Read the windows and views of a slide.

    Returns
    -------
    dict of str to Picture
        ``view/<modality>/<scene>``; ``cell/<cell_id>/if`` and ``cell/<cell_id>/fish``.
    """
    scenes = {"if": {s.name: s for s in slide.if_scenes}, "fish": {s.name: s for s in slide.fish_scenes}}
    pictures = {f"view/{kind}/{name}": _view(s) for kind, own in scenes.items() for name, s in own.items()}
    for cell in gallery(result.cells, params.max_gallery_cells).to_dict("records"):
        for kind, scene, y_um, x_um in _places(cell):
            key = f"cell/{cell['cell_id']}/{kind}"
            pictures[key] = _window(scenes[kind][scene], (y_um, x_um), params.crop_um)
    return pictures


def gallery(cells: pd.DataFrame, most: int) -> pd.DataFrame:
    """Cells worth a picture: CTC first, then amplified ones, then the rest; at most ``most``.

    Leukocytes are shown only where there is nothing else to fill a handful of rows.
    """
    rank = np.select(
        [cells["kind"] == "ctc", cells["call"] == "amplified", cells["kind"] == "unknown"], [0, 1, 2], default=3
    )
    ranked = cells.assign(_rank=rank).sort_values(["_rank", "cell_id"], kind="stable")
    shown = ranked[(ranked["_rank"] < 3) | (np.arange(len(ranked)) < min(6, most))]
    return shown.head(most).drop(columns="_rank")


def _places(cell: Mapping[str, Any]) -> list[tuple[str, str, float, float]]:
    places = []
    if isinstance(cell["if_scene"], str):
        places.append(("if", cell["if_scene"], float(cell["if_y_um"]), float(cell["if_x_um"])))
    if isinstance(cell["scene"], str):
        places.append(("fish", cell["scene"], float(cell["y_um"]), float(cell["x_um"])))
    return places


def _window(scene: Scene, center_um: tuple[float, float], side_um: float) -> Picture:
    pixel_um = scene.voxel_um[1]
    half = max(1, round(side_um / 2 / pixel_um))
    start = [round(c / pixel_um) - half for c in center_um]
    size = scene.pixels.shape[2:]
    inside = [slice(max(0, a), max(1, min(n, a + 2 * half + 1))) for a, n in zip(start, size, strict=True)]
    margins = [(max(0, -a), max(0, a + 2 * half + 1 - n)) for a, n in zip(start, size, strict=True)]
    pixels = np.stack([np.pad(scene.read(role, *inside).max(axis=0), margins) for role in scene.roles])
    return Picture(pixels, tuple(scene.roles), pixel_um, (start[0] * pixel_um, start[1] * pixel_um), scene.name)


def _view(scene: Scene) -> Picture:
    rows, columns = scene.pixels.shape[2:]
    factor = max(1, -(-max(rows, columns) // VIEW_PX))
    strips = [
        _reduced(scene, slice(top, min(top + STRIP_ROWS * factor, rows)), factor)
        for top in range(0, rows, STRIP_ROWS * factor)
    ]
    pixel_um = scene.voxel_um[1] * factor
    offset_um = (factor - 1) / 2 * scene.voxel_um[1]
    return Picture(np.concatenate(strips)[None], ("nucleus",), pixel_um, (offset_um, offset_um), scene.name)


def _reduced(scene: Scene, rows: slice, factor: int) -> NDArray[Any]:
    """Nucleus channel of some rows, projected and averaged over blocks."""
    plane = scene.read("nucleus", rows).max(axis=0)
    height, width = (max(1, n // factor) for n in plane.shape)
    # Whole numbers of 32 bits are none of the types that can be averaged.
    given = plane.astype(np.float64) if plane.dtype.kind in "iu" and plane.dtype.itemsize > 2 else plane
    return np.asarray(cv2.resize(given, (width, height), interpolation=cv2.INTER_AREA)).astype(plane.dtype)
