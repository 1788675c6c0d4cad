"""A signal that hides another is told, one alone is not: simulated stacks and planes with known truth."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ctcfish.stages.detect import detect_spots
from ctcfish.stages.signals.camera import Camera
from ctcfish.stages.signals.fits import fit_at
from ctcfish.stages.signals.hidden import hides_another
from tests.ops.test_companions import image

CAMERA = Camera(2.0, 100.0, 2.0, "configuration")
SIGMA, STEP, SIDE = (1.4, 1.3), 33, 330
MIDDLES = [(y, x) for y in range(16, SIDE - 12, STEP) for x in range(16, SIDE - 12, STEP)]


def stack(planes, companion, seed, photons=2200.0, share=0.6, first=0.5):
    """Signals on a grid, every fifth with another at a way ``companion`` from it, on a nucleus's round back."""
    rng = np.random.default_rng(seed)
    depth = np.arange(planes) - (planes - 1) / 2
    light = np.broadcast_to((15 + 25 * np.exp(-0.5 * (depth / 4.0) ** 2))[:, None, None], (planes, SIDE, SIDE)).copy()
    middle = int(first * (planes - 1))
    half = (min(middle, planes - 1 - middle), 12)
    for number, (y, x) in enumerate(MIDDLES):
        off = rng.uniform(-0.5, 0.5, 3) * (1 if planes > 1 else [0, 1, 1])
        both = [(off, photons)] + (
            [(off + np.array(companion), share * photons)] if companion and number % 5 == 0 else []
        )
        for place, amount in both:
            own = amount * image(place, SIGMA, half).reshape(2 * half[0] + 1, 25, 25)
            light[middle - half[0] : middle + half[0] + 1, y - 12 : y + 13, x - 12 : x + 13] += own
    return np.round(100 + 2 * (rng.poisson(light) + rng.normal(0, 2, light.shape))).astype(np.uint16), middle


def hiding(planes, companion, seed=3, first=0.5):
    """Which of the pairs and which of the others are told."""
    pixels, middle = stack(planes, companion, seed, first=first)
    place = torch.tensor([(middle, y, x) for y, x in MIDDLES])
    fitted = fit_at(pixels, place, SIGMA, CAMERA, free_width=False)
    every = torch.ones(len(place), dtype=torch.bool)
    told = hides_another(pixels, fitted, every, (SIGMA, CAMERA), 5.4).numpy()
    return told[::5], np.delete(told, np.s_[::5])


@pytest.mark.parametrize(("planes", "first"), [(17, 0.5), (17, 0.15), (17, 0.85), (1, 0.5)])
def test_signals_alone_hide_nothing(planes, first):
    first_fifth, rest = hiding(planes, None, first=first)
    assert not first_fifth.any()
    assert rest.mean() < 0.02


@pytest.mark.parametrize("companion", [(2.4, 2.0, 1.2), (-2.4, 0.0, 2.2), (2.9, 0.3, 0.0), (-1.5, -2.0, 2.0)])
def test_in_a_stack_signals_behind_each_other_are_told(companion):
    pairs, alone = hiding(17, companion)
    assert pairs.mean() >= 0.8
    assert alone.mean() < 0.02


def test_in_a_plane_a_neighbour_without_a_maximum_of_its_own_is_told():
    pairs, alone = hiding(1, (0.0, 2.0, 2.2))
    assert pairs.mean() > 0.5
    assert alone.mean() < 0.02


def test_both_of_a_pair_behind_each_other_are_counted():
    """Before, one signal between them was, and explained well."""
    pixels, _ = stack(17, (2.6, 2.0, 1.4), seed=4)
    spots = detect_spots(pixels, (0.3, 0.1, 0.1))
    counted = spots[spots["status"] == "counted"][["y_um", "x_um"]].to_numpy() / 0.1
    number = np.array([(np.hypot(*(counted - c).T) < 8).sum() for c in MIDDLES])
    assert np.mean(number[::5] == 2) > 0.75
    assert np.mean(np.delete(number, np.s_[::5]) == 1) > 0.97


def test_where_the_image_of_a_signal_is_not_known_only_what_stands_out_is_told():
    """Signals a third wider than said: by noise alone two in three would hide another."""
    pixels, middle = stack(17, (2.4, 2.0, 1.2), seed=8)
    place = torch.tensor([(middle, y, x) for y, x in MIDDLES])
    narrow = (0.75 * SIGMA[0], 0.75 * SIGMA[1])
    fitted = fit_at(pixels, place, narrow, CAMERA, free_width=False)
    every = torch.ones(len(place), dtype=torch.bool)
    told = hides_another(pixels, fitted, every, (narrow, CAMERA), 5.4).numpy()
    assert np.delete(told, np.s_[::5]).mean() < 0.05
