"""Shapes of nuclei: outline, projection and density agree with each other and with geometry."""

from __future__ import annotations

import numpy as np
import pytest

from ctcfish.synth.nucleus import Shape, apoptotic, chromatin, density, draw_shape, mask

PIXEL = 0.05


def grid(reach: float) -> tuple[np.ndarray, np.ndarray]:
    axis = np.arange(-reach, reach + PIXEL, PIXEL)
    dy, dx = np.meshgrid(axis, axis, indexing="ij")
    return dy, dx


def ellipse(radius: float = 4.0, aspect: float = 1.44, angle: float = 0.0, thickness: float = 4.0) -> Shape:
    return Shape(radius, aspect, angle, np.zeros((4, 2)), thickness, np.zeros((0, 4)), np.zeros((0, 4)))


def test_plain_ellipse_has_its_axes_and_area() -> None:
    shape = ellipse()
    assert shape.outline_um(0.0) == pytest.approx(4.0 * 1.2)
    assert shape.outline_um(np.pi / 2) == pytest.approx(4.0 / 1.2)
    assert mask(shape, *grid(6)).sum() * PIXEL**2 == pytest.approx(np.pi * 16, rel=0.01)


def test_outline_is_its_series() -> None:
    """The powers of a direction against the cosines they stand for."""
    waves = np.array([[0.1, 0.3], [0.05, 1.0], [0.02, 4.0], [0.03, 2.0]])
    shape = Shape(4.0, 1.3, 0.7, waves, 4.0, np.zeros((0, 4)), np.zeros((0, 4)))
    angles = np.linspace(-7, 7, 101)
    turned = angles - 0.7
    ellipse = 1 / np.sqrt(np.cos(turned) ** 2 / 1.3 + np.sin(turned) ** 2 * 1.3)
    series = sum(a * np.cos(k * turned - phase) for k, (a, phase) in enumerate(waves, 2))
    np.testing.assert_allclose(shape.outline_um(angles), 4.0 * ellipse * (1 + series), rtol=1e-12)
    assert shape.depth(np.array([0.0]), np.array([0.0])) == 0.0
    np.testing.assert_allclose(shape.depth(2 * np.sin(angles), 2 * np.cos(angles)), 2 / shape.outline_um(angles))


def test_angle_turns_from_x_towards_y() -> None:
    shape = ellipse(angle=np.pi / 2)
    assert shape.outline_um(np.pi / 2) == pytest.approx(4.8)
    inside = mask(shape, *grid(6))
    rows, columns = inside.any(axis=1).sum(), inside.any(axis=0).sum()
    assert rows > 1.3 * columns


@pytest.mark.parametrize("lobed", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_reach_holds_everything(seed: int, lobed: bool) -> None:
    shape = draw_shape(9.0, 0.5, lobed, np.random.default_rng(seed))
    dy, dx = grid(9)
    inside = mask(shape, dy, dx)
    assert np.hypot(dy, dx)[inside].max() <= shape.reach_um + PIXEL
    angles = np.linspace(0, 2 * np.pi, 100)
    assert (shape.outline_um(angles) > 1.0).all()


@pytest.mark.parametrize("seed", range(6))
def test_drawn_nuclei_have_their_diameter(seed: int) -> None:
    shape = draw_shape(8.0, 0.5, False, np.random.default_rng(seed))
    area = mask(shape, *grid(7)).sum() * PIXEL**2
    assert 2 * np.sqrt(area / np.pi) == pytest.approx(8.0, rel=0.04)
    assert 0.4 * 8 < shape.thickness_um < 0.6 * 8


def test_density_has_the_thickness_of_the_shape() -> None:
    shape = ellipse()
    dz = np.arange(-4, 4.01, 0.25)
    dy, dx = grid(6)
    dense = density(shape, dz, dy, dx)
    middle = dy.shape[0] // 2
    assert dense.dtype == np.float32
    assert dense[:, middle, middle].sum() * 0.25 == pytest.approx(0.85 * 4.0, rel=0.03)
    # projection of the density is the mask
    shown = dense.sum(axis=0) > 0
    assert (shown != mask(shape, dy, dx)).mean() < 0.002


def test_density_is_symmetric_about_the_focal_plane() -> None:
    dz = np.arange(-3, 3.01, 0.5)
    dense = density(ellipse(), dz, *grid(5))
    np.testing.assert_allclose(dense, dense[::-1], atol=1e-6)


def test_half_thickness_is_flat_in_the_middle_and_nothing_outside() -> None:
    half = ellipse().half_thickness_um(np.array([0.0, 0.3, 1.0, 1.4]))
    assert half[0] == pytest.approx(2.0)
    assert half[1] > 0.97 * 2.0
    assert half[2:].tolist() == [0.0, 0.0]


def test_nucleoli_are_dark() -> None:
    holed = Shape(4.0, 1.0, 0.0, np.zeros((4, 2)), 4.0, np.array([[0.0, 0.0, 0.0, 0.8]]), np.zeros((0, 4)))
    dy, dx = grid(4)
    middle = dy.shape[0] // 2
    with_hole, without = (density(s, np.array([0.0]), dy, dx)[0, middle, middle] for s in (holed, ellipse(aspect=1.0)))
    assert with_hole < 0.4 * without


def test_brightness_scales_density() -> None:
    base = ellipse()
    bright = Shape(4.0, 1.44, 0.0, base.waves, 4.0, base.nucleoli, base.balls, brightness=1.5)
    dz = np.array([-0.5, 0.0, 0.5])
    np.testing.assert_allclose(density(bright, dz, *grid(5)), 1.5 * density(base, dz, *grid(5)), rtol=1e-5)


@pytest.mark.parametrize("seed", range(4))
def test_apoptotic_nuclei_are_small_dense_and_in_pieces(seed: int) -> None:
    rng = np.random.default_rng(seed)
    alive = draw_shape(9.0, 0.5, False, rng)
    dead = apoptotic(alive, rng)
    dy, dx = grid(9)
    inside = mask(dead, dy, dx)
    assert 3 <= len(dead.balls) <= 7
    assert inside.sum() < 0.75 * mask(alive, dy, dx).sum()
    dz = np.arange(-4, 4.01, 0.4)
    assert density(dead, dz, dy, dx).max() > 2 * density(alive, dz, dy, dx).max()
    assert ((density(dead, dz, dy, dx).sum(axis=0) > 0) & ~inside).mean() < 0.01
    assert np.hypot(dy, dx)[inside].max() <= dead.reach_um + PIXEL


def test_chromatin_has_mean_one_and_grain() -> None:
    grain = chromatin((12, 120, 130), (0.4, 0.2), np.random.default_rng(1))
    assert grain.shape == (12, 120, 130)
    assert grain.mean() == pytest.approx(1.0, abs=0.02)
    assert 0.15 < grain.std() < 0.3
    assert grain.min() >= 0.2
    flat = grain - grain.mean()
    neighbour = (flat[:, :, 1:] * flat[:, :, :-1]).mean() / flat.var()
    far = (flat[:, :, 30:] * flat[:, :, :-30]).mean() / flat.var()
    assert neighbour > 0.5
    assert abs(far) < 0.1


def test_one_layer_is_legal() -> None:
    assert density(ellipse(), np.array([0.0]), *grid(5)).shape[0] == 1
