"""Joint fits of several emitters: derivatives against the objective, known places, and counts with known truth."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from ctcfish.ops import emitters
from ctcfish.ops.crowds import CrowdImage, Starts, first_fits, group_points, resolve_crowds
from ctcfish.ops.emitter_count import CountRule, count_posterior
from ctcfish.ops.emitters import (
    Crops,
    CrowdModel,
    Emitters,
    Frame,
    Part,
    expected_light,
)
from ctcfish.ops.missing import brightest_pixel, missing_light, overdispersion
from ctcfish.ops.resolve import Growth, Path, grow
from ctcfish.ops.scoring import log_likelihood, log_occam, refine
from ctcfish.ops.zones import Reach, Zones
from ctcfish.synth import optics

READ_VARIANCE = 4.0
PLANE = CrowdModel(1.3, 1.4, 500.0, 0.4, READ_VARIANCE)
STACK = CrowdModel(1.3, 1.4, 1500.0, 0.4, READ_VARIANCE)
WIDE_FIELD = (Part(0.81, 0.76, 0.97), Part(1.42, 0.78, 2.45, 1.63), Part(3.8, 1.6, 5.9, 4.05))


def profile(centre, sigma, length):
    edges = np.arange(length + 1) - 0.5
    cumulative = np.array([[0.5 * (1 + math.erf((e - c) / (sigma * math.sqrt(2)))) for e in edges] for c in centre])
    return np.diff(cumulative, axis=1)


def light(shape, places, photons, background):
    """Expected photons (Z, Y, X) of emitters at ``places`` (N, 3)."""
    z = profile(places[:, 0], 1.4, shape[0]) if shape[0] > 1 else np.ones((len(places), 1))
    y, x = profile(places[:, 1], 1.3, shape[1]), profile(places[:, 2], 1.3, shape[2])
    return np.einsum("n,nz,ny,nx->zyx", photons, z, y, x) + background


def camera(rng, expected):
    return rng.poisson(expected) + rng.normal(0, math.sqrt(READ_VARIANCE), expected.shape)


def clusters(shape, model, numbers, spread, seed, background=45.0):
    """One cluster in the middle of each image: images, places, photons."""
    rng, out = np.random.default_rng(seed), []
    for n in numbers:
        middle = (np.array(shape) - 1) / 2 + rng.uniform(-0.5, 0.5, 3)
        places = middle + rng.normal(0, spread, (n, 3)) * [0.4 if shape[0] > 1 else 0.0, 1, 1]
        photons = model.median_photons * np.exp(model.log_sigma * rng.standard_normal(n))
        out.append((camera(rng, light(shape, places, photons, background)), places, photons))
    return out


def state_of(frame, places, photons, level):
    places = torch.tensor(places, dtype=torch.float32)[None]
    background = torch.zeros(1, len(frame.series.orders))
    background[:, 0] = level
    used = torch.ones(1, places.shape[1])
    return Emitters(places, torch.tensor(np.log(photons), dtype=torch.float32)[None], 0 * used, used, background)


@pytest.mark.parametrize(("shape", "model"), [((1, 17, 19), PLANE), ((9, 15, 17), STACK)])
def test_expected_light_is_the_sum_of_images(shape, model):
    frame = Frame.of(shape, model, torch.zeros(1))
    places = np.array([[4.2, 7.1, 8.3], [3.6, 9.4, 6.9]])
    photons = np.array([800.0, 1200.0])
    found = expected_light(frame, state_of(frame, places, photons, 30.0))[0].view(shape).numpy()
    np.testing.assert_allclose(found - READ_VARIANCE, light(shape, places, photons, 30.0), rtol=1e-4)


@pytest.mark.parametrize(
    ("shape", "model"),
    [((1, 17, 17), PLANE), ((9, 15, 15), STACK), ((9, 15, 15), replace(STACK, image=WIDE_FIELD))],
    ids=["plane", "stack", "wide field"],
)
def test_steps_end_at_the_maximum_of_the_posterior(shape, model):
    rng = np.random.default_rng(3)
    middle = (np.array(shape) - 1) / 2
    places = middle + np.array([[0.0, -1.6, 0.4], [0.3, 1.5, -0.2]])
    photons = np.array([1.1, 0.8]) * model.median_photons
    data = torch.tensor(camera(rng, light(shape, places, photons, 40.0)), dtype=torch.float32)
    crops = Crops(data.flatten()[None] + READ_VARIANCE, torch.ones(1, data.numel()), torch.tensor([40.0]))
    frame = Frame.of(shape, model, data)
    state = state_of(frame, places + 0.3, photons * 0.8, 38.0)
    for _ in range(60):
        state, _, _ = refine(frame, crops, state)

    def objective(vector):
        trial = Emitters(
            torch.cat([state.places[..., : 3 - frame.axes], vector[: 2 * frame.axes].view(1, 2, frame.axes)], 2),
            vector[2 * frame.axes : 2 * frame.axes + 2][None],
            vector[2 * frame.axes + 2 : 2 * frame.columns][None] if model.sized else state.log_widths,
            state.used,
            vector[2 * frame.columns :][None],
        )
        mean = expected_light(frame, trial)
        likelihood = (crops.data * torch.log(mean) - mean).sum()
        bright = ((trial.log_photons - math.log(model.median_photons)) / model.log_sigma).square().sum() / 2
        level = torch.zeros_like(trial.background)
        level[:, 0] = 40.0
        smooth = ((trial.background - level).square() * frame.series.precision).sum() / 2 / 40.0**2
        size = (trial.log_widths / emitters.WIDTH_SD).square().sum() / 2
        return likelihood - bright - smooth - size

    vector = torch.cat(
        [
            state.places[..., 3 - frame.axes :].flatten(),
            state.log_photons.flatten(),
            *([state.log_widths.flatten()] if model.sized else []),
            state.background.flatten(),
        ]
    ).clone()
    vector.requires_grad_(True)
    with torch.enable_grad():
        slope = torch.autograd.grad(objective(vector), vector)[0]
        curvature = torch.autograd.functional.hessian(objective, vector.detach())
    left = -torch.linalg.solve(curvature, slope)
    errors = torch.linalg.inv(-curvature).diagonal().sqrt()
    assert (left.abs() < 0.02 * errors).all()


@pytest.mark.parametrize(("shape", "model"), [((1, 21, 17), PLANE), ((7, 15, 19), STACK)])
def test_light_under_each_emitter_is_the_first_of_its_projections(shape, model):
    """The weight under an emitter is a plain sum over its image, alone or together with the derivatives."""
    frame = Frame.of(shape, model, torch.zeros(1))
    rng = np.random.default_rng(21)
    places = torch.tensor(rng.uniform(2, 12, (2, 3, 3)), dtype=torch.float32) * torch.tensor(
        [float(shape[0] > 1), 1, 1]
    )
    image = torch.tensor(rng.uniform(0, 1, (2, *shape)), dtype=torch.float32)
    nothing = torch.zeros(2, 3)
    profiles = emitters.profiles(frame, Emitters(places, nothing, nothing, nothing, nothing))
    local = emitters.overlaps(frame, image.flatten(1), profiles)
    together = emitters.projections(frame, image.flatten(1), profiles)
    torch.testing.assert_close(local, together[..., 0], atol=1e-5, rtol=1e-5)
    for r in range(2):
        for m in range(3):
            alone = light(shape, places[r, m : m + 1].numpy(), np.ones(1), 0.0)
            assert float(local[r, m]) == pytest.approx(float((alone * image[r].numpy()).sum()), rel=1e-4, abs=1e-5)


def test_information_is_symmetric_and_holds_the_products_of_the_background():
    frame = Frame.of((1, 31, 31), PLANE, torch.zeros(1))
    state = state_of(frame, np.array([[0, 12.0, 14.0], [0, 18.0, 16.0]]), np.array([500.0, 700.0]), 45.0)
    local, weight = torch.full((1, 2), 0.02), torch.rand(1, 31 * 31, generator=torch.Generator().manual_seed(4))
    information = emitters.closed_information(frame, state, local, weight)[0]
    torch.testing.assert_close(information, information.T)
    expected = (frame.series.basis * weight) @ frame.series.basis.T
    torch.testing.assert_close(information[6:, 6:], expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(("shape", "model"), [((1, 27, 27), PLANE), ((15, 25, 25), STACK)])
def test_closed_information_is_that_of_the_images_where_the_weight_is_even(shape, model):
    """Rows of the emitters against the products of the derivatives of the expected light, in units of the diagonal."""
    frame, k = Frame.of(shape, model, torch.zeros(1)), 3 if shape[0] == 1 else 4
    middle = (np.array(shape) - 1) / 2
    state = state_of(frame, middle + np.array([[0.0, -1.3, 0.4], [0.6, 1.1, 1.7]]), np.array([500.0, 700.0]), 45.0)
    size = 2 * k + len(frame.series.orders)

    def seen(vector):
        part = vector[: 2 * k].view(1, 2, k)
        places = torch.cat((state.places[..., : 4 - k].double(), part[..., 1:]), 2)
        return expected_light(
            frame, Emitters(places, part[..., 0], 0 * part[..., 0], state.used, vector[2 * k :][None])
        )[0]

    emitted = torch.cat((state.log_photons[..., None], state.places[..., 4 - k :]), 2)
    at = torch.cat((emitted.flatten(), state.background[0])).double()
    frame = replace(frame, series=replace(frame.series, basis=frame.series.basis.double()))
    slopes = torch.autograd.functional.jacobian(seen, at)
    exact = slopes.T @ slopes
    weight = torch.ones(1, slopes.shape[0])
    local = emitters.overlaps(frame, weight, emitters.profiles(frame, state))
    closed = emitters.closed_information(frame, state, local, weight)[0].double()
    scale = exact.diagonal().rsqrt()
    closed, exact = ((m * scale[:, None] * scale)[: 2 * k] for m in (closed, exact))
    assert closed.shape == (2 * k, size)
    torch.testing.assert_close(closed, exact, atol=0.03, rtol=0)


def test_an_image_of_several_parts_has_the_derivatives_of_its_light():
    """The whole Jacobian against automatic differentiation of the expected light."""
    shape, model = (9, 21, 23), replace(STACK, image=WIDE_FIELD)
    frame = Frame.of(shape, model, torch.zeros(1, dtype=torch.float64))
    places = (np.array(shape) - 1) / 2 + np.array([[0.2, -1.3, 0.4], [1.6, 1.1, 1.7]])
    state = state_of(frame, places, np.array([1500.0, 900.0]), 45.0)
    state = replace(state, log_widths=torch.tensor([[0.1, -0.2]]))
    state = Emitters(*(getattr(state, name).double() for name in Emitters.__dataclass_fields__))

    def seen(emitted, background):
        brightness, places, widths = emitted[None, :, 0], emitted[None, :, 1:4], emitted[None, :, 4]
        return expected_light(frame, Emitters(places, brightness, widths, state.used, background[None]))[0]

    emitted = torch.cat((state.log_photons[0, :, None], state.places[0], state.log_widths[0, :, None]), 1)
    by_emitters, by_background = torch.autograd.functional.jacobian(seen, (emitted, state.background[0]))
    found = emitters.jacobian(frame, state, emitters.profiles(frame, state))[0]
    torch.testing.assert_close(found, torch.cat((by_emitters.flatten(1), by_background), 1).T)


def test_residual_peak_is_where_a_signal_is_missing():
    shape = (1, 21, 21)
    frame = Frame.of(shape, PLANE, torch.zeros(1))
    rng = np.random.default_rng(4)
    places, photons = np.array([[0, 7.0, 7.0], [0, 13.0, 14.0]]), np.array([500.0, 500.0])
    data = torch.tensor(camera(rng, light(shape, places, photons, 40.0)), dtype=torch.float32).flatten()[None]
    crops = Crops(data + READ_VARIANCE, torch.ones_like(data), torch.tensor([40.0]))
    known = state_of(frame, places[:1], photons[:1], 40.0)
    peak = brightest_pixel(frame, missing_light(frame, crops, known), torch.ones_like(data, dtype=torch.bool))
    assert (peak[0] - torch.tensor([0, 13.0, 14.0])).abs().max() <= 1


@pytest.mark.parametrize(
    ("apart", "least"), [(None, 0.93), (2.5, 0.8), (3.0, 0.88), (4.0, 0.88)], ids=["one", "2.5 px", "3 px", "4 px"]
)
def test_pairs_are_told_from_single_signals(apart, least):
    rng, images, starts = np.random.default_rng(5), [], []
    for _ in range(60):
        middle = np.array([0, 12.0, 12.0]) + rng.uniform(-0.5, 0.5, 3) * [0, 1, 1]
        turn = rng.uniform(0, 2 * math.pi)
        arm = np.array([0, math.sin(turn), math.cos(turn)]) * (apart or 0) / 2
        places = middle[None] if apart is None else np.stack([middle + arm, middle - arm])
        photons = 500 * np.exp(0.25 * rng.standard_normal(len(places)))
        images.append(camera(rng, light((1, 25, 25), places, photons, 45.0))[0])
        starts.append(middle)
    stack = torch.tensor(np.concatenate(images, 1), dtype=torch.float32)[None]
    at = torch.tensor(np.array(starts), dtype=torch.float32)
    at[:, 2] += torch.arange(60) * 25
    found = resolve_crowds(
        CrowdImage(stack), Starts(at, torch.full((60,), 500.0), torch.arange(60), torch.zeros(0, 3)), PLANE
    )
    wanted = 1 if apart is None else 2
    assert float((found.count.estimate == wanted).float().mean()) >= least
    assert torch.equal(torch.bincount(found.region, minlength=60), found.count.estimate)


@pytest.mark.parametrize(
    ("shape", "model", "worst"), [((1, 33, 33), PLANE, 2.2), ((13, 25, 25), STACK, 2.0)], ids=["plane", "stack"]
)
def test_clusters_are_counted_within_their_interval(shape, model, worst):
    rng = np.random.default_rng(6)
    numbers = rng.integers(5, 21, 24)
    scenes = clusters(shape, model, numbers, 2.7, seed=7)
    stack = torch.tensor(np.concatenate([s[0] for s in scenes], 2), dtype=torch.float32)
    at, region = [], []
    for i, (_, places, photons) in enumerate(scenes):
        top = np.argsort(-photons)[:3]  # candidates: some of the brightest
        at.append(places[top] + [0, 0, i * shape[2]])
        region += [i] * len(top)
    starts = Starts(
        torch.tensor(np.concatenate(at), dtype=torch.float32),
        torch.full((len(region),), model.median_photons),
        torch.tensor(region),
        torch.zeros(0, 3),
    )
    found = resolve_crowds(CrowdImage(stack), starts, model)
    error = found.count.estimate.numpy() - numbers
    assert np.abs(error).mean() < worst
    inside = (found.count.low.numpy() <= numbers) & (numbers <= found.count.high.numpy())
    assert inside.mean() >= 0.85
    light_error = found.total_photons.numpy() - np.array([s[2].sum() for s in scenes])
    assert abs(light_error.mean()) < 0.8 * model.mean_photons


def test_a_known_neighbour_of_another_region_does_not_count():
    rng = np.random.default_rng(8)
    places = np.array([[0, 12.0, 12.0], [0, 12.0, 18.0]])
    image = camera(rng, light((1, 25, 31), places, np.array([500.0, 2500.0]), 45.0))
    starts = Starts(
        torch.tensor([[0, 12.0, 12.0]]), torch.tensor([500.0]), torch.tensor([0]), torch.tensor([[0, 12.0, 18.0]])
    )
    found = resolve_crowds(CrowdImage(torch.tensor(image, dtype=torch.float32)), starts, PLANE)
    assert found.count.estimate.tolist() == [1]
    assert float(found.photons[0]) == pytest.approx(500, rel=0.25)


def test_camera_numbers_are_photons_after_offset_and_gain():
    rng = np.random.default_rng(9)
    image = camera(rng, light((1, 25, 25), np.array([[0, 12.0, 12.0]]), np.array([800.0]), 45.0))
    starts = Starts(torch.tensor([[0, 12.0, 12.0]]), torch.tensor([800.0]), torch.tensor([0]), torch.zeros(0, 3))
    plain = resolve_crowds(CrowdImage(torch.tensor(image, dtype=torch.float32)), starts, PLANE)
    adu = torch.tensor(np.round(image * 20 + 100).astype(np.int32))
    scaled = resolve_crowds(CrowdImage(adu, offset_adu=100.0, gain_adu_per_photon=20.0), starts, PLANE)
    torch.testing.assert_close(scaled.photons, plain.photons, rtol=1e-2, atol=1.0)


def test_no_region_gives_no_rows():
    none = Starts(torch.zeros(0, 3), torch.zeros(0), torch.zeros(0, dtype=torch.int64), torch.zeros(0, 3))
    found = resolve_crowds(CrowdImage(torch.zeros(1, 30, 30)), none, PLANE)
    assert found.position_px.shape == (0, 3)
    assert len(found.count.estimate) == 0


def test_groups_hang_together_by_steps_along_scaled_axes():
    points = torch.tensor([[0.0, 0, 0], [0, 20, 0], [0, 0, 4], [0, 0, 8], [2, 20, 0], [9, 20, 0]])
    assert group_points(points, (0.5, 1.0, 1.0), 4.5).tolist() == [0, 1, 0, 0, 1, 2]
    assert group_points(torch.zeros(0, 3), (1.0, 1.0, 1.0), 2.0).tolist() == []


def path_with(evidence, total, crowding):
    rows, columns = evidence.shape
    return Path(
        evidence,
        torch.zeros_like(evidence),
        total,
        torch.zeros(rows, columns, columns - 1, 3),
        torch.zeros(rows, columns, columns - 1),
        torch.zeros(rows, columns, columns - 1),
        torch.zeros(rows, columns, 1),
        crowding,
        torch.ones(rows),
    )


def test_count_follows_structure_where_sparse_and_light_where_crowded():
    evidence = torch.full((2, 6), -torch.inf)
    evidence[:, 1:4] = torch.tensor([0.0, 30.0, 20.0])
    total = torch.full((2, 6), 9 * PLANE.mean_photons)
    crowding = torch.tensor([[0.0], [20.0]]).expand(2, 6)
    count = count_posterior(path_with(evidence, total, crowding), PLANE, CountRule())
    assert count.estimate[0] == 2
    assert count.resolved.tolist() == [2, 2]
    assert abs(int(count.estimate[1]) - 9) <= 1
    assert count.low[1] < 9 < count.high[1]
    torch.testing.assert_close(count.probability.sum(1), torch.ones(2))
    assert (count.probability[:, 0] < 1e-6).all()


def test_evidence_prefers_two_emitters_where_there_are_two():
    shape = (1, 21, 21)
    frame = Frame.of(shape, PLANE, torch.zeros(1))
    rng = np.random.default_rng(10)
    places, photons = np.array([[0, 9.0, 9.0], [0, 12.0, 12.0]]), np.array([500.0, 500.0])
    data = torch.tensor(camera(rng, light(shape, places, photons, 40.0)), dtype=torch.float32).flatten()[None]
    crops = Crops(data + READ_VARIANCE, torch.ones_like(data), torch.tensor([40.0]))
    values = []
    for n in (1, 2):
        state = state_of(frame, places[:n], photons[:n], 40.0)
        for _ in range(8):
            state, log_determinant, _ = refine(frame, crops, state)
        values.append(float(log_likelihood(frame, crops, state) + log_occam(frame, state, log_determinant)))
    assert values[1] - values[0] > 5


def test_growth_keeps_every_number_it_tried_and_stays_under_its_limit():
    shape = (1, 25, 25)
    scenes = clusters(shape, PLANE, [9, 1], 2.5, seed=12)
    data = torch.tensor(np.stack([s[0] for s in scenes]), dtype=torch.float32).flatten(1)
    frame = Frame.of(shape, PLANE, data)
    crops = Crops(data + READ_VARIANCE, torch.ones_like(data), torch.full((2,), 45.0))
    first = torch.tensor(np.stack([s[1][0] for s in scenes]), dtype=torch.float32)[:, None]
    background = torch.zeros(2, len(frame.series.orders))
    background[:, 0] = 45.0
    start = Emitters(first, torch.full((2, 1), math.log(500.0)), torch.zeros(2, 1), torch.ones(2, 1), background)
    everywhere = torch.ones_like(data, dtype=torch.bool)
    path = grow(frame, crops, start, Zones(everywhere, everywhere), Growth(most_emitters=5))
    tried = torch.isfinite(path.log_evidence)
    assert tried[0].tolist() == [False, True, True, True, True, True]
    assert int(path.log_evidence[1].argmax()) == 1
    assert not tried[1, 5]


def test_reach_and_defaults_can_be_given():
    rng = np.random.default_rng(13)
    image = torch.tensor(camera(rng, light((1, 25, 25), np.array([[0, 12.0, 12.0]]), np.array([500.0]), 45.0)))
    starts = Starts(torch.tensor([[0, 12.0, 12.0]]), torch.tensor([500.0]), torch.tensor([0]), torch.zeros(0, 3))
    found = resolve_crowds(CrowdImage(image), starts, PLANE, Reach(fit=4.0), Growth(steps=3), CountRule(temper=1.0))
    assert found.count.estimate.tolist() == [1]


def test_significance_has_unit_variance_on_plain_background_and_more_on_texture():
    shape, rng = (9, 21, 21), np.random.default_rng(14)
    frame = Frame.of(shape, STACK, torch.zeros(1))
    plain = camera(rng, np.full((40, *shape), 40.0))
    rough = camera(
        rng, np.clip(40.0 + 8.0 * np.repeat(np.repeat(rng.standard_normal((40, 9, 7, 7)), 3, 2), 3, 3), 1, None)
    )
    values = []
    for images in (plain, rough):
        data = torch.tensor(images, dtype=torch.float32).flatten(1)
        crops = Crops(data + READ_VARIANCE, torch.ones_like(data), torch.full((40,), 40.0))
        background = torch.zeros(40, len(frame.series.orders))
        background[:, 0] = 40.0
        empty = Emitters(torch.zeros(40, 0, 3), *[torch.zeros(40, 0)] * 3, background)
        significance = missing_light(frame, crops, empty)
        inner = torch.zeros(shape, dtype=torch.bool)
        inner[3:-3, 4:-4, 4:-4] = True
        inner = inner.flatten().expand(40, -1)
        values.append((float(significance[inner].std()), float(overdispersion(significance, inner).median())))
    assert values[0][0] == pytest.approx(1.0, abs=0.05)
    assert values[0][1] < 1.4
    assert values[1][1] > 1.9


def a_point(photons: float) -> torch.Tensor:
    """Stack of one bright point through a scalar pupil of NA 1.3, every plane of which holds all its light."""
    stack = np.full((15, 41, 41), 40.0, np.float32)
    shape = optics.profile(optics.Lens(1.3, 1.518, 0.588), 0.45, (8.0, 6.0), (0.05, 0.02))
    optics.add_point(stack, shape, (7.2, 20.3, 19.8), photons, (0.4, 0.1, 0.1))
    return torch.tensor(camera(np.random.default_rng(4), stack), dtype=torch.float32)


def test_light_out_of_focus_belongs_to_the_emitter() -> None:
    """Two cones of light explain a point through a pupil better than a round halo, and that far better than none."""
    stack = a_point(2400.0)
    likelihood = []
    for image in (WIDE_FIELD, (Part(0.65, 0.80, 0.81), Part(3.2, 4.3, 3.5)), (Part(),)):
        model = CrowdModel(1.84, 1.19, 2600.0, 0.3, READ_VARIANCE, image=image)
        frame = Frame.of((15, 41, 41), model, stack)
        crops = Crops(stack.flatten()[None] + READ_VARIANCE, torch.ones(1, stack.numel()), torch.tensor([40.0]))
        state = state_of(frame, [[7.0, 20.0, 20.0]], [6000.0], 40.0)
        for _ in range(15):
            state, _, _ = refine(frame, crops, state)
        np.testing.assert_allclose(state.places[0, 0].numpy(), [7.2, 20.3, 19.8], atol=0.06)
        likelihood.append(float(log_likelihood(frame, crops, state)[0]))
    assert likelihood[0] > likelihood[1] + 60
    assert likelihood[1] > likelihood[2] + 60


def test_the_parts_of_an_image_add_up() -> None:
    """Light of three parts is the sum of three models of one part each, read variance taken once."""
    parts = [replace(STACK, image=(part,)) for part in WIDE_FIELD]
    shape = (9, 21, 21)
    like = torch.zeros(1)
    state = Emitters(
        torch.tensor([[[4.2, 9.7, 11.1], [3.0, 12.0, 8.0]]]),
        torch.log(torch.tensor([[900.0, 1500.0]])),
        torch.zeros(1, 2),
        torch.ones(1, 2),
        torch.zeros(1, len(Frame.of(shape, STACK, like).series.orders)),
    )
    whole = expected_light(Frame.of(shape, replace(STACK, image=WIDE_FIELD), like), state)
    each = [expected_light(Frame.of(shape, part, like), state) - STACK.read_variance for part in parts]
    torch.testing.assert_close(whole, sum(each) + STACK.read_variance, rtol=1e-4, atol=0.02)


@pytest.mark.parametrize("through_a_pupil", [True, False])
def test_signals_that_stand_alone_tell_the_image_of_a_point(through_a_pupil: bool) -> None:
    """Second path: the same point drawn through a pupil and as one Gaussian."""
    gaussian = light((15, 41, 41), np.array([[7.2, 20.3, 19.8]]), np.array([6000.0]), 40.0)
    drawn = torch.tensor(camera(np.random.default_rng(4), gaussian), dtype=torch.float32)
    stack = a_point(2400.0) if through_a_pupil else drawn
    sigma = (1.84, 1.19) if through_a_pupil else (1.3, 1.4)
    start = Starts(
        torch.tensor([[7.0, 20.0, 20.0]]),
        torch.tensor([6000.0]),
        torch.zeros(1, dtype=torch.int64),
        torch.zeros(0, 3),
    )
    wide, focused = (
        float(first_fits(CrowdImage(stack), start, CrowdModel(*sigma, 2600.0, 0.3, READ_VARIANCE, image=image))[0])
        for image in (WIDE_FIELD, (Part(),))
    )
    assert (wide > focused + 20) if through_a_pupil else (focused > wide + 20)
