"""Small finished runs on disk, written by the store alone: two slides of two FISH nuclei and one IF nucleus each."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ctcfish import tables
from ctcfish.config import Config
from ctcfish.stages.call import call
from ctcfish.store.atomic import write_json, write_text
from ctcfish.store.manifest import manifest
from ctcfish.store.pictures import Picture
from ctcfish.store.results import RUN_TABLES, slides_table, write_run_tables, write_slide
from ctcfish.store.runfiles import output_hashes
from ctcfish.types import SlideResult
from tests import make

INPUTS = {"fish/f.ome.tif": "aa" * 32, "if/i.ome.tif": "bb" * 32}
SCENES = [
    {
        "scene": "i",
        "modality": "if",
        "shape_czyx": [4, 1, 80, 90],
        "voxel_um": [0.0, 0.1, 0.1],
        "roles": {"nucleus": 0, "inclusion": 1, "exclusion": 2},
    },
    {
        "scene": "f",
        "modality": "fish",
        "shape_czyx": [3, 4, 80, 170],
        "voxel_um": [0.5, 0.1, 0.1],
        "roles": {"nucleus": 0, "her2": 1, "cep17": 2},
    },
]
"""The label images are those of ``make.nuclei``: one nucleus in IF, two in FISH."""


def result(slide_id: str = "a", counts: tuple[int, int] = (9, 2), **summary: Any) -> SlideResult:
    """An amplified CTC (label 1) and a leukocyte (label 2) with two signals, one outside; a third CTC was lost."""
    cells = make.cells(counts, (2, 2), (None, None), kind=["ctc", "wbc", "ctc"])
    lost = f"{slide_id}/i/if:1"
    cells = call(cells, make.rates(), Config().call).assign(
        cell_id=[f"{slide_id}/f/1", f"{slide_id}/f/2", lost], slide_id=slide_id, if_inclusion_cell=[5.0, np.nan, 1.5]
    )
    cells["scene"] = ["f", "f", None]
    cells["label"] = pd.array([1, 2, None], dtype="Int64")
    cells["y_um"], cells["x_um"], cells["area_um2"] = [3.95, 3.95, np.nan], [3.95, 11.95, np.nan], [36.0, 36.0, np.nan]
    spots = make.detections(
        [
            make.spot(3.0, 4.0),
            make.spot(3.5, 4.0, probe="CEP17", status="doublet"),
            make.spot(0.2, 0.3, label=0, status="outside"),
        ]
    ).spots.assign(slide_id=slide_id, scene="f", cell_id=[f"{slide_id}/f/1", f"{slide_id}/f/1", None])
    seen = {"if_scene": "i", "if_label": [1], "if_y_um": 3.95, "if_x_um": 3.95, "area_um2": 36.0, "kind": "ctc"}
    row = {"slide_id": slide_id, "patient_id": f"p{slide_id}", "preset": "circe_tdm1", "n_nuclei": 2, "flags": ""}
    return SlideResult(
        slide_id=slide_id,
        patient_id=f"p{slide_id}",
        visit="",
        cells=tables.CELLS.check(cells),
        spots=tables.SPOTS.check(spots),
        if_cells=tables.IF_CELLS.check(pd.DataFrame(seen).assign(slide_id=slide_id, flags="")),
        nuclei={"if/i": make.nuclei(1), "fish/f": make.nuclei(2)},
        summary={
            "program": "ctcfish",
            "version": "0.1.0",
            "configuration_sha256": Config().sha256(),
            "slide": row,
            "scenes": SCENES,
        }
        | summary,
    )


def view(scene: str, roles: tuple[str, ...], shape: tuple[int, int]) -> Picture:
    pixels = np.arange(len(roles) * shape[0] * shape[1], dtype=np.uint16).reshape(len(roles), *shape)
    return Picture(pixels, roles, 0.2, (0.05, 0.05), scene)


def pictures() -> dict[str, Picture]:
    """Views of both scenes at half size."""
    return {"view/if/i": view("i", ("nucleus",), (40, 45)), "view/fish/f": view("f", ("nucleus", "her2"), (40, 85))}


def write(out: Path, *slides: SlideResult, eligible: str = "yes", failures: pd.DataFrame | None = None) -> Path:
    """A finished run of the slides given, by default one."""
    slides = slides or (result(),)
    for own in slides:
        folder = out / own.slide_id
        folder.mkdir(parents=True)
        write_slide(own, {"inputs_sha256": INPUTS}, pictures(), folder)
        write_text(folder / "report.html", f"<p>{own.slide_id}</p>")
    rows = [
        {"patient_id": own.patient_id, "n_slides": 1, "n_ctc": 2, "eligible": eligible, "eligible_guarded": eligible}
        for own in slides
    ]
    frames = {table.name: table.empty() for table in RUN_TABLES} | {
        "slides": slides_table([dict(own.summary) for own in slides]),
        "patients": tables.PATIENTS.check(pd.DataFrame(rows)),
    }
    write_run_tables(frames if failures is None else frames | {"failures": failures}, out)
    return seal(out, [own.slide_id for own in slides])


def seal(out: Path, slide_ids: list[str]) -> Path:
    """Write the manifest of what lies there."""
    inputs = {f"{slide_id}/{name}": digest for slide_id in slide_ids for name, digest in INPUTS.items()}
    write_json(out / "manifest.json", manifest(Config(), "cpu", inputs, output_hashes(out)))
    return out


def changed(own: SlideResult, **columns: Any) -> SlideResult:
    """The slide with other values in its cells."""
    return dataclasses.replace(own, cells=tables.CELLS.check(own.cells.assign(**columns)))
