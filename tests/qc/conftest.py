"""Scored slides written by hand: cells with counts, places and calls, and what a run says of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ctcfish import tables
from ctcfish.store.tablefiles import write_csv, write_parquet

Scorer = Callable[..., Path]


def cells_of(slide_id: str, her2: Any, cep17: Any, places_um: np.ndarray, kinds: Any = "ctc") -> pd.DataFrame:
    """Cells of one field; a count of -1 is not evaluable."""
    h, c = np.asarray(her2), np.asarray(cep17)
    n = len(h)
    seen = (h >= 0) & (c > 0)
    call = np.where(~seen, "not_evaluable", np.where(5 * h >= 11 * c, "amplified", "not_amplified"))
    frame = pd.DataFrame(
        {
            "cell_id": [f"{slide_id}/f/{k}" for k in range(1, n + 1)],
            "slide_id": slide_id,
            "scene": "f",
            "label": pd.array(range(1, n + 1), dtype="Int64"),
            "kind": kinds,
            "y_um": places_um[:, 0],
            "x_um": places_um[:, 1],
            "area_um2": 50.0,
            "focus": 0.9,
            "her2_count": pd.array(np.where(h >= 0, h, 0), dtype="Int64"),
            "cep17_count": pd.array(np.where(c >= 0, c, 0), dtype="Int64"),
            "ratio": np.where(seen, h / np.maximum(c, 1), np.nan),
            "call": call,
            "call_guarded": call,
            "reason": np.where(seen, "", "OUT_OF_FOCUS"),
            "flags": "",
        }
    )
    return tables.CELLS.check(frame)


@pytest.fixture
def scored() -> Scorer:
    """Write a slide's folder: ``scored(run_folder, slide_id, cells, **columns of the slide)``."""

    def write(run: Path, slide_id: str, cells: pd.DataFrame, image: str = "", **row: Any) -> Path:
        folder = run / slide_id
        folder.mkdir(parents=True)
        write_parquet(cells, tables.CELLS, folder / "cells.parquet")
        write_csv(cells, tables.CELLS, folder / "cells.csv")
        for table in (tables.SPOTS, tables.IF_CELLS):
            write_csv(table.empty(), table, folder / f"{table.name}.csv")
        slide = dict.fromkeys(tables.SLIDES.names)
        slide |= {
            "slide_id": slide_id,
            "patient_id": slide_id,
            "preset": "circe_tdm1",
            "flags": "",
            "n_nuclei": len(cells),
        }
        said = {
            "slide": slide | row,
            "version": "0.1.0",
            "configuration_sha256": "c" * 64,
            "inputs_sha256": {"fish/f.tif": image or f"{run.name}/{slide_id}"},
            "rule": {"kind": "fish", "cut": "11/5"},
            "failure": "",
            "scenes": [],
            "relocation": None,
            "model": {"probes": {}, "crosstalk": {}, "chromatic_shift_um": [0, 0, 0], "flags": ""},
            "error_rates": {
                "rates": {},
                "n_leukocytes": 0,
                "hybridisation_efficiency": None,
                "origin": "default",
                "flags": "",
            },
        }
        (folder / "slide.json").write_text(json.dumps(said), encoding="utf-8")
        return folder

    return write


@pytest.fixture
def places() -> Callable[[int], np.ndarray]:
    """Places of nuclei that make a constellation: at least 9 um apart, the same for the same number."""

    def draw(n: int, seed: int = 0) -> np.ndarray:
        rng, side = np.random.default_rng([seed, n]), 16.0 * np.sqrt(n)
        found: list[np.ndarray] = []
        while len(found) < n:
            place = rng.uniform(0, side, 2)
            if all(np.hypot(*(place - other)) > 9 for other in found):
                found.append(place)
        return np.array(found)

    return draw
