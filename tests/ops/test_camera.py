"""Photon transfer on images whose gain and offset are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ctcfish.ops.camera import transfer_line, transfer_points


def shot(gain: float, offset: float, read: float, seed: int = 0) -> torch.Tensor:
    """Photons from 10 to 80 across the field, one row of signals, through a camera."""
    rng = np.random.default_rng(seed)
    light = np.linspace(10, 80, 300)[None, :] * np.ones((300, 1))
    y, x = np.mgrid[:300, :300]
    for cx in range(20, 300, 40):
        light = light + 90 * np.exp(-((y - 150) ** 2 + (x - cx) ** 2) / 3.4)
    image = offset + gain * (rng.poisson(light) + rng.normal(0, read, light.shape))
    return torch.from_numpy(np.round(image).astype(np.float32))[None]


@pytest.mark.parametrize(("gain", "offset", "read"), [(2.0, 100.0, 2.0), (0.46, 300.0, 1.2), (8.0, 0.0, 4.0)])
def test_line_gives_gain_and_dark_level(gain: float, offset: float, read: float) -> None:
    measured, dark = transfer_line(transfer_points(shot(gain, offset, read)))
    rounding = 1 / 12
    assert measured == pytest.approx(gain, rel=0.05)
    assert dark == pytest.approx(offset - gain * read**2 - rounding / gain, abs=2.5 * gain)


def test_points_follow_poisson_variance() -> None:
    points = transfer_points(shot(2.0, 100.0, 2.0), bins=8).numpy()
    assert len(points) == 8
    expected = 2.0 * (points[:, 0] - 100.0) + 4.0 * 4.0
    assert points[:, 1] == pytest.approx(expected, rel=0.12)
    assert points[:, 2].sum() == pytest.approx(0.98 * 298 * 298, rel=0.01)


def test_points_against_a_plain_sort(device: str) -> None:
    """Level, variance and number of every bin by NumPy alone, on levels below zero too."""
    stack = shot(2.0, 100.0, 2.0) - 170.0
    found = transfer_points(stack.to(device), bins=6).numpy()
    image = stack[0].numpy().astype(np.float64)
    rows = image[:-2] - 2 * image[1:-1] + image[2:]
    residual = (rows[:, :-2] - 2 * rows[:, 1:-1] + rows[:, 2:]).ravel() / 6
    level = sum(image[i : i + 298, j : j + 298] for i in range(3) for j in range(3)).ravel() / 9
    assert level.min() < 0 < level.max()
    order = np.argsort(level, kind="stable")
    cut = len(level) // 100
    for row, part in zip(found, np.array_split(order[cut:-cut], 6), strict=True):
        assert row[0] == pytest.approx(level[part].mean(), rel=1e-3, abs=1e-2)
        assert row[1] == pytest.approx(np.median(residual[part] ** 2) / 0.45494, rel=0.01)
        assert row[2] == pytest.approx(len(part), abs=1)


def test_several_fields_are_one_line() -> None:
    points = torch.cat([transfer_points(shot(2.0, 100.0, 2.0, seed)) for seed in range(3)])
    assert transfer_line(points)[0] == pytest.approx(2.0, rel=0.03)


def test_a_large_image_is_asked_at_every_third_pixel_and_says_the_same() -> None:
    tile = [[shot(2.0, 100.0, 2.0, 4 * i + j)[0] for j in range(4)] for i in range(4)]
    large = torch.cat([torch.cat(row, 1) for row in tile])[None]
    points = transfer_points(large)
    assert points[:, 2].sum() == pytest.approx(0.98 * (1198 / 3) ** 2, rel=0.01)
    assert transfer_line(points)[0] == pytest.approx(2.0, rel=0.05)


def test_too_small_an_image_gives_no_points() -> None:
    assert transfer_points(torch.rand(1, 10, 10)).shape == (0, 3)


@pytest.mark.parametrize("level", [0.0, 50.0])
def test_one_level_tells_nothing(level: float) -> None:
    flat = torch.tensor([[level, 20.0, 500.0]] * 5, dtype=torch.float64)
    assert np.isnan(transfer_line(flat)).all()
    assert np.isnan(transfer_line(flat[:1])).all()


def test_falling_variance_is_no_camera() -> None:
    level = torch.linspace(10, 80, 12, dtype=torch.float64)
    points = torch.stack([level, 200 - level, torch.full_like(level, 500.0)], 1)
    assert np.isnan(transfer_line(points)[0])
