"""Layers for napari: labels, outlines and signals in its own CSV formats, and a script that opens them together.

Coordinates of the CSV files are pixels of the full scene with centres at whole numbers, as napari has them; the script
scales every layer to micrometres.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tifffile
from numpy.typing import NDArray

from ctcfish.export.outlines import nuclei_masks, polygons
from ctcfish.export.scenes import StoredScene, scenes_of
from ctcfish.store.atomic import write_text

TILE_PX = 1024

SCRIPT = '''"""Open the layers beside this file in napari: python open_in_napari.py"""

import json
from pathlib import Path

import napari
import pandas as pd
import tifffile

here = Path(__file__).parent
scene = json.loads((here / "scene.json").read_text(encoding="utf-8"))
viewer = napari.Viewer(title=f"{scene['slide_id']} {scene['scene']}")
place = {"scale": scene["pixel_um"], "units": ("um", "um")}
nuclei = pd.read_csv(here / "nuclei.csv")
viewer.add_labels(tifffile.imread(here / "nuclei.tif"), name="nuclei", features=nuclei, **place)
signals = pd.read_csv(here / "signals.csv")
for (probe, status), own in signals.groupby(["probe", "status"]):
    viewer.add_points(
        own[["axis-0", "axis-1"]].to_numpy(),
        name=f"{probe} {status}",
        features=own.drop(columns=["index", "axis-0", "axis-1"]).reset_index(drop=True),
        size=6,
        face_color="transparent",
        border_color=scene["colours"].get(probe, "white"),
        visible=status == "counted",
        **place,
    )
viewer.scale_bar.visible = True
napari.run()
'''


def export_napari(run: Path, out: Path) -> None:
    """Write ``out/<slide_id>/<modality>_<scene>/`` with five files and the script for every scene of a run.

    ``nuclei.tif`` (labels), ``nuclei.csv`` (a row a nucleus, ``index`` its label), ``outlines.csv`` (napari's shapes),
    ``signals.csv`` (napari's points), ``scene.json`` (pixel size), ``open_in_napari.py``.
    """
    for scene in scenes_of(run):
        folder = out / scene.slide_id / scene.stem
        folder.mkdir(parents=True)
        labels = scene.labels()
        _write_labels(labels, folder / "nuclei.tif")
        nuclei = scene.nuclei()
        nuclei.insert(0, "index", nuclei.pop("label"))
        _write(nuclei, folder / "nuclei.csv")
        _write(_outlines(labels), folder / "outlines.csv")
        _write(_signals(scene), folder / "signals.csv")
        about = {
            "slide_id": scene.slide_id,
            "scene": scene.name,
            "modality": scene.modality,
            "pixel_um": list(scene.pixel_um),
            "colours": {"HER2": "orange", "CEP17": "lime"},
        }
        write_text(folder / "scene.json", json.dumps(about, indent=1) + "\n")
        write_text(folder / "open_in_napari.py", SCRIPT)


def _write(frame: pd.DataFrame, target: Path) -> None:
    frame.to_csv(target, index=False, lineterminator="\n", encoding="utf-8")


def _write_labels(labels: Any, target: Path) -> None:
    """A tiled TIFF, written tile by tile."""

    def tiles() -> Iterator[NDArray[np.int32]]:
        for top in range(0, labels.shape[0], TILE_PX):
            for left in range(0, labels.shape[1], TILE_PX):
                tile = np.asarray(labels[top : top + TILE_PX, left : left + TILE_PX])
                yield np.pad(tile, [(0, TILE_PX - side) for side in tile.shape])

    form: dict[str, Any] = {"shape": labels.shape, "dtype": "int32", "tile": (TILE_PX, TILE_PX)}
    tifffile.imwrite(target, tiles(), compression="zlib", photometric="minisblack", metadata=None, **form)


def _outlines(labels: Any) -> pd.DataFrame:
    """Outer rings as napari's shapes: along pixel edges, which lie half a pixel from the centres."""
    rows = []
    number = 0
    for label, corner, mask in nuclei_masks(labels):
        for outer, *_ in polygons(mask, corner):
            rows += [(number, "polygon", k, y - 0.5, x - 0.5, label) for k, (x, y) in enumerate(outer[:-1])]
            number += 1
    return pd.DataFrame(rows, columns=["index", "shape-type", "vertex-index", "axis-0", "axis-1", "label"])


def _signals(scene: StoredScene) -> pd.DataFrame:
    """Signals as napari's points, with everything else the table says of them."""
    spots = scene.spots()
    places = {f"axis-{k}": spots[f"{axis}_um"] / scene.pixel_um[k] for k, axis in enumerate("yx")}
    others = spots.drop(columns=["slide_id", "scene"])
    return pd.concat([pd.DataFrame({"index": np.arange(len(spots))} | places), others], axis=1)
