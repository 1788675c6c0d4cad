"""Relocation against constellations with known truth."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ctcfish.flags import SlideFlag
from ctcfish.parameters import Relocate
from ctcfish.stages.relocate import relocate
from ctcfish.synth.constellations import Pair, Remounting, remount
from ctcfish.types import Relocation

PARAMS = Relocate()


def _labels(result: Relocation) -> np.ndarray:
    return result.matches["label"].fillna(0).to_numpy(int)


def _run(pair: Pair) -> Relocation:
    return relocate(pair.if_points, pair.fish_points, PARAMS)


@pytest.mark.parametrize(
    ("rotation", "mirrored", "scale", "shift"),
    [(0.0, False, 1.0, (0.0, 0.0)), (2.0, False, 0.97, (400.0, -300.0)), (137.0, True, 1.03, (-900.0, 50.0))],
)
def test_cells_are_found_again(rotation: float, mirrored: bool, scale: float, shift: tuple[float, float]) -> None:
    pair = remount(
        Remounting(n_common=200, rotation_deg=rotation, mirrored=mirrored, scale=scale, shift_um=shift), seed=3
    )
    result = _run(pair)
    labels, present = _labels(result), pair.truth > 0
    assert result.trusted
    assert result.flags == SlideFlag(0)
    assert (labels == pair.truth)[present].mean() >= 0.98
    assert (labels[~present] == 0).mean() >= 0.95
    assert np.nanmedian(result.matches["residual_um"]) < 1.1
    transform = result.transforms[0]
    assert transform["mirrored"] == mirrored
    assert transform["scale"] == pytest.approx(scale, abs=0.003)
    assert (transform["rotation_deg"] - rotation + 180) % 360 - 180 == pytest.approx(0, abs=0.5)


def test_wrong_partner_is_refused() -> None:
    here, there = remount(Remounting(n_common=60), seed=1), remount(Remounting(n_common=60), seed=2)
    result = relocate(here.if_points, there.fish_points, PARAMS)
    assert not result.trusted
    assert result.flags == SlideFlag.RELOCATION_FAILED
    assert "12 are needed" in result.evidence
    assert len(result.matches) == len(here.if_points)
    assert result.matches["label"].isna().all()


def test_wrong_pixel_size_is_reported() -> None:
    result = _run(remount(Remounting(n_common=80, scale=1.25), seed=5))
    assert result.trusted
    assert result.flags == SlideFlag.SCALE_MISMATCH
    assert "1.25 times" in result.evidence


@pytest.mark.parametrize("empty", ["if", "fish", "both"])
def test_nothing_to_compare_is_refused(empty: str) -> None:
    pair = remount(Remounting(n_common=30), seed=1)
    if_points = pair.if_points[:0] if empty != "fish" else pair.if_points
    fish_points = pair.fish_points[:0] if empty != "if" else pair.fish_points
    result = relocate(if_points, fish_points, PARAMS)
    assert not result.trusted
    assert len(result.matches) == len(if_points)
    where = {"if": "the IF scan", "fish": "the FISH scan", "both": "the IF nor in the FISH scan"}[empty]
    assert result.evidence == f"No nucleus was found in {where}: nothing can be relocated."


def test_each_nucleus_is_used_once_and_rows_stay_in_order() -> None:
    pair = remount(Remounting(n_common=300, rotation_deg=30), seed=9)
    result = _run(pair)
    used = result.matches["label"].dropna()
    assert used.is_unique
    assert result.matches["if_label"].tolist() == pair.if_points["if_label"].tolist()


def test_same_input_same_bytes() -> None:
    pair = remount(Remounting(n_common=60), seed=2)
    pd.testing.assert_frame_equal(_run(pair).matches, _run(pair).matches, check_exact=True)
