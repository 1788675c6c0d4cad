"""Crowds are counted in their own units of light: in a wide field single fits see less of a signal."""

from __future__ import annotations

import numpy as np
import torch

from ctcfish.ops.emitters import CrowdModel
from ctcfish.stages.signals.camera import Camera
from ctcfish.stages.signals.crowds import _WIDE_FIELD as WIDE_FIELD
from ctcfish.stages.signals.crowds import partition, resolve
from ctcfish.stages.signals.fits import Fitted, fit_at

CAMERA = Camera(2.0, 100.0, 2.0, "metadata")
SIGMA, PLANES, SIDE, PHOTONS = (1.4, 1.3), 13, 300, 3000.0
LONE = [(y, x) for y in range(20, 280, 40) for x in range(20, 280, 40)]
CROWD, COPIES = (160.0, 160.0), 16


def stack(copies: int, with_lone: bool) -> np.ndarray:
    """Lone signals and a compact crowd of equal ones; each has a core and the halo of a wide field."""
    z, y, x = np.ogrid[:PLANES, :SIDE, :SIDE]
    light = np.full((PLANES, SIDE, SIDE), 20.0)

    def add(place: tuple[float, float, float], photons: float) -> None:
        for share, *wide in WIDE_FIELD:
            deep, lateral = SIGMA[0] * wide[0], SIGMA[1] * wide[1]
            bell = np.exp(-((y - place[1]) ** 2 + (x - place[2]) ** 2) / (2 * lateral**2)) / (2 * np.pi * lateral**2)
            along = np.exp(-((z - place[0]) ** 2) / (2 * deep**2)) / (np.sqrt(2 * np.pi) * deep)
            light[:] += share * photons * along * bell

    rng = np.random.default_rng(11)
    for place in LONE if with_lone else []:
        add((6.0, *(np.array(place) + rng.uniform(-0.5, 0.5, 2))), PHOTONS)
    for _ in range(copies):
        add(tuple(np.array([6.0, *CROWD]) + rng.normal(0, [0.3, 1.0, 1.0])), PHOTONS)
    return np.round(100 + 2 * (rng.poisson(light) + rng.normal(0, 2, light.shape))).astype(np.uint16)


def fitted_at(pixels: np.ndarray, places: list[tuple[float, float]]) -> Fitted:
    place = torch.tensor([(6, round(y), round(x)) for y, x in places])
    return fit_at(pixels, place, SIGMA, CAMERA, free_width=False)


def test_a_compact_crowd_is_counted_by_the_light_of_the_lone_signals_beside_it() -> None:
    pixels = stack(COPIES, with_lone=True)
    fitted = fitted_at(pixels, [*LONE, CROWD])
    single = torch.arange(len(LONE) + 1) < len(LONE)
    split = partition(fitted, single, torch.zeros_like(single), SIGMA)
    median = float(fitted.fits.photons[: len(LONE)].median())
    found = resolve(pixels, fitted, split, CAMERA, CrowdModel(SIGMA[1], SIGMA[0], median, 0.3, CAMERA.read_variance))
    assert len(found.count.estimate) == 1
    assert abs(int(found.count.estimate[0]) - COPIES) <= 1  # 14 by the light of single fits
    assert int(found.count.low[0]) <= COPIES <= int(found.count.high[0])


def test_without_lone_signals_crowds_are_counted_by_the_slide_alone() -> None:
    pixels = stack(COPIES, with_lone=False)
    fitted = fitted_at(pixels, [CROWD])
    crowd = torch.zeros(1, dtype=torch.bool)
    split = partition(fitted, crowd, crowd, SIGMA)
    found = resolve(pixels, fitted, split, CAMERA, CrowdModel(SIGMA[1], SIGMA[0], 2500.0, 0.3, CAMERA.read_variance))
    assert torch.isfinite(found.photons).all()
    assert COPIES - 2 <= int(found.count.estimate[0]) <= COPIES + 5
