"""The image of a point along one axis: shares of light against SciPy's normal distribution, slopes against steps."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import norm

from ctcfish.ops.psf import pixel_profile, pixel_profile_derivatives, pixel_profile_shift

CENTRES = np.array([[-0.7, 0.0, 3.3], [4.5, 8.9, 12.0]])
LENGTH = 11


def shares(centres: np.ndarray, sigma: float) -> np.ndarray:
    edges = np.arange(LENGTH + 1) - 0.5
    return np.diff(norm.cdf(edges, centres[..., None], sigma), axis=-1)


@pytest.mark.parametrize("sigma", [0.6, 1.3, 3.0])
def test_each_pixel_gets_its_share_of_the_light(sigma: float, device: str) -> None:
    found = pixel_profile(torch.tensor(CENTRES, device=device, dtype=torch.float32), sigma, LENGTH)
    np.testing.assert_allclose(found.cpu(), shares(CENTRES, sigma), atol=1e-6)
    assert (found.sum(-1) <= 1.0 + 1e-6).all()


@pytest.mark.parametrize("sigma", [0.6, 1.3, 3.0])
def test_slopes_are_differences_of_shares(sigma: float) -> None:
    step = 1e-5
    centre = torch.tensor(CENTRES)
    profile, shift = pixel_profile_shift(centre, sigma, LENGTH)
    by_centre = (shares(CENTRES + step, sigma) - shares(CENTRES - step, sigma)) / (2 * step)
    by_width = (shares(CENTRES, sigma + step) - shares(CENTRES, sigma - step)) / (2 * step)
    np.testing.assert_allclose(profile, shares(CENTRES, sigma), atol=1e-12)
    np.testing.assert_allclose(shift, by_centre, atol=1e-8)
    _, _, edges = pixel_profile_derivatives(centre, torch.full_like(centre, sigma), LENGTH)
    np.testing.assert_allclose(edges.diff(dim=-1), by_width, atol=1e-8)


def test_one_width_for_all_or_one_for_each_is_the_same() -> None:
    centre = torch.tensor(CENTRES, dtype=torch.float32)
    both = pixel_profile_shift(centre, 1.3, LENGTH)
    each = pixel_profile_derivatives(centre, torch.full_like(centre, 1.3), LENGTH)
    for one, other in zip(both, each, strict=False):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)
