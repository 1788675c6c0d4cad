"""Leak and chromatic shift of a slide, on drawn channels whose leak and shift are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ctcfish.parameters import Detect, Survey
from ctcfish.stages.signals.camera import Camera
from ctcfish.stages.signals.colours import Colours, merge_pairs, pair, typical, without_ghosts
from ctcfish.stages.signals.ghosts import measure, windows
from ctcfish.stages.signals.lone import Isolated
from ctcfish.stages.survey import merge
from ctcfish.types import Probe
from tests.stages.test_survey import surveyed

CAMERA = Camera(2.0, 100.0, 2.0, "metadata")
SETTING = (2.0, 100.0, 4.0)
STEP = np.array([0.4, 0.1, 0.1])
WIDTH = (0.4, 0.14)
SHAPE = (15, 400, 400)
KEYS = ("HER2>CEP17", "CEP17>HER2")


def drawn(light: np.ndarray, place_um: np.ndarray, photons: np.ndarray) -> None:
    """Add Gaussians of the signals' width to an image of photons."""
    for (z, y, x), n in zip(place_um / STEP, photons, strict=True):
        half = (4, 9, 9)
        first = [max(0, round(c) - h) for c, h in zip((z, y, x), half, strict=True)]
        last = [min(s, round(c) + h + 1) for c, h, s in zip((z, y, x), half, light.shape, strict=True)]
        bells = []
        for a, c, sigma in zip(range(3), (z, y, x), (1.0, 1.4, 1.4), strict=True):
            away = np.arange(first[a], last[a]) - c
            bells.append(np.exp(-0.5 * (away / sigma) ** 2) / (np.sqrt(2 * np.pi) * sigma))
        box = tuple(slice(a, b) for a, b in zip(first, last, strict=True))
        light[box] += n * bells[0][:, None, None] * bells[1][:, None] * bells[2]


def isolated(place_um: np.ndarray, photons: np.ndarray) -> Isolated:
    n = len(photons)
    width = np.full(n, WIDTH[1])
    return Isolated(place_um, np.tile(WIDTH, (n, 1)), width, width, photons, 0.4 * photons, np.full(n, 20.0))


class Drawing:
    """Two channels of signals, half of the CEP17 ones beside a HER2 one; each leaks into the other channel."""

    def __init__(self, seed: int, leak: tuple[float, float], shift: tuple[float, float, float], noisy: bool = True):
        rng = np.random.default_rng(seed)
        grid = np.stack(np.meshgrid(np.arange(3.0, 37, 3.4), np.arange(3.0, 37, 3.4)), -1).reshape(-1, 2)
        her2 = np.column_stack([rng.uniform(1.8, 3.8, len(grid)), grid + rng.uniform(-0.4, 0.4, grid.shape)])
        cep17 = her2 + rng.normal(0, 0.8, her2.shape)
        cep17[:, 0] = cep17[:, 0].clip(1.2, 4.4)
        photons = [1500 * np.exp(0.3 * rng.standard_normal(len(grid))) for _ in range(2)]
        off = np.array(shift)
        light = [np.full(SHAPE, 40.0), np.full(SHAPE, 40.0)]
        drawn(light[0], her2, photons[0])
        drawn(light[0], cep17, leak[1] * photons[1])
        drawn(light[1], cep17 - off, photons[1])
        drawn(light[1], her2 - off, leak[0] * photons[0])
        self.stacks: dict[Probe, np.ndarray] = {}
        for probe, image in zip(("HER2", "CEP17"), light, strict=True):
            seen = rng.poisson(image) + rng.normal(0, 2, SHAPE) if noisy else image
            self.stacks[probe] = 100 + 2 * seen
        self.isolated: dict[Probe, Isolated] = {
            "HER2": isolated(her2, photons[0]),
            "CEP17": isolated(cep17 - off, photons[1]),
        }

    def colours(self) -> Colours:
        return merge_pairs([pair(self.stacks, self.isolated, (0.4, 0.1, 0.1), CAMERA)])


@pytest.mark.parametrize(
    ("leak", "shift"),
    [
        ((0.0, 0.0), (0.0, 0.0, 0.0)),
        ((0.02, 0.08), (0.4, -0.2, 0.15)),
        ((0.08, 0.0), (-0.5, 0.0, 0.25)),
        ((0.05, 0.6), (0.2, 0.1, -0.1)),
    ],
)
def test_leak_and_shift_are_found_in_both_directions(leak, shift) -> None:
    found = Drawing(3, leak, shift).colours()
    for key, true in zip(KEYS, leak, strict=True):
        assert found.crosstalk[key] == pytest.approx(true, abs=0.012 + 0.04 * true)
    error = np.array(found.shift_um) - np.array(shift)
    assert (np.abs(error) < 3.5 * np.array(found.shift_error_um)).all()
    assert max(found.shift_error_um) < (0.12 if max(leak) == 0.0 else 0.05)


