"""Width of a signal: where to start from, and in pixels."""

from __future__ import annotations

import math

from ctcfish.parameters import Survey
from ctcfish.types import Optics

FWHM_PER_SIGMA = 2.3548200450309493
_SIGMA_PER_FWHM = 1.0 / FWHM_PER_SIGMA
_DEFAULT_EMISSION_NM = 560.0


def start_sigma_um(optics: Optics, role: str, params: Survey) -> tuple[float, float]:
    """Gaussian width ``(z, xy)`` of a locus seen through the optics.

    FWHM = 0.51 λ/NA in the plane and 0.88 λ/(n − √(n² − NA²)) along z (wide field; n = 1.515 from NA 1, else 1); the
    locus adds in quadrature the standard deviation along one axis of a ball of its size, d/(2√5).

    Parameters
    ----------
    optics : Optics
        An unknown aperture is taken from the parameters.
    role : str
        Channel role, for its emission.
    params : Survey
    """
    na = optics.na or params.start_na
    emission_um = optics.emission_nm.get(role, _DEFAULT_EMISSION_NM) / 1000.0
    index = 1.515 if na >= 1.0 else 1.0
    lateral = 0.51 * emission_um / na
    axial = 0.88 * emission_um / (index - math.sqrt(index**2 - na**2))
    locus = params.locus_um.get(role, 0.0) / (2.0 * math.sqrt(5.0))
    return math.hypot(axial * _SIGMA_PER_FWHM, locus), math.hypot(lateral * _SIGMA_PER_FWHM, locus)


def sigma_px(sigma_um: tuple[float, float], voxel_um: tuple[float, float, float]) -> tuple[float, float]:
    """Width ``(z, xy)`` in voxels; at least 0.6 pixels, as a pixel blurs too."""
    axial = sigma_um[0] / voxel_um[0] if voxel_um[0] > 0 else 1.0
    lateral = sigma_um[1] / math.sqrt(voxel_um[1] * voxel_um[2])
    return max(axial, 0.5), max(lateral, 0.6)


def patch_half(lateral_px: float) -> int:
    """Half size of the patch a candidate is measured in: 4.5 widths."""
    return math.ceil(4.5 * lateral_px)
