"""The batched fit against known truth, an independent optimiser and its own error estimate."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import erf

from ctcfish.errors import InputError
from ctcfish.ops.fit import SpotFits, fit_spots
from ctcfish.ops.fit_model import FitModel, Layout, jacobian_of
from ctcfish.ops.windows import cut_windows

READ_VARIANCE = 4.0
MODEL = FitModel(sigma_xy_px=1.3, sigma_z_px=1.4)


def profile(centre: float, sigma: float, length: int) -> np.ndarray:
    """Pixel-integrated Gaussian, written apart from the package's."""
    edges = np.arange(length + 1) - 0.5
    return np.diff(0.5 * (1 + erf((edges - centre) / (sigma * math.sqrt(2)))))


def scene(shape, centre, photons, background, sigma=(1.4, 1.3)):
    """Expected photons of one signal; one plane where ``shape`` has two axes."""
    sigmas = (sigma[0], sigma[1], sigma[1])[-len(shape) :]
    axes = [profile(c, s, n) for c, s, n in zip(centre, sigmas, shape, strict=True)]
    image = axes[0]
    for axis in axes[1:]:
        image = image[..., None] * axis
    return photons * image + background


def simulate(shape, n, photons, background, seed, sigma=(1.4, 1.3)):
    rng = np.random.default_rng(seed)
    middle = (np.array(shape) - 1) / 2
    centres = middle + rng.uniform(-0.5, 0.5, (n, len(shape)))
    expected = np.stack([scene(shape, c, photons, background, sigma) for c in centres])
    noisy = rng.poisson(expected) + rng.normal(0, math.sqrt(READ_VARIANCE), expected.shape)
    start = np.broadcast_to(middle, centres.shape)
    return torch.tensor(noisy, dtype=torch.float32), torch.tensor(start.copy(), dtype=torch.float32), centres


def robust_sigma(values) -> float:
    """Half the distance between the 10th and 90th percentile, in units of a normal distribution's."""
    low, high = np.quantile(np.asarray(values), (0.1, 0.9))
    return float((high - low) / 2.5631)


CASES = [
    pytest.param((11, 11), 500, 45, False, id="plane, known width"),
    pytest.param((11, 11), 800, 45, True, id="plane, free width"),
    pytest.param((7, 11, 11), 1500, 37, False, id="stack, known width"),
    pytest.param((7, 11, 11), 1500, 37, True, id="stack, free width"),
]


@pytest.mark.parametrize(("shape", "photons", "background", "free"), CASES)
def test_errors_are_the_cramer_rao_bound(shape, photons, background, free):
    crops, start, centres = simulate(shape, 1500, photons, background, seed=11)
    fits = fit_spots(crops, start, READ_VARIANCE, FitModel(1.3, 1.4, free_width=free))
    axes = len(shape)
    pulls = (fits.position_px[:, -axes:].numpy() - centres) / fits.position_error_px[:, -axes:].numpy()
    for axis in range(axes):
        assert 0.92 < robust_sigma(pulls[:, axis]) < 1.10
        assert abs(pulls[:, axis].mean()) < 0.12
    light = ((fits.photons - photons) / fits.photons_error).numpy()
    assert 0.92 < robust_sigma(light) < 1.08
    assert abs(np.median(light)) < 0.15  # a maximum is biased up by about half its own gain
    level = ((fits.background - background) / fits.background_error).numpy()
    assert 0.92 < level.std() < 1.08
    assert fits.converged.float().mean() > 0.995


def test_free_width_is_measured_on_both_axes():
    crops, start, _ = simulate((7, 11, 11), 1500, 4000, 20, seed=12, sigma=(1.8, 1.6))
    fits = fit_spots(crops, start, READ_VARIANCE, FitModel(1.3, 1.4, free_width=True))
    assert fits.sigma_px.median(0).values.tolist() == pytest.approx([1.8, 1.6], abs=0.02)
    pulls = (fits.sigma_px - torch.tensor([1.8, 1.6])) / fits.sigma_error_px
    assert [robust_sigma(pulls[:, k]) for k in (0, 1)] == pytest.approx([1.0, 1.0], abs=0.1)


