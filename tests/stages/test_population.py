"""Brightness of signals of which the faint ones are not seen, and the rate of background, from drawn populations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from ctcfish.stages.signals.population import background_per_nucleus, brightness
from ctcfish.stages.signals.probability import candidates, prior_of, probability
from tests.make import probe_model

SLIDE = probe_model(fwhm_um=0.35)
WIDTH_UM = SLIDE.sigma_xy_um


def signals(rng, n, median=1000.0, spread=0.36):
    return median * np.exp(spread * rng.standard_normal(n))


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.5])
def test_brightness_is_that_of_all_signals_however_many_are_not_seen(share):
    rng = np.random.default_rng(5)
    every = signals(rng, 1200)
    least = 1000.0 * np.exp(0.36 * norm.ppf(share)) if share else 1.0
    seen = every[every > least]
    found = brightness(seen, np.full(len(seen), least))
    assert found.median_photons == pytest.approx(1000.0, rel=0.06)
    assert found.log_sd == pytest.approx(0.36, abs=0.06)
    assert found.seen == pytest.approx(len(seen) / len(every), abs=0.08)
    if share == 0.5:
        assert np.median(seen) > 1200.0  # what the seen ones alone would say


def test_a_few_dazzling_ones_do_not_move_the_brightness():
    rng = np.random.default_rng(6)
    mixed = np.r_[signals(rng, 300), np.full(20, 30000.0)]
    assert brightness(mixed, np.full(len(mixed), 100.0)).median_photons == pytest.approx(1000.0, rel=0.08)


def test_one_signal_is_enough():
    assert brightness(np.array([700.0]), np.array([200.0])).median_photons == pytest.approx(700.0, rel=0.3)


def about_the_threshold(rng, n_signals, n_background):
    """Faint lone maxima: signals of an ordinary slide at 20 photons per SNR, and texture; their kind beside them."""
    strong = signals(rng, n_signals, 160.0) / 20.0
    response = np.r_[strong, SLIDE.threshold_snr + rng.exponential(0.11 * SLIDE.threshold_snr, n_background)]
    real = np.arange(n_signals + n_background) < n_signals
    log_width, spread = np.where(real, 0.0, 0.45), np.where(real, 0.15, 0.25)
    spread = np.hypot(spread, 1.2 / response)  # with the error of a measured width
    width = WIDTH_UM * np.exp(log_width + spread * rng.standard_normal(len(real)))
    rows = (response > SLIDE.threshold_snr) & (response < 1.5 * SLIDE.threshold_snr)
    return (response[rows], 20.0 * response[rows], width[rows]), real[rows]


@pytest.mark.parametrize("rate", [0.0, 0.05, 0.2, 1.0])
def test_the_rate_of_background_is_found_and_probabilities_hold(rate):
    nuclei, rng = 400, np.random.default_rng(7)
    seen, real = about_the_threshold(rng, 2 * nuclei, round(rate * nuclei))
    slide = replace(SLIDE, photons_median=160.0, photons_log_sd=0.36, apparent_um=WIDTH_UM, signals_per_nucleus=2.0)
    found = background_per_nucleus(candidates(*seen), prior_of(slide), nuclei)
    assert found == pytest.approx(rate, abs=0.03 + 0.15 * rate)
    said = probability(*seen, replace(slide, background_per_nucleus=found))
    assert abs(said.mean() - real.mean()) < 0.05
    for low, high in ((0.0, 0.4), (0.4, 0.8), (0.8, 1.0)):
        rows = (said >= low) & (said <= high)
        if rows.sum() >= 30:
            assert abs(said[rows].mean() - real[rows].mean()) < 0.15


def test_a_slide_without_faint_maxima_has_the_little_background_that_is_expected():
    none = np.zeros(0)
    rate = background_per_nucleus(candidates(none, none, none), prior_of(SLIDE), 60.0)
    assert rate == pytest.approx(0.5 / 80.0)
