"""Doubts about signals from the nuclei, the camera's ceiling and stain left around the nucleus."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import distance_transform_edt, gaussian_filter

from ctcfish.flags import CellFlag, SpotFlag, from_text
from ctcfish.stages.nuclei.outlines import from_labels
from ctcfish.stages.signals.camera import Camera
from ctcfish.stages.signals.doubts import doubts
from ctcfish.stages.signals.of_cells import of_cells
from ctcfish.stages.signals.overlap import in_two_nuclei
from ctcfish.stages.signals.residue import residue
from ctcfish.stages.signals.saturation import saturated
from ctcfish.types import Nuclei
from tests.stages.test_vetoes import signals, slide

CAMERA = Camera(2.0, 100.0, 2.0, "metadata")
PIXEL = (0.1, 0.1)
STEP = np.array([0.4, 0.1, 0.1])
SIDE = 320


def pair_of_nuclei(flagged: bool) -> Nuclei:
    """Two discs of 3.5 um that share a border at x = 16 um, and a third one apart."""
    y, x = np.mgrid[:SIDE, :SIDE]
    labels = np.zeros((SIDE, SIDE), np.int32)
    labels[(y - 160) ** 2 + (x - 135) ** 2 < 35**2] = 1
    labels[((y - 160) ** 2 + (x - 185) ** 2 < 35**2) & (x > 160)] = 2
    labels[(y - 50) ** 2 + (x - 50) ** 2 < 35**2] = 3
    nuclei = from_labels(labels, PIXEL)
    bits = np.where(nuclei.label < 3, int(CellFlag.OVERLAP), 0) if flagged else nuclei.flags
    return replace(nuclei, flags=np.asarray(bits, np.int64))


def two(places: list[tuple[float, float]], label: list[int], nuclei: Nuclei) -> list[bool]:
    position = np.array([(1.0, y, x) for y, x in places])
    return in_two_nuclei(position, np.array(label, np.int64), nuclei).tolist()


def test_signals_near_the_shared_border_of_overlapping_nuclei_lie_in_both() -> None:
    places, label = (
        [(16.0, 15.5), (16.0, 16.6), (16.0, 13.5), (16.0, 18.0), (5.0, 5.0), (16.0, 20.5)],
        [1, 2, 1, 2, 3, 0],
    )
    assert two(places, label, pair_of_nuclei(True)) == [True, True, False, False, False, False]
    assert not any(two(places, label, pair_of_nuclei(False)))


def test_outlines_that_overlap_share_their_signals() -> None:
    nuclei = pair_of_nuclei(False)
    wide = np.zeros((SIDE, SIDE), np.int32)
    wide[125:196, 130:222] = 1
    other = from_labels(wide, PIXEL)
    packed = (nuclei.packed[0], other.packed[0], nuclei.packed[2])
    box = np.stack([nuclei.box_px[0], other.box_px[0], nuclei.box_px[2]])
    both = replace(nuclei, packed=packed, box_px=box)
    assert two([(16.0, 14.0), (16.0, 12.0), (16.0, 20.0)], [1, 1, 2], both) == [True, False, False]


def test_no_signal_no_nucleus() -> None:
    none = from_labels(np.zeros((20, 20), np.int32), PIXEL)
    assert two([(1.0, 1.0)], [0], none) == [False]
    assert in_two_nuclei(np.zeros((0, 3)), np.zeros(0, np.int64), pair_of_nuclei(True)).shape == (0,)


def clip(ceiling: float, offset: float = 0.0, photons: float = 16000.0) -> np.ndarray:
    """A bright signal at (2, 20, 20) px and a dim one at (2, 20, 40), cut at the ceiling."""
    z, y, x = np.mgrid[:5, :40, :60]
    bell = [np.exp(-((y - 20) ** 2 + (x - c) ** 2) / 4 - (z - 2) ** 2 / 2) / 20 for c in (20, 40)]
    rng = np.random.default_rng(2)
    light = 100 + rng.poisson(2 * (40 + photons * bell[0] + 600 * bell[1]))
    return np.minimum(light, ceiling) - offset


@pytest.mark.parametrize(
    ("stack", "expected"),
    [
        (clip(4095, photons=9000), False),
        (clip(1023), True),
        (clip(255, photons=3000), True),
        (clip(700), True),
        (clip(1023, 100), True),
        (clip(1023.0) / 1023.0, True),
    ],
    ids=["below the ceiling", "10 bits", "8 bits", "no full scale", "offset taken away", "rescaled"],
)
def test_clipped_cores_are_saturated(stack: np.ndarray, expected: bool) -> None:
    places = np.array([[0.8, 2.0, 2.0], [0.8, 2.0, 4.0]])
    found = saturated(stack, places, STEP, (0.4, 0.14))
    assert found.tolist() == [expected, False]


def test_one_pixel_is_a_clip_at_full_scale_alone() -> None:
    stack = np.full((1, 20, 20), 50, np.uint16)
    place = np.array([[0.0, 1.0, 1.0]])
    for value, expected in ((4095, True), (4000, False)):
        stack[0, 10, 10] = value
        assert saturated(stack, place, STEP, (0.4, 0.14)).tolist() == [expected]
    # the border repeats no pixel into a plateau it has not
    corner = np.full((1, 9, 9), 50, np.uint16)
    corner[0, 0, 0] = 60
    assert saturated(corner, np.zeros((1, 3)), STEP, (0.4, 0.14)).tolist() == [False]
    assert saturated(stack, np.zeros((0, 3)), STEP, (0.4, 0.14)).shape == (0,)


def test_a_value_that_many_cores_end_at_is_a_clip() -> None:
    """Against noise, whose highest value stands in one or two pixels of an image."""
    rng = np.random.default_rng(6)
    places = np.array([[0.0, 1.0 + 2 * i, 1.0 + 2 * j] for i in range(6) for j in range(6)])
    stack = rng.poisson(50, (1, 140, 140)).astype(np.uint16)
    middles = np.rint(places[:, 1:] * 10).astype(int)
    stack[0, middles[:, 0], middles[:, 1]] = rng.integers(400, 700, len(places))
    assert saturated(stack, places, STEP, (0.4, 0.14)).sum() == 0
    clipped = np.minimum(stack, 500)
    truth = stack[0, middles[:, 0], middles[:, 1]] >= 500
    assert truth.sum() > 10
    assert (saturated(clipped, places, STEP, (0.4, 0.14)) == truth).all()


def stained_scene(
    stain: float, membrane: bool, planes: int = 5, clean_light: float = 16.0, blur: float = 4.0
) -> tuple[np.ndarray, Nuclei]:
    """Two nuclei with haze of their own, the second in a stained cytoplasm or membrane; a scrap beside the first."""
    y, x = np.mgrid[:SIDE, :SIDE]
    labels = np.zeros((SIDE, SIDE), np.int32)
    for number, (cy, cx) in enumerate([(80, 80), (220, 220)], 1):
        labels[(y - cy) ** 2 + (x - cx) ** 2 < 40**2] = number
    light = 24.0 + clean_light * gaussian_filter((labels > 0).astype(float), blur)
    away = distance_transform_edt(labels != 2) * 0.1
    body = np.exp(-0.5 * ((away - 1.6) / 0.45) ** 2) if membrane else np.where(away > 0, away < 2.2, 0.5)
    light += stain * gaussian_filter(body, 2.0)
    light += 300.0 * (((y - 80) ** 2 + (x - 132) ** 2) < 36)
    rng = np.random.default_rng(4)
    return 100 + 2 * rng.poisson(np.repeat(light[None], planes, 0)), from_labels(labels, PIXEL)


@pytest.mark.parametrize("planes", [1, 5])
@pytest.mark.parametrize("membrane", [False, True])
@pytest.mark.parametrize(("stain", "found"), [(0.0, False), (30.0, True), (80.0, True)])
def test_stain_around_a_nucleus_is_seen_and_haze_of_its_own_is_not(planes, membrane, stain, found) -> None:
    stack, nuclei = stained_scene(stain, membrane, planes)
    assert residue(stack, nuclei, CAMERA).tolist() == [False, found]


@pytest.mark.parametrize("clean_light", [0.0, 60.0, 300.0])
def test_however_bright_a_nucleus_shines_by_itself(clean_light: float) -> None:
    stack, nuclei = stained_scene(0.0, False, clean_light=clean_light, blur=14.0)
    assert not residue(stack, nuclei, CAMERA).any()


def test_without_glass_or_nuclei_nothing_is_said() -> None:
    stack, _ = stained_scene(80.0, False)
    full = from_labels(np.repeat(np.arange(1, 5, dtype=np.int32), 80)[None].repeat(SIDE, 0), PIXEL)
    assert not residue(stack, full, CAMERA).any()
    none = from_labels(np.zeros((SIDE, SIDE), np.int32), PIXEL)
    assert residue(stack, none, CAMERA).shape == (0,)
    tiny = from_labels(np.ones((3, 3), np.int32), PIXEL)
    assert residue(np.full((1, 3, 3), 120), tiny, CAMERA).tolist() == [False]


def test_doubts_stand_beside_the_other_colours() -> None:
    her2, nuclei = stained_scene(80.0, False)
    z, y, x = np.mgrid[: her2.shape[0], : her2.shape[1], : her2.shape[2]]
    spots = [np.exp(-((y - c) ** 2 + (x - c) ** 2) / 4 - (z - 2) ** 2 / 2) for c in (80, 220)]
    her2 = her2 + 4000.0 * (spots[0] + spots[1])
    cep17, _ = stained_scene(0.0, False)
    cep17 = np.where(spots[0] > 0.4, 4095.0, cep17 + 400.0 * spots[1])
    rows = signals([(8.0, 8.0, 1500, 0.14, 0.8), (22.0, 22.0, 1500, 0.14, 0.8)])
    found = {"HER2": replace(rows, label=np.array([1, 2])), "CEP17": replace(rows, label=np.array([1, 2]))}
    both = {"HER2": her2, "CEP17": cep17}
    bits = doubts(found, both, nuclei, (0.4, 0.1, 0.1), slide({"HER2>CEP17": 0.1}))
    assert [SpotFlag(int(b)) for b in bits["HER2"]] == [SpotFlag(0), SpotFlag.IF_RESIDUE]
    assert [SpotFlag(int(b)) for b in bits["CEP17"]] == [SpotFlag.SATURATED, SpotFlag.CROSSTALK]


def test_cells_take_doubts_from_signals_that_are_not_rejected() -> None:
    spots = pd.DataFrame(
        {
            "label": [1, 1, 2, 3, 0],
            "status": ["counted", "counted", "vetoed", "ambiguous", "outside"],
            "flags": ["", "SATURATED", "SATURATED", "DIM|IF_RESIDUE", "SATURATED"],
        }
    )
    bits = of_cells(np.array([1, 2, 3, 4], np.int32), spots)
    assert bits.tolist() == from_text(["SATURATED", "", "IF_RESIDUE", ""], CellFlag).tolist()
    assert of_cells(np.array([1], np.int32), spots[:0]).tolist() == [0]
