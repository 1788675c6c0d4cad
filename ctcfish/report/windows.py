"""Cut from the scans what a report shows: a window per chosen cell, a reduced view per scene."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import reduce
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

PLANES = 7
"""Planes of a CTC's stack that are shown, at most."""

PLANE_SHARE = 0.75
"""Side of a plane's window over that of the projection: planes are many, and the nucleus is what they show."""

LEAST_CUT, LEAST_COPIES = 2.0, 6
"""Ratio and HER2 copies below which no published rule calls a cell amplified."""

STRIP_ROWS = 512
"""Rows read at once for a reduced view: memory does not grow with the scene."""


def take_pictures(slide: Slide, result: SlideResult, params: Report) -> dict[str, Picture]:
    """Read the windows and views of a slide.

    Returns
    -------
    dict of str to Picture
        ``view/<modality>/<scene>``; ``cell/<cell_id>/if`` and ``cell/<cell_id>/fish``, projected over z; and of CTC
        and of amplified cells of unknown kind, planes through the nucleus, ``cell/<cell_id>/plane/<k>``.
    """
    scenes = {"if": {s.name: s for s in slide.if_scenes}, "fish": {s.name: s for s in slide.fish_scenes}}
    pictures = {f"view/{kind}/{name}": _view(s) for kind, own in scenes.items() for name, s in own.items()}
    for cell in gallery(result.cells, params.max_gallery_cells).to_dict("records"):
        for kind, scene, y_um, x_um in _places(cell):
            key = f"cell/{cell['cell_id']}"
            window = _window(scenes[kind][scene], (y_um, x_um), params.crop_um)
            pictures[f"{key}/{kind}"] = replace(window, pixels=window.pixels.max(axis=1))
            if kind == "fish" and (cell["kind"] == "ctc" or (cell["kind"], cell["call"]) == ("unknown", "amplified")):
                planes = _planes(window, cell, scenes[kind][scene].voxel_um[0])
                pictures |= {f"{key}/plane/{k}": plane for k, plane in enumerate(planes)}
    return pictures


def gallery(cells: pd.DataFrame, most: int) -> pd.DataFrame:
    """Cells worth a picture: CTC first, then those that some rule calls amplified, then the rest; at most ``most``.

    The run's own rule has no say, so that calling again needs no other pictures.

    Leukocytes are shown only where there is nothing else to fill a handful of rows.
    """
    striking = (cells["ratio"] >= LEAST_CUT) | (cells["her2_count"] >= LEAST_COPIES).fillna(False)
    rank = np.select([cells["kind"] == "ctc", striking, cells["kind"] == "unknown"], [0, 1, 2], default=3)
    order = np.lexsort((cells["cell_id"].to_numpy(str), rank))
    shown = (rank[order] < 3) | (np.arange(len(cells)) < min(6, most))
    return cells.iloc[order[shown][:most]]


def _places(cell: Mapping[str, Any]) -> list[tuple[str, str, float, float]]:
    places = []
    if isinstance(cell["if_scene"], str):
        places.append(("if", cell["if_scene"], float(cell["if_y_um"]), float(cell["if_x_um"])))
    if isinstance(cell["scene"], str):
        places.append(("fish", cell["scene"], float(cell["y_um"]), float(cell["x_um"])))
    return places


def _planes(window: Picture, cell: Mapping[str, Any], z_step_um: float) -> list[Picture]:
    """Single planes of the signals' channels, spread evenly over the nucleus's height."""
    last = window.pixels.shape[1] - 1
    roles = tuple(role for role in window.roles if role != "nucleus")
    if last < 1 or not roles:
        return []
    half_um = float(cell["thickness_um"]) / 2 if pd.notna(cell["thickness_um"]) else np.inf
    middle_um = float(cell["z_um"]) if pd.notna(cell["z_um"]) else last * z_step_um / 2
    ends = np.clip(np.array([middle_um - half_um, middle_um + half_um]) / z_step_um, 0, last).round(3)
    low, high = int(np.floor(ends[0])), int(np.ceil(ends[1]))
    shown = np.unique(np.round(np.linspace(low, high, min(PLANES, high - low + 1))).astype(int))
    margin = round((1 - PLANE_SHARE) / 2 * window.pixels.shape[2])
    inner = slice(margin, window.pixels.shape[2] - margin)
    signals = window.pixels[[window.roles.index(role) for role in roles]][..., inner, inner]
    y_um, x_um = (origin + margin * window.pixel_um for origin in window.origin_um)
    whole = replace(window, roles=roles, origin_um=(y_um, x_um))
    return [replace(whole, pixels=signals[:, z], z_um=float(z * z_step_um)) for z in shown]


def _window(scene: Scene, center_um: tuple[float, float], side_um: float) -> Picture:
    """All planes ``(C, Z, Y, X)`` around a place."""
    pixel_um = scene.voxel_um[1]
    half = max(1, round(side_um / 2 / pixel_um))
    start = [round(c / pixel_um) - half for c in center_um]
    size = scene.pixels.shape[2:]
    inside = [slice(max(0, a), max(1, min(n, a + 2 * half + 1))) for a, n in zip(start, size, strict=True)]
    margins = [(max(0, -a), max(0, a + 2 * half + 1 - n)) for a, n in zip(start, size, strict=True)]
    pixels = np.stack([np.pad(scene.read(role, *inside), [(0, 0), *margins]) for role in scene.roles])
    return Picture(pixels, tuple(scene.roles), pixel_um, (start[0] * pixel_um, start[1] * pixel_um), scene.name)


def _view(scene: Scene) -> Picture:
    rows, columns = scene.pixels.shape[2:]
    factor = max(1, -(-max(rows, columns) // VIEW_PX))
    height = -(-STRIP_ROWS // factor) * factor
    strips = [_reduced(scene, slice(top, min(top + height, rows)), factor) for top in range(0, rows, height)]
    pixel_um = scene.voxel_um[1] * factor
    offset_um = (factor - 1) / 2 * scene.voxel_um[1]
    return Picture(np.concatenate(strips)[None], ("nucleus",), pixel_um, (offset_um, offset_um), scene.name)


def _reduced(scene: Scene, rows: slice, factor: int) -> NDArray[Any]:
    """Nucleus channel of some rows, projected and averaged over blocks."""
    n_planes, nucleus = scene.pixels.shape[1], scene.roles["nucleus"]
    planes = (scene.pixels.read(nucleus, slice(z, z + 1), rows, slice(None))[0] for z in range(n_planes))
    plane = reduce(np.maximum, planes)
    height, width = (max(1, n // factor) for n in plane.shape)
    # Whole numbers of 32 bits are none of the types that can be averaged.
    given = plane.astype(np.float64) if plane.dtype.kind in "iu" and plane.dtype.itemsize > 2 else plane
    return np.asarray(cv2.resize(given, (width, height), interpolation=cv2.INTER_AREA)).astype(plane.dtype)
