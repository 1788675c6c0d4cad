"""Templates for a second signal: they see it at its light, and nothing else in the window."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ctcfish.ops.companions import companions, half_window

DEEP, FLAT = (1.4, 1.3), (1.0, 1.3)


def image(place, sigma, half):
    """A Gaussian integrated over pixels, by the error function: a second path to the templates' own."""
    axes = []
    for reach, off, width in zip((half[0], half[1], half[1]), place, (sigma[0], sigma[1], sigma[1]), strict=True):
        edges = [math.erf((e - 0.5 - off) / (width * math.sqrt(2))) / 2 for e in range(-reach, reach + 2)]
        axes.append(np.diff(edges) if reach else np.ones(1))
    return np.einsum("z,y,x->zyx", *axes).ravel()


def told(sigma, planes=9):
    present = (True,) * (planes if sigma is DEEP else 1)
    return companions(sigma, present), half_window(sigma, len(present))


def test_a_stack_is_looked_at_nine_planes_deep_and_a_plane_alone_in_itself():
    assert half_window(DEEP, 20) == (4, 6)
    assert half_window(FLAT, 1) == (0, 6)


@pytest.mark.parametrize("sigma", [DEEP, FLAT])
def test_the_fitted_signal_a_little_off_its_place_and_any_background_tell_nothing(sigma):
    tell, half = told(sigma)
    rng = np.random.default_rng(1)
    shape = (2 * half[0] + 1, 2 * half[1] + 1, 2 * half[1] + 1)
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, n) if n > 1 else np.zeros(1) for n in shape), indexing="ij")
    levels = rng.uniform(10, 60, shape[0])[:, None, None]
    ground = levels + 8 * y - 5 * x + (3 * y * z - 4 * x * z + 2 * y * y - x * y if half[0] else 0)
    window = 1000 * image((0.05 if half[0] else 0.0, 0.06, -0.08), sigma, half) + ground.ravel()
    assert np.abs(tell.templates @ window).max() < 6.0


@pytest.mark.parametrize("sigma", [DEEP, FLAT])
def test_a_second_signal_is_seen_clearly_and_at_about_its_light(sigma):
    tell, half = told(sigma)
    place = (-2.1, 1.2, 1.3) if half[0] else (0.0, 2.5, 1.2)
    window = 900 * image((0.0, 0.0, 0.0), sigma, half) + 400 * image(place, sigma, half) + 30.0
    light = tell.templates @ window
    level, own, its = (tell.noise[k] * n for k, n in enumerate((30.0, 900.0, 400.0)))
    clear = light / np.sqrt(level + own + its)
    assert clear.max() > 3.5
    assert light[clear.argmax()] == pytest.approx(400.0, rel=0.25)


def test_noise_is_what_poisson_pixels_make():
    tell, half = told(DEEP)
    rng = np.random.default_rng(2)
    expected = 800 * image((0.0, 0.0, 0.0), DEEP, half) + 25.0
    light = rng.poisson(expected, (3000, len(expected))) @ tell.templates.T
    assert light.std(0) == pytest.approx(np.sqrt(25.0 * tell.noise[0] + 800.0 * tell.noise[1]), rel=0.08)
    assert np.abs(light.mean(0)).max() < 5 * light.std(0).max() / math.sqrt(3000)


def test_planes_outside_the_stack_count_for_nothing_and_hide_no_signal():
    present = (False, False, False, *(True,) * 6)
    tell = companions(DEEP, present)
    flat = tell.templates.reshape(len(tell.templates), 9, -1)
    assert np.abs(flat[:, :3]).max() < 1e-12
    assert (np.abs(flat[:, 3:]).max((1, 2)) > 0.01).all()
    assert len(tell.templates) < len(companions(DEEP, (True,) * 9).templates)
