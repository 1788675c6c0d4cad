"""What lone signals say of the image of a point and of the units of light of crowds."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ctcfish.ops.emitters import CrowdModel, Part
from ctcfish.stages.signals.camera import Camera
from ctcfish.stages.signals.crowds import (
    Units,
    crowd_image,
    crowd_model,
    merged_units,
    partition,
    resolve,
    units,
)
from ctcfish.stages.signals.fits import fit_at
from ctcfish.types import ProbeModel

CAMERA = Camera(2.0, 100.0, 1.5, "configuration")
MODEL = CrowdModel(1.3, 1.4, 3000.0, 0.36, CAMERA.read_variance)
WIDE_FIELD = (Part(0.81, 0.76, 0.97), Part(1.42, 0.78, 2.45, 1.63), Part(3.8, 1.6, 5.9, 4.05))
CROWD, COPIES = (5.0, 280.0, 100.0), 24


def stack_of(parts: tuple[Part, ...], planes: int = 11, copies: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Thirty signals of 3,000 photons on 20 through an image of Gaussians, and their places; a crowd beside them."""
    rng = np.random.default_rng(5)
    z, y, x = np.mgrid[:planes, : 240 + 80 * (copies > 0), :200].astype(float)
    light = np.full(z.shape, 20.0)
    places = []
    for row in range(6):
        for column in range(5):
            lone = np.array([(planes - 1) / 2, 20 + 40 * row, 20 + 40 * column])
            places.append(lone + rng.uniform(-0.4, 0.4, 3))
    for place in [*places, *(np.array(CROWD) + rng.normal(0, [0.3, 1.0, 1.0], (copies, 3)))]:
        across = (y - place[1]) ** 2 + (x - place[2]) ** 2
        for share, deep, wide, away in parts:
            sz, sxy = 1.4 * deep, 1.3 * wide
            for half in (-1.4 * away, 1.4 * away):
                bell = np.exp(-0.5 * (((z - place[0] - half) / sz) ** 2 + across / sxy**2))
                light += 1500.0 * share * bell / ((2 * np.pi) ** 1.5 * sz * sxy**2)
    return np.asarray(100 + 2 * rng.poisson(light), np.uint16), np.array(places)


def told(parts: tuple[Part, ...]) -> Units:
    stack, places = stack_of(parts)
    lone = (torch.tensor(places, dtype=torch.float32), torch.full((30,), 3000.0))
    return units(crowd_image(stack, CAMERA, torch.device("cpu")), lone, torch.zeros(0, 3), MODEL)


def test_signals_in_focus_speak_against_light_out_of_focus_and_have_their_own_light() -> None:
    said = told((Part(),))
    assert len(said.for_wide) == 30
    wide_field, unit = merged_units([said])
    assert not wide_field
    assert unit == pytest.approx(1.0, abs=0.04)


def test_signals_through_a_wide_field_speak_for_it_and_the_unit_is_that_of_its_image() -> None:
    said = told(WIDE_FIELD)
    wide_field, unit = merged_units([said])
    assert wide_field
    assert unit == pytest.approx(1.0, abs=0.06)  # light is named by the core's own fit
    assert np.median(said.focused) != pytest.approx(1.0, abs=0.06)


def test_fields_are_asked_together_whatever_their_order() -> None:
    few = Units(np.array([True]), np.array([1.3]), np.array([0.9]))
    many = Units(np.arange(9) < 6, np.full(9, 1.5), np.linspace(0.8, 1.2, 9))
    against = Units(np.arange(9) < 3, np.full(9, 1.5), np.linspace(0.8, 1.2, 9))
    assert merged_units([few, many]) == merged_units([many, few]) == (True, 1.5)
    assert merged_units([against]) == (False, pytest.approx(1.0))
    assert merged_units([few, against]) == merged_units([against, few]) == (False, pytest.approx(0.975))
    assert merged_units([few]) == (True, 1.0)  # one alone tells no unit
    assert merged_units([Units(np.zeros(0, bool), np.zeros(0), np.zeros(0))]) == (False, 1.0)


def test_a_plane_and_a_field_without_lone_signals_say_nothing() -> None:
    stack, places = stack_of((Part(),), planes=1)
    image, none = crowd_image(stack, CAMERA, torch.device("cpu")), torch.zeros(0, 3)
    lone = (torch.tensor(places, dtype=torch.float32), torch.full((30,), 3000.0))
    assert len(units(image, lone, none, MODEL).for_wide) == 0
    deep = crowd_image(stack_of((Part(),))[0], CAMERA, torch.device("cpu"))
    assert len(units(deep, (none, torch.zeros(0)), none, MODEL).wide) == 0


def test_a_compact_crowd_is_counted_by_the_light_of_the_lone_signals_beside_it() -> None:
    """The light of single fits, which see less of a signal through a wide field, is put into that of crowds."""
    stack, places = stack_of(WIDE_FIELD, copies=COPIES)
    pixel = torch.tensor(np.rint(np.vstack([places, CROWD])), dtype=torch.int64)
    fitted = fit_at(stack, pixel, (1.4, 1.3), CAMERA, free_width=False)
    single = torch.arange(len(pixel)) < len(places)
    lone = (fitted.position_px[single].float(), fitted.fits.photons[single])
    others = fitted.position_px[~single].float()
    wide_field, unit = merged_units([units(crowd_image(stack, CAMERA, torch.device("cpu")), lone, others, MODEL)])
    median = float(lone[1].median())
    slide = ProbeModel(
        20.0, 0.13, 0.4, 0.3, median, 0.3, 5.0, (5.0, 5.0), 0.005, 50, crowd_unit=unit, wide_field=wide_field
    )
    split = partition(fitted, single, torch.zeros_like(single), (1.4, 1.3))
    found = resolve(stack, fitted, split, CAMERA, crowd_model(slide, (1.4, 1.3), CAMERA.read_variance))
    assert len(found.count.estimate) == 1
    assert abs(int(found.count.estimate[0]) - COPIES) <= 1  # 27 by the light of single fits
    assert int(found.count.low[0]) <= COPIES <= int(found.count.high[0])


def test_the_crowd_model_takes_image_and_unit_from_the_slide() -> None:
    slide = ProbeModel(20.0, 0.13, 0.4, 0.3, 1000.0, 0.4, 5.0, (5.0, 5.0), 0.005, 50, crowd_unit=1.15, wide_field=True)
    model = crowd_model(slide, (1.0, 1.3), 4.0)
    assert model.median_photons == pytest.approx(1150.0)
    assert model.image == WIDE_FIELD
