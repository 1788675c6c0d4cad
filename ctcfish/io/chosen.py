"""``ctc.csv``: cells that a reader chose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ctcfish.errors import InputError
from ctcfish.io.resolve import Resolved
from ctcfish.io.sheet import read_csv
from ctcfish.io.units import to_number
from ctcfish.types import Scene

UNITS = {"px": ("y_px", "x_px"), "um": ("y_um", "x_um"), "stage": ("y_stage_um", "x_stage_um")}
"""Pairs of columns, one of which gives the coordinates."""
COLUMNS = ("scene", "modality", "y_um", "x_um", "reader", "note")
OPTIONAL = ("scene", "reader", "note")


def read_chosen(path: Path, scenes: tuple[Scene, ...]) -> pd.DataFrame:
    """Cells a reader chose, in micrometres from the first pixel centre of their scene.

    Parameters
    ----------
    path : Path
        CSV with ``y_px, x_px``, or ``y_um, x_um``, or ``y_stage_um, x_stage_um``; ``scene`` where there are several;
        optional ``reader`` and ``note``.
    scenes : tuple of Scene
        The scan the coordinates refer to (IF where there is one).

    Returns
    -------
    pandas.DataFrame
        ``scene, modality, y_um, x_um, reader, note``; no rows where no cell was chosen.

    Raises
    ------
    InputError
        Other columns, a value that is no number, a scene that is not there, a cell outside its scene, stage
        coordinates of a scene whose stage position is not known.
    """
    by_name = {scene.name: scene for scene in scenes}
    rows = []
    for number, row in read_csv(path):
        where = f"{path.name}, line {number}"
        unit = _unit(row, where)
        scene = _scene(row, by_name, where)
        y_um, x_um = _position(row, unit, scene, where)
        texts = {key: row.get(key, "") for key in ("reader", "note")}
        rows.append({"scene": scene.name, "modality": scene.modality, "y_um": y_um, "x_um": x_um} | texts)
    return _frame(rows)


def read_marked(scenes: Sequence[Resolved]) -> pd.DataFrame | None:
    """Cells that the scanner's operator chose, as :func:`read_chosen` gives them; ``None`` where no scan lists any."""
    rows = [
        {
            "scene": scene.image.name,
            "modality": scene.modality,
            "y_um": y * scene.pixel_um[0],
            "x_um": x * scene.pixel_um[1],
            "reader": scene.image.kind,
            "note": "",
        }
        for scene in scenes
        if scene.pixel_um is not None
        for y, x in scene.image.chosen_px
    ]
    return _frame(rows) if any(scene.image.device for scene in scenes) else None


def _frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"y_um": np.float64, "x_um": np.float64})


def _unit(row: Mapping[str, str], where: str) -> str:
    present = [unit for unit, pair in UNITS.items() if any(column in row for column in pair)]
    allowed = (*(c for unit in present for c in UNITS[unit]), *OPTIONAL)
    unknown = [column for column in row if column not in allowed]
    if len(present) != 1 or unknown:
        pairs = " or ".join(",".join(pair) for pair in UNITS.values())
        raise InputError(
            where,
            f"columns {', '.join(row)}",
            f"{pairs}, and optionally {', '.join(OPTIONAL)}",
            "Correct the header of the list of cells.",
        )
    return present[0]


def _scene(row: Mapping[str, str], by_name: Mapping[str, Scene], where: str) -> Scene:
    name = row.get("scene", "")
    if not name and len(by_name) == 1:
        return next(iter(by_name.values()))
    if name not in by_name:
        raise InputError(
            where, f"scene {name!r}", f"one of {', '.join(by_name)}", "Name the image in the column `scene`."
        )
    return by_name[name]


def _position(row: Mapping[str, str], unit: str, scene: Scene, where: str) -> tuple[float, float]:
    numbers = [to_number(row.get(column)) for column in UNITS[unit]]
    if numbers[0] is None or numbers[1] is None:
        given = [row.get(column, "") for column in UNITS[unit]]
        raise InputError(where, f"coordinates {given}", f"two numbers in {UNITS[unit]}", "Correct the line.")
    pixel = np.array(scene.voxel_um[1:])
    point = np.array(numbers, dtype=np.float64)
    if unit == "px":
        point *= pixel
    elif unit == "stage":
        if scene.stage_um is None:
            raise InputError(
                where,
                f"stage coordinates of image {scene.name}, whose stage position is not known",
                "an image with stage position",
                "Give the cells as y_px,x_px or y_um,x_um.",
            )
        point -= np.array(scene.stage_um)
    size = (np.array(scene.pixels.shape[2:]) - 0.5) * pixel
    if (point < -0.5 * pixel).any() or (point > size).any():
        raise InputError(
            where,
            f"a cell at ({point[0]:g}, {point[1]:g}) um outside image {scene.name}",
            f"coordinates up to ({size[0]:g}, {size[1]:g}) um",
            "Check the unit and the order y, x.",
        )
    return float(point[0]), float(point[1])
