"""Regions in an image: layout, independence of company, limits, and places against truth."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment

from ctcfish.ops.crowds import CrowdImage, Starts, group_points, resolve_crowds
from ctcfish.ops.emitter_count import CountRule, count_posterior
from ctcfish.ops.emitters import CrowdModel, Frame
from ctcfish.ops.resolve import Growth, Path
from ctcfish.ops.zones import Reach

MODEL = CrowdModel(1.3, 1.4, 800.0, 0.4, 4.0)


def profile(centre, sigma, length):
    edges = np.arange(length + 1) - 0.5
    return np.diff([0.5 * (1 + math.erf((e - centre) / (sigma * math.sqrt(2)))) for e in edges])


def picture(shape, places, photons, seed, background=40.0):
    """Noisy photons (Z, Y, X) of emitters at ``places``."""
    rng = np.random.default_rng(seed)
    expected = np.full(shape, background)
    for (z, y, x), n in zip(places, photons, strict=True):
        depth = profile(z, 1.4, shape[0]) if shape[0] > 1 else np.ones(1)
        expected += n * np.einsum("z,y,x->zyx", depth, profile(y, 1.3, shape[1]), profile(x, 1.3, shape[2]))
    return torch.tensor(rng.poisson(expected) + rng.normal(0, 2, shape), dtype=torch.float32)


def starts_at(places, photons, regions, others=()):
    return Starts(
        torch.tensor(np.array(places), dtype=torch.float32),
        torch.tensor(photons, dtype=torch.float32),
        torch.tensor(regions),
        torch.tensor(np.array(others), dtype=torch.float32).reshape(-1, 3),
    )


@pytest.fixture(scope="module")
def field():
    """Four groups of one to four signals in a plane, well apart from one another."""
    places = np.array(
        [
            [0, 20.3, 20.1],
            [0, 20.2, 60.4],
            [0, 22.9, 62.0],
            [0, 60.0, 20.0],
            [0, 63.2, 21.0],
            [0, 60.8, 23.5],
            [0, 60.0, 60.0],
            [0, 63.5, 60.3],
            [0, 60.2, 63.6],
            [0, 63.8, 64.0],
        ]
    )
    region = [0, 1, 1, 2, 2, 2, 3, 3, 3, 3]
    photons = np.full(len(places), 1000.0)
    return picture((1, 84, 84), places, photons, 1)[:], places, photons, region


def test_places_are_found_where_signals_are_resolvable(field):
    image, places, photons, region = field
    found = resolve_crowds(CrowdImage(image), starts_at(places, photons, region), MODEL)
    assert found.count.estimate.tolist() == [1, 2, 3, 4]
    assert found.count.countable.all()
    for r in range(4):
        truth = places[np.array(region) == r]
        mine = found.position_px[found.region == r].numpy()
        distance = np.linalg.norm(truth[:, None] - mine[None], axis=2)
        assert distance[linear_sum_assignment(distance)].max() < 0.7
    assert found.background.numpy() == pytest.approx(40, rel=0.12)
    assert found.total_photons.numpy() == pytest.approx(np.bincount(region) * 1000.0, rel=0.12)


def test_regions_do_not_depend_on_their_company(field):
    image, places, photons, region = field
    together = resolve_crowds(CrowdImage(image), starts_at(places, photons, region), MODEL)
    rows = np.array(region) == 2
    others = places[~rows]
    alone = resolve_crowds(
        CrowdImage(image), starts_at(places[rows], photons[rows], [0] * int(rows.sum()), others), MODEL
    )
    assert alone.count.estimate[0] == together.count.estimate[2]
    torch.testing.assert_close(alone.position_px, together.position_px[together.region == 2], atol=1e-2, rtol=0)


def test_order_of_candidates_does_not_matter(field):
    image, places, photons, region = field
    order = np.random.default_rng(2).permutation(len(places))
    light = photons + np.arange(len(places))  # no two alike, so that brightest first is one order
    plain = resolve_crowds(CrowdImage(image), starts_at(places, light, region), MODEL)
    mixed = resolve_crowds(
        CrowdImage(image), starts_at(places[order], light[order], np.array(region)[order].tolist()), MODEL
    )
    assert torch.equal(plain.position_px, mixed.position_px)
    assert torch.equal(plain.count.probability, mixed.count.probability)


def test_two_runs_agree_to_the_bit(field):
    image, places, photons, region = field
    first, second = (resolve_crowds(CrowdImage(image), starts_at(places, photons, region), MODEL) for _ in range(2))
    for name in ("position_px", "photons", "total_photons", "background"):
        assert torch.equal(getattr(first, name), getattr(second, name))


@pytest.mark.parametrize("kind", [np.uint16, np.int32, np.float32, np.float64])
def test_any_pixel_type_is_read(field, kind):
    image, places, photons, region = field
    adu = np.clip(np.round(image.numpy() * 2 + 100), 0, None).astype(kind)
    found = resolve_crowds(
        CrowdImage(torch.from_numpy(adu), 100.0, 2.0), starts_at(places[:1], photons[:1], region[:1]), MODEL
    )
    assert found.count.estimate.tolist() == [1]
    assert float(found.photons[0]) == pytest.approx(1000, rel=0.2)


@pytest.mark.parametrize("place", [[0, 0.5, 40.0], [0, 79.0, 79.0]])
def test_regions_at_the_border_stay_inside(place):
    image = picture((1, 80, 80), [place], [1500.0], 3)
    found = resolve_crowds(CrowdImage(image), starts_at([place], [1500.0], [0]), MODEL)
    assert found.count.estimate[0] >= 1
    nearest = (found.position_px - torch.tensor(place)).norm(dim=1).min()
    assert nearest < 1.0


def test_stacks_place_signals_along_z():
    places = np.array([[3.0, 15.0, 15.0], [7.6, 15.4, 15.2]])
    image = picture((11, 31, 31), places, [2000.0, 2000.0], 4)
    found = resolve_crowds(
        CrowdImage(image), starts_at(places, [2000.0, 2000.0], [0, 0]), replace(MODEL, median_photons=2000.0)
    )
    assert found.count.estimate.tolist() == [2]
    assert sorted(found.position_px[:, 0].tolist()) == pytest.approx([3.0, 7.6], abs=0.4)


def test_more_candidates_than_the_limit_widen_it():
    grid = np.array([[0, 20.0 + 5 * i, 20.0 + 5 * j] for i in range(4) for j in range(4)])
    image = picture((1, 60, 60), grid, np.full(16, 1000.0), 5)
    found = resolve_crowds(
        CrowdImage(image), starts_at(grid, [1000.0] * 16, [0] * 16), MODEL, growth=Growth(most_emitters=6)
    )
    assert abs(int(found.count.estimate[0]) - 16) <= 1
    assert int(found.count.low[0]) <= 16 <= int(found.count.high[0])


def test_grid_regions_link_only_within_reach():
    points = torch.tensor([[0.0, 0, 0], [0, 0, 5.8], [0, 0, 11.8]])
    reach = Reach().link
    assert group_points(points, (1.4, 1.3, 1.3), reach).tolist() == [0, 0, 1]


def test_wide_posteriors_are_not_countable_and_keep_a_lower_bound():
    most = 8
    path = Path(
        torch.cat([torch.tensor([[-torch.inf, 0.0]]), torch.full((1, most - 1), -torch.inf)], 1),
        torch.zeros(1, most + 1),
        torch.full((1, most + 1), 12 * MODEL.mean_photons),
        torch.zeros(1, most + 1, most, 3),
        torch.zeros(1, most + 1, most),
        torch.zeros(1, most + 1, most),
        torch.zeros(1, most + 1, 1),
        torch.full((1, most + 1), 30.0),
        torch.ones(1),
    )
    sure = count_posterior(path, MODEL, CountRule())
    vague = count_posterior(path, MODEL, CountRule(light_error=3.0))
    assert bool(sure.countable[0])
    assert not bool(vague.countable[0])
    assert int(vague.low[0]) < int(sure.low[0]) <= 12


def test_background_series_is_orthogonal_and_starts_with_the_constant():
    frame = Frame.of((1, 31, 31), MODEL, torch.zeros(1))
    gram = frame.series.basis @ frame.series.basis.T / frame.series.basis.shape[1]
    torch.testing.assert_close(gram, torch.eye(len(frame.series.orders)), atol=1e-5, rtol=0)
    assert frame.series.orders[0] == (0, 0, 0)
