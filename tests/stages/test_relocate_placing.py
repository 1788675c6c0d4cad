"""Fields of few nuclei, laid where the stage expects them: the posterior of a place is what it says."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from ctcfish.parameters import Relocate
from ctcfish.stages.relocate import relocate
from ctcfish.stages.relocation.alignment import Cloud
from ctcfish.stages.relocation.placing import Expected, _distinct, place
from ctcfish.stages.relocation.warp import Similarity
from ctcfish.synth.constellations import Remounting, into_fields, remount
from ctcfish.types import Relocation

Points = NDArray[np.float64]

TURN = Similarity(1.02 * np.exp(0.7j), complex(40.0, -15.0), True)
SIDE_UM = 110.0


def expected(**other: Any) -> Expected:
    return Expected(**({"similarity": TURN, "place_sd_um": 10.0, "sigma_um": 0.7, "strange": 0.2} | other))


def scene(name: str, points: Any) -> Cloud:
    return Cloud(name, np.asarray(points, float).reshape(-1, 2))


def seen_by(fish: Points) -> Points:
    """IF places of nuclei at their expected FISH places."""
    return TURN.inverse().apply(fish)


THREE = np.array([[30.0, 20.0], [55.0, 80.0], [90.0, 40.0]])
AROUND = np.array([[-20.0, 50.0], [130.0, 70.0], [60.0, -25.0], [20.0, 140.0]])


def test_three_nuclei_are_laid_at_the_shift_they_show() -> None:
    shift = np.array([6.0, -9.0])
    here, there = scene("if", seen_by(np.concatenate([THREE, AROUND]))), scene("f", THREE + shift)
    found = place(here, there, expected(), 0.6)
    assert found is not None
    assert found.placed > 0.999
    assert (found.if_scene, found.scene, found.n_matched, found.share) == ("if", "f", 3, 1.0)
    np.testing.assert_allclose(found.moved_um[:3], THREE + shift, atol=1e-9)
    np.testing.assert_allclose(found.warp.apply(here.points), found.moved_um)
    assert (found.warp.similarity.a, found.warp.similarity.mirrored) == (TURN.a, True)
    assert found.summary()["placed"] == found.placed
    assert found.log10_chance == pytest.approx(np.log10(1 - found.placed))


def test_a_nucleus_between_two_is_laid_on_neither() -> None:
    here = scene("if", seen_by(np.array([[50.0, 45.0], [50.0, 65.0]])))
    there = scene("f", [[50.0, 55.0]])
    assert place(here, there, expected(), 0.6) is None
    either = place(here, there, expected(), 0.3)
    assert either is not None
    assert 0.4 < either.placed < 0.5


def test_the_stage_decides_between_equals() -> None:
    here = scene("if", seen_by(np.array([[50.0, 52.0], [50.0, 80.0]])))
    found = place(here, scene("f", [[50.0, 50.0]]), expected(), 0.5)
    assert found is not None
    np.testing.assert_allclose(found.moved_um[0], [50.0, 50.0])
    nearer = place(here, scene("f", [[50.0, 50.0]]), expected(place_sd_um=6.0), 0.5)
    assert nearer is not None
    assert nearer.placed > found.placed


def test_a_second_pair_speaks_louder_than_the_stage() -> None:
    """One nucleus near its expected place against two that agree twenty micrometres off."""
    fish = np.array([[40.0, 40.0], [60.0, 75.0]])
    moved = np.array([[41.0, 40.0], [60.0, 40.0], [80.0, 75.0]])
    found = place(scene("if", seen_by(moved)), scene("f", fish), expected(), 0.6)
    assert found is not None
    assert found.n_matched == 2
    np.testing.assert_allclose(found.moved_um[1:], fish)


@pytest.mark.parametrize("points", [[[500.0, 500.0]], [[50.0, 95.0]]], ids=["no nucleus near", "none within reach"])
def test_nothing_in_reach_is_no_place(points: Any) -> None:
    assert place(scene("if", seen_by(np.array(points))), scene("f", [[50.0, 55.0]]), expected(), 0.0) is None


def test_places_are_counted_once() -> None:
    shifts = np.array([[0.0, 0.0], [1.0, 0.0], [20.0, 0.0], [20.5, 0.5]])
    assert _distinct(shifts, np.array([3.0, 2.0, 0.5, 0.7]), expected()) == pytest.approx(3.7)
    assert _distinct(np.zeros((0, 2)), np.zeros(0), expected()) == 0.0


def field(rng: np.random.Generator, n: float, lost: float) -> tuple[Cloud, Cloud, Points]:
    """A field of about ``n`` nuclei in a wide IF scan, moved by a stage of 10 um; and where it should be."""
    density = n / SIDE_UM**2
    wide = rng.uniform(-150, SIDE_UM + 150, (rng.poisson(density * (SIDE_UM + 300) ** 2), 2))
    shift = rng.normal(0, 10.0, 2)
    there = wide[rng.random(len(wide)) > lost] + shift
    strange = rng.uniform(0, SIDE_UM, (rng.poisson(lost * n), 2))
    inside = there[((there > 0) & (there < SIDE_UM)).all(1)] + 0
    fish = np.concatenate([inside + rng.normal(0, 0.7, inside.shape), strange])
    return scene("if", seen_by(wide)), scene("f", fish), shift


@pytest.mark.parametrize(("n", "lost"), [(2.0, 0.2), (4.0, 0.2), (4.0, 0.4)])
def test_the_posterior_is_the_share_that_is_right(n: float, lost: float) -> None:
    rng = np.random.default_rng([int(n), int(10 * lost)])
    said, right = [], []
    for _ in range(250):
        here, there, shift = field(rng, n, lost)
        if not len(there.points):
            continue
        found = place(here, there, expected(strange=lost), 0.0)
        if found is not None:
            off = found.warp.similarity.b - TURN.b - complex(*shift)
            said.append(found.placed)
            right.append(abs(off) < 3.0)
    assert len(said) > 150
    assert np.mean(said) == pytest.approx(np.mean(right), abs=0.06)
    sure = np.array(said) > 0.98
    assert np.array(right)[sure].mean() > 0.97
    if n > 2:
        assert sure.mean() > 0.5


def test_a_field_of_another_slide_is_seldom_laid() -> None:
    rng = np.random.default_rng(5)
    laid = 0
    for _ in range(150):
        here, there, _ = field(rng, 5.0, 0.2)
        other = scene("f", rng.uniform(0, SIDE_UM, there.points.shape))
        found = place(here, other, expected(), 0.95) if len(other.points) > 2 else None
        laid += found is not None
    assert laid <= 6


@dataclass(frozen=True)
class SmallFields:
    """A slide in fields of 110 um with eight nuclei each; relocated with the stage's help and without."""

    if_points: pd.DataFrame
    truth: NDArray[np.int64]
    staged: Relocation
    alone: Relocation

    def told(self, result: Relocation) -> pd.DataFrame:
        """Every IF nucleus with what it was matched to and what it is."""
        return self.if_points[["if_scene", "if_label"]].assign(truth=self.truth).merge(result.matches, how="left")


