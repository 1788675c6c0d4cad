"""Maxima that stand alone: clear ones, which tell width and brightness, and faint ones, which may be background."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ctcfish.stages.signals.camera import Camera
from ctcfish.stages.signals.candidates import Candidates
from ctcfish.stages.signals.fits import fit_at, focal_width_px, residual
from ctcfish.stages.signals.measure import Measures

_APART_SIGMA = 6.0
_NOTICED_SNR = 4.0
_FAINT = 0.3
_MOST_ISOLATED = 1000
_NOT_WIDE = 1.4
_SHARP = 0.25
_MISFIT = 1e-4
_DAZZLING_SNR, _RESIDUAL = 30.0, 0.1

Scale = tuple[tuple[float, float], tuple[float, float, float]]
"""Width of a signal ``(z, xy)`` in pixels, and the voxel in micrometres."""


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
    apparent_um : ndarray, (N,)
        Width by two templates, as candidates' is measured.
    photons : ndarray, (N,)
        By the field's own camera.
    least_photons : ndarray, (N,)
        What a signal at this place must have to be clear.
    snr : ndarray, (N,)
    """

    position_um: NDArray[np.float64]
    sigma_um: NDArray[np.float64]
    focal_um: NDArray[np.float64]
    apparent_um: NDArray[np.float64]
    photons: NDArray[np.float64]
    least_photons: NDArray[np.float64]
    snr: NDArray[np.float64]


@dataclass(frozen=True)
class Faint:
    """Lone maxima inside nuclei about the threshold, of one probe in one field: signals and background.

    Attributes
    ----------
    position_um : ndarray, (N, 3)
        ``(z, y, x)``.
    apparent_um, photons : ndarray, (N,)
    snr, patch_snr : ndarray, (N,)
        By the filter, and by the whole patch.
    """

    position_um: NDArray[np.float64]
    apparent_um: NDArray[np.float64]
    photons: NDArray[np.float64]
    snr: NDArray[np.float64]
    patch_snr: NDArray[np.float64]


def alone(found: Candidates, measures: Measures, sigma_px: tuple[float, float]) -> torch.Tensor:
    """Whether a candidate is no hot pixel and has no other close by that is not faint beside it, (N,)."""
    strength = measures.snr.cpu().numpy()
    near = np.zeros(len(found), bool)
    noticed = np.flatnonzero(strength > _NOTICED_SNR)
    place = found.place_px.cpu().numpy()[noticed] / np.array([sigma_px[0], sigma_px[1], sigma_px[1]])
    if len(noticed) > 1:
        first, second = noticed[cKDTree(place).query_pairs(_APART_SIGMA, output_type="ndarray").T]
        near[first[strength[second] > _FAINT * strength[first]]] = True
        near[second[strength[first] > _FAINT * strength[second]]] = True
    return ~torch.from_numpy(near).to(found.snr.device) & ~measures.hot


def clear(lone: torch.Tensor, measures: Measures, clear_snr: float) -> torch.Tensor:
    """Rows of lone candidates that are clear and not wide, (K,)."""
    return (lone & (measures.snr > clear_snr) & (measures.ratio < _NOT_WIDE)).nonzero()[:, 0]


def isolated(
    stack: NDArray[np.generic],
    looked: tuple[Candidates, Measures, torch.Tensor],
    clear_snr: float,
    scale: Scale,
    camera: Camera,
) -> Isolated:
    """Fit width and brightness of clear candidates.

    Parameters
    ----------
    stack : ndarray, (Z, Y, X)
    looked : tuple
        Candidates, their measures, and rows (K,) of the clear ones.
    clear_snr : float
    scale : tuple
        Width in pixels, and voxel.
    camera : Camera
    """
    (found, measures, rows), (sigma, voxel_um) = looked, scale
    rows = rows[:_MOST_ISOLATED]
    fitted = fit_at(stack, found.place_px[rows], sigma, camera, free_width=True)
    fits = fitted.fits
    plain = (measures.snr[rows] > _DAZZLING_SNR) & (residual(fits, camera) < _RESIDUAL)
    good = fits.converged & fitted.whole & ((fits.p_value > _MISFIT) | plain)
    good &= fits.sigma_error_px[:, 1] < _SHARP * fits.sigma_px[:, 1]
    step, lateral_um = _steps_um(voxel_um)
    width = fits.sigma_px[good].cpu().numpy().astype(np.float64)
    # a free width takes background for light: brightness is fitted with the width common to all
    common = (float(np.median(width[:, 0])), float(np.median(width[:, 1]))) if len(width) else sigma
    light = fit_at(stack, found.place_px[rows[good]], common, camera, free_width=False).fits.photons
    focal = fits.sigma_px[good, 1]  # in a plane alone it is measured already
    if len(stack) > 1:
        focal = focal_width_px(stack, fitted.position_px[good].round().long(), common, camera)
    photons, snr = _array(light), _array(measures.snr[rows][good])
    return Isolated(
        fitted.position_px[good].cpu().numpy() * step,
        width * np.array([step[0], lateral_um]),
        _array(focal) * lateral_um,
        _array(measures.width_px[rows][good]) * lateral_um,
        photons,
        photons * clear_snr / snr,
        snr,
    )


def faint(
    stack: NDArray[np.generic],
    looked: tuple[Candidates, Measures, torch.Tensor],
    patch_snr: torch.Tensor,
    scale: Scale,
    camera: Camera,
) -> Faint:
    """Measure faint lone candidates; ``looked`` is candidates, their measures, and the rows (K,) of the faint ones."""
    (found, measures, rows), (sigma, voxel_um) = looked, scale
    fitted = fit_at(stack, found.place_px[rows], sigma, camera, free_width=False)
    step, lateral_um = _steps_um(voxel_um)
    return Faint(
        fitted.position_px.cpu().numpy() * step,
        _array(measures.width_px[rows]) * lateral_um,
        _array(fitted.fits.photons),
        _array(measures.snr[rows]),
        _array(patch_snr[rows]),
    )


def _steps_um(voxel_um: tuple[float, float, float]) -> tuple[NDArray[np.float64], float]:
    """Steps along z, y, x, and the mean one in the plane."""
    return np.array([voxel_um[0] or 1.0, voxel_um[1], voxel_um[2]]), (voxel_um[1] * voxel_um[2]) ** 0.5


def _array(values: torch.Tensor) -> NDArray[np.float64]:
    return values.cpu().numpy().astype(np.float64)