def test_more_leak_tells_the_shift_better() -> None:
    errors = [max(Drawing(5, (leak, leak), (0.1, 0.1, 0.1)).colours().shift_error_um[1:]) for leak in (0.0, 0.04, 0.2)]
    assert errors == sorted(errors, reverse=True)
    assert errors[2] < 0.01


def test_fields_say_together_what_one_image_says() -> None:
    parts = [
        pair(d.stacks, d.isolated, (0.4, 0.1, 0.1), CAMERA)
        for d in (Drawing(s, (0.04, 0.04), (0.3, 0.1, -0.1)) for s in (1, 2))
    ]
    both, one = merge_pairs(parts), merge_pairs(parts[:1])
    assert max(both.shift_error_um) < 0.8 * max(one.shift_error_um)
    assert merge_pairs(parts) == both
    for key in KEYS:
        assert both.crosstalk[key] == pytest.approx(0.04, abs=0.01)


def test_loci_in_one_direction_are_no_shift() -> None:
    drawing = Drawing(4, (0.0, 0.05), (0.2, 0.1, -0.1))
    parts = pair(drawing.stacks, drawing.isolated, (0.4, 0.1, 0.1), CAMERA)
    rng = np.random.default_rng(1)
    aside = replace(parts, way_um=rng.normal((0.0, 0.0, -1.4), 0.2, (200, 3)))
    found = merge_pairs([aside])
    assert found == merge_pairs([replace(parts, way_um=np.empty((0, 3)))])
    assert found.shift_um == pytest.approx((0.2, 0.1, -0.1), abs=0.12)


def test_too_few_signals_tell_no_leak() -> None:
    drawing = Drawing(3, (0.2, 0.2), (0.0, 0.0, 0.0))
    few = {p: isolated(own.position_um[:5], own.photons[:5]) for p, own in drawing.isolated.items()}
    found = merge_pairs([pair(drawing.stacks, few, (0.4, 0.1, 0.1), CAMERA)])
    assert found.crosstalk == dict.fromkeys(KEYS, 0.0)
    nothing = merge_pairs([])
    assert (nothing.crosstalk, nothing.shift_um) == ({}, (0.0, 0.0, 0.0))
    assert nothing.shift_error_um == pytest.approx((0.4, 0.15, 0.15))


def test_one_colour_has_no_pairs() -> None:
    drawing = Drawing(3, (0.0, 0.0), (0.0, 0.0, 0.0))
    alone = pair({"HER2": drawing.stacks["HER2"]}, {"HER2": drawing.isolated["HER2"]}, (0.4, 0.1, 0.1), CAMERA)
    assert alone.ghosts == {}
    assert alone.way_um.shape == (0, 3)
    empty = isolated(np.zeros((0, 3)), np.zeros(0))
    none = pair(drawing.stacks, {"HER2": empty, "CEP17": empty}, (0.4, 0.1, 0.1), CAMERA)
    assert [len(g) for g in none.ghosts.values()] == [0, 0]
    assert merge_pairs([none]).shift_um == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("planes", [15, 1])
def test_a_ghost_without_noise_is_measured_exactly(planes: int) -> None:
    place, way = np.array([[2.83, 20.04, 19.97]]), np.array([0.2, -0.1, 0.15])
    light = np.zeros(SHAPE)
    drawn(light, place + way, np.array([90.0]))
    stack = 100 + 2 * (light + 30)
    sigma = np.array(WIDTH)
    if planes == 1:  # all light of the stack in one plane
        stack, place, way = 100 + 2 * (light.sum(0)[None] + 30), place * [0, 1, 1], way * [0, 1, 1]
    step = STEP if planes > 1 else np.array([1.0, 0.1, 0.1])
    seen = windows(stack, (place, np.array([1500.0]), np.array([WIDTH])), WIDTH, step, SETTING)
    found = measure(seen, way, sigma)
    assert found.light[0] == pytest.approx(90, rel=0.01)
    aside = measure(seen, way - [0, 0.02, 0], sigma)
    assert aside.moved[0, 1] / aside.light[0] == pytest.approx(0.02, rel=0.1)
    assert aside.moved[0, 2] / aside.light[0] == pytest.approx(0.0, abs=0.002)