@pytest.fixture(scope="module")
def small() -> SmallFields:
    spec = Remounting(n_common=250, missing=0.25, extra=0.2, rotation_deg=70.0, scale=0.98, mirrored=True)
    pair = remount(spec, 3)
    cut = into_fields(pair.fish_points, 110.0, 140.0, 10.0, 3)
    truth = np.where(np.isin(pair.truth, cut.fish_points["label"]), pair.truth, 0)
    staged, alone = (relocate(pair.if_points, cut.fish_points, Relocate(), s) for s in (cut.stage_um, None))
    return SmallFields(pair.if_points, truth, staged, alone)


def test_small_fields_are_relocated_by_the_stage_and_each_other(small: SmallFields) -> None:
    right = []
    for result in (small.staged, small.alone):
        table = small.told(result)
        present = table["truth"] > 0
        right.append(float((table["label"].fillna(0) == table["truth"])[present].mean()))
        sure = (table["probability"] >= 0.95) & table["label"].notna()
        assert (table["label"] == table["truth"])[sure].mean() > 0.995
    assert right[0] >= 0.98
    assert right[0] > right[1] + 0.03
    assert min(t["placed"] for t in small.staged.transforms) < 1.0
    assert {t["placed"] for t in small.alone.transforms} == {1.0}


def test_a_cells_probability_is_no_higher_than_that_of_its_fields_place(small: SmallFields) -> None:
    placed = {t["scene"]: t["placed"] for t in small.staged.transforms}
    own = small.staged.matches.dropna(subset=["label"])
    assert (own["probability"] <= own["scene"].map(placed) + 1e-12).all()


def test_a_wider_stage_is_less_sure() -> None:
    fish = THREE[:2]
    here = scene("if", seen_by(np.concatenate([fish, AROUND, THREE[2:] + 12.0])))
    sure = [place(here, scene("f", fish), replace(expected(), place_sd_um=sd), 0.0) for sd in (5.0, 15.0)]
    assert sure[0] is not None
    assert sure[1] is not None
    assert sure[0].placed >= sure[1].placed
