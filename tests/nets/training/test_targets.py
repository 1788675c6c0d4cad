"""Targets against the definition, nucleus by nucleus."""

import numpy as np
import pytest

from ctcfish.nets.architecture import FOREGROUND, OFFSET_UNIT_PX, OFFSET_X, OFFSET_Y
from ctcfish.nets.training.targets import draw_targets


def drawn() -> np.ndarray:
    labels = np.zeros((20, 24), np.int32)
    labels[2:8, 3:9] = 1
    labels[8:15, 3:9] = 2
    labels[15:20, 20:24] = 4
    return labels


def test_foreground_is_where_nuclei_are() -> None:
    labels = drawn()
    np.testing.assert_array_equal(draw_targets(labels)[0][FOREGROUND], labels > 0)


@pytest.mark.parametrize("number", [1, 2, 4])
def test_every_pixel_points_at_its_centroid(number: int) -> None:
    labels = drawn()
    targets, _ = draw_targets(labels)
    at = np.argwhere(labels == number)
    pointed = at + targets[[OFFSET_Y, OFFSET_X]][:, labels == number].T * OFFSET_UNIT_PX
    np.testing.assert_allclose(pointed, np.broadcast_to(at.mean(0), at.shape), atol=1e-4)


def test_outside_points_nowhere_and_weighs_nothing() -> None:
    labels = drawn()
    targets, weights = draw_targets(labels)
    assert not targets[:, labels == 0].any()
    assert not weights[labels == 0].any()


def test_a_nucleus_weighs_by_the_root_of_its_area() -> None:
    labels = drawn()
    _, weights = draw_targets(labels)
    total = {number: float(weights[labels == number].sum()) for number in (1, 2, 4)}
    assert total[2] / total[1] == pytest.approx(np.sqrt(42 / 36), rel=1e-5)
    assert total[4] / total[1] == pytest.approx(np.sqrt(20 / 36), rel=1e-5)


def test_no_nuclei_is_all_zero() -> None:
    targets, weights = draw_targets(np.zeros((8, 8), np.int32))
    assert targets.shape == (3, 8, 8)
    assert not targets.any()
    assert not weights.any()
