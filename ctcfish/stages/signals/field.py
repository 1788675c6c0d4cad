"""One probe in one field: its noise, its isolated signals and its background maxima."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ctcfish.ops.bands import Bands
from ctcfish.ops.camera import transfer_points
from ctcfish.ops.emitters import CrowdModel
from ctcfish.parameters import Detect
from ctcfish.stages.signals.camera import Camera
from ctcfish.stages.signals.candidates import Candidates, Search, find
from ctcfish.stages.signals.crowds import Units, crowd_image, units
from ctcfish.stages.signals.inside import label_at
from ctcfish.stages.signals.lone import Faint, Isolated, alone, clear, faint, isolated
from ctcfish.stages.signals.measure import Measures, measure, patch_gain
from ctcfish.stages.signals.optics import patch_half, sigma_px
from ctcfish.stages.signals.population import USUAL_SPREAD
from ctcfish.stages.signals.regions import regions, sample
from ctcfish.stages.signals.threshold import fit_background, histogram
from ctcfish.types import Nuclei

FLOOR_SNR = 3.0
"""Weaker maxima are not counted as background."""
_BRIGHT_SNR = 7.0
_CLEARLY = 1.3  # times the field's own threshold: on a rough background what hardly passes is texture too
_ABOUT = (0.8, 1.5)  # of it: maxima that may be background or signals
_FEW = 5
_SURE_SNR = 6.0
_FIRST = 30


@dataclass(frozen=True)
class ProbeSurvey:
    """Statistics of one probe in one field.

    Attributes
    ----------
    background_photons : float
        Median inside nuclei, per pixel and plane; NaN without candidates.
    isolated : Isolated
    faint : Faint
    clear_um : ndarray, (K, 3)
        Places of all clear maxima, lone or not.
    units : Units
        What isolated signals say of the light of crowds.
    n_clear : float
        Clear lone maxima inside nuclei.
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
    faint: Faint
    clear_um: NDArray[np.float64]
    units: Units
    n_clear: float
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
    side = 768
    top, left = max(0, (height - side) // 2), max(0, (width - side) // 2)
    if len(nuclei):
        middle = np.median(nuclei.box_px, axis=0)
        top = int(np.clip(middle[[0, 2]].mean() - side / 2, 0, max(0, height - side)))
        left = int(np.clip(middle[[1, 3]].mean() - side / 2, 0, max(0, width - side)))
    block = stack[planes, top : top + side, left : left + side]
    return transfer_points(torch.from_numpy(block.astype(np.float32)).to(device)).numpy()


def survey_probe(
    stack: NDArray[np.generic],
    nuclei: Nuclei,
    voxel_um: tuple[float, float, float],
    start_sigma_um: tuple[float, float],
    setting: tuple[Camera, Detect, str],
) -> ProbeSurvey:
    """Survey one probe: a quarter of the nuclei tell the width of a signal, then all of them are looked at with it."""
    sigma_um, axes = start_sigma_um, 3 if len(stack) > 1 else 2
    for part in (sample(nuclei, max(_FIRST, len(nuclei) // 4)), nuclei):
        found, measures = _look(stack, part, voxel_um, sigma_um, setting)
        inside = _inside(found, part)
        background = fit_background(_histogram(measures, inside), float(len(part)), axes)
        threshold = background.threshold(setting[1].false_per_nucleus)
        clear_snr, lone = max(_BRIGHT_SNR, _CLEARLY * threshold), alone(found, measures, sigma_px(sigma_um, voxel_um))
        rows = clear(lone, measures, clear_snr)
        scale = (sigma_px(sigma_um, voxel_um), voxel_um)
        own = isolated(stack, (found, measures, rows), clear_snr, scale, setting[0])
        if len(own.photons) >= _FEW:
            width = np.median(own.sigma_um, axis=0)
            sigma_um = (float(width[0]) if len(stack) > 1 else sigma_um[0], float(width[1]))
    sigma = sigma_px(sigma_um, voxel_um)
    by_patch = measure(found, sigma[1], voxel_um[1], None)
    least, most = (share * threshold for share in _ABOUT)
    about = (lone & inside & (measures.snr > least) & (measures.snr < most)).nonzero()[:, 0]
    bands = Bands.of(sigma, len(stack), setting[1].surround)
    bright = inside & (measures.snr > _SURE_SNR) & ~measures.hot
    level = found.surround[inside & (measures.snr < _BRIGHT_SNR)].cpu().numpy()
    clear_px = found.place_px[measures.snr > clear_snr].cpu().numpy()
    return ProbeSurvey(
        float(np.median(level)) if len(level) else float("nan"),
        own,
        faint(stack, (found, measures, about), by_patch.snr, (sigma, voxel_um), setting[0]),
        clear_px * _step_um(voxel_um),
        _units(stack, own, clear_px, (sigma, voxel_um), setting),
        float(inside[rows].sum()),
        float(found.photons[bright].median()) if bool(bright.any()) else float("nan"),
        _histogram(measures, inside),
        _histogram(by_patch, inside),
        patch_gain(sigma[1], bands.lateral_gain(sigma[1]) / bands.plane_gain() ** 0.5),
        float(len(nuclei)),
        axes,
    )


def _step_um(voxel_um: tuple[float, float, float]) -> NDArray[np.float64]:
    return np.array([voxel_um[0] or 1.0, *voxel_um[1:]])


def _units(
    stack: NDArray[np.generic],
    own: Isolated,
    clear_px: NDArray[np.int64],
    scale: tuple[tuple[float, float], tuple[float, float, float]],
    setting: tuple[Camera, Detect, str],
) -> Units:
    """What the field's isolated signals say of the light of crowds; clear maxima beside them are left out."""
    (sigma, voxel_um), (camera, _, device) = scale, setting
    place_px = own.position_um / _step_um(voxel_um)
    away, _ = cKDTree(place_px).query(clear_px)  # infinitely far where there is no isolated one
    place, photons, others = (
        torch.from_numpy(values.astype(np.float32)).to(device)
        for values in (place_px, own.photons, clear_px[away > sigma[1]])
    )
    model = CrowdModel(
        sigma[1],
        sigma[0],
        float(np.median(own.photons)) if len(own.photons) else 1.0,
        USUAL_SPREAD,
        camera.read_variance,
    )
    return units(crowd_image(stack, camera, photons.device), (place, photons), others, model)


def _inside(found: Candidates, nuclei: Nuclei) -> torch.Tensor:
    """Whether each candidate lies in one of the nuclei."""
    return torch.from_numpy(label_at(found.place_px[:, 1:].cpu().numpy(), nuclei) > 0).to(found.snr.device)


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