def test_the_channels_own_signals_are_taken_out_of_a_window() -> None:
    place = np.array([[2.8, 20.0, 20.0]])
    light = np.full(SHAPE, 40.0)
    drawn(light, place, np.array([60.0]))
    drawn(light, place + np.array([0.5, 0.62, -0.31]), np.array([1500.0]))
    noisy = np.random.default_rng(1).poisson(light)
    signals = (place, np.array([1500.0]), np.array([WIDTH]))
    left = measure(windows(100 + 2 * noisy, signals, WIDTH, STEP, SETTING), np.zeros(3), np.array(WIDTH))
    assert left.light[0] == pytest.approx(60, abs=3 * left.error[0])
    # a window is whole, or it is none
    near = (np.array([[2.8, 0.3, 20.0]]), np.array([1500.0]), np.array([WIDTH]))
    assert len(windows(100 + 2 * noisy, near, WIDTH, STEP, SETTING)) == 0


def test_planes_beyond_the_stack_are_not_seen() -> None:
    place = np.array([[0.4, 20.0, 20.0]])
    light = np.full(SHAPE, 40.0)
    drawn(light, place, np.array([500.0]))
    seen = windows(100 + 2 * light, (place, np.array([900.0]), np.array([WIDTH])), WIDTH, STEP, SETTING)
    assert not seen.seen[0, 0]
    assert seen.seen[0, -1]
    assert measure(seen, np.zeros(3), np.array(WIDTH)).light[0] == pytest.approx(500, rel=0.02)


@pytest.mark.parametrize("others", [0.0, 0.15, 0.35])
def test_the_typical_share_among_others(others: float) -> None:
    """Against a plain mean of the shares that are typical in truth."""
    rng = np.random.default_rng(7)
    errors = []
    for _ in range(40):
        error = rng.uniform(0.03, 0.08, 120)
        other = rng.random(120) < others
        share = np.where(other, rng.uniform(-0.1, 1.4, 120), 0.05 + error * rng.standard_normal(120))
        value, trust = typical(share, error, np.ones(120))
        errors.append(value - 0.05)
        assert trust.shape == (120,)
        assert np.median(trust[~other]) > 0.5
    assert abs(np.mean(errors)) < 0.006
    assert np.std(errors) < 0.011


def test_odds_take_a_share_out() -> None:
    share, error = np.append(np.zeros(30), 0.03), np.full(31, 0.05)
    kept, trust = typical(share, error, np.ones(31))
    dropped, distrust = typical(share, error, np.append(np.ones(30), 1e9))
    assert trust[-1] > 0.3 > distrust[-1]
    assert dropped == pytest.approx(0.0, abs=1e-6)
    assert kept > dropped


def test_ghosts_leave_no_trace_in_the_brightness_of_signals() -> None:
    own = isolated(np.array([[2.0, 5.0, 5.0], [2.0, 8.0, 8.0]]), np.array([500.0, 500.0]))
    other = isolated(np.array([[2.0, 5.2, 5.0], [2.0, 11.0, 8.0]]), np.array([1500.0, 1500.0]))
    way = np.array([0.0, -0.2, 0.0])
    assert without_ghosts(own, other, 0.3, way).position_um[:, 1].tolist() == [8.0]
    assert len(without_ghosts(own, other, 0.3, -3 * way).photons) == 2
    assert len(without_ghosts(own, other, 0.05, way).photons) == 2  # brightened by a sixth
    assert without_ghosts(own, isolated(np.zeros((0, 3)), np.zeros(0)), 0.3, way) is own


def test_the_slide_learns_brightness_without_ghosts() -> None:
    drawing = Drawing(3, (0.0, 0.6), (0.2, 0.1, -0.1))
    field = surveyed(1)
    her2 = field.probes["HER2"]
    ghosts = drawing.isolated["CEP17"].position_um + np.array([0.2, 0.1, -0.1])
    seen = isolated(
        np.concatenate([drawing.isolated["HER2"].position_um, ghosts]),
        np.concatenate([drawing.isolated["HER2"].photons, 0.6 * drawing.isolated["CEP17"].photons]),
    )
    probes = {
        "HER2": replace(her2, isolated=seen),
        "CEP17": replace(her2, isolated=drawing.isolated["CEP17"]),
    }
    pairs = pair(drawing.stacks, drawing.isolated, (0.4, 0.1, 0.1), CAMERA)
    both = replace(field, probes=probes, colours=pairs, start_sigma_um={"HER2": WIDTH, "CEP17": WIDTH})
    model = merge([both], Survey(), Detect())
    assert model.crosstalk["CEP17>HER2"] == pytest.approx(0.6, abs=0.04)
    assert model.probes["HER2"].photons_median == pytest.approx(1500, rel=0.12)
    assert model.chromatic_shift_um == pytest.approx((0.2, 0.1, -0.1), abs=0.05)
