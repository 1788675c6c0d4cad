"""A CellTracks export goes the whole IF route: the mosaic's cells once each, the operator's choice among them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ctcfish import io, pipeline
from ctcfish.config import Config
from ctcfish.parameters import ClassicalNuclei, Phenotype, Segment
from ctcfish.synth.stained import ROLES, StainedScan, Staining, stain
from ctcfish.types import Scene, Slide
from tests import make
from tests.io import test_celltracks as export

ROWS, COLUMNS = 2, 3


def config(**phenotype: str) -> Config:
    return Config(segment=Segment(nuclei=ClassicalNuclei()), phenotype=Phenotype(**phenotype))


@pytest.fixture(scope="module")
def scan() -> StainedScan:
    return stain(Staining(leukocytes=150, ctc=6, debris=5, doublets=2, bare=2), seed=12)


@pytest.fixture(scope="module")
def mosaic(scan: StainedScan) -> np.ndarray:
    stack = np.stack([scan.pixels[role] for role in ROLES]).clip(0, 4095)
    return stack[:, : stack.shape[1] // ROWS * ROWS, : stack.shape[2] // COLUMNS * COLUMNS]


@pytest.fixture(scope="module")
def frame(mosaic: np.ndarray) -> tuple[int, int]:
    return mosaic.shape[1] // ROWS, mosaic.shape[2] // COLUMNS


@pytest.fixture(scope="module")
def picked(scan: StainedScan, frame: tuple[int, int]) -> tuple[np.ndarray, str]:
    """Centre (y, x) in pixels of a leukocyte of the second row of frames, and the event that names it."""
    place = scan.nuclei.centroid_um / 0.64
    inside = place % frame
    fits = (
        (scan.truth["kind"] == "wbc").to_numpy() & (place[:, 0] > frame[0] + 30) & (place < np.array(frame) * 2).all(1)
    )
    y, x = place[np.flatnonzero(fits & (inside > 12).all(1) & (inside < np.array(frame) - 12).all(1))[0]].round()
    row, column = int(y // frame[0]), int(x // frame[1])
    number = 1 + row * COLUMNS + (column if row % 2 == 0 else COLUMNS - 1 - column)
    top, left = int(y - row * frame[0]) - 8, int(x - column * frame[1]) - 8
    return np.array([y, x]), export.record(number, f"{left},{top},{left + 16},{top + 16}", 1)


@pytest.fixture(scope="module")
def slide(mosaic: np.ndarray, frame: tuple[int, int], picked: tuple[np.ndarray, str], tmp_path_factory) -> Slide:
    folder: Path = tmp_path_factory.mktemp("study") / "s1"
    cartridge = export.Cartridge(rows=ROWS, columns=COLUMNS, events=picked[1])
    cartridge.mosaic = mosaic
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "HEIGHT", frame[0])
        patch.setattr(export, "WIDTH", frame[1])
        cartridge.write(folder / "if" / "cartridge")
    return io.open_slide(folder)


@pytest.fixture(scope="module")
def cells(slide: Slide) -> pd.DataFrame:
    return pipeline.score(slide, config()).if_cells


def test_the_export_gives_what_its_mosaic_gives(
    slide: Slide, cells: pd.DataFrame, mosaic: np.ndarray, frame: tuple[int, int]
) -> None:
    roles = {role: channel for channel, role in enumerate(ROLES)}
    scene = Scene("cartridge", "if", make.ArraySource(mosaic[:, None]), (0.0, 0.64, 0.64), roles, frame_px=frame)
    same = pipeline.score(Slide("s1", "s1", "", (scene,), ()), config()).if_cells
    assert slide.if_scenes[0].frame_px == frame
    unchosen = [name for name in cells.columns if name not in ("kind", "chosen")]
    pd.testing.assert_frame_equal(cells[unchosen], same[unchosen])


def test_cells_at_the_borders_of_frames_are_counted_once(
    cells: pd.DataFrame, scan: StainedScan, frame: tuple[int, int]
) -> None:
    place = scan.nuclei.centroid_um / 0.64
    away = np.abs(place - np.round(place / frame) * frame)
    ahead = np.round(place / frame)
    cut = ((away < 4) & (ahead > 0) & (ahead < [ROWS, COLUMNS])).any(axis=1)
    found = cells[["if_y_um", "if_x_um"]].to_numpy() / 0.64
    near = np.hypot(*(place[cut][:, None] - found[None]).transpose(2, 0, 1)) < 5
    assert cut.sum() >= 5
    assert (near.sum(axis=1) == 1).mean() >= 0.9
    assert near.sum(axis=1).max() == 1


def test_the_ctc_and_the_operators_choice_are_ctc(
    cells: pd.DataFrame, slide: Slide, picked: tuple[np.ndarray, str]
) -> None:
    chosen = cells[cells["chosen"]]
    assert len(chosen) == 1
    np.testing.assert_allclose(chosen[["if_y_um", "if_x_um"]].to_numpy()[0] / 0.64, picked[0], atol=3)
    assert chosen["kind"].tolist() == ["ctc"]
    assert (cells["kind"] == "ctc").sum() >= 6
    only = pipeline.score(slide, config(chosen="instead")).if_cells
    assert only.loc[only["kind"] == "ctc", "if_label"].tolist() == chosen["if_label"].tolist()
