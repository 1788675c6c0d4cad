"""The parts of relocation one by one: patches, priors, densities, shares, and what must not matter."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from ctcfish.flags import SlideFlag
from ctcfish.parameters import Relocate
from ctcfish.stages.relocate import relocate
from ctcfish.stages.relocation.alignment import Alignment, Cloud, Effort, _decoy_share, _needed, _patches, _rounds, lay
from ctcfish.stages.relocation.constellation import Prior
from ctcfish.stages.relocation.fields import Scans, _alike, _consistent, _largest, _origin, align
from ctcfish.stages.relocation.pairing import (
    Cells,
    _density,
    _edges,
    _likelihood,
    _neighbours,
    _share_around,
    _student,
)
from ctcfish.stages.relocation.warp import Similarity, fit_warp
from ctcfish.synth.constellations import Remounting, remount

PARAMS = Relocate()


def _field(n: int, seed: int = 0, side: float = 600.0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, side, (n, 2))


def _aligned(name: str, similarity: Similarity, n_matched: int = 30) -> Alignment:
    points = _field(40)
    moved = similarity.apply(points)
    warp = fit_warp(points, moved, similarity.mirrored)
    return Alignment("if", name, warp, moved, moved, n_matched, 0.8, 0.5, -9.0)


# What must not matter ------------------------------------------------------------------------------------------------


def test_order_of_rows_does_not_matter() -> None:
    pair = remount(Remounting(n_common=80), 1)
    shuffled = pair.fish_points.sample(frac=1, random_state=1)
    plain = relocate(pair.if_points, pair.fish_points, PARAMS).matches
    other = relocate(pair.if_points, shuffled, PARAMS).matches
    assert plain["label"].equals(other["label"])
    np.testing.assert_allclose(plain["probability"], other["probability"], atol=1e-6)


def test_index_labels_and_further_columns_do_not_matter() -> None:
    pair = remount(Remounting(n_common=60), 2)
    if_points = pair.if_points.assign(kind="wbc").set_index(np.arange(len(pair.if_points))[::-1] * 7)
    fish = pair.fish_points.assign(label=pair.fish_points["label"] * 100 + 3, her2_count=2)
    result = relocate(if_points, fish, PARAMS)
    labels = result.matches["label"].fillna(0).astype(int).to_numpy()
    expected = np.where(pair.truth > 0, pair.truth * 100 + 3, 0)
    assert (labels == expected).mean() > 0.95
    assert result.matches.index.tolist() == list(range(len(if_points)))


def test_matches_have_their_columns_and_types() -> None:
    pair = remount(Remounting(n_common=40), 3)
    matches = relocate(pair.if_points, pair.fish_points, PARAMS).matches
    assert matches.columns.tolist() == ["if_scene", "if_label", "scene", "label", "residual_um", "probability"]
    assert str(matches["label"].dtype) == "Int64"
    lost = matches["label"].isna()
    assert matches.loc[lost, "residual_um"].isna().all()
    assert matches.loc[lost, "scene"].isna().all()
    assert (matches.loc[~lost, "residual_um"] <= PARAMS.max_residual_um).all()
    assert (matches.loc[~lost, "probability"] >= PARAMS.min_probability).all()
    assert matches["probability"].between(0, 1).all()


@pytest.mark.parametrize("turn", [0, 45, 90, 135, 180, 225, 270, 315])
@pytest.mark.parametrize("mirrored", [False, True])
def test_every_turn_and_mirror(turn: float, mirrored: bool) -> None:
    spec = Remounting(n_common=60, rotation_deg=turn, mirrored=mirrored, jitter_um=0.6)
    pair = remount(spec, 4)
    result = relocate(pair.if_points, pair.fish_points, PARAMS)
    labels = result.matches["label"].fillna(0).astype(int).to_numpy()
    assert result.trusted
    assert (labels == pair.truth)[pair.truth > 0].mean() > 0.97


@pytest.mark.parametrize(("least", "trusted"), [(40, True), (41, False)])
def test_the_least_number_of_common_nuclei_is_inclusive(least: int, trusted: bool) -> None:
    points = _field(40, 5)
    if_points = pd.DataFrame({"y_um": points[:, 0], "x_um": points[:, 1], "area_um2": 40.0})
    fish = if_points.assign(scene="f", label=np.arange(1, 41))
    result = relocate(
        if_points.assign(if_scene="i", if_label=np.arange(1, 41)), fish, Relocate(min_common_nuclei=least)
    )
    assert result.trusted == trusted
    assert (SlideFlag.RELOCATION_FAILED in result.flags) != trusted


def test_identical_scans_have_no_residual() -> None:
    points = _field(60, 6)
    if_points = pd.DataFrame({"y_um": points[:, 0], "x_um": points[:, 1], "area_um2": 40.0})
    fish = if_points.assign(scene="f", label=np.arange(1, 61))
    result = relocate(if_points.assign(if_scene="i", if_label=np.arange(1, 61)), fish, PARAMS)
    assert result.matches["label"].tolist() == list(range(1, 61))
    assert result.matches["residual_um"].max() < 1e-6
    assert result.matches["probability"].min() > 0.99


# Laying one scene on another ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("small", ["if", "fish"])
def test_the_smaller_scene_is_sought_in_the_larger(small: str) -> None:
    whole = _field(300, 7)
    true = Similarity(0.99 * np.exp(0.8j), 40 - 20j, False)
    centre = np.argsort(np.hypot(*(whole - 300).T))[:50]
    here, there = (whole[centre], true.apply(whole)) if small == "if" else (whole, true.apply(whole[centre]))
    found = lay(Cloud("if", here), Cloud("fish", there))
    assert found is not None
    assert found.n_matched >= 50
    np.testing.assert_allclose(found.warp.similarity.apply(here), true.apply(here), atol=0.2)
    assert found.sigma_um == pytest.approx(0.15)


def test_another_scale_is_found_only_where_it_is_asked_for() -> None:
    here = _field(60, 8)
    there = 1.4 * here
    assert lay(Cloud("if", here), Cloud("fish", there)) is None
    found = lay(Cloud("if", here), Cloud("fish", there), 1.4)
    assert found is not None
    assert found.warp.similarity.scale == pytest.approx(1.4, abs=1e-3)


@pytest.mark.parametrize("forward", [True, False])
def test_a_prior_from_if_to_fish_holds_either_way_round(forward: bool) -> None:
    here = _field(40 if forward else 90, 9)
    true = Similarity(np.exp(0.5j), 60 + 10j, True)
    there = true.apply(here)
    there = np.concatenate([there, _field(50, 10) + 900]) if forward else there[:40]
    good = Prior(true, 0.03, 40.0)
    wrong = Prior(Similarity(true.a, true.b + 300, True), 0.03, 40.0)
    assert lay(Cloud("if", here), Cloud("fish", there), prior=good) is not None
    assert lay(Cloud("if", here), Cloud("fish", there), prior=wrong) is None


def test_less_evidence_is_needed_where_a_field_is_expected() -> None:
    similarity = Similarity(1 + 0j, 0j, False)
    assert _needed(Prior(similarity, 0.03, 20.0)) > _needed(Prior(similarity, 0.03, np.inf)) == _needed(None)


def test_patches_are_compact_and_apart() -> None:
    points = _field(3000, 11, 2000.0)
    patches = list(_patches(points, Effort(patches=4, points=100)))
    centres = [points[rows].mean(0) for rows in patches]
    assert [len(rows) for rows in patches] == [100] * 4
    assert max(np.ptp(points[rows], axis=0).max() for rows in patches) < 700
    assert min(np.hypot(*(a - b)) for a, b in pairwise(centres)) > 500


def test_a_small_scene_is_one_patch() -> None:
    assert [len(rows) for rows in _patches(_field(150), Effort())] == [150]


def test_decoys_find_the_density() -> None:
    """Points moved aside pair with chance: for a Poisson field the share is about 1 - exp(-density pi r^2)."""
    whole = _field(4000, 12, 1000.0)
    inner = whole[(np.abs(whole - 500) < 300).all(1)]
    expected = 1 - np.exp(-0.004 * np.pi * 16)
    assert _decoy_share(inner, Cloud("a", whole).tree) == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize(("reach", "farthest"), [(100.0, 50.0), (100.0, 100.0), (100.0, 1000.0), (250.0, 8000.0)])
def test_growth_reaches_everything_and_settles(reach: float, farthest: float) -> None:
    rounds = _rounds(reach, farthest)
    assert reach * 1.6 ** (rounds - 3) >= farthest * 0.999
    assert rounds >= 3


# Fields ---------------------------------------------------------------------------------------------------------------


def test_a_field_that_contradicts_the_leader_is_dropped() -> None:
    lead = _aligned("a", Similarity(np.exp(0.3j), 0j, False), 50)
    kin = _aligned("b", Similarity(np.exp(0.31j), 200j, False), 20)
    turned = _aligned("c", Similarity(np.exp(1.3j), 0j, False), 30)
    mirrored = _aligned("d", Similarity(np.exp(0.3j), 0j, True), 30)
    assert [a.scene for a in _consistent([turned, lead, mirrored, kin])] == ["a", "b"]
    assert _consistent([]) == []
    assert not _alike(lead.warp.similarity, Similarity(1.2 * np.exp(0.3j), 0j, False))


def test_largest_fields_come_first() -> None:
    clouds = tuple(Cloud(str(n), _field(n)) for n in (5, 40, 12, 30))
    assert [c.name for c in _largest(clouds)] == ["40", "30", "12"]


@pytest.mark.parametrize("flip", [1.0, -1.0])
def test_four_fields_teach_the_stages_axes(flip: float) -> None:
    turn = np.exp(0.4j)
    stage, known = {}, []
    for k, origin in enumerate((0j, 300 + 0j, 300j, 300 + 300j)):
        name = f"f{k}"
        stage[name] = (origin.real, flip * origin.imag)
        known.append(_aligned(name, Similarity(turn, -turn * origin * np.exp(0.05j), False)))
    wanted = 600 + 300j
    place, reach = _origin(known, complex(600.0, flip * 300.0), stage)
    assert abs(place - wanted * np.exp(0.05j)) < 2.0
    assert reach == 12.0


def test_with_few_fields_the_stage_runs_as_the_image() -> None:
    known = [_aligned("a", Similarity(1 + 0j, -(50 + 20j), False))]
    place, reach = _origin(known, 150 + 20j, {"a": (50.0, 20.0)})
    assert place == pytest.approx(150 + 20j)
    assert reach == 60.0


def test_no_scene_is_no_alignment() -> None:
    assert align(Scans((), (), {}), 12) == []
    assert align(Scans((Cloud("a", _field(30)),), (), {}), 12) == []


# Pairing --------------------------------------------------------------------------------------------------------------


def test_density_of_a_uniform_field() -> None:
    points = _field(4000, 13, 1000.0)
    inner = (np.abs(points - 500) < 400).all(1)
    assert np.median(_density(points)[inner]) == pytest.approx(0.004, rel=0.1)
    assert _density(np.zeros((1, 2))).tolist() == [1e-4]


def test_edges_are_all_pairs_within_reach() -> None:
    here, there = _field(60, 14, 60.0), _field(50, 15, 60.0)
    edges = _edges(Cells(here, np.full(60, 40.0)), Cells(there, np.full(50, 80.0)), 6.0)
    distance = np.hypot(*(here[:, None] - there[None]).transpose(2, 0, 1))
    expected = np.argwhere(distance <= 6.0)
    assert np.stack([edges.here, edges.there], axis=1).tolist() == expected.tolist()
    np.testing.assert_allclose(edges.distance, distance[expected[:, 0], expected[:, 1]])
    np.testing.assert_allclose(edges.area_log, np.log(2))


def test_likelihood_falls_with_distance_and_integrates_to_one() -> None:
    radius = np.linspace(0, 30, 3001)
    edges = _edges(Cells(np.zeros((1, 2)), np.ones(1)), Cells(np.zeros((1, 2)), np.ones(1)), 1.0)
    edges = type(edges)(np.zeros(3001, int), np.arange(3001), radius, np.full(3001, 9.0), (1, 3001))
    density = _likelihood(type(edges)(edges.here, edges.there, radius, np.zeros(3001), (1, 3001)), np.ones(3001), 0.8)
    area = _student(np.zeros(1), 0.0, 0.15)[0]
    assert (np.diff(density) <= 1e-15).all()
    assert area > 0
    weight = np.trapezoid(density * 2 * np.pi * radius, radius)
    assert weight == pytest.approx(1.0, rel=0.02)


def test_shares_follow_the_neighbourhood() -> None:
    points = np.concatenate([_field(100, 16, 200.0), _field(100, 17, 200.0) + 5000])
    value = np.repeat([0.1, 0.9], 100)
    share = _share_around(value, _neighbours(points))
    expected = (20 * value + 1.5 * 0.5) / 21.5
    np.testing.assert_allclose(share, expected)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_neighbours_leave_the_point_itself_out(n: int) -> None:
    near = _neighbours(_field(n, 18))
    assert near.shape == (n, n - 1)
    assert all(row not in near[row] for row in range(n))
