"""Layers through the microscope: light kept, focus sharp, defocus wide, and equal to adding point after point."""

from __future__ import annotations

import numpy as np
import pytest

from ctcfish.synth.blur import photograph_layers
from ctcfish.synth.optics import Lens, add_point, profile

LENS = Lens(1.3, 1.518, 0.461)


def one_dot(n_layers: int = 5, side: int = 64, layer: int = 2) -> np.ndarray:
    layers = np.zeros((n_layers, side, side), np.float32)
    layers[layer, side // 2, side // 2] = 100.0
    return layers


def test_light_is_conserved_in_every_plane() -> None:
    z = np.arange(5) * 0.4
    image = photograph_layers(one_dot(side=200), z, z, LENS, 0.2)
    np.testing.assert_allclose(image.sum(axis=(1, 2)), 100.0, rtol=0.02)


def test_a_dot_is_the_point_image() -> None:
    z = np.arange(5) * 0.4
    image = photograph_layers(one_dot(side=80), z, z, LENS, 0.2)
    stack = np.zeros((5, 80, 80), np.float32)
    add_point(stack, profile(LENS, 0.0, (3.0, 4.0), (0.05, 0.01)), (2.0, 40.0, 40.0), 100.0, (0.4, 0.2, 0.2))
    for plane in (0, 1):
        near = image[plane, 35:46, 35:46]
        np.testing.assert_allclose(near, stack[plane, 35:46, 35:46], atol=0.1 * stack[plane].max())
    assert image[2].argmax() == 40 * 80 + 40


def test_focus_falls_off_on_both_sides_alike() -> None:
    z = np.arange(5) * 0.4
    image = photograph_layers(one_dot(), z, z, LENS, 0.2)
    peak = image.max(axis=(1, 2))
    assert peak[2] > peak[1] > peak[0]
    np.testing.assert_allclose(peak[:2], peak[:2:-1], rtol=1e-4)


def test_layers_add_up() -> None:
    z = np.arange(5) * 0.4
    a, b = one_dot(layer=1), one_dot(layer=4)
    both = photograph_layers(a + b, z, z, LENS, 0.2)
    apart = photograph_layers(a, z, z, LENS, 0.2) + photograph_layers(b, z, z, LENS, 0.2)
    np.testing.assert_allclose(both, apart, atol=1e-3)


def test_an_even_layer_stays_even_inside() -> None:
    layers = np.ones((1, 240, 240), np.float32)
    image = photograph_layers(layers, np.array([0.0]), np.array([0.0, 1.0]), LENS, 0.2)
    np.testing.assert_allclose(image[:, 110:130, 110:130], 1.0, atol=0.06)


@pytest.mark.parametrize("planes", [1, 3])
def test_nothing_in_nothing_out(planes: int) -> None:
    image = photograph_layers(np.zeros((4, 40, 30), np.float32), np.arange(4.0), np.arange(float(planes)), LENS, 0.2)
    assert image.shape == (planes, 40, 30)
    assert not image.any()
