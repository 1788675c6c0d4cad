from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctcfish.parameters import Count
from ctcfish.stages.count import count, doublets
from tests import make
from tests.make import spot

PLACE = ("s", "f")
DIAMETER_UM = 1.6 * make.FWHM_UM


def counted(spots: list[dict], clusters: list[dict] | None = None, n: int = 2):
    return count(make.nuclei(n), make.detections(spots, clusters), make.model(), Count(), PLACE)


def test_every_nucleus_is_a_row_and_signals_go_to_their_nucleus() -> None:
    cells, spots = counted(
        [
            spot(3, 3),
            spot(5, 5),
            spot(3, 5, probe="CEP17"),
            spot(3, 12, label=2),
            spot(0.1, 0.1, label=0, status="outside"),
        ]
    )
    assert cells["cell_id"].tolist() == ["s/f/1", "s/f/2"]
    assert cells["her2_count"].tolist() == [2, 1]
    assert cells["cep17_count"].tolist() == [1, 0]
    assert spots["cell_id"].tolist() == ["s/f/1"] * 3 + ["s/f/2", None]
    assert len(spots) == 5


def test_no_signal_and_no_nucleus_are_tables_of_their_own_length() -> None:
    cells, spots = counted([])
    assert cells["her2_count"].tolist() == [0, 0]
    assert (len(cells), len(spots)) == (2, 0)
    cells, spots = counted([], n=0)
    assert (len(cells), len(spots)) == (0, 0)


@pytest.mark.parametrize(
    ("distance", "expected"),
    [(0.0, 1), (DIAMETER_UM - 1e-6, 1), (DIAMETER_UM + 1e-6, 2), (3 * DIAMETER_UM, 2)],
    ids=["same place", "just under one diameter", "just over", "apart"],
)
def test_two_signals_within_one_diameter_are_one(distance: float, expected: int) -> None:
    cells, spots = counted([spot(3, 3, photons=1200.0), spot(3, 3 + distance)])
    assert cells["her2_count"][0] == expected
    assert spots["status"].tolist() == ["counted", "counted" if expected == 2 else "doublet"]
    assert (spots["flags"][1] == "SISTER") == (expected == 1)


def test_the_doublet_rule_looks_at_the_projection_and_at_one_colour() -> None:
    above = counted([spot(3, 3, z_um=0.0), spot(3, 3, z_um=4.0)])[0]
    assert above["her2_count"][0] == 1
    colours = counted([spot(3, 3), spot(3, 3, probe="CEP17")])[0]
    assert (colours["her2_count"][0], colours["cep17_count"][0]) == (1, 1)
    two_nuclei = counted([spot(3, 6.9), spot(3, 7.0, label=2)])[0]
    assert two_nuclei["her2_count"].tolist() == [1, 1]


def test_unlike_signals_do_not_merge() -> None:
    apart = 1.1 * make.FWHM_UM
    like = counted([spot(3, 3, photons=2900.0), spot(3, 3 + apart)])[0]
    unlike = counted([spot(3, 3, photons=3100.0), spot(3, 3 + apart)])[0]
    assert (like["her2_count"][0], unlike["her2_count"][0]) == (1, 2)


def test_a_chain_keeps_its_ends() -> None:
    step = 0.9 * DIAMETER_UM
    chain = [spot(3, 3), spot(3, 3 + step, photons=1500.0), spot(3, 3 + 2 * step)]
    assert counted(chain)[0]["her2_count"][0] == 1  # both ends lie within one diameter of the brightest
    ends = [spot(3, 3, photons=1500.0), spot(3, 3 + step), spot(3, 3 + 2 * step, photons=1500.0)]
    assert counted(ends)[0]["her2_count"][0] == 2


@pytest.mark.parametrize("status", ["vetoed", "outside", "ambiguous"])
def test_only_counted_signals_count(status: str) -> None:
    cells, spots = counted([spot(3, 3), spot(5, 5, status=status)])
    assert cells["her2_count"][0] == 1
    assert spots["status"].tolist() == ["counted", status]


def test_clusters_add_their_estimate_and_their_interval() -> None:
    cluster = {"copies": 8, "copies_low": 6, "copies_high": 11}
    members = [spot(5, 5 + 0.05 * i, cluster=1, flags="IN_CLUSTER") for i in range(4)]
    cells, _ = counted([spot(3, 3), *members], [cluster])
    assert cells["her2_points"][0] == 1
    assert cells["her2_in_clusters"][0] == 8
    assert cells["her2_count"][0] == 9
    assert (cells["her2_low"][0], cells["her2_high"][0]) == (7, 12)
    assert cells["flags"][0] == "CLUSTER"


