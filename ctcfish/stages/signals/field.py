"""One probe in one field: its noise, its isolated signals and its background maxima."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ctcfish.ops.bands import Bands
from ctcfish.ops.camera import transfer_points
from ctcfish.parameters import Detect
from ctcfish.stages.signals.camera import Camera
from ctcfish.stages.signals.candidates import Candidates, Search, find
from ctcfish.stages.signals.fits import fit_at, focal_width_px, residual
from ctcfish.stages.signals.measure import Measures, measure, patch_gain
from ctcfish.stages.signals.optics import patch_half, sigma_px
from ctcfish.stages.signals.regions import regions, sample
from ctcfish.stages.signals.threshold import fit_background, histogram
from ctcfish.types import Nuclei

FLOOR_SNR = 3.0
"""Weaker maxima are not counted as background."""
_BRIGHT_SNR = 7.0
_CLEARLY = 1.3  # times the field's own threshold: on a rough background what hardly passes is texture too
_APART_SIGMA = 6.0
_NOTICED_SNR = 4.0
_FAINT = 0.3
_MOST_ISOLATED = 1000
_FEW = 5
_SURE_SNR = 6.0
_FIRST = 30
_NOT_WIDE = 1.4
_SHARP = 0.25
_MISFIT = 1e-4
_DAZZLING_SNR, _RESIDUAL = 30.0, 0.1


@dataclass(frozen=True)
class Isolated:
    """Isolated signals of one probe in one field.

    Attributes
    ----------
    position_um : ndarray, (N, 3)
        ``(z, y, x)``.
    sigma_um : ndarray, (N, 2)
        Width ``(z, xy)``.
    focal_um : ndarray, (N,)
        Width in the signal's own plane.
    photons : ndarray, (N,)
        By the field's own camera.
    snr : ndarray, (N,)
    """

    position_um: NDArray[np.float64]
    sigma_um: NDArray[np.float64]
    focal_um: NDArray[np.float64]
    photons: NDArray[np.float64]
    snr: NDArray[np.float64]


@dataclass(frozen=True)
class ProbeSurvey:
    """Statistics of one probe in one field.

    Attributes
    ----------
    background_photons : float
        Median inside nuclei, per pixel and plane; NaN without candidates.
    isolated : Isolated
    bright_photons : float
        Median brightness by the matched filter of maxima that are no noise; NaN without any.
    counts, patch_counts : ndarray, (K,)
        Histogram of maxima inside nuclei, by the filter and by the whole patch.
    patch_gain : float
        SNR of a signal by the whole patch over that by the filter.
    n_nuclei : float
    axes : int
        2 for a single plane, 3 for a stack.
    """

    background_photons: float
    isolated: Isolated
    bright_photons: float
    counts: NDArray[np.float64]
    patch_counts: NDArray[np.float64]
    patch_gain: float
    n_nuclei: float
    axes: int


def sampled_noise(stack: NDArray[np.generic], nuclei: Nuclei, device: str) -> NDArray[np.float64]:
    """Photon-transfer points (K, 3) of a few planes around the sampled nuclei."""
    planes = np.unique(np.linspace(0, len(stack) - 1, min(3, len(stack))).round().astype(int))
    height, width = nuclei.shape_px
    side = 512
    top, left = max(0, (height - side) // 2), max(0, (width - side) // 2)
    if len(nuclei):
        middle = np.median(nuclei.box_px, axis=0)
        top = int(np.clip(middle[[0, 2]].mean() - side / 2, 0, max(0, height - side)))
        left = int(np.clip(middle[[1, 3]].mean() - side / 2, 0, max(0, width - side)))
    block = stack[planes, top : top + side, left : left + side]
    return transfer_points(torch.from_numpy(block.astype(np.float32)).to(device)).numpy()


def survey_probe(
    stack: NDArray[np.generic],
    painted: tuple[Nuclei, NDArray[np.int32]],
    voxel_um: tuple[float, float, float],
    start_sigma_um: tuple[float, float],
    setting: tuple[Camera, Detect, str],
) -> ProbeSurvey:
    """Survey one probe: a quarter of the nuclei tell the width of a signal, then all of them are looked at with it.

    The nuclei come with their label image.
    """
    (nuclei, labels), sigma_um, axes = painted, start_sigma_um, 3 if len(stack) > 1 else 2
    for part in (sample(nuclei, max(_FIRST, len(nuclei) // 4)), nuclei):
        found, measures = _look(stack, part, voxel_um, sigma_um, setting)
        inside = _inside(found, part, labels)
        background = fit_background(_histogram(measures, inside), float(len(part)), axes)
        clear = max(_BRIGHT_SNR, _CLEARLY * background.threshold(setting[1].false_per_nucleus))
        isolated = _isolated(stack, (found, measures), clear, (sigma_px(sigma_um, voxel_um), voxel_um), setting[0])
        if len(isolated.photons) >= _FEW:
            width = np.median(isolated.sigma_um, axis=0)
            sigma_um = (float(width[0]) if len(stack) > 1 else sigma_um[0], float(width[1]))
    sigma = sigma_px(sigma_um, voxel_um)
    bands = Bands.of(sigma, len(stack), setting[1].surround)
    bright = inside & (measures.snr > _SURE_SNR) & ~measures.hot
    level = found.surround[inside & (measures.snr < _BRIGHT_SNR)].cpu().numpy()
    return ProbeSurvey(
        float(np.median(level)) if len(level) else float("nan"),
        isolated,
        float(found.photons[bright].median()) if bool(bright.any()) else float("nan"),
        _histogram(measures, inside),
        _histogram(measure(found, sigma[1], voxel_um[1], None), inside),
        patch_gain(sigma[1], bands.lateral_gain(sigma[1]) / bands.plane_gain() ** 0.5),
        float(len(nuclei)),
        axes,
    )


def _inside(found: Candidates, nuclei: Nuclei, labels: NDArray[np.int32]) -> torch.Tensor:
    """Whether each candidate lies in one of the nuclei, of whom the label image may hold more."""
    place = found.place_px.cpu().numpy()
    inside = np.isin(labels[place[:, 1], place[:, 2]], nuclei.label)
    return torch.from_numpy(inside).to(found.snr.device)


def _histogram(measures: Measures, inside: torch.Tensor) -> NDArray[np.float64]:
    return histogram(measures.snr[inside & ~measures.hot].cpu().numpy().astype(np.float64))


def _look(
    stack: NDArray[np.generic],
    nuclei: Nuclei,
    voxel_um: tuple[float, float, float],
    sigma_um: tuple[float, float],
    setting: tuple[Camera, Detect, str],
) -> tuple[Candidates, Measures]:
    camera, detect, device = setting
    sigma = sigma_px(sigma_um, voxel_um)
    bands = Bands.of(sigma, len(stack), detect.surround)
    found = find(
        stack,
        regions(nuclei, 0, len(stack)),
        Search(bands, camera, FLOOR_SNR, patch_half(sigma[1]), bands.signal_gain(sigma), device),
    )
    return found, measure(found, sigma[1], voxel_um[1], bands)


def _isolated(
    stack: NDArray[np.generic],
    looked: tuple[Candidates, Measures],
    clear_snr: float,
    scale: tuple[tuple[float, float], tuple[float, float, float]],
    camera: Camera,
) -> Isolated:
    """Fit width and brightness of clear candidates that have no neighbour; ``scale`` is width and voxel."""
    (found, measures), (sigma, voxel_um) = looked, scale
    use = (measures.snr > clear_snr) & ~measures.hot & ~_near(found, measures, sigma) & (measures.ratio < _NOT_WIDE)
    rows = use.nonzero()[:, 0][:_MOST_ISOLATED]
    fitted = fit_at(stack, found.place_px[rows], sigma, camera, free_width=True)
    fits = fitted.fits
    plain = (measures.snr[rows] > _DAZZLING_SNR) & (residual(fits, camera) < _RESIDUAL)
    good = fits.converged & fitted.whole & ((fits.p_value > _MISFIT) | plain)
    good &= fits.sigma_error_px[:, 1] < _SHARP * fits.sigma_px[:, 1]
    step = np.array([voxel_um[0] or 1.0, voxel_um[1], voxel_um[2]])
    width = fits.sigma_px[good].cpu().numpy().astype(np.float64)
    # a free width takes background for light: brightness is fitted with the width common to all
    common = (float(np.median(width[:, 0])), float(np.median(width[:, 1]))) if len(width) else sigma
    light = fit_at(stack, found.place_px[rows[good]], common, camera, free_width=False).fits.photons
    lateral_um = (voxel_um[1] * voxel_um[2]) ** 0.5
    focal = fits.sigma_px[good, 1]  # in a plane alone it is measured already
    if len(stack) > 1:
        focal = focal_width_px(stack, fitted.position_px[good].round().long(), common, camera)
    return Isolated(
        fitted.position_px[good].cpu().numpy() * step,
        width * np.array([step[0], lateral_um]),
        focal.cpu().numpy().astype(np.float64) * lateral_um,
        light.cpu().numpy().astype(np.float64),
        measures.snr[rows][good].cpu().numpy().astype(np.float64),
    )


def _near(found: Candidates, measures: Measures, sigma: tuple[float, float]) -> torch.Tensor:
    """Whether a candidate has another close by that is not faint beside it."""
    strength = measures.snr.cpu().numpy()
    near = np.zeros(len(found), bool)
    noticed = np.flatnonzero(strength > _NOTICED_SNR)
    place = found.place_px.cpu().numpy()[noticed] / np.array([sigma[0], sigma[1], sigma[1]])
    if len(noticed) > 1:
        first, second = noticed[cKDTree(place).query_pairs(_APART_SIGMA, output_type="ndarray").T]
        near[first[strength[second] > _FAINT * strength[first]]] = True
        near[second[strength[first] > _FAINT * strength[second]]] = True
    return torch.from_numpy(near).to(found.snr.device)
