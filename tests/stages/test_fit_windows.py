"""Windows for fits against slices of an image padded by its border."""

from __future__ import annotations

import numpy as np
import pytest

from ctcfish.stages.signals.fits import windows


@pytest.mark.parametrize("dtype", ["uint16", ">u2", "float32"])
@pytest.mark.parametrize(
    ("shape", "half"), [((1, 20, 30), (0, 4, 4)), ((9, 15, 14), (2, 3, 3)), ((2, 5, 40), (3, 4, 4))]
)
def test_windows_are_slices_of_the_image_its_border_repeated(shape, half, dtype):
    rng = np.random.default_rng(3)
    stack = rng.poisson(30, shape).astype(dtype)
    place = np.stack([rng.integers(0, n, 200) for n in shape], 1)
    reach = [(h, h) for h in half]
    padded, there = np.pad(stack, reach, mode="edge"), np.pad(np.ones(shape, bool), reach)
    window, inside = windows(stack, place, half)
    assert window.dtype == np.float32
    for row, (z, y, x) in enumerate(place):
        around = np.s_[z : z + 2 * half[0] + 1, y : y + 2 * half[1] + 1, x : x + 2 * half[2] + 1]
        np.testing.assert_array_equal(window[row], padded[around])
        np.testing.assert_array_equal(inside[row], there[around])


def test_no_place_gives_no_window():
    window, inside = windows(np.zeros((1, 5, 5), np.uint16), np.zeros((0, 3), np.int64), (0, 2, 2))
    assert window.shape == inside.shape == (0, 1, 5, 5)
