"""The whole way from pixels to nuclei with the shipped weights, on scenes drawn here with known truth."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from ctcfish.metrics import nuclei_scores
from ctcfish.nets import predict
from ctcfish.nets.architecture import STRIDE, NetSpec, NucleusNet
from ctcfish.nets.predict import STRIP_PX, predict_labels
from ctcfish.nets.rescale import resize_labels
from ctcfish.nets.scale import resample
from ctcfish.nets.weights import load_network


@pytest.fixture(scope="module")
def net() -> NucleusNet:
    return load_network()


def scene(shape: tuple[int, int], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Ellipses about 24 px wide in jittered rows, some touching, on a slope, with noise; and their labels."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[: shape[0], : shape[1]].astype(float)
    labels = np.zeros(shape, np.int32)
    light = np.zeros(shape)
    for y in range(18, shape[0] - 10, 34):
        for x in range(18, shape[1] - 10, 30):
            cy, cx = y + rng.uniform(-4, 4), x + rng.uniform(-4, 4)
            a, b, t = rng.uniform(11, 14), rng.uniform(9, 12), rng.uniform(0, np.pi)
            u = (rows - cy) * np.cos(t) + (columns - cx) * np.sin(t)
            v = (columns - cx) * np.cos(t) - (rows - cy) * np.sin(t)
            inside = ((u / a) ** 2 + (v / b) ** 2 < 1) & (labels == 0)
            labels[inside] = labels.max() + 1
            light[inside] = rng.uniform(60, 220)
    photons = gaussian_filter(light, 1.0) * (1 + 0.1 * gaussian_filter(rng.standard_normal(shape), 2) * 5) + 10
    photons *= 1.0 - 0.3 * columns / shape[1]
    return rng.poisson(np.maximum(photons, 0)).astype(np.uint16), labels


def test_drawn_nuclei_are_found(net: NucleusNet) -> None:
    image, truth = scene((300, 340))
    found = predict_labels(image, net)
    assert found.labels.dtype == np.int32
    assert nuclei_scores(found.labels, truth).ap(0.5) >= 0.95
    assert nuclei_scores(found.labels, truth).ap(0.75) >= 0.8


@pytest.mark.parametrize("strip_px", [1, 64 * 517, 128 * 517, 200 * 517])
def test_strips_equal_the_whole(net: NucleusNet, strip_px: int) -> None:
    image, _ = scene((430, 517), seed=1)
    assert strip_px < image.size < STRIP_PX
    whole, tiled = predict_labels(image, net), predict_labels(image, net, strip_px=strip_px)
    np.testing.assert_array_equal(tiled.labels, whole.labels)
    np.testing.assert_array_equal(tiled.centre_px, whole.centre_px)
    np.testing.assert_allclose(tiled.score, whole.score, rtol=1e-6)


def test_every_label_is_one_row_in_the_order_of_centres(net: NucleusNet) -> None:
    image, _ = scene((220, 260), seed=2)
    found = predict_labels(image, net, strip_px=64 * 260)
    count = len(found.score)
    assert found.centre_px.shape == (count, 2)
    np.testing.assert_array_equal(np.unique(found.labels), np.arange(count + 1))
    assert [tuple(row) for row in found.centre_px] == sorted(tuple(row) for row in found.centre_px)
    assert bool(((found.score > 0.5) & (found.score <= 1.0)).all())


def test_the_same_image_gives_the_same_bytes(net: NucleusNet) -> None:
    image, _ = scene((150, 150), seed=3)
    first, second = predict_labels(image, net), predict_labels(image, net)
    assert first.labels.tobytes() == second.labels.tobytes()
    assert first.score.tobytes() == second.score.tobytes()


def test_type_gain_and_offset_do_not_matter(net: NucleusNet) -> None:
    image, _ = scene((200, 200), seed=4)
    plain = predict_labels(image, net).labels
    np.testing.assert_array_equal(predict_labels(image.astype(np.float64), net).labels, plain)
    np.testing.assert_array_equal(predict_labels(image.astype(np.int32), net).labels, plain)
    other = predict_labels(image.astype(np.float32) * 13.0 + 400.0, net).labels
    assert nuclei_scores(other, plain).ap(0.9) > 0.95


@pytest.mark.parametrize("shape", [(1, 1), (7, 90), (64, 64)])
@pytest.mark.parametrize("level", [0, 1000])
def test_an_image_of_nothing_has_no_rows(net: NucleusNet, shape: tuple[int, int], level: int) -> None:
    found = predict_labels(np.full(shape, level, np.uint16), net)
    assert not found.labels.any()
    assert found.labels.shape == shape
    assert found.centre_px.shape == (0, 2)
    assert found.score.shape == (0,)


def test_noise_alone_is_not_nuclei(net: NucleusNet) -> None:
    image = np.random.default_rng(5).poisson(100, (300, 300))
    assert len(predict_labels(image, net).score) <= 1


@pytest.mark.parametrize("shape", [(430, 96), (300, 2), (64, 1000), (9, 9)])
@pytest.mark.parametrize("strip_px", [1, 4000, STRIP_PX])
def test_strips_cover_the_image_once_and_begin_at_the_stride(
    shape: tuple[int, int], strip_px: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network that says of each pixel where it lies shows what each strip was given and what was kept of it."""
    seen: list[tuple[int, int]] = []

    def told(strip: np.ndarray, _field: object, first: int, _net: object, _device: str) -> np.ndarray:
        seen.append((first, first + len(strip)))
        return np.stack([strip.astype(np.float32)] * 3)

    monkeypatch.setattr(predict, "_run", told)
    image = np.arange(shape[0] * shape[1]).reshape(shape)
    maps = predict._maps(image, NucleusNet(NetSpec()), "cpu", strip_px)
    np.testing.assert_array_equal(maps, np.stack([image] * 3))
    assert all(first % STRIDE == 0 for first, _ in seen)
    assert (seen[0][0], seen[-1][1]) == (0, shape[0])
    assert len(seen) == 1 if strip_px == STRIP_PX else len(seen) <= -(-shape[0] // STRIDE)


@pytest.mark.parametrize("turns", [1, 2])
def test_a_turned_image_has_the_same_nuclei(net: NucleusNet, turns: int) -> None:
    image, truth = scene((240, 264), seed=6)
    turned = predict_labels(np.ascontiguousarray(np.rot90(image, turns)), net).labels
    upright = predict_labels(image, net).labels
    agreement = nuclei_scores(np.ascontiguousarray(np.rot90(turned, -turns)), upright)
    assert agreement.ap(0.75) > 0.9
    assert nuclei_scores(turned, np.ascontiguousarray(np.rot90(truth, turns))).ap(0.5) > 0.9


@pytest.mark.parametrize("zoom", [0.6, 1.6])
def test_nuclei_off_the_native_scale_are_found(net: NucleusNet, zoom: float) -> None:
    image, truth = scene((300, 300), seed=7)
    found = predict_labels(resample(image, zoom), net).labels
    assert nuclei_scores(resize_labels(found, truth.shape), truth).ap(0.5) > 0.85


@pytest.mark.parametrize("bits", [8, 12])
def test_few_grey_levels_and_clipping_do_little(net: NucleusNet, bits: int) -> None:
    image, truth = scene((260, 260), seed=8)
    levels = 2**bits - 1
    coarse = np.clip(image.astype(float) / np.percentile(image, 90) * levels, 0, levels).astype(np.uint16)
    assert nuclei_scores(predict_labels(coarse, net).labels, truth).ap(0.5) > 0.85


def test_numbers_of_a_large_sheet_stay_consecutive(net: NucleusNet) -> None:
    image, truth = scene((260, 260), seed=9)
    sheet = np.tile(image, (3, 3))
    found = predict_labels(sheet, net, strip_px=256 * 780)
    assert len(found.score) == found.labels.max() == len(np.unique(found.labels)) - 1
    assert len(found.score) > 8 * len(np.unique(truth)) * 0.8


def test_on_the_device_under_test(device: str) -> None:
    image, truth = scene((200, 200), seed=10)
    found = predict_labels(image, load_network(device=device), device)
    assert nuclei_scores(found.labels, truth).ap(0.5) > 0.9
    expected = predict_labels(image, load_network())
    assert nuclei_scores(found.labels, expected.labels).ap(0.9) > 0.95