def test_maximum_is_the_one_a_general_optimiser_finds():
    crops, start, _ = simulate((11, 11), 5, 600, 30, seed=13)
    fits = fit_spots(crops, start, READ_VARIANCE, FitModel(1.3, tolerance=1e-7))
    for i in range(5):
        data = crops[i].numpy().astype(float) + READ_VARIANCE

        def cost(p, data=data):
            model = scene((11, 11), p[2:], p[0], p[1]) + READ_VARIANCE
            return (model - data * np.log(model)).sum()

        best = minimize(
            cost, [500.0, 25.0, 5.0, 5.0], method="Nelder-Mead", options={"xatol": 1e-5, "fatol": 1e-9, "maxiter": 4000}
        )
        found = [fits.photons[i], fits.background[i], fits.position_px[i, 1], fits.position_px[i, 2]]
        assert [float(v) for v in found] == pytest.approx(best.x, rel=2e-3)


@pytest.mark.parametrize("shape", [(9, 9), (5, 9, 9)])
def test_derivatives_are_those_of_finite_differences(shape):
    full = (1,) * (3 - len(shape)) + shape
    model = FitModel(1.3, 1.4, free_width=True, sloped_background=True)
    layout = Layout.of(full, model)
    theta = torch.zeros(1, layout.size, dtype=torch.float64)
    theta[0, :4] = torch.tensor([700.0, 20.0, 4.2, 3.9])
    if layout.z >= 0:
        theta[0, layout.z], theta[0, layout.sigma_z] = 2.1, 1.5
    theta[0, layout.sigma_xy], theta[0, layout.slope] = 1.4, 0.7
    exact = jacobian_of(theta, model, layout)[0]
    for k in range(layout.size):
        shift = torch.zeros_like(theta)
        shift[0, k] = 1e-4
        up, down = (jacobian_of(theta + s, model, layout)[0, -1] for s in (shift, -shift))
        torch.testing.assert_close((up - down) / 2e-4, exact[k], rtol=1e-4, atol=1e-4)


def test_p_value_of_a_good_fit_is_uniform_and_of_a_granule_small():
    crops, start, _ = simulate((11, 11), 2000, 500, 45, seed=14)
    good = fit_spots(crops, start, READ_VARIANCE, MODEL).p_value
    for level in (0.05, 0.25, 0.5, 0.75):
        assert float((good < level).float().mean()) == pytest.approx(level, abs=0.04)
    broad, start, _ = simulate((11, 11), 200, 5000, 45, seed=15, sigma=(1.4, 3.0))
    assert (fit_spots(broad, start, READ_VARIANCE, MODEL).p_value < 0.01).float().mean() > 0.95


def test_likelihood_ratio_is_half_a_chi_square_without_a_signal_and_grows_with_light():
    empty, start, _ = simulate((11, 11), 2000, 0, 45, seed=16)
    fixed = FitModel(1.3, max_shift_px=1e-6)
    ratio = fit_spots(empty, start, READ_VARIANCE, fixed).log_likelihood_ratio
    assert float((2 * ratio > 2.706).float().mean()) == pytest.approx(0.05, abs=0.02)  # one-sided χ² of one parameter
    lit, start, _ = simulate((11, 11), 300, 500, 45, seed=17)
    fits = fit_spots(lit, start, READ_VARIANCE, MODEL)
    assert 60 < float(fits.log_likelihood_ratio.median()) < 100


def test_known_neighbour_is_taken_out():
    shape, rng = (13, 13), np.random.default_rng(18)
    neighbour = scene(shape, (6.0, 9.5), 800, 0)
    expected = scene(shape, (6.2, 5.8), 500, 30) + neighbour
    crops = torch.tensor(rng.poisson(np.broadcast_to(expected, (400, *shape))), dtype=torch.float32)
    start = torch.full((400, 2), 6.0)
    known = torch.tensor(neighbour, dtype=torch.float32).expand_as(crops)
    free = fit_spots(crops, start, 0.0, MODEL, known=known)
    assert float(free.position_px[:, 2].mean()) == pytest.approx(5.8, abs=0.02)
    assert float(free.photons.mean()) == pytest.approx(500, rel=0.02)
    ignored = fit_spots(crops, start, 0.0, MODEL)
    assert float(ignored.p_value.median()) < 1e-3
    assert float(free.p_value.median()) > 0.2


