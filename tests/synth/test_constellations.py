"""The simulated re-mounting keeps its promises."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from ctcfish.synth.constellations import Remounting, into_fields, remount, scatter


def test_counts_are_those_asked_for() -> None:
    pair = remount(Remounting(n_common=70, missing=0.3, extra=0.3), 1)
    assert len(pair.if_points) == 100
    assert len(pair.fish_points) == 100
    assert (pair.truth > 0).sum() == 70
    assert len(set(pair.truth[pair.truth > 0])) == 70


@pytest.mark.parametrize("mirrored", [False, True])
def test_truth_follows_the_transform(mirrored: bool) -> None:
    spec = Remounting(n_common=80, rotation_deg=33, scale=1.02, mirrored=mirrored, jitter_um=0.0, strain=0.0)
    pair = remount(spec, 2)
    kept = pair.truth > 0
    here = pair.if_points[["y_um", "x_um"]].to_numpy()[kept]
    there = pair.fish_points.set_index("label").loc[pair.truth[kept], ["y_um", "x_um"]].to_numpy()
    np.testing.assert_allclose(pdist(there), 1.02 * pdist(here), rtol=1e-9)
    turn = np.radians(33)
    matrix = 1.02 * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    flip = np.array([1.0, -1.0 if mirrored else 1.0])
    np.testing.assert_allclose(there, (here * flip) @ matrix.T + np.array(spec.shift_um), atol=1e-9)


def test_jitter_has_its_size() -> None:
    spec = Remounting(n_common=2000, missing=0, extra=0, rotation_deg=0, shift_um=(0, 0), jitter_um=0.8, strain=0)
    pair = remount(spec, 3)
    there = pair.fish_points.set_index("label").loc[pair.truth, ["y_um", "x_um"]].to_numpy()
    assert (there - pair.if_points[["y_um", "x_um"]].to_numpy()).std() == pytest.approx(0.8, rel=0.05)


def test_nuclei_keep_apart_and_some_touch() -> None:
    places = scatter(600, 1000.0, 0.3, np.random.default_rng(4))
    distances = pdist(places)
    assert places.shape == (600, 2)
    assert distances.min() > 5.0
    assert (distances < 11.5).sum() > 60


def test_same_seed_same_slide() -> None:
    one, two, other = (remount(Remounting(n_common=30), s) for s in (5, 5, 6))
    assert one.if_points.equals(two.if_points)
    assert not one.if_points.equals(other.if_points)


def test_fields_hold_their_nuclei_in_their_own_coordinates() -> None:
    points = remount(Remounting(n_common=300), 7).fish_points
    cut = into_fields(points, 200.0, 200.0, 0.0, 7)
    for name, own in cut.fish_points.groupby("scene"):
        whole = points.set_index("label").loc[own["label"], ["y_um", "x_um"]].to_numpy()
        np.testing.assert_allclose(own[["y_um", "x_um"]].to_numpy() + np.array(cut.stage_um[name]), whole)
        assert own[["y_um", "x_um"]].to_numpy().max() <= 200.0
    overlapping = into_fields(points, 200.0, 120.0, 0.0, 7)
    assert overlapping.fish_points["label"].duplicated().any()
