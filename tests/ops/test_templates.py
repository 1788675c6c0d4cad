"""Templates: blind to what they promise, unbiased for the signal, and their noise as computed."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ctcfish.ops import templates as t

HALF, SIGMA = 6, 1.3
GRID = torch.arange(-HALF, HALF + 1, dtype=torch.float64) / HALF
Y, X = torch.meshgrid(GRID, GRID, indexing="ij")


def image() -> torch.Tensor:
    return t.point_image(HALF, SIGMA)


def test_point_image_is_a_product_of_pixel_integrals() -> None:
    edges = np.arange(-HALF, HALF + 2) - 0.5
    profile = np.diff([0.5 * math.erf(e / SIGMA / math.sqrt(2)) for e in edges])
    np.testing.assert_allclose(image().numpy(), np.outer(profile, profile), atol=1e-12)


def test_blind_template_is_the_least_squares_amplitude() -> None:
    backgrounds = torch.stack([torch.ones_like(X), X, Y])
    template = t.blind(image(), backgrounds)
    data = torch.from_numpy(np.random.default_rng(6).normal(40, 6, X.shape)) + 500 * image() + 5 * X
    design = torch.cat([image()[None], backgrounds]).flatten(1).T
    expected = torch.linalg.lstsq(design, data.flatten()).solution[0]
    assert float((template * data).sum()) == pytest.approx(float(expected))


@pytest.mark.parametrize("background", [torch.ones_like(X), 7 + 0 * X])
def test_level_blind(background: torch.Tensor) -> None:
    template = t.level_blind(image())
    assert float((template * background).sum()) == pytest.approx(0, abs=1e-10)
    assert float((template * image()).sum()) == pytest.approx(1)


@pytest.mark.parametrize("step", [0, 3, 8, 15])
def test_edge_blind_does_not_see_its_edges(step: int) -> None:
    angle = math.pi * step / t.ORIENTATIONS
    n, tangent = X * math.cos(angle) + Y * math.sin(angle), Y * math.cos(angle) - X * math.sin(angle)
    template = t.edge_blind(image())[step]
    for smooth in (torch.ones_like(n), n, n**2, n**3, n**4, tangent, tangent * n, tangent**2, X**2 + Y**2):
        assert float((template * smooth).sum()) == pytest.approx(0, abs=1e-9)
    assert float((template * image()).sum()) == pytest.approx(1)


def test_edge_blind_suppresses_the_border_of_a_nucleus() -> None:
    # a step of 30 photons blurred by 2 pixels, 3 pixels from the centre; the plain template takes it for a signal
    border = 30 * 0.5 * (1 + torch.erf((X * HALF + 3.0) / 2.0 / math.sqrt(2)))
    plain = float((t.level_blind(image()) * border).sum())
    blind = float((t.edge_blind(image())[0] * border).sum())
    assert plain > 60
    assert abs(blind) < 0.2 * plain


@pytest.mark.parametrize("blur_px", [3.0, 5.0])
@pytest.mark.parametrize("angle", [0.0, 0.5])
def test_the_share_of_a_border_is_what_it_adds_to_a_response_where_it_adds_most(blur_px: float, angle: float) -> None:
    template, slopes = t.level_blind(image()), t.slope_templates(HALF, SIGMA)
    share = t.border_share(template.sum(0).numpy(), slopes[1].sum(0).numpy(), blur_px)
    along = (X * math.cos(angle) + Y * math.sin(angle)) * HALF
    shift = torch.arange(-15, 15, 0.5)[:, None, None]
    borders = 0.5 * (1 + torch.erf((along - shift) / blur_px / math.sqrt(2)))
    response, slope = t.products(borders, template[None])[:, 0], t.products(borders, slopes).norm(dim=1)
    most = int(response.argmax())
    assert share == pytest.approx(float(response[most] / slope[most]), rel=0.2)
    assert float((response - share * slope).max()) < 0.6 * float(response[most])


def test_slopes_point_along_the_gradient_and_ignore_a_centred_signal() -> None:
    slopes = t.slope_templates(HALF, SIGMA)
    along_y, along_x = t.products((3 * Y + X)[None], slopes)[0].tolist()
    assert math.atan2(along_y, along_x) == pytest.approx(math.atan2(3, 1))
    assert t.products(image()[None], slopes).abs().max() < 1e-12
    assert slopes.flatten(1).norm(dim=1).tolist() == pytest.approx([1, 1])


def test_products_are_sums_of_products(device: str) -> None:
    patches = torch.rand(4, 13, 13).to(device)
    found = t.products(patches, torch.stack([image(), X]))
    expected = torch.stack([(patches.cpu() * image()).sum((1, 2)), (patches.cpu() * X).sum((1, 2))], 1)
    assert torch.allclose(found.cpu().double(), expected.double(), atol=1e-4)


@pytest.fixture
def noisy() -> torch.Tensor:
    rng = np.random.default_rng(7)
    return torch.from_numpy(rng.normal(0, 7.0, (400, 13, 13)).astype(np.float32))


def test_hot_pixels_are_seen_and_signals_are_not(noisy: torch.Tensor) -> None:
    noise = torch.full((400,), 7.0)
    signals = noisy + 2000 * image().float()
    shifted = noisy + 1000 * torch.roll(image(), 1, 0).float() + 1000 * image().float()
    hot = noisy.clone()
    hot[:, HALF, HALF] += 200
    assert not t.hot_centre(noisy, noise, SIGMA).any()
    assert float(t.hot_centre(signals, noise, SIGMA).float().mean()) < 0.01
    assert float(t.hot_centre(shifted, noise, SIGMA).float().mean()) < 0.01
    assert t.hot_centre(hot, noise, SIGMA).all()


def test_repair_takes_the_mean_of_four_neighbours_of_hot_patches_only() -> None:
    patches = torch.rand(2, 5, 5)
    hot = torch.tensor([True, False])
    fixed = t.repaired(patches, hot)
    sides = (patches[0, 1, 2] + patches[0, 3, 2] + patches[0, 2, 1] + patches[0, 2, 3]) / 4
    assert float(fixed[0, 2, 2]) == pytest.approx(float(sides))
    assert torch.equal(fixed[1], patches[1])
    changed = fixed[0] != patches[0]
    assert int(changed.sum()) == 1


def test_nothing_in_nothing_out() -> None:
    none = torch.empty(0, 13, 13)
    assert t.hot_centre(none, torch.empty(0), SIGMA).shape == (0,)
    assert t.products(none, t.slope_templates(HALF, SIGMA)).shape == (0, 2)
