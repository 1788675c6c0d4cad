"""Which emitters of a crowded region are a cluster, and which lie beside it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from ctcfish.ops.crowds import Crowds
from ctcfish.ops.emitter_count import CountPosterior
from ctcfish.stages.signals.clusters import Clusters, clusters_of
from ctcfish.stages.signals.crowds import crowd_model, held
from ctcfish.types import ProbeModel

FWHM_UM = 0.4
SLIDE = ProbeModel(30.0, FWHM_UM / 2.355, 0.4, FWHM_UM, 2000.0, 0.35, 6.0, (6.0, 6.0), 0.001, 90, crowd_unit=1.1)
CHAIN = [(0.0, 0.0), (0.35, 0.0), (0.7, 0.0), (1.05, 0.1)]


def crowds(region, counted, photons=1000.0):
    """Emitters of the given regions; each region (estimate, low, high)."""
    region = torch.as_tensor(region, dtype=torch.int64)
    estimate, low, high = torch.as_tensor(counted, dtype=torch.int64).reshape(-1, 3).T
    light = torch.full(region.shape, photons)
    total = torch.bincount(region, light, len(estimate)).float()
    count = CountPosterior(torch.zeros(len(estimate), 1), estimate, low, high, estimate, estimate > 0)
    return Crowds(region, torch.zeros(len(region), 3), light, count, total, torch.zeros(len(estimate)))


def clustered(yx_um, region, counted, label=None) -> tuple[list[int], Clusters]:
    label = np.ones(len(region), np.int64) if label is None else np.asarray(label)
    number, clusters = clusters_of(crowds(region, counted), np.asarray(yx_um, float).reshape(-1, 2), label, SLIDE)
    return number.tolist(), clusters


def test_what_hangs_together_is_a_cluster_and_what_lies_beside_it_is_not():
    number, clusters = clustered([*CHAIN, (0.7, 0.6)], [0] * 5, [(5, 4, 7)])
    assert number == [1, 1, 1, 1, 0]
    assert (clusters.copies.tolist(), clusters.low.tolist(), clusters.high.tolist()) == ([4], [3], [6])
    assert clusters.photons.tolist() == [4000.0]


def test_two_pairs_side_by_side_are_no_cluster_however_unsure_their_number():
    number, clusters = clustered([(0, 0), (0, 0.3), (0, 0.9), (0, 1.2)], [0] * 4, [(4, 2, 7)])
    assert number == [0, 0, 0, 0]
    assert len(clusters.copies) == 0


def test_steps_are_shorter_than_a_width_at_half_height():
    for step, members in ((0.99 * FWHM_UM, 3), (1.01 * FWHM_UM, 0)):
        number, _ = clustered([(0, 0), (0, step), (0, 2 * step)], [0] * 3, [(3, 2, 4)])
        assert np.count_nonzero(number) == members


def test_where_more_are_counted_than_placed_the_whole_region_is_the_cluster():
    number, clusters = clustered([(0, 0), (0, 0.6), (0, 1.2)], [0] * 3, [(9, 7, 12)])
    assert number == [1, 1, 1]
    assert (clusters.copies.tolist(), clusters.low.tolist(), clusters.high.tolist()) == ([9], [7], [12])


def test_a_sure_number_is_no_cluster_nor_are_emitters_of_two_nuclei():
    assert clustered(CHAIN, [0] * 4, [(4, 4, 4)])[0] == [0] * 4
    assert clustered(CHAIN, [0] * 4, [(4, 2, 5)], label=[1, 1, 1, 2])[0] == [0] * 4
    assert clustered(CHAIN, [0] * 4, [(4, 2, 5)], label=[2] * 4)[1].label.tolist() == [2]


@pytest.mark.parametrize(("copies", "members"), [(4, 0), (5, 5)])
def test_a_few_within_one_signal_are_sisters(copies, members):
    near = [(0.02 * k, 0.0) for k in range(copies)]
    assert np.count_nonzero(clustered(near, [0] * copies, [(copies, 2, 9)])[0]) == members


def test_regions_do_not_mix_and_keep_their_order():
    region, places = [0, 0, *[1] * 4, *[2] * 4], [(0, 0), (0, 0.2), *CHAIN, *CHAIN]
    number, clusters = clustered(places, region, [(2, 1, 3), (4, 2, 5), (4, 1, 5)])
    assert number == [0, 0, 1, 1, 1, 1, 2, 2, 2, 2]
    assert clusters.low.tolist() == [2, 1]


def test_an_interval_holds_its_estimate():
    _, clusters = clustered([*CHAIN, (0.7, 0.6), (0.7, 1.2)], [0] * 6, [(6, 1, 6)])
    assert (clusters.low <= clusters.copies).all()
    assert (clusters.copies <= clusters.high).all()
    assert clusters.low.tolist() == [1]


def test_no_region_no_cluster():
    number, clusters = clustered([], [], [])
    assert number == []
    assert len(clusters.copies) == 0


def test_held_is_who_stands_at_the_floor_of_the_fit():
    model = crowd_model(SLIDE, (1.2, 1.5), 1.0)
    floor = model.median_photons * math.exp(-2.5 * model.log_sigma)
    assert held(np.array([floor, 1.01 * floor, 1.1 * floor]), SLIDE).tolist() == [True, True, False]


def test_where_brightness_hardly_varies_nobody_is_held():
    even = replace(SLIDE, photons_log_sd=0.2)
    model = crowd_model(even, (1.2, 1.5), 1.0)
    floor = model.median_photons * math.exp(-2.5 * model.log_sigma)
    assert held(np.array([floor, 0.49 * model.median_photons]), even).tolist() == [False, True]
