"""Cells a reader chose (``ctc.csv``): each names the nucleus nearest to it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ctcfish.errors import InputError
from ctcfish.types import Scene

_UNITS = (("y_um", "x_um"), ("y_px", "x_px"), ("stage_y_um", "stage_x_um"))
_REACH_UM = 10.0


def mark_chosen(cells: pd.DataFrame, chosen: pd.DataFrame, scenes: Mapping[str, Scene]) -> pd.DataFrame:
    """Make the nuclei a reader pointed at CTCs: ``chosen`` true, ``kind`` ctc, with the automatic probability kept.

    Parameters
    ----------
    cells : pandas.DataFrame
        Classified nuclei with ``if_scene, if_y_um, if_x_um, kind, chosen``.
    chosen : pandas.DataFrame
        One pair of ``y_um, x_um`` or ``y_px, x_px`` (from the first pixel centre) or ``stage_y_um, stage_x_um``; and
        ``if_scene`` where the slide has several IF scenes (not needed with stage coordinates).
    scenes : mapping of str to Scene
        IF scenes by name.

    Raises
    ------
    InputError
        No known pair of columns, an unknown scene, or a place without a nucleus within 10 um.
    """
    if not len(chosen):
        return cells
    rows = [_nearest(cells, place, row) for row, place in enumerate(_places(chosen, scenes), start=2)]
    marked = cells.copy()
    index = marked.index[rows]
    marked.loc[index, "chosen"] = True
    marked.loc[index, "kind"] = "ctc"
    return marked


def _places(chosen: pd.DataFrame, scenes: Mapping[str, Scene]) -> list[tuple[str, float, float]]:
    pair = next((p for p in _UNITS if set(p) <= set(chosen.columns)), None)
    if pair is None:
        raise InputError(
            "ctc.csv",
            f"columns {list(chosen.columns)}",
            "y_um and x_um, y_px and x_px, or stage_y_um and stage_x_um",
            "Name the columns so.",
        )
    values: NDArray[np.float64] = chosen[list(pair)].to_numpy(np.float64)
    names = chosen["if_scene"].tolist() if "if_scene" in chosen.columns else [None] * len(chosen)
    return [_place(pair, (y, x), name, scenes) for (y, x), name in zip(values.tolist(), names, strict=True)]


def _place(
    pair: tuple[str, str], at: tuple[float, float], name: object, scenes: Mapping[str, Scene]
) -> tuple[str, float, float]:
    if pair[0].startswith("stage") and not isinstance(name, str):
        name = _scene_at(at, scenes)
    elif not isinstance(name, str) and len(scenes) == 1:
        name = next(iter(scenes))
    if not isinstance(name, str) or name not in scenes:
        raise InputError("ctc.csv", f"IF scene {name!r}", f"one of {sorted(scenes)}", "Fill in the column if_scene.")
    scene = scenes[name]
    if pair[0] == "y_px":
        return name, at[0] * scene.voxel_um[1], at[1] * scene.voxel_um[2]
    if pair[0] == "y_um":
        return name, at[0], at[1]
    if scene.stage_um is None:
        raise InputError(
            "ctc.csv", "stage coordinates", f"a stage position of IF scene {name!r}", "Give y_um, x_um or y_px, x_px."
        )
    return name, at[0] - scene.stage_um[0], at[1] - scene.stage_um[1]


def _scene_at(at: tuple[float, float], scenes: Mapping[str, Scene]) -> str | None:
    """The first scene whose field holds a stage position."""
    for name in sorted(scenes):
        scene = scenes[name]
        if scene.stage_um is None:
            continue
        y, x = at[0] - scene.stage_um[0], at[1] - scene.stage_um[1]
        height, width = scene.pixels.shape[2] * scene.voxel_um[1], scene.pixels.shape[3] * scene.voxel_um[2]
        if 0 <= y <= height and 0 <= x <= width:
            return name
    return None


def _nearest(cells: pd.DataFrame, place: tuple[str, float, float], row: int) -> int:
    name, y, x = place
    rows = np.flatnonzero((cells["if_scene"] == name).to_numpy())
    found = f"row {row} at ({y:.1f}, {x:.1f}) um of IF scene {name!r}"
    if len(rows):
        distance, nearest = cKDTree(cells.iloc[rows][["if_y_um", "if_x_um"]].to_numpy(np.float64)).query([y, x])
        if distance <= _REACH_UM:
            return int(rows[nearest])
        found += f", {distance:.0f} um from the nearest nucleus"
    raise InputError("ctc.csv", found, f"a nucleus within {_REACH_UM:.0f} um", "Check the units and the scene.")
