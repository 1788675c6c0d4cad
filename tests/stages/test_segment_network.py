"""The network as a method of the stage: scale, borders, what must not matter, and real images."""

from __future__ import annotations

import re

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from ctcfish.errors import DeviceError, WeightsError
from ctcfish.metrics import nuclei_scores, pool_nuclei
from ctcfish.nets.weights import load_network
from ctcfish.parameters import NetworkNuclei, Segment
from ctcfish.stages.nuclei.network import NUCLEUS_UM, network_labels
from ctcfish.stages.segment import segment, segment_nuclei

PARAMS = Segment(nuclei=NetworkNuclei())


@pytest.fixture(scope="module")
def net():
    return load_network()


def _find(image, pixel_um, params=PARAMS):
    return segment(image[None], (0.0, pixel_um, pixel_um), params, "cpu")


def _textured(drawn, seed=0):
    """Discs with chromatin: the network has never seen perfectly even nuclei."""
    grain = gaussian_filter(np.random.default_rng(seed).normal(0, 1, drawn.image.shape), 0.4 / drawn.pixel_um)
    return (drawn.image * (1 + 0.12 * grain / grain.std())).astype(np.float32)


def test_the_network_is_the_default():
    assert isinstance(Segment().nuclei, NetworkNuclei)


@pytest.mark.parametrize("pixel_um", [0.065, 0.1, 0.16, 0.25, 0.375, 0.64])
def test_nuclei_are_found_at_every_scale(draw, grid, pixel_um):
    drawn = draw(grid(4, 4), side_um=60.0, pixel_um=pixel_um)
    score = nuclei_scores(_find(_textured(drawn), pixel_um).paint(), drawn.labels)
    assert score.n_found == 16
    assert score.ap(0.75) == 1.0


@pytest.mark.parametrize("zoom", [0.7, 0.9, 1.0, 1.1, 1.6, 2.5])
def test_labels_come_back_at_the_images_own_size(draw, grid, net, zoom):
    pixel_um = zoom * NUCLEUS_UM / 24.0
    drawn = draw(grid(3, 3, radius=4.5), side_um=48.0, pixel_um=pixel_um)
    proposed = network_labels(_textured(drawn), pixel_um, net, "cpu")
    labels = proposed.labels
    assert proposed.sure[1:].all()
    assert labels.shape == drawn.image.shape
    assert sorted(np.unique(labels)) == list(range(10))
    assert nuclei_scores(labels, drawn.labels).ap(0.7) == 1.0


def test_touching_nuclei_are_two(draw, disc):
    pairs = [disc(14 + 18 * k, 14, 4.0) for k in range(3)] + [disc(14 + 18 * k, 21.9, 4.0, 330.0) for k in range(3)]
    drawn = draw(pairs)
    score = nuclei_scores(_find(_textured(drawn), 0.2).paint(), drawn.labels)
    assert score.ap(0.75) == 1.0
    assert score.merges == 0


def test_a_faint_nucleus_beside_bright_ones_is_found(draw, disc):
    drawn = draw([disc(15, 15, brightness=2000), disc(15, 30, brightness=200), disc(40, 30, brightness=2000)])
    assert nuclei_scores(_find(_textured(drawn), 0.2).paint(), drawn.labels).ap(0.7) == 1.0


@pytest.mark.parametrize("turn", [np.flipud, np.fliplr, np.transpose])
def test_turning_the_image_turns_the_nuclei(draw, grid, turn):
    image = _textured(draw(grid(4, 4), side_um=57.6))
    one, two = _find(turn(image), 0.2).paint(), turn(_find(image, 0.2).paint())
    assert one.max() == two.max()
    assert ((one > 0) & (two > 0)).sum() / ((one > 0) | (two > 0)).sum() > 0.95


@pytest.mark.parametrize(("gain", "offset"), [(7.0, 0.0), (1.0, 900.0), (0.01, 0.0)])
def test_gain_and_offset_do_not_matter(draw, grid, gain, offset):
    image = _textured(draw(grid(4, 4), side_um=60.0))
    one, two = _find(image, 0.2).paint(), _find(gain * image + offset, 0.2).paint()
    assert (one != two).sum() <= 0.005 * (one > 0).sum()


@pytest.mark.parametrize("value", [0, 7, 65535])
def test_an_even_image_holds_no_nucleus(value):
    assert len(_find(np.full((160, 150), value, np.uint16), 0.2)) == 0


@pytest.mark.parametrize("seed", range(3))
def test_noise_holds_no_nucleus(seed):
    noise = np.random.default_rng(seed).poisson(100, (512, 512)).astype(np.uint16)
    assert len(_find(noise, 0.2)) == 0


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (3, 3), (7, 9)])
def test_tiny_images_hold_no_nucleus(shape):
    assert len(_find(np.ones(shape, np.uint16), 0.1)) == 0


def test_the_same_image_gives_the_same_bytes(draw, grid):
    image = _textured(draw(grid(4, 4)))
    one, two = _find(image, 0.2), _find(image.copy(), 0.2)
    assert one.packed == two.packed
    assert one.focus.tobytes() == two.focus.tobytes()


def test_an_unknown_model_is_refused():
    with pytest.raises(WeightsError, match=re.escape("no model named 'nobody' is shipped; known: ")):
        _find(np.ones((40, 40)), 0.2, Segment(nuclei=NetworkNuclei(model="nobody")))


def test_an_absent_device_is_refused():
    import torch

    if torch.cuda.is_available():
        pytest.skip("a CUDA device is here")
    with pytest.raises(DeviceError, match="found no device 'cuda'"):
        segment(np.ones((1, 40, 40)), (0.4, 0.1, 0.1), PARAMS, "cuda")


def test_an_absent_device_is_refused_for_an_empty_image_too():
    assert len(segment(np.ones((1, 0, 40)), (0.4, 0.1, 0.1), PARAMS, "cpu")) == 0


def _training_images(folder, step):
    import tifffile

    for path in sorted((folder / "images").glob("*.tif"))[::step]:
        truth = tifffile.imread(folder / "masks" / path.name)
        area = np.bincount(truth.ravel())[1:]
        pixel_um = NUCLEUS_UM / (2 * np.sqrt(np.median(area[area > 0]) / np.pi))
        yield tifffile.imread(path), truth, float(pixel_um)


def test_real_nuclei_are_found(shared_data):
    cases = list(_training_images(shared_data / "nuclei" / "train", 45))
    known = pool_nuclei(
        nuclei_scores(_find(image, pixel, Segment(min_area_um2=8.0)).paint(), truth) for image, truth, pixel in cases
    )
    guessed = pool_nuclei(nuclei_scores(segment_nuclei(image), truth) for image, truth, _ in cases)
    # Images the network was trained on: this holds the stage around it, not its quality on new images.
    assert known.ap(0.5) > 0.75
    assert guessed.ap(0.5) > 0.7
