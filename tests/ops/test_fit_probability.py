"""Probability of a signal: reliability on simulated images with known truth, and its limits."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter, maximum_filter
from scipy.spatial import cKDTree

from ctcfish.ops.fit import fit_spots
from ctcfish.ops.fit_model import FitModel
from ctcfish.ops.fit_probability import Candidate, CandidatePrior, log_densities, signal_probability
from ctcfish.ops.windows import cut_windows

SIDE, BACKGROUND, READ_VARIANCE, SIGMA, FAINT = 1100, 45.0, 4.0, 1.3, 170.0
LEVEL = 3.6


def image(rng, signals):
    """Camera image in photons and the places of its signals; they are faint, so that some are lost in the noise."""
    places = rng.uniform(8, SIDE - 9, (signals, 2))
    expected = np.full((SIDE, SIDE), BACKGROUND)
    edges = np.arange(12) - 5.5
    for y, x in places:
        iy, ix = round(y), round(x)
        light = FAINT * math.exp(0.4 * rng.standard_normal())
        profile = [
            np.diff([0.5 * (1 + math.erf((e - d) / (SIGMA * math.sqrt(2)))) for e in edges]) for d in (y - iy, x - ix)
        ]
        expected[iy - 5 : iy + 6, ix - 5 : ix + 6] += light * np.outer(*profile)
    return rng.poisson(expected) + rng.normal(0, 2, expected.shape), places


def candidates(pixels):
    """Maxima of the matched filter above LEVEL in units of its noise, with fits of free and of known width."""
    response = gaussian_filter(pixels, SIGMA) - gaussian_filter(pixels, 6 * SIGMA)
    snr = response / math.sqrt((BACKGROUND + READ_VARIANCE) / (4 * math.pi * SIGMA**2))
    peak = (snr == maximum_filter(snr, 3)) & (snr > LEVEL)
    peak[:8], peak[-8:], peak[:, :8], peak[:, -8:] = False, False, False, False
    places = np.argwhere(peak)
    centre = torch.tensor(np.c_[np.zeros(len(places)), places]).long()
    crops = cut_windows(torch.tensor(pixels, dtype=torch.float32)[None], centre, (0, 5, 5))[0][:, 0]
    start = torch.full((len(places), 2), 5.0)
    known = fit_spots(crops, start, READ_VARIANCE, FitModel(SIGMA))
    free = fit_spots(crops, start, READ_VARIANCE, FitModel(SIGMA, free_width=True))
    level = torch.tensor(snr[peak], dtype=torch.float32)
    return places, Candidate(known.photons, known.photons_error, level, free.sigma_px[:, 1], free.sigma_error_px[:, 1])


@pytest.fixture(scope="module")
def simulated():
    """Candidates of an image with 400 signals, which of them are real, and the prior of an empty image's maxima."""
    rng = np.random.default_rng(31)
    empty, _ = image(rng, 0)
    false = len(candidates(empty)[0])
    pixels, truth = image(rng, 400)
    places, found = candidates(pixels)
    real = cKDTree(truth).query(places)[0] < 2.5
    noise = {"fall_snr": 1 / (LEVEL - 1 / LEVEL), "background_sigma_px": SIGMA, "background_spread": 0.5}
    prior = CandidatePrior(400.0, FAINT, 0.4, float(false), LEVEL, broad_objects=1.0, **noise)
    return found, real, prior


def test_probability_is_reliable(simulated):
    found, real, prior = simulated
    probability = signal_probability(found, prior).numpy()
    expected_error = 0.0
    for low, high in ((0, 0.2), (0.2, 0.5), (0.5, 0.8), (0.8, 0.95), (0.95, 1.01)):
        rows = (probability >= low) & (probability < high)
        if rows.sum() < 20:
            continue
        error = abs(real[rows].mean() - probability[rows].mean())
        expected_error += error * rows.mean()
        assert error < 0.25
    assert expected_error < 0.06


def test_probability_says_more_than_the_share_of_signals(simulated):
    found, real, prior = simulated
    probability = signal_probability(found, prior).numpy()
    brier = np.mean((probability - real) ** 2)
    assert brier < 0.85 * np.mean((real.mean() - real) ** 2)


def one(photons=500.0, snr=15.0, sigma=1.3, error=0.08):
    values = (photons, 0.08 * photons, snr, sigma, error)
    return Candidate(*(torch.tensor([v]) for v in values))


PRIOR = CandidatePrior(5.0, 500.0, 0.4, 0.01, 5.0, 0.5)


def test_an_ordinary_signal_is_sure_and_a_wide_or_faint_one_is_not():
    assert float(signal_probability(one(), PRIOR)[0]) > 0.999
    assert float(signal_probability(one(sigma=2.6, error=0.1), PRIOR)[0]) < 0.01
    assert float(signal_probability(one(photons=60.0, snr=4.0, sigma=1.6), PRIOR)[0]) < 0.2
    assert 0.2 < float(signal_probability(one(photons=170.0, snr=5.2), PRIOR)[0]) < 0.999


def test_where_background_abounds_a_faint_candidate_is_less_sure_and_a_wide_one_is_background():
    rich = replace(PRIOR, background=0.5)
    told = [
        [float(signal_probability(one(photons=170.0, snr=5.2, sigma=s), p)[0]) for s in (1.3, 1.9)]
        for p in (PRIOR, rich)
    ]
    assert told[0][0] > told[1][0] > told[1][1]
    assert told[0][0] > 0.9
    assert told[1][1] < 0.1
    background = log_densities(one(photons=170.0, snr=5.2, sigma=1.9), rich) - log_densities(
        one(photons=170.0, snr=5.2, sigma=1.9), PRIOR
    )
    assert background[:, 0].tolist() == pytest.approx([0.0, math.log(50.0), 0.0], abs=1e-5)


def test_the_densities_are_densities():
    """Over brightness and width each kind adds up to its number; the response is in step with the brightness."""
    logs = torch.linspace(math.log(2.0), math.log(2e5), 2500, dtype=torch.float64)
    widths = torch.linspace(math.log(0.2), math.log(20.0), 600, dtype=torch.float64)
    photons, sigma = (v.flatten() for v in torch.meshgrid(logs.exp(), widths.exp(), indexing="ij"))
    found = Candidate(photons, 1e-6 * photons, 0.05 * photons, sigma, 1e-6 * sigma)
    cell = float((logs[1] - logs[0]) * (widths[1] - widths[0]))
    above = found.snr >= PRIOR.threshold_snr
    numbers = log_densities(found, PRIOR).exp()
    assert float(numbers[0].sum()) * cell == pytest.approx(PRIOR.signals, rel=0.01)
    assert float(numbers[1][above].sum()) * cell == pytest.approx(PRIOR.background, rel=0.02)


def test_no_candidates_give_no_probabilities():
    none = Candidate(*(torch.zeros(0) for _ in range(5)))
    assert signal_probability(none, PRIOR).shape == (0,)
