"""The signals of one probe in one scene."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ctcfish.flags import SpotFlag
from ctcfish.ops.bands import Bands
from ctcfish.parameters import Detect
from ctcfish.stages.signals_camera import Camera
from ctcfish.stages.signals_candidates import Search, find
from ctcfish.stages.signals_field import fit_windows
from ctcfish.stages.signals_measure import measure
from ctcfish.stages.signals_optics import sigma_px, window_half
from ctcfish.stages.signals_regions import regions
from ctcfish.types import Nuclei, Probe, ProbeModel, SlideModel

_FLOOR = 0.6
_SURE_WIDTH = 3.0


@dataclass(frozen=True)
class Signals:
    """Signals of one probe, N rows.

    Attributes
    ----------
    position_um : ndarray, (N, 3)
    photons, background, sigma_um, snr, probability : ndarray, (N,)
    label : ndarray of int64, (N,)
        Nucleus; 0 outside.
    flags : ndarray of int64, (N,)
        Bits of :class:`ctcfish.flags.SpotFlag`.
    """

    position_um: NDArray[np.float64]
    photons: NDArray[np.float64]
    background: NDArray[np.float64]
    sigma_um: NDArray[np.float64]
    snr: NDArray[np.float64]
    probability: NDArray[np.float64]
    label: NDArray[np.int64]
    flags: NDArray[np.int64]


def detect_probe(
    stack: NDArray[np.generic],
    nuclei: Nuclei,
    voxel_um: tuple[float, float, float],
    model: SlideModel,
    setting: tuple[Probe, Detect, str],
) -> Signals:
    """Candidates above the slide's threshold, fitted, in nuclei or a margin around them."""
    probe, params, device = setting
    slide = model.probes[probe]
    camera = Camera(model.gain_adu_per_photon, model.offset_adu, model.read_noise_photons, model.camera_origin)
    sigma = sigma_px((slide.sigma_z_um, slide.sigma_xy_um), voxel_um)
    bands = Bands.of(sigma, len(stack), params.surround)
    half = window_half(sigma, len(stack))
    where = regions(nuclei, round(params.margin_um / voxel_um[1]))
    found = find(stack, where, Search(bands, camera, _FLOOR * slide.threshold_snr, half, device))
    measures = measure(found, sigma, camera.read_variance)
    keep = (measures.snr > slide.threshold_snr) | measures.hot
    found, window, hot = found.rows(keep), measures.window[keep], measures.hot[keep]
    snr = measures.snr[keep]
    fixed = fit_windows(window, sigma, camera.read_variance, free_width=False)
    free = fit_windows(window, sigma, camera.read_variance, free_width=True)
    broad = _broad(free.sigma_px[:, 1], free.sigma_error_px[:, 1], params.broad * sigma[1])
    bits = torch.zeros(len(found), dtype=torch.int64, device=window.device)
    for flag, mask in (
        (SpotFlag.HOT_PIXEL, hot & (snr <= slide.threshold_snr)),
        (SpotFlag.BROAD, broad),
        (SpotFlag.EDGE, ~found.inside.flatten(1).all(1)),
    ):
        bits |= mask.long() * int(flag)
    step = np.array([voxel_um[0] or 1.0, voxel_um[1], voxel_um[2]])
    shift = fixed.position_px - torch.tensor(half, device=window.device)
    position = (found.place_px + shift).cpu().numpy().astype(np.float64) * step
    if len(stack) == 1:
        position[:, 0] = 0.0
    values = [t.cpu().numpy().astype(np.float64) for t in (fixed.photons, fixed.background, free.sigma_px[:, 1], snr)]
    photons, background, width, strength = values
    return Signals(
        position,
        photons,
        background,
        width * (voxel_um[1] * voxel_um[2]) ** 0.5,
        strength,
        _probability(strength, slide),
        _labels(position, nuclei),
        bits.cpu().numpy(),
    )


def _broad(width: torch.Tensor, error: torch.Tensor, limit: float) -> torch.Tensor:
    return width - _SURE_WIDTH * error.clamp(max=1.0) * 0.5 > limit


def _labels(position_um: NDArray[np.float64], nuclei: Nuclei) -> NDArray[np.int64]:
    image = nuclei.paint()
    place = np.rint(position_um[:, 1:] / np.array(nuclei.pixel_um)).astype(int)
    place = np.clip(place, 0, np.array(nuclei.shape_px) - 1)
    return np.asarray(image[place[:, 0], place[:, 1]], np.int64)


def _probability(snr: NDArray[np.float64], slide: ProbeModel) -> NDArray[np.float64]:
    """Logistic in the distance from the threshold."""
    return np.asarray(1.0 / (1.0 + np.exp(-(snr - slide.threshold_snr + 1.0) * 2.0)))
