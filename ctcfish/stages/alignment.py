"""The transforms that bring IF scenes and FISH fields together, each with its odds of being chance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ctcfish.parameters import Relocate
from ctcfish.stages.constellation import Candidate, Index, Noise, index, locate, neighbours_for
from ctcfish.stages.warp import Similarity, Warp, fit_warp, mutual_pairs

Points = NDArray[np.float64]
Integers = NDArray[np.int64]

_PATCH = 140
_PATCHES = 6
_TOLERANCE_UM = 4.0
_LOG10_TRUST = -6.0
_EXCESS = 0.2
_SCALES = tuple(float(np.exp(0.06 * k)) for j in range(1, 13) for k in (j, -j))


@dataclass(frozen=True)
class Fields:
    """FISH nuclei by scene, and where the scenes lie on the stage if that is known."""

    points: Mapping[str, Points]
    offset_um: Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class Alignment:
    """One IF scene laid on one FISH scene.

    Attributes
    ----------
    if_scene, scene : str
    warp : Warp
        From IF to FISH.
    moved_um : ndarray, (N, 2)
        IF nuclei in FISH coordinates, none corrected by itself.
    fish_um : ndarray, (M, 2)
    n_matched : int
    sigma_um : float
        Standard deviation of the residual along one axis.
    log10_chance : float
        Bound on the probability that unrelated constellations agree so well.
    """

    if_scene: str
    scene: str
    warp: Warp
    moved_um: Points
    fish_um: Points
    n_matched: int
    sigma_um: float
    log10_chance: float

    def summary(self) -> dict[str, Any]:
        """What ``slide.json`` carries."""
        similarity = self.warp.similarity
        return {
            "if_scene": self.if_scene,
            "scene": self.scene,
            "matrix": similarity.matrix(),
            "n_matched": self.n_matched,
            "rms_um": float(np.sqrt(2) * self.sigma_um),
            "scale": similarity.scale,
            "rotation_deg": similarity.rotation_deg,
            "mirrored": similarity.mirrored,
            "log10_chance": self.log10_chance,
        }


def align(if_scenes: Mapping[str, Points], fish: Fields, params: Relocate) -> list[Alignment]:
    """Every pair of scenes that agree beyond chance.

    Parameters
    ----------
    if_scenes : mapping of str to ndarray (N, 2)
    fish : Fields
    params : Relocate

    Returns
    -------
    list of Alignment
        In the order of the scenes' names; empty where nothing agrees.
    """
    for scale in (1.0, *_SCALES):
        found = [
            one
            for if_name, if_points in if_scenes.items()
            for name, points in fish.points.items()
            if (one := _align_pair((if_name, if_points), (name, points), scale)) is not None
        ]
        if sum(a.n_matched for a in found) >= params.min_common_nuclei:
            return found
    return []


def _align_pair(from_if: tuple[str, Points], to_fish: tuple[str, Points], scale: float) -> Alignment | None:
    """Lay one IF scene on one FISH scene whose lengths are ``scale`` times as long."""
    scaled, fish = from_if[1] * scale, to_fish[1]
    if min(len(scaled), len(fish)) < 3:
        return None
    swap = len(scaled) < len(fish)
    part, whole = (scaled, fish) if swap else (fish, scaled)
    neighbours, noise = neighbours_for(len(whole)), Noise()
    searched = index(whole, neighbours, noise)
    for patch in _patches(part):
        found = locate(part[patch], searched, neighbours, noise, _TOLERANCE_UM)
        if found is None:
            continue
        chance = log10_chance(part[patch], searched, found)
        if chance <= _LOG10_TRUST:
            there = found.similarity if swap else found.similarity.inverse()
            there = Similarity(there.a * scale, there.b, there.mirrored)
            return _refine(from_if, to_fish, there, chance)
    return None


def _patches(points: Points) -> Iterator[Integers]:
    """Compact parts of a constellation, spread over it; all of it if it is small."""
    if len(points) <= _PATCH + _PATCH // 2:
        yield np.arange(len(points))
        return
    tree = cKDTree(points)
    centre = np.median(points, axis=0)
    far = np.full(len(points), np.inf)
    for _ in range(_PATCHES):
        rows = np.sort(np.atleast_1d(tree.query(centre, _PATCH)[1])).astype(np.int64)
        yield rows
        far = np.minimum(far, np.hypot(*(points - centre).T))
        centre = points[int(np.argmax(far))]


def log10_chance(part: Points, whole: Index, found: Candidate) -> float:
    """Bound on the chance that unrelated constellations agree this well under some transform.

    Chernoff bound of the binomial tail, ``-n KL(k/n || p)``, times the number of transforms that differ by more than
    the tolerance. ``p`` is measured: the share paired after the part was moved aside, where nothing should fit.

    Parameters
    ----------
    part : ndarray, (N, 2)
    whole : Index
    found : Candidate
    """
    moved = found.similarity.apply(part)
    n, k = len(part), max(len(found.part) - 2, 0)
    angles = np.arange(12) * (2 * np.pi / 12)
    pairs = 0
    for turn, radius in zip(angles, np.tile([15.0, 24.0, 38.0], 4), strict=True):
        aside = moved + radius * np.array([np.cos(turn), np.sin(turn)])
        pairs += len(mutual_pairs(aside, whole.tree, _TOLERANCE_UM)[0])
    p = (pairs + 1) / (n * len(angles) + 2)
    q = min(k / n, 1 - 1e-9)
    if q <= p:
        return 0.0
    divergence = q * np.log(q / p) + (1 - q) * np.log((1 - q) / (1 - p))
    extent = np.ptp(whole.points, axis=0) + 2 * np.ptp(part, axis=0).max()
    reach = float(np.ptp(part, axis=0).max()) + _TOLERANCE_UM
    transforms = 2 * float(np.prod(extent)) / _TOLERANCE_UM**2 * 2 * np.pi * reach / _TOLERANCE_UM * (1 + len(_SCALES))
    return float(min((-n * divergence + np.log(transforms)) / np.log(10), 0.0))


def _refine(
    from_if: tuple[str, Points], to_fish: tuple[str, Points], start: Similarity, chance: float
) -> Alignment | None:
    """Grow from the patch over the whole scene, refitting with more freedom as pairs come in."""
    (if_name, source), (name, target) = from_if, to_fish
    tree = cKDTree(target)
    rows, partners = mutual_pairs(start.apply(source), tree, _TOLERANCE_UM)
    warp = fit_warp(source[rows], target[partners], start.mirrored)
    for _ in range(4):
        rows, partners = mutual_pairs(warp.apply(source), tree, _TOLERANCE_UM)
        if len(rows) < 3:
            return None
        warp = fit_warp(source[rows], target[partners], start.mirrored)
    itself = np.full(len(source), -1)
    itself[rows] = np.arange(len(rows))
    moved = warp.apply(source, leave_out=itself)
    distance = np.hypot(*(moved[rows] - target[partners]).T)
    sigma = max(float(np.median(distance)) / 1.1774, 0.15)
    return Alignment(if_name, name, warp, moved, target, len(rows), sigma, chance)
