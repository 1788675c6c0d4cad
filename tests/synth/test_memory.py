"""A slide in memory is the slide of the folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ctcfish.io import open_slide
from ctcfish.synth import SlideSpec, slide_in_memory
from ctcfish.synth.memory import ArrayPixels
from ctcfish.synth.spec import FishScan, Population


def test_pixels_are_read_by_window() -> None:
    array = np.arange(2 * 3 * 4 * 5, dtype=np.uint16).reshape(2, 3, 4, 5)
    pixels = ArrayPixels(array)
    assert pixels.shape == (2, 3, 4, 5)
    assert pixels.dtype == np.uint16
    np.testing.assert_array_equal(pixels.read(1, slice(0, 2), slice(1, 3), slice(2, 5)), array[1, :2, 1:3, 2:5])


def test_same_slide_as_the_folder(two_fields_spec: SlideSpec, two_fields_slide: Path) -> None:
    held, truth = slide_in_memory(two_fields_spec)
    stored = open_slide(two_fields_slide)
    assert (held.slide_id, held.patient_id) == (stored.slide_id, stored.patient_id)
    for scenes in ("fish_scenes", "if_scenes"):
        for mine, theirs in zip(getattr(held, scenes), getattr(stored, scenes), strict=True):
            assert mine.modality == theirs.modality
            assert mine.roles == theirs.roles
            assert mine.channel_names == theirs.channel_names
            assert mine.voxel_um == pytest.approx(theirs.voxel_um)
            assert mine.optics == theirs.optics
            for role in mine.roles:
                np.testing.assert_array_equal(mine.read(role), theirs.read(role))
    cells = pd.read_csv(two_fields_slide / "truth" / "cells.csv")
    assert truth.cells["cell_id"].tolist() == cells["cell_id"].tolist()
    np.testing.assert_allclose(truth.cells["if_y_um"].to_numpy(float), cells["if_y_um"], atol=1e-4)
    assert len(truth.labels) == 2
    assert truth.if_cells is not None


def test_without_if() -> None:
    spec = SlideSpec(
        with_if=False,
        population=Population(ctc=1, leukocytes=1, touching_pairs=0),
        fish=FishScan(shape_px=(180, 180), planes=1),
    )
    slide, truth = slide_in_memory(spec)
    assert slide.if_scenes == ()
    assert truth.if_cells is None
    assert truth.to_fish is None
    assert slide.patient_id == "simulated"
    assert truth.cells["if_label"].isna().all()
