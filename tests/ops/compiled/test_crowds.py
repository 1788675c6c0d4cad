"""Crowded regions by compiled kernels against the same in lockstep, and the kernels' own parts against plain numpy."""

from __future__ import annotations

import math
from dataclasses import replace

import numba
import numpy as np
import pytest
import torch

from ctcfish.ops import crowds
from ctcfish.ops import resolve as lockstep
from ctcfish.ops.compiled import crowds as compiled
from ctcfish.ops.compiled import scoring
from ctcfish.ops.compiled.background import Sums
from ctcfish.ops.compiled.median import lower_median
from ctcfish.ops.compiled.region import Work
from ctcfish.ops.crowds import CrowdImage, Crowds, Starts, resolve_crowds
from ctcfish.ops.emitter_count import CountRule, count_posterior
from ctcfish.ops.emitters import Crops, CrowdModel, Emitters, Frame, Part
from ctcfish.ops.resolve import Growth, Path
from ctcfish.ops.scoring import DAMPING
from ctcfish.ops.zones import Zones

PLANE = CrowdModel(1.3, 1.4, 500.0, 0.4, 4.0)
STACK = CrowdModel(1.3, 1.4, 1500.0, 0.4, 4.0)
WIDE = CrowdModel(
    1.3, 1.4, 1500.0, 0.4, 4.0, image=(Part(0.81, 0.76, 0.97), Part(1.42, 0.78, 2.45, 1.63), Part(3.8, 1.6, 5.9, 4.05))
)
CASES = [((1, 27, 27), PLANE), ((11, 23, 23), STACK), ((11, 23, 23), WIDE)]
NAMES = ["plane", "stack", "wide field"]


