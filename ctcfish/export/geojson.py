"""Nuclei and signals as GeoJSON that QuPath opens: one file a scene, in pixels of the scene's full resolution.

QuPath puts the corner of the first pixel at (0, 0); this program's lengths begin at its centre. So half a pixel is
added to every point, while the outlines of nuclei run along pixel edges and need nothing.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from itertools import chain
from math import isfinite
from pathlib import Path
from typing import Any

import pandas as pd

from ctcfish import tables
from ctcfish.export.outlines import nuclei_masks, polygons
from ctcfish.export.scenes import StoredScene, scenes_of

COLOURS: Mapping[str, tuple[int, int, int]] = {
    "amplified": (213, 94, 0),
    "not_amplified": (0, 114, 178),
    "not_evaluable": (150, 150, 150),
    "HER2": (255, 115, 25),
    "CEP17": (50, 220, 90),
    "ctc": (230, 159, 0),
    "wbc": (86, 180, 233),
}
"""Colour of a class by its last word; the others are grey."""
GREY = (150, 150, 150)

NAMES = uuid.uuid5(uuid.NAMESPACE_URL, "https://pypi.org/project/ctcfish")
"""Space of the objects' identifiers, so that the same cell has the same one in every export."""


def export_geojson(run: Path, out: Path) -> None:
    """Write ``out/<slide_id>/<modality>_<scene>.geojson`` for every scene of a run."""
    for scene in scenes_of(run):
        (out / scene.slide_id).mkdir(parents=True, exist_ok=True)
        with (out / scene.slide_id / f"{scene.stem}.geojson").open("w", encoding="utf-8", newline="\n") as stream:
            stream.write('{"type": "FeatureCollection", "features": [')
            for number, feature in enumerate(chain(_nuclei(scene), _signals(scene))):
                stream.write(",\n" if number else "\n")
                json.dump(feature, stream, ensure_ascii=False, allow_nan=False)
            stream.write("\n]}\n")


def _nuclei(scene: StoredScene) -> Iterator[dict[str, Any]]:
    table = tables.CELLS if scene.modality == "fish" else tables.IF_CELLS
    texts = {column.name for column in table.columns if column.kind in ("text", "boolean")} | {"label", "cell_id"}
    nuclei = scene.nuclei()
    numbers = [name for name in nuclei.columns if name not in texts]
    about = nuclei.set_index("label").to_dict("index")
    for label, corner, mask in nuclei_masks(scene.labels()):
        row = about[label]
        shapes = polygons(mask, corner)
        geometry = (
            {"type": "Polygon", "coordinates": shapes[0]}
            if len(shapes) == 1
            else {"type": "MultiPolygon", "coordinates": shapes}
        )
        words = (row["kind"], row["call"]) if scene.modality == "fish" else (row["kind"],)
        yield _feature(row["cell_id"], geometry, words, {name: row[name] for name in numbers})


def _signals(scene: StoredScene) -> Iterator[dict[str, Any]]:
    spots = scene.spots()
    numbers = [c.name for c in tables.SPOTS.columns if c.kind == "real"] + ["label", "cluster"]
    for row in spots.to_dict("records"):
        y_px, x_px = (row[f"{axis}_um"] / size + 0.5 for axis, size in zip("yx", scene.pixel_um, strict=True))
        place = {"type": "Point", "coordinates": [round(x_px, 4), round(y_px, 4)]}
        words = (row["probe"],) if row["status"] == "counted" else (row["probe"], row["status"])
        yield _feature(
            f"{scene.slide_id}/{scene.name}/spot:{row['spot_id']}", place, words, {k: row[k] for k in numbers}
        )


def _feature(
    name: str, geometry: Mapping[str, Any], words: tuple[str, ...], numbers: Mapping[str, Any]
) -> dict[str, Any]:
    """One object of QuPath; a measurement that is missing or infinite is left out, as JSON has no word for it."""
    known = {key: float(value) for key, value in numbers.items() if pd.notna(value)}
    measured = [{"name": key, "value": value} for key, value in known.items() if isfinite(value)]
    classification = {"name": ": ".join(words), "color": list(COLOURS.get(words[-1], GREY))}
    return {
        "type": "Feature",
        "id": str(uuid.uuid5(NAMES, name)),
        "geometry": geometry,
        "properties": {
            "objectType": "detection",
            "name": name,
            "classification": classification,
            "measurements": measured,
        },
    }
