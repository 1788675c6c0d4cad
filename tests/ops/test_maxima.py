"""Local maxima against SciPy's maximum filter."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import maximum_filter

from ctcfish.ops.maxima import local_maxima


@pytest.mark.parametrize("shape", [(1, 30, 40), (7, 30, 40), (2, 3, 3), (1, 1, 5), (1, 1, 1)])
@pytest.mark.parametrize("floor", [-10.0, 0.5, 100.0])
def test_maxima_are_those_of_a_maximum_filter(shape: tuple[int, int, int], floor: float, device: str) -> None:
    values = np.random.default_rng(3).standard_normal(shape).astype(np.float32)
    expected = np.argwhere((values >= maximum_filter(values, 3, mode="nearest")) & (values > floor))
    found = local_maxima(torch.from_numpy(values).to(device), floor).cpu().numpy()
    assert found.shape == expected.shape
    assert (found == expected).all()


def test_nothing_above_the_floor_is_a_table_of_no_rows() -> None:
    assert local_maxima(torch.zeros(2, 4, 4), 0.0).shape == (0, 3)


def test_equal_neighbours_are_all_maxima() -> None:
    values = torch.zeros(1, 3, 4)
    values[0, 1, 1:3] = 2.0
    assert local_maxima(values, 1.0).tolist() == [[0, 1, 1], [0, 1, 2]]


def test_the_plane_above_hides_a_lower_maximum() -> None:
    values = torch.zeros(3, 5, 5)
    values[1, 2, 2], values[0, 3, 3], values[2, 0, 0] = 3.0, 2.0, 2.0
    assert local_maxima(values, 0.5).tolist() == [[1, 2, 2], [2, 0, 0]]
