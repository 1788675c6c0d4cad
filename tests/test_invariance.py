"""What must not change a count: shifting, flipping, gain and offset, an empty border."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from ctcfish import synth
from ctcfish.config import Config
from ctcfish.pipeline import score
from ctcfish.types import Optics, Scene
from tests import make

SPEC = synth.SlideSpec.model_validate(
    {
        "seed": 11,
        "population": {
            "ctc": 2,
            "leukocytes": 8,
            "touching_pairs": 0,
            "ctc_mix": {"diploid": 1, "amplified_dispersed": 1},
        },
        "fish": {"shape_px": [520, 520], "planes": 9, "z_step_um": 0.5, "shading": 0.0},
        "nuisance": {"granules_per_nucleus": 0, "hot_pixels_per_megapixel": 0},
    }
)
BORDER_PX = 64
COLUMNS = ["her2_count", "cep17_count", "call"]

pytestmark = pytest.mark.xdist_group("route")


@pytest.fixture(scope="module")
def field() -> synth.Field:
    return synth.field(SPEC)


def scored(pixels: NDArray[np.uint16], field: synth.Field, camera: tuple[float, float] = (2.0, 100.0)) -> pd.DataFrame:
    """Cells of a field with known camera, sorted by place."""
    gain, offset = camera
    emission = {"her2": 588.0, "cep17": 524.0}
    optics = Optics(1.3, emission, gain_adu_per_photon=gain, offset_adu=offset, read_noise_photons=2.0)
    roles = {"nucleus": 0, "her2": 1, "cep17": 2}
    scene = Scene("f", "fish", make.ArraySource(pixels), field.voxel_um, roles, optics=optics)
    cells = score(make.slide(fish_scenes=(scene,)), Config()).cells
    return cells.sort_values(["y_um", "x_um"]).reset_index(drop=True)


@pytest.fixture(scope="module")
def plain(field: synth.Field) -> pd.DataFrame:
    return scored(field.pixels, field)


def matched(plain: pd.DataFrame, changed: pd.DataFrame, back: Callable[[NDArray[Any]], NDArray[Any]]) -> pd.DataFrame:
    """The changed cells in the plain cells' order, their places brought back."""
    here, there = plain[["y_um", "x_um"]].to_numpy(), back(changed[["y_um", "x_um"]].to_numpy())
    distance = np.linalg.norm(here[:, None] - there[None], axis=2)
    assert (distance.min(axis=1) < 0.5).all()
    return changed.iloc[distance.argmin(axis=1)].reset_index(drop=True)


def test_the_field_is_counted_at_all(plain: pd.DataFrame) -> None:
    assert len(plain) == 10
    assert (plain["her2_count"] >= 1).all()


def test_the_number_of_cores_changes_nothing(
    field: synth.Field, plain: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    for told in ("1", "3"):
        monkeypatch.setenv("OMP_NUM_THREADS", told)
        pd.testing.assert_frame_equal(scored(field.pixels, field), plain, check_exact=True)


def test_gain_and_offset_change_nothing(field: synth.Field, plain: pd.DataFrame) -> None:
    brighter = (field.pixels.astype(np.uint32) * 3 + 50).astype(np.uint16)
    changed = scored(brighter, field, (6.0, 350.0))
    pd.testing.assert_frame_equal(matched(plain, changed, lambda p: p)[COLUMNS], plain[COLUMNS])


def test_an_empty_border_and_the_shift_it_makes_change_nothing(field: synth.Field, plain: pd.DataFrame) -> None:
    rng = np.random.default_rng(0)
    c, z, y, x = field.pixels.shape
    floor = np.percentile(field.pixels, 1, axis=(1, 2, 3))
    size = (c, z, y + 2 * BORDER_PX, x + 2 * BORDER_PX)
    photons = np.maximum((floor - 100) / 2, 1)[:, None, None, None]
    framed = (100 + 2 * rng.poisson(np.broadcast_to(photons, size))).astype(np.uint16)
    framed[:, :, BORDER_PX:-BORDER_PX, BORDER_PX:-BORDER_PX] = field.pixels
    inner = (plain["flags"].str.contains("TRUNCATED") == False).to_numpy()  # noqa: E712
    back = matched(plain, scored(framed, field), lambda p: p - BORDER_PX * field.voxel_um[1])
    same = (back[COLUMNS] == plain[COLUMNS]).all(axis=1)
    assert same[inner].all()


@pytest.mark.parametrize("axis", [2, 3], ids=["upside down", "mirrored"])
def test_a_flip_changes_nothing(field: synth.Field, plain: pd.DataFrame, axis: int) -> None:
    flipped = scored(np.ascontiguousarray(np.flip(field.pixels, axis)), field)
    size = (np.array(field.pixels.shape[2:]) - 1) * field.voxel_um[1]
    flip = np.array([axis == 2, axis == 3])
    back = matched(plain, flipped, lambda p: np.where(flip, size - p, p))
    assert (back[COLUMNS] == plain[COLUMNS]).all(axis=None)


def test_the_order_of_planes_changes_nothing(field: synth.Field, plain: pd.DataFrame) -> None:
    turned = scored(np.ascontiguousarray(field.pixels[:, ::-1]), field)
    assert (matched(plain, turned, lambda p: p)[COLUMNS] == plain[COLUMNS]).all(axis=None)


@pytest.mark.parametrize("dtype", [np.uint32, np.int32, np.float32, np.float64], ids=lambda d: d.__name__)
def test_the_type_of_the_pixels_changes_nothing(field: synth.Field, plain: pd.DataFrame, dtype: type) -> None:
    changed = scored(field.pixels.astype(dtype), field)
    pd.testing.assert_frame_equal(changed[COLUMNS], plain[COLUMNS])
