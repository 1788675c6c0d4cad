"""A field of few nuclei laid where the stage expects it: every place it could lie, weighed against the others."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ctcfish.stages.relocation.alignment import Alignment, Cloud
from ctcfish.stages.relocation.warp import Similarity, Warp, mutual_pairs

Points = NDArray[np.float64]

_REACH_SDS = 3.5
_NOWHERE = 0.02
_APART_SDS = 4.0
_PAIR_SDS = 3.5
_MOST = 4000


@dataclass(frozen=True)
class Expected:
    """Where a field should lie, by the fields laid before.

    Attributes
    ----------
    similarity : Similarity
        From IF to FISH.
    place_sd_um : float
        Standard deviation of its place along one axis.
    sigma_um : float
        Standard deviation of a nucleus's displacement along one axis.
    strange : float
        Share of nuclei that only one of the scans shows.
    """

    similarity: Similarity
    place_sd_um: float
    sigma_um: float
    strange: float


def place(here: Cloud, there: Cloud, expected: Expected, least: float) -> Alignment | None:
    """Lay a field by shifting it about its expected place, turn and scale being known.

    Each shift that brings one pair together is a candidate. Its posterior is the normal prior of the stage times the
    likelihood of both sets of nuclei (a nucleus lies a normal displacement from its partner, or is strange and lies
    anywhere), times the volume over which the shift is that good; against it stand all other candidates and the field
    lying nowhere in the scan.

    Parameters
    ----------
    here, there : Cloud
        IF and FISH.
    expected : Expected
    least : float
        Posterior from which the field is laid.

    Returns
    -------
    Alignment or None
        ``placed`` is the posterior of its place.
    """
    moved = expected.similarity.apply(here.points)
    reach = _REACH_SDS * expected.place_sd_um
    low, high = there.points.min(0) - reach, there.points.max(0) + reach
    near = np.flatnonzero(((moved >= low) & (moved <= high)).all(1))
    if not len(near):
        return None
    shifts = (there.points[:, None] - moved[near][None]).reshape(-1, 2)
    shifts = shifts[np.hypot(*shifts.T) <= reach]
    if not 0 < len(shifts) <= _MOST:
        return None
    density = len(near) / float(np.prod(high - low))
    shifts, weight = _weighed(shifts, moved[near], there.points, expected, density)
    best = int(np.argmax(weight))
    others = np.hypot(*(shifts - shifts[best]).T) > _APART_SDS * expected.sigma_um
    posterior = float(weight[best] / (weight[best] + _distinct(shifts[others], weight[others], expected) + _NOWHERE))
    if posterior < least:
        return None
    return _laid(here, there, expected, shifts[best], posterior)


def _weighed(
    shifts: Points, moved: Points, target: Points, expected: Expected, density: float
) -> tuple[Points, Points]:
    """Every candidate brought to the middle of its pairs, and its weight against the field lying nowhere."""
    sigma, strange = expected.sigma_um, expected.strange
    tree = cKDTree(target)
    centred, weight = np.empty_like(shifts), np.empty(len(shifts))
    low, high = target.min(0) - sigma, target.max(0) + sigma
    for k, shift in enumerate(shifts):
        rows, partners = mutual_pairs(moved + shift, tree, _PAIR_SDS * sigma)
        step = (target[partners] - moved[rows] - shift).mean(0)
        centred[k] = shift + step
        placed = moved + centred[k]
        distance = np.hypot(*(target[partners] - placed[rows]).T)
        alike = np.exp(-0.5 * (distance / sigma) ** 2) / (2 * np.pi * sigma**2 * density)
        gone = int(((placed >= low) & (placed <= high)).all(1).sum()) - len(rows)
        score = np.log(strange + (1 - strange) ** 2 * alike).sum()
        score += (len(target) - len(rows) + max(gone, 0)) * np.log(strange)
        score -= 0.5 * float((centred[k] ** 2).sum()) / expected.place_sd_um**2
        weight[k] = np.exp(score) * (sigma / expected.place_sd_um) ** 2 / len(rows)
    return centred, weight


def _distinct(shifts: Points, weight: Points, expected: Expected) -> float:
    """Sum of weights, each place counted once."""
    total = 0.0
    while len(weight):
        best = int(np.argmax(weight))
        total += float(weight[best])
        apart = np.hypot(*(shifts - shifts[best]).T) > _APART_SDS * expected.sigma_um
        shifts, weight = shifts[apart], weight[apart]
    return total


def _laid(here: Cloud, there: Cloud, expected: Expected, shift: Points, posterior: float) -> Alignment:
    similarity = replace(expected.similarity, b=expected.similarity.b + complex(*shift))
    rows, _ = mutual_pairs(similarity.apply(here.points), there.tree, _PAIR_SDS * expected.sigma_um)
    none: Points = np.zeros((0, 2))
    warp = Warp(similarity, here.points[rows].mean(0), 1.0, none, none, none)
    return Alignment(
        if_scene=here.name,
        scene=there.name,
        warp=warp,
        moved_um=similarity.apply(here.points),
        fish_um=there.points,
        n_matched=len(rows),
        share=len(rows) / len(there.points),
        sigma_um=expected.sigma_um,
        log10_chance=float(np.log10(max(1 - posterior, 1e-12))),
        placed=posterior,
    )
