"""Zones of windows by compiled kernels against plain torch, and against distances taken one by one."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ctcfish.ops import zones
from ctcfish.ops.compiled import zones as compiled
from ctcfish.ops.emitters import CrowdModel, Frame
from ctcfish.ops.zones import Owned, Reach, Windows

MODEL = CrowdModel(1.3, 1.4, 500.0, 0.4, 4.0)
SHAPES = [(1, 19, 19), (7, 15, 15), (1, 25, 25)]


def windows(shape: tuple[int, int, int], seed: int) -> tuple[Windows, Owned, Frame]:
    """Six regions of one to three signals on a floor of sixty others; the first window hangs over the border."""
    rng = np.random.default_rng(seed)
    frame = Frame.of(shape, MODEL, torch.zeros(1))
    deep = 1 if shape[0] > 1 else 0
    places, region, own, corner = [], [], np.full((6, 3, 3), np.inf), np.zeros((6, 3))
    for r in range(6):
        corner[r] = [deep * 4, 40 * (r // 3) + 3, 40 * (r % 3) + 3]
        for k in range(1 + r % 3):
            own[r, k] = (np.array(shape) - 1) / 2 + rng.normal(0, 2.0, 3) * [0.5 * deep, 1, 1]
            places.append(own[r, k] + corner[r])
            region.append(r)
    for _ in range(60):
        places.append(rng.uniform(0, (12.0 * deep, 90, 130)))
        region.append(-1)
    photons = rng.poisson(40, (6, math.prod(shape))).astype(np.float32)
    inside = np.ones((6, *shape), bool)
    inside[0, :, :4] = False
    tensors = (torch.tensor(np.array(v), dtype=torch.float32) for v in (corner, photons))
    first, light = tensors
    seen = Windows(torch.arange(6), first, light, torch.tensor(inside).flatten(1), torch.tensor(own).float())
    return seen, Owned(torch.tensor(np.array(places)).float(), torch.tensor(region)), frame


@pytest.mark.parametrize("shape", SHAPES)
def test_both_ways_agree(shape):
    seen, signals, frame = windows(shape, 1)
    (crops, where), (other, there) = (way.cropped(seen, signals, frame, Reach()) for way in (compiled, zones))
    for one, two in ((crops.weight, other.weight), (where.allowed, there.allowed), (where.ring, there.ring)):
        assert 0 < float(one.float().mean()) < 1
        assert torch.equal(one, two)
    torch.testing.assert_close(crops.data, other.data)
    torch.testing.assert_close(crops.level, other.level)


@pytest.mark.parametrize("way", [compiled, zones], ids=["compiled", "torch"])
@pytest.mark.parametrize("shape", SHAPES)
def test_against_distances_one_by_one(shape, way):
    seen, signals, frame = windows(shape, 2)
    reach = Reach(fit=5.0, foreign=3.0, ring=3.5, add=1.5)
    crops, where = way.cropped(seen, signals, frame, reach)
    sigma = np.array([1.4 if shape[0] > 1 else np.inf, 1.3, 1.3])
    pixels = np.indices(shape).reshape(3, -1).T
    for r in range(6):
        at = signals.position_px.numpy() - seen.corner_px[r].numpy()
        mine = signals.region.numpy() == r
        away = np.sqrt((((pixels[:, None] - at) / sigma) ** 2).sum(2))
        own, foreign = away[:, mine].min(1), away[:, ~mine].min(1)
        weight = seen.inside[r].numpy() & (own <= 5.0) & ((foreign > 3.0) | (own < foreign))
        np.testing.assert_array_equal(crops.weight[r].numpy() > 0, weight)
        np.testing.assert_array_equal(where.allowed[r].numpy(), weight & (own <= 1.5))
        np.testing.assert_array_equal(where.ring[r].numpy(), weight & (own > 3.5))
        ring = np.sort(seen.photons[r].numpy()[::2][where.ring[r].numpy()[::2]])
        assert float(crops.level[r]) == pytest.approx(ring[(len(ring) - 1) // 2])


@pytest.mark.parametrize("way", [compiled, zones], ids=["compiled", "torch"])
def test_without_a_ring_the_level_is_that_of_all_and_outside_of_nothing_one_photon(way):
    seen, signals, frame = windows((1, 19, 19), 3)
    crops, where = way.cropped(seen, signals, frame, Reach(ring=9.0))
    assert not where.ring.any()
    counted = np.sort(seen.photons[1].numpy()[::2][crops.weight[1].numpy()[::2] > 0])
    assert float(crops.level[1]) == pytest.approx(counted[(len(counted) - 1) // 2])
    nothing = Windows(seen.region, seen.corner_px, seen.photons, torch.zeros_like(seen.inside), seen.own_px)
    assert way.cropped(nothing, signals, frame, Reach())[0].level.tolist() == [1.0] * 6