def batch(shape, model, numbers, seed):
    """Regions of known numbers of emitters, with every second one as candidate: frame, crops, start, zones."""
    rng = np.random.default_rng(seed)
    frame = Frame.of(shape, model, torch.zeros(1))
    size = max(numbers)
    places = (np.array(shape) - 1) / 2 + rng.normal(0, 2.0, (len(numbers), size, 3)) * [
        0.5 if shape[0] > 1 else 0,
        1,
        1,
    ]
    used = np.arange(size) < np.array(numbers)[:, None]
    truth = Emitters(
        torch.tensor(places, dtype=torch.float32),
        torch.tensor(math.log(model.median_photons) + 0.4 * rng.standard_normal(used.shape), dtype=torch.float32),
        torch.tensor(0.1 * rng.standard_normal(used.shape) * model.sized, dtype=torch.float32),
        torch.tensor(used, dtype=torch.float32),
        torch.cat((torch.full((len(numbers), 1), 40.0), torch.zeros(len(numbers), len(frame.series.orders) - 1)), 1),
    )
    light = lockstep_light(frame, truth)
    data = torch.tensor(rng.poisson(light - 4.0) + rng.normal(0, 2, light.shape) + 4.0, dtype=torch.float32)
    window = np.indices(shape).reshape(3, -1) - (np.array(shape)[:, None] - 1) / 2
    away = np.hypot(window[1], window[2])
    weight = torch.tensor(np.tile(away < 10.5, (len(numbers), 1)))
    zones = Zones(weight & torch.tensor(away < 5), weight & torch.tensor(away > 8))
    half = torch.tensor(np.arange(size) < -(-np.array(numbers)[:, None] // 2))
    start = replace(truth, log_widths=0 * truth.log_widths, used=half.float(), background=truth.background * 0.9)
    return frame, Crops(data, weight.float(), torch.full((len(numbers),), 38.0)), start, zones


def lockstep_light(frame, state):
    from ctcfish.ops.emitters import expected_light

    return expected_light(frame, state).numpy()


def assert_same_path(one: Path, other: Path) -> None:
    tried = torch.isfinite(one.log_likelihood)
    assert torch.equal(tried, torch.isfinite(other.log_likelihood))
    assert int(tried.sum()) > len(tried)
    assert torch.equal(one.log_evidence.argmax(1), other.log_evidence.argmax(1))
    for name, absolute, relative in (
        ("log_likelihood", 0.05, 1e-4),
        ("log_occam", 0.3, 1e-3),
        ("crowding", 1e-3, 1e-3),
    ):
        torch.testing.assert_close(getattr(one, name)[tried], getattr(other, name)[tried], atol=absolute, rtol=relative)
    torch.testing.assert_close(one.total_photons[tried], other.total_photons[tried], atol=1.0, rtol=1e-4)
    torch.testing.assert_close(one.dispersion, other.dispersion, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize(("shape", "model"), CASES, ids=NAMES)
def test_both_ways_try_the_same_numbers_with_the_same_evidence(shape, model):
    frame, crops, start, zones = batch(shape, model, (1, 2, 3, 5, 8), 1)
    assert_same_path(
        compiled.grow(frame, crops, start, zones, Growth()), lockstep.grow(frame, crops, start, zones, Growth())
    )


@pytest.mark.parametrize(("shape", "model"), CASES, ids=NAMES)
def test_both_ways_settle_at_the_same_places(shape, model):
    frame, crops, start, zones = batch(shape, model, (1, 4, 7), 2)
    path = lockstep.grow(frame, crops, start, zones, Growth())
    number = count_posterior(path, model, CountRule()).estimate
    one, other = (way.settle(frame, crops, path, number, Growth()) for way in (compiled, lockstep))
    used = other.used > 0
    assert torch.equal(one.used > 0, used)
    assert int(used.sum()) >= 8
    torch.testing.assert_close(one.places[used], other.places[used], atol=2e-3, rtol=0)
    torch.testing.assert_close(one.log_photons[used], other.log_photons[used], atol=2e-3, rtol=0)
    torch.testing.assert_close(one.background, other.background, atol=2e-2, rtol=1e-3)


def test_a_number_that_was_not_tried_is_moved_to_the_nearest():
    frame, crops, start, zones = batch((1, 27, 27), PLANE, (2, 2), 3)
    path = lockstep.grow(frame, crops, start, zones, Growth())
    most = torch.isfinite(path.log_likelihood).long().cumsum(1).argmax(1)
    settled = compiled.settle(frame, crops, path, torch.tensor([99, 1]), Growth())
    assert settled.used.sum(1).tolist() == [float(most[0]), 1.0]


def test_a_region_knows_nothing_of_those_before_it():
    frame, crops, start, zones = batch((1, 27, 27), PLANE, (9, 1, 4, 12, 2, 3, 1, 5), 7)
    together = compiled.grow(frame, crops, start, zones, Growth())
    for r in range(8):
        own = torch.tensor([r])
        alone = compiled.grow(frame, crops.rows(own), start.rows(own), zones.rows(own), Growth())
        for name in Path.__dataclass_fields__:
            assert torch.equal(getattr(alone, name)[0], getattr(together, name)[r]), (name, r)


def field(seed: int) -> tuple[CrowdImage, Starts]:
    """An image of nine groups of two to four signals, one candidate for all but the last of each."""
    rng = np.random.default_rng(seed)
    image, places, region = np.full((1, 120, 120), 30.0), [], []
    rows = np.arange(120)
    for group, (y, x) in enumerate((y, x) for y in (20, 60, 100) for x in (20, 60, 100)):
        for k in range(2 + group % 3):
            own = np.array([0.0, y + 4.0 * (k // 2), x + 4.0 * (k % 2)]) + rng.uniform(-0.3, 0.3, 3) * [0, 1, 1]
            bell = [np.exp(-0.5 * ((rows - c) / 1.3) ** 2) / (1.3 * math.sqrt(2 * math.pi)) for c in own[1:]]
            image[0] += 500 * np.outer(*bell)
            if k < 1 + group % 3:
                places.append(own)
                region.append(group)
    pixels = torch.tensor(rng.poisson(image), dtype=torch.float32)
    start = torch.tensor(np.array(places), dtype=torch.float32)
    return CrowdImage(pixels), Starts(start, torch.full((len(start),), 500.0), torch.tensor(region), start[:0])


def test_a_whole_image_is_resolved_alike(monkeypatch: pytest.MonkeyPatch):
    image, starts = field(4)
    one = resolve_crowds(image, starts, PLANE)
    monkeypatch.setattr(crowds, "COMPILED", crowds.LOCKSTEP)
    other = resolve_crowds(image, starts, PLANE)
    assert isinstance(one, Crowds)
    assert one.count.estimate.tolist() == other.count.estimate.tolist()
    assert one.count.low.tolist() == other.count.low.tolist()
    assert len(one.photons) == len(other.photons) >= 18
    torch.testing.assert_close(one.position_px, other.position_px, atol=5e-3, rtol=0)
    torch.testing.assert_close(one.photons, other.photons, atol=1.0, rtol=1e-3)


def test_same_regions_same_bytes():
    frame, crops, start, zones = batch((1, 27, 27), PLANE, (2, 4), 5)
    one, other = (compiled.grow(frame, crops, start, zones, Growth()) for _ in range(2))
    assert all(torch.equal(getattr(one, name), getattr(other, name)) for name in Path.__dataclass_fields__)


@pytest.mark.parametrize("number", [1, 2, 3, 10, 101, 500])
def test_the_lower_median_is_that_of_a_sorted_list(number):
    @numba.njit
    def median(values, count):
        return lower_median(values, count)

    values = np.random.default_rng(number).permutation(np.repeat(np.arange(number), 2)[:number]).astype(np.float32)
    padded = np.append(values, np.float32(-9))
    assert median(padded, number) == np.sort(values)[(number - 1) // 2]


@pytest.mark.parametrize("size", [1, 2, 7, 8, 9, 15, 16, 30])
def test_a_step_solves_the_damped_system_whatever_lay_beside_it(size):
    rng = np.random.default_rng(size)
    columns = rng.normal(0, 1, (60, size)) * rng.uniform(1, 30, size)
    information = columns.T @ columns
    room, gradient = np.full((32, 40), np.nan, np.float32), rng.normal(0, 5, 32)
    room[:size, :size] = np.where(np.tri(size, k=-1) > 0, np.nan, information)
    step, scale = np.full((2, 40), np.nan, np.float32)
    sums = Sums(np.zeros((1, 1, 1)), np.zeros((1, 1)), np.zeros(1), np.zeros(8, np.float32))
    work = Work(np.zeros(1), np.zeros((1, 5)), np.zeros((1, 1, 2)), room, gradient, step, scale, sums, room)

    @numba.njit
    def solved(work):
        return scoring._solve(size, work)

    log_determinant = solved(work)
    damped = information + DAMPING * np.diag(np.diag(information))
    np.testing.assert_allclose(step[:size], np.linalg.solve(damped, gradient[:size]), rtol=2e-3, atol=1e-6)
    assert log_determinant == pytest.approx(np.linalg.slogdet(damped)[1], abs=1e-3)
