"""The survey's pieces: camera, regions, threshold, colours, and the merge of fields."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter, maximum_filter

from ctcfish.flags import SlideFlag
from ctcfish.parameters import Detect, Survey
from ctcfish.stages.nuclei.outlines import from_labels
from ctcfish.stages.signals import camera as cameras
from ctcfish.stages.signals import threshold as thresholds
from ctcfish.stages.signals.optics import patch_half, sigma_px, start_sigma_um
from ctcfish.stages.signals.regions import regions, sample, tiles
from ctcfish.stages.survey import FieldSurvey, SceneInfo, merge, survey
from ctcfish.types import Nuclei, Optics

PIXEL = (0.1, 0.1)
UNKNOWN, DEFAULTS = Optics(), Detect()
CONFIGURED = Detect(gain_adu_per_photon=2.0, offset_adu=100.0)


def discs(shape: tuple[int, int], step: int = 60, radius: int = 22) -> np.ndarray:
    y, x = np.mgrid[: shape[0], : shape[1]]
    labels = np.zeros(shape, np.int32)
    for i, (cy, cx) in enumerate(itertools.product(range(30, shape[0], step), range(30, shape[1], step)), 1):
        labels[(y - cy) ** 2 + (x - cx) ** 2 < radius**2] = i
    return labels


def field_of(seed: int, photons: float = 3000.0, gain: float = 2.0) -> tuple[np.ndarray, Nuclei]:
    """Nuclei with two signals each, in one plane."""
    rng = np.random.default_rng(seed)
    labels = discs((240, 300))
    light = 15.0 + 25.0 * gaussian_filter((labels > 0).astype(float), 1.8)
    y, x = np.mgrid[:240, :300]
    for cy, cx in itertools.product(range(30, 240, 60), range(30, 300, 60)):
        for dx in (-9, 9):
            place = cy + rng.uniform(-2, 2), cx + dx + rng.uniform(-1, 1)
            spot = np.exp(-((y - place[0]) ** 2 + (x - place[1]) ** 2) / (2 * 1.4**2)) / (2 * np.pi * 1.4**2)
            light = light + photons * np.exp(rng.normal(0, 0.2)) * spot
    image = 100 + gain * (rng.poisson(light) + rng.normal(0, 2, light.shape))
    return np.round(image).astype(np.uint16)[None], from_labels(labels, PIXEL)


def surveyed(seed: int, optics: Optics = UNKNOWN, detect: Detect = DEFAULTS, **kind: float) -> FieldSurvey:
    image, nuclei = field_of(seed, **kind)
    return survey({"her2": image}, nuclei, SceneInfo((0.0, 0.1, 0.1), optics), Survey(), detect)


def test_a_field_measures_width_brightness_background_and_camera() -> None:
    model = merge([surveyed(1)], Survey(), Detect())
    probe = model.probes["HER2"]
    assert probe.sigma_xy_um == pytest.approx(0.14, rel=0.06)
    assert probe.photons_median == pytest.approx(3000, rel=0.1)
    assert probe.photons_log_sd == pytest.approx(0.2, abs=0.12)
    assert probe.background_photons == pytest.approx(38, rel=0.12)
    assert probe.n_isolated > 20
    assert model.gain_adu_per_photon == pytest.approx(2.0, rel=0.15)
    assert model.camera_origin == "photon transfer"
    assert SlideFlag.GAIN_ESTIMATED in model.flags


@pytest.mark.parametrize(("photons", "shape"), [(2500.0, 2.0), (60000.0, 1.7)])
def test_the_scale_is_learnt_from_signals_on_a_rough_background_and_from_bright_ones_that_are_no_gaussian(
    photons: float, shape: float
) -> None:
    rng, labels = np.random.default_rng(11), discs((240, 300))
    grain = gaussian_filter(rng.standard_normal(labels.shape), 0.8)
    light = 40.0 * (labels > 0) * np.clip(1 + 0.2 * grain / grain.std(), 0.2, None) + 10.0
    y, x = np.mgrid[:240, :300]
    for cy, cx in itertools.product(range(30, 240, 60), range(30, 300, 60)):
        for dx in (-9, 9):
            bell = np.exp(-0.5 * (np.hypot(y - cy, x - cx - dx) / 2.0) ** shape)
            light = light + photons * np.exp(rng.normal(0, 0.2)) * bell / bell.sum()
    image = np.round(100 + 2.0 * (rng.poisson(light) + rng.normal(0, 2, light.shape))).astype(np.uint16)[None]
    scene = SceneInfo((0.0, 0.1, 0.1), Optics())
    probe = merge([survey({"her2": image}, from_labels(labels, PIXEL), scene, Survey(), CONFIGURED)], Survey(),
                  CONFIGURED).probes["HER2"]  # fmt: skip
    assert probe.n_isolated >= 25
    assert probe.sigma_xy_um == pytest.approx(0.2, rel=0.15)
    assert probe.photons_median == pytest.approx(photons, rel=0.15)


def test_the_width_at_half_height_is_measured_in_focus() -> None:
    """A signal grows out of focus, so that the width of its whole image is larger than what a reader sees."""
    rng, labels = np.random.default_rng(5), discs((240, 300))
    light = np.repeat((15.0 + 25.0 * gaussian_filter((labels > 0).astype(float), 1.8))[None], 7, axis=0)
    y, x = np.mgrid[:240, :300]
    for cy, cx in itertools.product(range(30, 240, 60), range(30, 300, 60)):
        for dx in (-9, 9):
            place, depth = (cy + rng.uniform(-2, 2), cx + dx + rng.uniform(-1, 1)), rng.uniform(2.5, 3.5)
            square = (y - place[0]) ** 2 + (x - place[1]) ** 2
            for plane in range(7):
                off = 0.4 * (plane - depth)
                width = 1.8 * np.hypot(1.0, off / 0.5)
                light[plane] += 4000.0 * np.exp(-0.5 * (off / 0.5) ** 2 - 0.5 * square / width**2) / width**2 / 6.283
    image = np.round(100 + 2.0 * (rng.poisson(light) + rng.normal(0, 2, light.shape))).astype(np.uint16)
    field = survey({"her2": image}, from_labels(labels, PIXEL), SceneInfo((0.4, 0.1, 0.1)), Survey(), CONFIGURED)
    probe = merge([field], Survey(), CONFIGURED).probes["HER2"]
    assert probe.n_isolated > 20
    assert probe.fwhm_um == pytest.approx(2.3548 * 0.18, rel=0.04)
    assert probe.sigma_xy_um > 1.05 * 0.18


def test_merging_is_the_same_however_fields_are_grouped_and_says_the_range() -> None:
    fields = [surveyed(seed) for seed in (1, 2, 3)]
    model = merge(fields, Survey(), Detect())
    again = merge(list(fields), Survey(), Detect())
    assert model == again
    low, high = model.probes["HER2"].threshold_range_snr
    # a small field alone is drawn to photon noise, all of them together less so
    assert low <= model.probes["HER2"].threshold_snr <= high + 0.3
    assert model.probes["HER2"].n_isolated == sum(len(f.probes["HER2"].isolated.photons) for f in fields)


@pytest.mark.parametrize(
    ("photons", "flag"), [(900.0, SlideFlag(0)), (450.0, SlideFlag.FAINT_SIGNALS), (300.0, SlideFlag.OUT_OF_RANGE)]
)
def test_a_slide_says_when_its_signals_come_near_the_threshold(photons: float, flag: SlideFlag) -> None:
    model = merge([surveyed(seed, detect=CONFIGURED, photons=photons) for seed in (1, 2)], Survey(), CONFIGURED)
    assert model.flags == flag


def test_a_slide_without_fields_has_no_probes() -> None:
    model = merge([], Survey(), Detect())
    assert model.probes == {}
    assert SlideFlag.NO_NUCLEI in model.flags


def test_dim_signals_are_flagged_few() -> None:
    model = merge([surveyed(4, photons=60.0)], Survey(), Detect())
    assert SlideFlag.FEW_SIGNALS in model.flags
    assert np.isfinite(model.probes["HER2"].photons_median)


@pytest.mark.parametrize(
    ("optics", "detect", "origin", "gain"),
    [
        (Optics(gain_adu_per_photon=2.0, offset_adu=100.0), Detect(), "metadata", 2.0),
        (Optics(gain_adu_per_photon=9.0, offset_adu=9.0), CONFIGURED, "configuration", 2.0),
        (Optics(gain_adu_per_photon=2.0), Detect(), "photon transfer", pytest.approx(2.0, rel=0.15)),
    ],
)
def test_the_camera_says_where_it_comes_from(optics, detect, origin, gain) -> None:
    model = merge([surveyed(1, optics, detect)], Survey(), detect)
    assert model.camera_origin == origin
    assert model.gain_adu_per_photon == gain
    assert (SlideFlag.GAIN_ESTIMATED in model.flags) == (origin == "photon transfer")


def test_a_flat_image_still_gives_a_camera() -> None:
    camera = cameras.estimated_camera([np.array([[50.0, 9.0, 500.0]] * 4)], Detect())
    assert camera.gain_adu_per_photon > 0
    assert np.isfinite(camera.offset_adu)
    assert cameras.estimated_camera([], Detect()).gain_adu_per_photon > 0


def test_photons_and_numbers() -> None:
    camera = cameras.Camera(2.0, 100.0, 1.5, "metadata")
    assert camera.photons(torch.tensor([100.0, 300.0])).tolist() == [0.0, 100.0]
    assert camera.read_variance == 2.25


@pytest.mark.parametrize(
    ("na", "emission", "lateral_nm", "axial_nm"),
    [(0.75, 588.0, 400, 1528), (1.4, 588.0, 214, 553), (0.75, 524.0, 356, 1362), (1.4, 524.0, 191, 493)],
)
def test_widths_of_a_point_are_those_of_the_table(na, emission, lateral_nm, axial_nm) -> None:
    z, xy = start_sigma_um(Optics(na=na, emission_nm={"her2": emission}), "her2", Survey(locus_um={}))
    assert xy * 2354.82 == pytest.approx(lateral_nm, rel=0.01)
    assert z * 2354.82 == pytest.approx(axial_nm, rel=0.01)


def test_a_locus_widens_the_point() -> None:
    optics = Optics(na=1.4, emission_nm={"her2": 588.0})
    point, ball = (start_sigma_um(optics, "her2", Survey(locus_um={"her2": d})) for d in (0.0, 0.6))
    for a, b in zip(point, ball, strict=True):
        assert b**2 - a**2 == pytest.approx(0.6**2 / 20)  # variance of a ball along one axis: d²/20


def test_widths_in_pixels_have_a_floor() -> None:
    assert sigma_px((0.4, 0.13), (0.2, 0.1, 0.1)) == pytest.approx((2.0, 1.3))
    assert sigma_px((0.1, 0.02), (1.0, 0.1, 0.1)) == (0.5, 0.6)
    assert patch_half(1.3) == 6


@pytest.mark.parametrize("planes", [1, 9])
def test_regions_are_disjoint_and_cover_every_nucleus(planes: int) -> None:
    labels = discs((700, 900))
    labels[300:460] = 0
    nuclei = from_labels(labels, PIXEL)
    seen = np.zeros(labels.shape, int)
    for r in regions(nuclei, 5, planes):
        seen[r.y0 : r.y1, r.x0 : r.x1] += 1
    assert seen.max() == 1
    assert seen[labels > 0].all()
    if planes > 1:  # blocks of a single plane are tall
        assert not seen[340:380].any()


def test_no_nuclei_no_regions() -> None:
    assert regions(from_labels(np.zeros((50, 50), np.int32), PIXEL), 5, 1) == []


def test_tiles_cover_an_image_once() -> None:
    nuclei = tiles((205, 333), PIXEL)
    painted = nuclei.paint()
    assert (painted > 0).all()
    assert np.median(nuclei.area_um2) == pytest.approx(81.0)
    assert len(np.unique(painted)) == len(nuclei)


def test_a_sample_is_runs_of_neighbours() -> None:
    nuclei = from_labels(discs((700, 900)), PIXEL)
    few = sample(nuclei, 40)
    assert len(few) == 40
    assert (np.diff(few.label) == 1).sum() == 36
    assert sample(nuclei, 10_000) is nuclei
    assert (few.mask(3) == nuclei.mask(int(np.flatnonzero(nuclei.label == few.label[3])[0]))).all()


@pytest.mark.parametrize("axes", [2, 3])
@pytest.mark.parametrize("scale", [1.0, 1.25])
def test_the_background_model_predicts_maxima_of_a_random_field(axes: int, scale: float) -> None:
    """The expected number of maxima above high levels, on smooth Gaussian noise that no signal disturbs."""
    shape = (1, 2400, 2400) if axes == 2 else (64, 260, 260)
    sigma = (0, 3.0, 3.0) if axes == 2 else 2.5
    rng = np.random.default_rng(11)
    noise = gaussian_filter(rng.standard_normal(shape).astype(np.float32), sigma, mode="wrap")
    noise *= scale / noise.std()
    maxima = noise[(noise >= maximum_filter(noise, 3, mode="wrap")) & (noise > 2)]
    fitted = thresholds.fit_background(thresholds.histogram(maxima), 100.0, axes)
    assert fitted.scale == pytest.approx(scale, rel=0.08)
    level = float(np.sort(maxima)[-20])  # 20 of 100 nuclei would show one
    assert fitted.threshold(0.2) == pytest.approx(level, abs=0.25 * scale)


def test_the_threshold_falls_as_more_false_signals_are_accepted() -> None:
    background = thresholds.Background(100.0, 1.0, 3)
    levels = [background.threshold(rate) for rate in (0.001, 0.01, 0.1)]
    assert levels == sorted(levels, reverse=True)
    assert float(background.above(levels[1])) == pytest.approx(0.01, rel=0.06)


def test_signals_above_the_fitted_bins_do_not_move_the_threshold() -> None:
    counts = thresholds.histogram(np.linspace(3.0, 4.6, 3000) ** 1.0)
    with_signals = counts + thresholds.histogram(np.full(5000, 9.0))
    plain, crowded = (thresholds.fit_background(c, 50.0, 3).threshold(0.005) for c in (counts, with_signals))
    assert plain == crowded


def test_too_few_maxima_fall_back_to_photon_noise() -> None:
    assert thresholds.fit_background(np.zeros(len(thresholds.EDGES) - 1), 10.0, 3).scale == 1.0
    assert np.isnan(thresholds.threshold_range([], 2, 0.01)).all()
