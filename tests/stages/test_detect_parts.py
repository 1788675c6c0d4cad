"""Pieces of detection: hot pixels, probability, the second look, crowds, single fits."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ctcfish.ops.bands import Bands
from ctcfish.parameters import Detect
from ctcfish.stages.signals.camera import Camera
from ctcfish.stages.signals.candidates import Candidates, Search, find
from ctcfish.stages.signals.crowds import partition
from ctcfish.stages.signals.fits import Fitted, explained, fit_at, window_half
from ctcfish.stages.signals.hot import without_hot_pixels
from ctcfish.stages.signals.measure import measure
from ctcfish.stages.signals.probability import probability
from ctcfish.stages.signals.regions import Region
from ctcfish.stages.signals.rescue import second_look, without_neighbours
from ctcfish.types import ProbeModel

CAMERA = Camera(2.0, 100.0, 2.0, "metadata")
SLIDE = ProbeModel(40.0, 0.13, 0.4, 0.31, 1500.0, 0.3, 5.0, (5.0, 5.0), 0.005, 100)
SIGMA = (1.4, 1.3)
BANDS = Bands.of(SIGMA, 1, 1.7)


def image(
    spots: list[tuple[float, float, float, float]], planes: int = 1, seed: int = 0, width: float = 1.0
) -> np.ndarray:
    """Camera numbers of signals ``(z, y, x, photons)`` on 40 photons."""
    z, y, x = np.ogrid[:planes, :80, :100]
    light = np.full((planes, 80, 100), 40.0)
    lateral, axial = SIGMA[1] * width, SIGMA[0] * width
    for cz, cy, cx, photons in spots:
        bell = np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (2 * lateral**2)) / (2 * np.pi * lateral**2)
        if planes > 1:
            bell = bell * np.exp(-((z - cz) ** 2) / (2 * axial**2)) / (np.sqrt(2 * np.pi) * axial)
        light = light + photons * bell
    rng = np.random.default_rng(seed)
    return np.round(100 + 2 * (rng.poisson(light) + rng.normal(0, 2, light.shape))).astype(np.uint16)


def candidates(stack: np.ndarray, floor: float = 3.0, device: str = "cpu") -> Candidates:
    bands = Bands.of(SIGMA, len(stack), 1.7)
    search = Search(bands, CAMERA, floor, 6, bands.signal_gain(SIGMA), device)
    return find(stack, [Region(0, 80, 0, 100)], search)


def nearest(found: Candidates, y: float, x: float) -> int:
    place = found.place_px.cpu().numpy()
    return int(np.hypot(place[:, 1] - y, place[:, 2] - x).argmin())


@pytest.mark.parametrize("planes", [1, 9])
def test_candidates_carry_brightness_background_and_snr(planes: int, device: str) -> None:
    z = planes // 2
    photons = 700.0 if planes == 1 else 4000.0
    found = candidates(image([(z, 40, 50, photons)], planes), 6.0, device)
    row = nearest(found, 40, 50)
    assert found.place_px[row].tolist() == [z, 40, 50]
    assert float(found.photons[row]) == pytest.approx(photons, rel=0.15)
    assert float(found.surround[row]) == pytest.approx(40, rel=0.5)
    background = np.sqrt(44.0)
    template = np.sqrt(1 / (4 * np.pi * 1.3**2) * (1 if planes == 1 else 1 / (2 * np.sqrt(np.pi) * 1.4)))
    assert float(found.snr[row]) == pytest.approx(0.8 * photons * template / background, rel=0.2)


@pytest.mark.parametrize("planes", [1, 9])
def test_noise_is_of_unit_variance(planes: int) -> None:
    found = candidates(image([], planes), 2.0)
    assert float((found.snr > 5.5).sum()) <= 1
    assert len(found) > 5


def test_blocks_do_not_change_what_is_found() -> None:
    stack = image([(0, 20, 30, 900), (0, 40, 50, 900), (0, 41, 75, 900)])
    whole = candidates(stack, 3.5)
    bands = Bands.of(SIGMA, 1, 1.7)
    parts = [Region(y, y + 40, x, x + 50) for y in (0, 40) for x in (0, 50)]
    split = find(stack, parts, Search(bands, CAMERA, 3.5, 6, bands.signal_gain(SIGMA)))
    assert sorted(whole.place_px.tolist()) == sorted(split.place_px.tolist())
    assert sorted(whole.snr.tolist()) == pytest.approx(sorted(split.snr.tolist()), rel=1e-4)


def test_a_signal_has_its_own_width_and_a_hot_pixel_is_hot() -> None:
    stack = image([(0, 30, 30, 3000)])
    stack[0, 60, 60] += 600
    found = candidates(stack)
    measured = measure(found, SIGMA[1], 0.1, BANDS)
    signal, pixel = nearest(found, 30, 30), nearest(found, 60, 60)
    assert not measured.hot[signal]
    assert float(measured.ratio[signal]) == pytest.approx(1.0, abs=0.08)
    assert float(measured.width_px[signal]) == pytest.approx(1.3, rel=0.08)
    assert measured.hot[pixel]
    assert float(measured.snr[pixel]) < 4.5


def test_a_border_is_no_signal_and_a_signal_beside_one_is() -> None:
    ramp = 40.0 + 60.0 / (1.0 + np.exp(-(np.arange(100) - 50) / 2.2))
    rng = np.random.default_rng(8)
    stack = image([(0, 40, 56, 1200)])
    border = rng.poisson(np.tile(ramp, (80, 1))[None] - 40.0).astype(stack.dtype) * 2
    found = candidates(stack + border, 3.0)
    measured = measure(found, SIGMA[1], 0.1, BANDS)
    signal = nearest(found, 40, 56)
    others = torch.arange(len(found)) != signal
    assert float(measured.snr[others].max()) < 5.5 < float(measured.snr[signal])
    near = others & ((found.place_px[:, 2] - 53).abs() < 4)
    assert bool((measured.snr[near] < found.snr[near]).all())


@pytest.mark.parametrize("width", [0.8, 1.0, 1.5, 2.0])
def test_the_width_by_two_templates(width: float) -> None:
    found = candidates(image([(0, 40, 50, 20000)], width=width))
    measured = measure(found, SIGMA[1], 0.1, BANDS)
    assert float(measured.width_px[nearest(found, 40, 50)]) == pytest.approx(1.3 * width, rel=0.08)


@pytest.mark.parametrize("planes", [1, 9])
def test_a_faint_signal_beside_a_bright_one_is_seen_at_the_second_look(planes: int) -> None:
    z = planes // 2
    bright, faint = (8000.0, 420.0) if planes == 1 else (20000.0, 1000.0)
    stack = image([(z, 40, 50, bright), (z, 40, 57.5, faint)], planes)
    found = candidates(stack, 2.0)
    row, bright_row = nearest(found, 40, 57.5), nearest(found, 40, 50)
    known = fit_at(stack, found.place_px[[bright_row]], SIGMA, CAMERA, free_width=False)
    bands = Bands.of(SIGMA, planes, 1.7)
    first, asked = measure(found, SIGMA[1], 0.1, bands), torch.ones(len(found), dtype=torch.bool)
    asked[bright_row] = False
    again = second_look((found, asked), known, SIGMA, 0.1, planes)
    assert bright_row not in again.rows.tolist()
    assert float(again.measures.snr[again.rows == row]) > float(first.snr[row]) + 1.0
    merged = first.with_rows(again.rows, again.measures)
    assert torch.equal(merged.snr[again.rows], again.measures.snr)
    assert float(merged.snr[bright_row]) == float(first.snr[bright_row])
    cleaned, _ = without_neighbours(found, known, SIGMA, planes)
    left = cleaned.patch[bright_row].mean()
    assert float(left) == pytest.approx(40, rel=0.1)


def test_without_neighbours_nothing_changes() -> None:
    stack = image([(0, 40, 50, 2000)])
    found = candidates(stack)
    nobody = fit_at(stack, torch.empty(0, 3, dtype=torch.int64), SIGMA, CAMERA, free_width=False)
    same, near = without_neighbours(found, nobody, SIGMA, 1)
    assert same is found
    assert not near.any()


def test_hot_pixels_are_taken_out_of_every_plane_and_signals_are_left() -> None:
    stack = image([(4, 40, 50, 6000)], 9)
    spoiled = stack.copy()
    spoiled[:, 20, 30] += 500
    spoiled[3, 0, 99] += 500
    places = torch.tensor([[2, 20, 30], [3, 0, 99], [4, 40, 50]])
    fixed = without_hot_pixels(spoiled, places, CAMERA)
    assert abs(fixed[:, 20, 30].astype(float).mean() - 180) < 12
    assert fixed[3, 0, 99] < 260
    assert (fixed[:, 40, 50] == stack[:, 40, 50]).all()
    changed = np.argwhere((fixed != spoiled).any(0)).tolist()
    assert changed == [[0, 99], [20, 30]]
    assert without_hot_pixels(stack, torch.empty(0, 3, dtype=torch.int64), CAMERA) is stack


def fits_of(stack: np.ndarray, places: list[tuple[int, int, int]]) -> Fitted:
    return fit_at(stack, torch.tensor(places), SIGMA, CAMERA, free_width=False)


def test_fits_know_their_place_and_whether_the_window_is_whole() -> None:
    stack = image([(4, 40.3, 50.4, 5000), (0, 2.0, 3.0, 9000)], 9)
    fitted = fits_of(stack, [(4, 40, 50), (0, 2, 3)])
    assert fitted.position_px[0].tolist() == pytest.approx([4, 40.3, 50.4], abs=0.15)
    assert fitted.position_px[1].tolist() == pytest.approx([0, 2.0, 3.0], abs=0.3)
    assert fitted.whole.tolist() == [True, False]
    assert float(fitted.fits.photons[0]) == pytest.approx(5000, rel=0.1)
    assert window_half(SIGMA, 9) == (2, 4, 4)
    assert window_half(SIGMA, 1)[0] == 0


@pytest.mark.parametrize(
    ("photons", "width", "single", "broad"),
    [(1600, 1.0, True, False), (3500, 1.35, True, False), (30000, 2.4, False, True), (9000, 1.0, False, False)],
    ids=["a signal", "a wide signal", "a smooth blob", "too bright for one"],
)
def test_what_one_emitter_explains(photons: float, width: float, single: bool, broad: bool) -> None:
    stack = image([(0, 40, 50, photons)], width=width)
    told = explained(stack, fits_of(stack, [(0, 40, 50)]), (SIGMA, CAMERA), SLIDE, Detect())
    assert told.single.tolist() == [single]
    assert told.broad.tolist() == [broad]


def test_crowds_are_three_together_or_one_unexplained() -> None:
    stack = image([])
    places = [(0, 10, 10), (0, 10, 14), (0, 40, 40), (0, 40, 44), (0, 44, 42), (0, 70, 70), (0, 20, 80)]
    single = torch.tensor([True, True, True, True, True, False, True])
    fitted = fits_of(stack, places)
    exact = Fitted(torch.tensor(places).double(), fitted.fits, fitted.whole)
    none = torch.zeros(7, dtype=torch.bool)
    split = partition(exact, single, none, SIGMA)
    assert split.alone.tolist() == [True, True, False, False, False, False, True]
    assert split.region.tolist() == [-1, -1, 0, 0, 0, 1, -1]
    nobody = partition(exact.rows(none), single[:0], none[:0], SIGMA)
    assert len(nobody.alone) == len(nobody.region) == 0
    granule = torch.tensor([False, False, True, False, False, False, False])
    without = partition(exact, single, granule, SIGMA)
    assert without.alone.tolist() == [True, True, True, True, True, False, True]
    assert without.region.tolist() == [-1, -1, -1, -1, -1, 0, -1]


def test_probability_rises_with_snr_and_with_likeness_to_the_slide() -> None:
    snr = np.array([5.0, 6.0, 7.0, 12.0])
    width = np.full(4, 0.13)
    ordinary = probability(snr, np.full(4, 1500.0), width, SLIDE)
    assert (np.diff(ordinary) > 0).all()
    assert ordinary[-1] > 0.99
    faint = probability(snr, np.full(4, 250.0), width, SLIDE)
    assert (faint < ordinary).all()
    assert faint[0] < 0.5
    broad = probability(snr, np.full(4, 1500.0), 3 * width, SLIDE)
    assert (broad[2:] < ordinary[2:]).all()
    assert len(probability(np.empty(0), np.empty(0), np.empty(0), SLIDE)) == 0
