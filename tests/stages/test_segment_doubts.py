"""Each flag of a nucleus just under and just over what raises it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ctcfish.flags import CellFlag
from ctcfish.parameters import Segment
from ctcfish.stages.nuclei.doubts import doubts
from ctcfish.stages.nuclei.measure import IN_FOCUS, Traits
from ctcfish.stages.nuclei.outlines import from_labels

N = 12
PARAMS = Segment()
SIDE_PX = 70


def _nuclei():
    """Twelve squares of 49 um2, far from the border."""
    labels = np.zeros((400, 500), np.int32)
    for k in range(N):
        y, x = 20 + 120 * (k // 4), 20 + 120 * (k % 4)
        labels[y : y + SIDE_PX, x : x + SIDE_PX] = k + 1
    return from_labels(labels, (0.1, 0.1))


def _traits():
    """Ordinary nuclei: sharp, even, whole, alone."""
    one = np.ones(N)
    return Traits(
        z_um=3 * one,
        thickness_um=4 * one,
        edge_um=0.6 * one,
        brightness=900.0 + 10.0 * np.arange(N),
        focus=one,
        unevenness=1.2 + 0.005 * np.arange(N),
        solidity=0.96 * one,
        contact=0 * one,
        lobes=0 * one,
        spread_um=0 * one,
        rise_um=0 * one,
    )


def _with(values, **changes):
    changed = {}
    for name, value in changes.items():
        column = np.array(getattr(values, name), copy=True)
        column[0] = value
        changed[name] = column
    return replace(values, **changed)


def _first(nuclei, traits, params=PARAMS):
    flags = doubts(nuclei, traits, params)
    assert flags.shape == (N,)
    assert not flags[1:].any()
    return CellFlag(int(flags[0]))


def test_ordinary_nuclei_carry_no_flag():
    assert not doubts(_nuclei(), _traits(), PARAMS).any()


@pytest.mark.parametrize(
    ("changes", "flag"),
    [
        ({"contact": 0.83}, CellFlag(0)),
        ({"contact": 0.85}, CellFlag.OVERLAP),
        ({"lobes": 0.94}, CellFlag(0)),
        ({"lobes": 0.96}, CellFlag.OVERLAP),
        ({"unevenness": 1.41}, CellFlag(0)),
        ({"unevenness": 1.43}, CellFlag.OVERLAP),
        ({"spread_um": 1.7}, CellFlag(0)),
        ({"spread_um": 1.9}, CellFlag.OVERLAP),
        ({"rise_um": 1.7}, CellFlag(0)),
        ({"rise_um": 1.9}, CellFlag.OVERLAP),
        ({"focus": IN_FOCUS + 0.01}, CellFlag(0)),
        ({"focus": IN_FOCUS - 0.01}, CellFlag.OUT_OF_FOCUS),
    ],
)
def test_a_trait_raises_its_flag_at_its_cut(changes, flag):
    assert _first(_nuclei(), _with(_traits(), **changes)) == flag


@pytest.mark.parametrize("trait", [{"unevenness": 3.0}, {"spread_um": 4.0}, {"rise_um": 4.0}])
def test_blur_is_not_taken_for_overlap(trait):
    assert _first(_nuclei(), _with(_traits(), focus=0.3, **trait)) == CellFlag.OUT_OF_FOCUS


def test_a_blurred_nucleus_is_judged_by_its_contacts():
    assert _first(_nuclei(), _with(_traits(), focus=0.3, contact=1.2)) == CellFlag.OUT_OF_FOCUS | CellFlag.OVERLAP


def test_what_is_uneven_is_judged_by_this_scenes_nuclei():
    coarse = replace(_traits(), unevenness=np.linspace(1.3, 2.1, N))
    assert not doubts(_nuclei(), coarse, PARAMS).any()
    assert _first(_nuclei(), _with(coarse, unevenness=4.0)) == CellFlag.OVERLAP


@pytest.mark.parametrize(
    ("area", "changes", "flag"),
    [
        (21.0, {}, CellFlag(0)),
        (19.0, {}, CellFlag.TOO_SMALL),
        (19.0, {"brightness": 1200.0}, CellFlag.TOO_SMALL),
        (19.0, {"brightness": 1400.0}, CellFlag.TOO_SMALL | CellFlag.APOPTOTIC),
        (11.0, {}, CellFlag.TOO_SMALL | CellFlag.APOPTOTIC),
        (25.0, {"solidity": 0.85}, CellFlag(0)),
        (25.0, {"brightness": 1100.0, "solidity": 0.85}, CellFlag.APOPTOTIC),
        (25.0, {"brightness": 1100.0, "solidity": 0.92}, CellFlag(0)),
        (32.0, {"brightness": 1400.0, "solidity": 0.85}, CellFlag(0)),
        (259.0, {}, CellFlag(0)),
        (261.0, {}, CellFlag.TOO_LARGE),
    ],
)
def test_size_and_condensation(area, changes, flag):
    nuclei = _with(_nuclei(), area_um2=area)
    assert _first(nuclei, _with(_traits(), **changes)) == flag


@pytest.mark.parametrize(
    ("box", "cut"),
    [
        ((0, 100, 70, 170), True),
        ((2, 100, 72, 170), True),
        ((3, 100, 73, 170), False),
        ((100, 1, 170, 71), True),
        ((100, 5, 170, 75), False),
        ((330, 100, 400, 170), True),
        ((326, 100, 396, 170), False),
        ((100, 430, 170, 500), True),
        ((100, 426, 170, 496), False),
    ],
)
def test_a_nucleus_within_a_quarter_micrometre_of_the_border_may_be_cut(box, cut):
    nuclei = _with(_nuclei(), box_px=np.array(box, np.int32))
    assert _first(nuclei, _traits()) == (CellFlag.TRUNCATED if cut else CellFlag(0))


def test_a_cut_nucleus_is_not_called_small():
    nuclei = _with(_nuclei(), box_px=np.array((0, 100, 70, 170), np.int32), area_um2=15.0)
    assert _first(nuclei, _traits()) == CellFlag.TRUNCATED


def test_the_sizes_are_parameters():
    params = Segment(small_area_um2=60.0, large_area_um2=80.0)
    assert (doubts(_nuclei(), _traits(), params) == CellFlag.TOO_SMALL).all()


def test_no_nuclei_no_flags():
    nuclei = from_labels(np.zeros((5, 5), np.int32), (0.1, 0.1))
    traits = _traits().rows(np.zeros(N, bool))
    assert doubts(nuclei, traits, PARAMS).shape == (0,)


def test_one_nucleus_is_its_own_scene():
    labels = np.zeros((120, 120), np.int32)
    labels[20:90, 20:90] = 1
    assert doubts(from_labels(labels, (0.1, 0.1)), _traits().rows(np.arange(1)), PARAMS).tolist() == [0]