def test_pixels_of_no_weight_do_not_count():
    crops, start, centres = simulate((11, 11), 300, 600, 30, seed=19)
    hot = crops.clone()
    hot[:, 2, 7] = 5000.0
    weight = torch.ones_like(hot)
    weight[:, 2, 7] = 0.0
    masked = fit_spots(hot, start, READ_VARIANCE, MODEL, weight=weight)
    pulls = (masked.position_px[:, 1:].numpy() - centres) / masked.position_error_px[:, 1:].numpy()
    assert 0.85 < robust_sigma(pulls) < 1.12
    assert abs(pulls.mean()) < 0.1


def test_sloped_background_removes_the_bias_of_a_slope():
    shape, rng = (11, 11), np.random.default_rng(20)
    ramp = (np.arange(11) - 5) * 3.0
    expected = scene(shape, (5.0, 5.0), 500, 45) + ramp
    crops = torch.tensor(rng.poisson(np.broadcast_to(expected, (800, *shape))), dtype=torch.float32)
    start = torch.full((800, 2), 5.0)
    flat = fit_spots(crops, start, 0.0, MODEL)
    plane = fit_spots(crops, start, 0.0, FitModel(1.3, sloped_background=True))
    assert float(flat.position_px[:, 2].mean()) - 5.0 > 0.05
    assert float(plane.position_px[:, 2].mean()) == pytest.approx(5.0, abs=0.015)


def test_hopeless_crops_stay_inside_their_bounds():
    rng = np.random.default_rng(21)
    crops = torch.tensor(rng.normal(0, 2, (200, 5, 9, 9)), dtype=torch.float32)
    start = torch.full((200, 3), 4.0)
    start[:, 0] = 2.0
    fits = fit_spots(crops, start, READ_VARIANCE, FitModel(1.3, 1.4, free_width=True))
    assert (fits.position_px - start).abs().max() <= 2.0 + 1e-5
    assert fits.sigma_px[:, 1].min() >= 0.65 - 1e-5
    assert fits.sigma_px[:, 1].max() <= 3.9 + 1e-5
    for column in vars(fits).values():
        assert torch.isfinite(column.float()).all()


def test_rows_do_not_depend_on_their_company():
    crops, start, _ = simulate((11, 11), 700, 300, 45, seed=22)
    together = fit_spots(crops, start, READ_VARIANCE, MODEL)
    some = torch.tensor([3, 350, 699])
    alone = fit_spots(crops[some], start[some], READ_VARIANCE, MODEL)
    torch.testing.assert_close(alone.position_px, together.position_px[some], atol=1e-4, rtol=0)
    torch.testing.assert_close(alone.photons, together.photons[some], atol=0.05, rtol=0)


def test_nothing_in_nothing_out():
    none = torch.zeros(0, 11, 11)
    fits = fit_spots(none, torch.zeros(0, 2), READ_VARIANCE, MODEL, known=none, weight=none)
    assert isinstance(fits, SpotFits)
    assert {len(column) for column in vars(fits).values()} == {0}
    assert fits.position_px.shape == (0, 3)


@pytest.mark.parametrize(
    ("crops", "start", "known", "text"),
    [
        ((3, 11, 11), (3, 3), None, r"start_px \(3, 3\); needed crops \(N, Y, X\)"),
        ((3, 11), (3, 1), None, r"crops \(3, 11\)"),
        ((3, 11, 11), (3, 2), (3, 11, 10), r"known \(3, 11, 10\); needed the shape of crops"),
    ],
)
def test_shapes_that_do_not_go_together_are_refused(crops, start, known, text):
    with pytest.raises(InputError, match=text):
        fit_spots(
            torch.zeros(crops), torch.zeros(start), 0.0, MODEL, known=None if known is None else torch.zeros(known)
        )


def test_windows_repeat_the_border_and_say_so():
    image = torch.arange(4 * 20 * 30).view(4, 20, 30)
    centres = torch.tensor([[0, 0, 0], [3, 19, 29], [2, 10, 15]])
    windows, inside = cut_windows(image, centres, (1, 5, 5))
    padded = torch.nn.functional.pad(image[None].float(), (5, 5, 5, 5, 1, 1), mode="replicate")[0].long()
    for window, mask, (z, y, x) in zip(windows, inside, centres.tolist(), strict=True):
        assert torch.equal(window, padded[z : z + 3, y : y + 11, x : x + 11])
        assert int(mask.sum()) == (2 if z in (0, 3) else 3) * (6 if y in (0, 19) else 11) * (6 if x in (0, 29) else 11)
    assert cut_windows(image, torch.zeros(0, 3, dtype=torch.int64), (0, 2, 2))[0].shape == (0, 1, 5, 5)
