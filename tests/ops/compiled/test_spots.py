"""Single fits by the compiled kernel against the same in lockstep."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
import torch
from scipy.special import ndtr

from ctcfish.ops import fit
from ctcfish.ops.fit import SpotFits, fit_spots
from ctcfish.ops.fit_model import FitModel

CASES = {
    "plane": ((1, 11, 11), FitModel(1.3)),
    "plane, slope": ((1, 11, 13), FitModel(1.3, sloped_background=True)),
    "plane, width": ((1, 11, 11), FitModel(1.3, free_width=True)),
    "stack": ((7, 11, 9), FitModel(1.3, 1.4)),
    "stack, all": ((7, 9, 11), FitModel(1.3, 1.4, free_width=True, sloped_background=True)),
}


def crops(shape, number, seed, photons=900.0):
    rng = np.random.default_rng(seed)
    centre = (np.array(shape) - 1) / 2 + rng.uniform(-0.5, 0.5, (number, 3))
    image = np.full((number, 1, 1, 1), photons)
    for axis, sigma in enumerate((1.4, 1.3, 1.3)):
        if shape[axis] > 1:
            own = np.diff(ndtr((np.arange(shape[axis] + 1) - 0.5 - centre[:, axis, None]) / sigma), axis=1)
            image = image * own.reshape([number, *(-1 if a == axis else 1 for a in range(3))])
    tilted = 40 + 0.8 * np.arange(shape[2])
    return torch.tensor(rng.poisson(image + tilted) + rng.normal(0, 2, image.shape), dtype=torch.float32)


def both_ways(shape, model, monkeypatch, **extra):
    data = crops(shape, 200, 7)
    start = torch.tensor([(n - 1) / 2 for n in shape]).expand(len(data), 3)
    if shape[0] == 1:
        data, start = data[:, 0], start[:, 1:]
    extra = {name: make(data) for name, make in extra.items()}
    one = fit_spots(data, start, 4.0, model, **extra)
    monkeypatch.setattr(fit, "_in_lanes", fit._together)
    return one, fit_spots(data, start, 4.0, model, **extra)


def assert_alike(one: SpotFits, other: SpotFits) -> None:
    assert len(one.photons) == len(other.photons) == 200
    assert float(one.converged.float().mean()) > 0.9
    assert float((one.converged == other.converged).float().mean()) > 0.99
    both = one.converged & other.converged
    for field in fields(SpotFits):
        if field.name in ("converged", "iterations"):
            continue
        a, b = getattr(one, field.name)[both].double(), getattr(other, field.name)[both].double()
        # ways that stop a step apart differ by the tolerance of the search: a twentieth of an error at most
        slack = {"photons": 3.0, "photons_error": 1.0, "background": 0.1, "log_likelihood_ratio": 0.05}.get(
            field.name, 6e-3
        )
        torch.testing.assert_close(a, b, atol=slack, rtol=2e-3, msg=lambda text, name=field.name: f"{name}: {text}")
    assert float((one.position_px - other.position_px)[both].abs().median()) < 1e-5


@pytest.mark.parametrize("name", CASES)
def test_both_ways_fit_alike(name, monkeypatch):
    assert_alike(*both_ways(*CASES[name], monkeypatch))


def test_both_ways_take_known_light_out(monkeypatch):
    assert_alike(*both_ways(*CASES["plane"], monkeypatch, known=lambda data: torch.full_like(data, 12.0)))


def test_both_ways_leave_pixels_out(monkeypatch):
    def weight(data):
        counts = torch.ones_like(data)
        counts[..., :2] = 0.0
        return counts

    assert_alike(*both_ways(*CASES["stack, all"], monkeypatch, weight=weight))


@pytest.mark.parametrize("name", ["plane, slope", "stack, all"])
def test_a_spot_is_fitted_to_the_same_bytes_in_any_company(name):
    shape, model = CASES[name]
    data = crops(shape, 43, 8)
    data[5] = torch.nan  # a neighbour that never comes to an end
    start = torch.tensor([(n - 1) / 2 for n in shape]).expand(len(data), 3)
    if shape[0] == 1:
        data, start = data[:, 0], start[:, 1:]
    together = fit_spots(data, start, 4.0, model)
    assert len(set(together.iterations.tolist())) > 2
    for rows in ([7], [40, 3, 12, 41, 6, 42, 4, 30, 9, 1], list(range(42, -1, -1))):
        apart = fit_spots(data[rows], start[rows], 4.0, model)
        for field in fields(SpotFits):
            mine, theirs = getattr(apart, field.name), getattr(together, field.name)[rows]
            assert mine.numpy().tobytes() == theirs.numpy().tobytes(), field.name
