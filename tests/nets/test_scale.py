"""Resampling keeps light; the scale of an image is found from its nuclei."""

import numpy as np
import pytest

from ctcfish.nets.architecture import NATIVE_DIAMETER_PX, NucleusNet
from ctcfish.nets.scale import estimate_zoom, resample
from ctcfish.nets.training.data import median_diameter_px
from ctcfish.nets.training.synthetic import draw_field
from ctcfish.nets.weights import load_network


@pytest.fixture(scope="module")
def net() -> NucleusNet:
    return load_network()


@pytest.mark.parametrize("zoom", [0.1, 0.25, 0.37, 0.5, 1.0, 1.7, 4.0])
def test_resampling_keeps_shape_and_mean(zoom: float) -> None:
    rows, columns = np.mgrid[:120, :80]
    image = (1000 + 100 * np.sin(rows / 19) + 3 * columns).astype(np.uint16)
    result = resample(image, zoom)
    assert result.shape == (round(120 * zoom), round(80 * zoom))
    assert result.dtype == np.float32
    assert float(result.mean()) == pytest.approx(float(image.mean()), rel=2e-3)


def test_shrinking_averages_areas() -> None:
    image = np.random.default_rng(0).integers(0, 255, (40, 60)).astype(np.uint8)
    expected = image.reshape(10, 4, 15, 4).mean((1, 3))
    np.testing.assert_allclose(resample(image, 0.25), expected, rtol=1e-5)


def test_an_image_never_vanishes() -> None:
    assert resample(np.ones((3, 5)), 0.01).shape == (1, 1)


@pytest.mark.parametrize("diameter", [10.0, 24.0, 56.0, 110.0])
def test_the_scale_of_drawn_nuclei_is_found(net: NucleusNet, diameter: float) -> None:
    image, labels = draw_field(int(9 * diameter), diameter, np.random.default_rng([1, 4]))
    truth = NATIVE_DIAMETER_PX / median_diameter_px(labels)
    assert estimate_zoom(image, net) == pytest.approx(truth, rel=0.25)


def test_an_image_of_nothing_is_left_at_its_scale(net: NucleusNet) -> None:
    assert estimate_zoom(np.zeros((90, 120), np.uint16), net) == 1.0