def test_a_cluster_without_upper_end_is_a_lower_bound() -> None:
    cells, _ = counted([], [{"copies": 20, "copies_low": 20, "copies_high": None}])
    assert cells["her2_count"][0] == 20
    assert cells["her2_low"][0] >= 19
    assert set(cells["flags"][0].split("|")) == {"CLUSTER", "UNCOUNTABLE_CLUSTER", "LOWER_BOUND"}


def test_the_interval_follows_the_signals_probabilities() -> None:
    sure = counted([spot(3, 3), spot(5, 5)])[0]
    unsure = counted([spot(3, 3), spot(5, 5, probability=0.5)])[0]
    assert (sure["her2_low"][0], sure["her2_high"][0]) == (2, 2)
    assert (unsure["her2_low"][0], unsure["her2_high"][0]) == (1, 2)
    assert unsure["her2_count"][0] == 2


def test_an_absent_channel_has_no_counts() -> None:
    cells, _ = count(make.nuclei(), make.detections([spot(3, 3)]), make.model("HER2"), Count(), PLACE)
    assert cells["cep17_count"].isna().all()
    assert cells["her2_count"].tolist() == [1, 0]


@given(st.lists(st.tuples(st.floats(0, 3), st.floats(0, 3), st.floats(100, 5000)), max_size=12), st.randoms())
def test_doublets_do_not_depend_on_order_and_keep_signals_apart(
    points: list[tuple[float, float, float]], random
) -> None:
    array = np.array(sorted(set(points)), float).reshape(-1, 3)
    params = Count(like_size_ratio=1e9)
    merged = doublets(array[:, :2], array[:, 2], 0.5 / params.diameter_per_fwhm, params)
    order = list(range(len(array)))
    random.shuffle(order)
    again = doublets(array[order, :2], array[order, 2], 0.5 / params.diameter_per_fwhm, params)
    assert again.tolist() == merged[order].tolist()
    kept = array[~merged, :2]
    distance = np.hypot(*(kept[:, None] - kept[None]).transpose(2, 0, 1)) + np.eye(len(kept))
    assert (distance >= 0.5).all()
    for lost in array[merged]:
        near = np.hypot(*(kept - lost[:2]).T) < 0.5
        assert near.any()


def test_the_order_of_rows_does_not_matter() -> None:
    """Signals and clusters of three nuclei, listed by nucleus and shuffled: the same cells, the same doublets."""
    rng = np.random.default_rng(3)
    spots = [
        spot(float(y), float(x), label=label, probe=probe, photons=float(rng.uniform(800, 1600)))
        for label in (1, 2, 3)
        for probe in ("HER2", "CEP17")
        for y, x in rng.uniform(2, 6, (7, 2))
    ]
    cluster = {"probe": "HER2", "copies": 7, "copies_low": 5, "copies_high": 9, "photons": 1.0, "compact": True}
    clusters = [cluster | {"cluster": k, "label": label} for k, label in ((1, 1), (2, 3), (3, 3))]
    listed = counted(spots, clusters, n=3)
    order = rng.permutation(len(spots)).tolist()
    shuffled = counted([spots[i] for i in order], clusters[::-1], n=3)
    assert listed[0].equals(shuffled[0])
    assert listed[0]["her2_in_clusters"].tolist() == [7, 0, 14]
    assert 0 < (listed[1]["status"] == "doublet").sum() < len(spots)
    assert listed[1]["status"].to_numpy()[order].tolist() == shuffled[1]["status"].tolist()


@pytest.mark.parametrize(
    ("apart_um", "photons", "merged"),
    [(0.29, 200.0, True), (0.31, 200.0, False), (0.31, 400.0, True), (0.47, 400.0, True), (0.49, 400.0, False)],
    ids=["unresolved", "unlike size", "like size", "within a diameter", "beyond"],
)
def test_a_pair_is_one_within_its_width_whatever_its_size(apart_um: float, photons: float, merged: bool) -> None:
    place = np.array([[0.0, 0.0], [0.0, apart_um]])
    assert doublets(place, np.array([1000.0, photons]), 0.3, Count()).tolist() == [False, merged]
