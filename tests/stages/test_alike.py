"""Granules seen in one colour only: light of the other colour at their place, on images with a known truth."""

from __future__ import annotations

import numpy as np
import pytest

from ctcfish.parameters import Detect
from ctcfish.stages.signals.alike import alike
from ctcfish.stages.signals.camera import Camera
from ctcfish.stages.signals.fits import light_at
from ctcfish.stages.signals.granules import Objects
from ctcfish.types import ProbeModel, SlideModel

VOXEL_UM = (0.4, 0.1, 0.1)
CAMERA = Camera(2.0, 100.0, 2.0, "metadata")
HER2 = ProbeModel(40.0, 0.16, 0.45, 0.38, 700.0, 0.3, 5.5, (5.5, 5.5), 0.005, 50)
CEP17 = ProbeModel(40.0, 0.20, 0.48, 0.47, 1400.0, 0.3, 5.5, (5.5, 5.5), 0.005, 50)
PLACES = [(6.0, y + 0.3, x - 0.2) for y in range(20, 200, 40) for x in range(20, 200, 40)]


def slide(leak: float = 0.08, shift_um: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> SlideModel:
    crosstalk = {"CEP17>HER2": leak, "HER2>CEP17": leak}
    return SlideModel({"HER2": HER2, "CEP17": CEP17}, 2.0, 100.0, 2.0, "metadata", crosstalk, shift_um)


def image(photons: float, sigma_um: float, seed: int, slope: float = 0.0, moved_um: float = 0.0) -> np.ndarray:
    """Objects at the places on a sloping or bent background, by an independent sampling of the Gaussian."""
    z, y, x = np.meshgrid(*(np.arange(n, dtype=float) for n in (13, 200, 200)), indexing="ij", sparse=True)
    light = np.zeros((13, 200, 200)) + 40.0 + slope * ((y % 40) - 20.0) ** 2 / 20.0
    for cz, cy, cx in PLACES:
        away = ((z - cz) / (0.48 / 0.4)) ** 2
        away = away + ((y - cy - moved_um / 0.1) ** 2 + (x - cx) ** 2) / (sigma_um / 0.1) ** 2
        bell = np.exp(-0.5 * away)
        light = light + photons * bell / bell.sum()
    rng = np.random.default_rng(seed)
    return np.round(100 + 2 * (rng.poisson(light) + rng.normal(0, 2, light.shape))).astype(np.uint16)


def seen(photons: float, sigma_um: float) -> Objects:
    place = np.array(PLACES) * VOXEL_UM
    return Objects(place, np.full(len(place), photons), np.full(len(place), sigma_um))


NONE = Objects(np.zeros((0, 3)), np.zeros(0), np.zeros(0))


def told(her2: np.ndarray, cep17: np.ndarray, model: SlideModel, params: Detect | None = None) -> np.ndarray:
    objects = {"HER2": NONE, "CEP17": seen(1400.0, 0.25)}
    found = alike(objects, {"HER2": her2, "CEP17": cep17}, VOXEL_UM, (model, CAMERA, params or Detect()))
    assert not len(found["HER2"])
    return found["CEP17"]


@pytest.mark.parametrize("slope", [0.0, 1.0], ids=["level", "bent"])
def test_the_light_measured_is_the_light_put_there(slope: float) -> None:
    stack = image(900.0, 0.25, 1, slope)
    width = np.full(len(PLACES), 2.5)
    photons, error = light_at(stack, np.array(PLACES), (1.2, width), CAMERA)
    assert abs(photons.mean() - 900.0) < 3.5 * error.mean() / len(PLACES) ** 0.5
    nothing, noise = light_at(image(0.0, 0.25, 2, slope), np.array(PLACES), (1.2, width), CAMERA)
    assert abs(nothing.mean()) < 3 * noise.mean() / len(PLACES) ** 0.5
    assert nothing.std() == pytest.approx(noise.mean(), rel=0.4)
    assert (error > 0).all()


def test_light_in_a_plane_and_nowhere() -> None:
    plane = image(900.0, 0.25, 3)[6:7]
    flat = np.array(PLACES) * (0, 1, 1)
    photons, _ = light_at(plane, flat, (1.0, np.full(len(PLACES), 2.5)), CAMERA)
    assert photons.mean() == pytest.approx(900.0 * 0.323, rel=0.15)  # share of the middle plane: erf(0.5/1.2/√2)
    assert not len(light_at(plane, flat[:0], (1.0, np.zeros(0)), CAMERA)[0])


def test_a_granule_shines_in_the_other_colour_and_a_signal_leaks_into_it() -> None:
    cep17 = image(1400.0, 0.25, 4)
    assert told(image(1000.0, 0.25, 5), cep17, slide()).mean() > 0.8
    assert told(image(0.08 * 1400, 0.25, 6), cep17, slide()).mean() < 0.05
    assert told(image(0.0, 0.25, 7, slope=1.0), cep17, slide()).mean() < 0.05
    assert not told(image(1000.0, 0.25, 5), cep17, slide(), Detect(lone_granule_odds=0.0)).any()


def test_all_that_leaks_is_no_granule() -> None:
    """A colour composite: as much light in the other channel, and it is the dye's own."""
    cep17, her2 = image(1400.0, 0.25, 8), image(1000.0, 0.25, 9)
    assert told(her2, cep17, slide(leak=1000 / 1400)).mean() < 0.05


def test_the_place_is_looked_for_where_the_other_channel_images_it() -> None:
    cep17, her2 = image(1400.0, 0.25, 10), image(1000.0, 0.25, 11, moved_um=0.6)
    assert told(her2, cep17, slide(shift_um=(0.0, 0.6, 0.0))).mean() > 0.8
    assert told(her2, cep17, slide()).mean() < 0.2


def test_what_has_a_partner_near_or_one_colour_alone_is_left_to_other_rules() -> None:
    stacks = {"HER2": image(1000.0, 0.25, 5), "CEP17": image(1400.0, 0.25, 4)}
    both = {"HER2": seen(650.0, 0.25), "CEP17": seen(1400.0, 0.25)}
    setting = (slide(), CAMERA, Detect())
    assert not any(own.any() for own in alike(both, stacks, VOXEL_UM, setting).values())
    assert not alike({"CEP17": both["CEP17"]}, stacks, VOXEL_UM, setting)["CEP17"].any()
