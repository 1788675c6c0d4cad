"""A second look at candidates that lie in the light of brighter neighbours."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from ctcfish.ops.bands import gaussian_taps
from ctcfish.ops.psf import pixel_profile
from ctcfish.stages.signals.candidates import Candidates
from ctcfish.stages.signals.fits import Fitted
from ctcfish.stages.signals.measure import Measures, measure

_REACH_SIGMA = 8.0


def without_neighbours(
    found: Candidates, others: Fitted, sigma_px: tuple[float, float], planes: int
) -> tuple[Candidates, Tensor]:
    """Take the fitted light of other signals out of the candidates' patches.

    Parameters
    ----------
    found : Candidates
    others : Fitted
        Signals whose light is known.
    sigma_px : tuple of float
        ``(z, xy)``.
    planes : int

    Returns
    -------
    cleaned : Candidates
        The response is then that of the patch itself, and its noise that of all the light there.
    near : Tensor of bool, (N,)
        Candidates that had a neighbour.
    """
    scale = np.array([sigma_px[0], sigma_px[1], sigma_px[1]])
    place = others.position_px.cpu().numpy()
    near = torch.zeros(len(found), dtype=torch.bool, device=found.snr.device)
    if not len(place) or not len(found):
        return found, near
    tree = cKDTree(place / scale)
    own = cKDTree(found.place_px.cpu().numpy() / scale)
    pairs = own.sparse_distance_matrix(tree, _REACH_SIGMA, output_type="ndarray")
    if not len(pairs):
        return found, near
    pairs = pairs[np.lexsort((pairs["j"], pairs["i"]))]
    row, partner = (torch.from_numpy(pairs[k].astype(np.int64)).to(near.device) for k in ("i", "j"))
    offset = others.position_px[partner] - found.place_px[row]
    light = _images(offset, found.patch.shape[1] // 2, sigma_px, planes) * others.fits.photons[partner, None, None]
    total = torch.zeros_like(found.patch).index_add_(0, row, light.to(found.patch.dtype))
    near[row] = True
    middle = found.patch.shape[1] // 2
    core = total[:, middle - 1 : middle + 2, middle - 1 : middle + 2].mean((1, 2))
    noise = (found.noise.square() + core * _axial_norm(sigma_px[0], planes)).sqrt()
    return replace(found, patch=found.patch - total, noise=noise), near


def _images(offset: Tensor, half: int, sigma_px: tuple[float, float], planes: int) -> Tensor:
    """What a signal of one photon at each offset leaves in a patch that was filtered along z."""
    y, x = (pixel_profile(half + offset[:, a], sigma_px[1], 2 * half + 1) for a in (1, 2))
    plane = y[:, :, None] * x[:, None, :]
    if planes == 1:
        return plane
    taps = torch.tensor(gaussian_taps(sigma_px[0]), dtype=offset.dtype, device=offset.device)
    reach = len(taps) // 2
    axial = pixel_profile(reach + offset[:, 0], sigma_px[0], len(taps)) @ taps
    return plane * axial[:, None, None]


def _axial_norm(sigma_z_px: float, planes: int) -> float:
    """Variance of a pixel filtered along z per photon of light that the filter passes on."""
    if planes == 1:
        return 1.0
    taps = np.asarray(gaussian_taps(sigma_z_px))
    return float((taps**3).sum() / (taps**2).sum())


@dataclass(frozen=True)
class Again:
    """Measures of the second look, and which candidates had a neighbour and have them (M,)."""

    measures: Measures
    rows: Tensor


def second_look(
    found: tuple[Candidates, Tensor], others: Fitted, sigma_px: tuple[float, float], pixel_um: float, planes: int
) -> Again:
    """Measure the candidates of a mask (N,) again without their neighbours' light."""
    candidates, asked = found[0], found[1].nonzero()[:, 0]
    cleaned, near = without_neighbours(candidates.rows(asked), others, sigma_px, planes)
    return Again(measure(cleaned.rows(near), sigma_px[1], pixel_um, None), asked[near])
