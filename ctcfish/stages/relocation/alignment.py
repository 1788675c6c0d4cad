"""One IF scene laid on one FISH scene, with the odds that their agreement is chance."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.special import bdtrc

from ctcfish.stages.relocation.constellation import Candidate, Index, Prior, Search, index, locate, neighbours_for
from ctcfish.stages.relocation.warp import Similarity, Warp, fit_warp, mutual_pairs

Points = NDArray[np.float64]
Integers = NDArray[np.int64]

_TOLERANCE_UM = 4.0
_WITHIN_UM = (1.5, 2.5, 4.0)
_LOG10_TRUST = -3.0
_LOG10_EXPECTED = -1.5
_LEAST_EXCESS = 0.2
_GROWTH = 1.6
_ASIDE_UM = (15.0, 24.0, 38.0)
_DECOYS = 12


@dataclass(frozen=True)
class Cloud:
    """Nuclei of one scene."""

    name: str
    points: Points

    @cached_property
    def index(self) -> Index:
        """The points, ready to be searched; made when first asked for."""
        return index(self.points, neighbours_for(len(self.points)), Search(0).noise)

    @cached_property
    def tree(self) -> cKDTree:
        """The points alone."""
        return cKDTree(self.points)


@dataclass(frozen=True)
class Effort:
    """Patches of a large constellation that are tried, points of each, and groups of proposals that are followed."""

    patches: int = 6
    points: int = 140
    groups: int = 60


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
    share : float
        Matched share of the nuclei in the area both scenes cover.
    sigma_um : float
        Standard deviation of the residual along one axis.
    log10_chance : float
        Bound on the probability that unrelated constellations agree so well.
    placed : float
        Probability that the field lies there, where it was laid by its expected place; else 1.
    """

    if_scene: str
    scene: str
    warp: Warp
    moved_um: Points
    fish_um: Points
    n_matched: int
    share: float
    sigma_um: float
    log10_chance: float
    placed: float = 1.0

    def summary(self) -> dict[str, Any]:
        """What ``slide.json`` carries."""
        similarity = self.warp.similarity
        return {
            "if_scene": self.if_scene,
            "scene": self.scene,
            "matrix": similarity.matrix(),
            "n_matched": self.n_matched,
            "matched_share": self.share,
            "rms_um": float(np.sqrt(2) * self.sigma_um),
            "scale": similarity.scale,
            "rotation_deg": similarity.rotation_deg,
            "mirrored": similarity.mirrored,
            "log10_chance": self.log10_chance,
            "placed": self.placed,
        }


def lay(
    here: Cloud, there: Cloud, scale: float = 1.0, prior: Prior | None = None, effort: Effort | None = None
) -> Alignment | None:
    """Lay an IF scene on a FISH scene.

    The smaller constellation, or compact patches of it, is searched in the larger one; the transform that is beyond
    chance then grows from the patch over the scene.

    Parameters
    ----------
    here, there : Cloud
        IF and FISH.
    scale : float
        FISH lengths over IF lengths, within a few percent.
    prior : Prior, optional
        From IF to FISH.
    effort : Effort, optional

    Returns
    -------
    Alignment or None
        None where nothing agrees beyond chance.
    """
    if min(len(here.points), len(there.points)) < 3:
        return None
    forward = len(here.points) < len(there.points)
    small, large, factor = (here, there, scale) if forward else (there, here, 1 / scale)
    if prior is not None and not forward:
        prior = replace(prior, similarity=prior.similarity.inverse())
    if prior is not None:
        prior = replace(prior, similarity=replace(prior.similarity, a=prior.similarity.a / factor))
    effort = effort or Effort()
    search = Search(neighbours_for(len(large.points)), _TOLERANCE_UM, groups=effort.groups)
    for rows in _patches(small.points, effort):
        part = small.points[rows] * factor
        found = locate(part, large.index, search, prior)
        chance = 0.0 if found is None else log10_chance(part, large.index, found, prior)
        if found is not None and chance <= _needed(prior) and _allowed(found.similarity, prior):
            start = replace(found.similarity, a=found.similarity.a * factor)
            paired = (rows[found.part], found.whole) if forward else (found.whole, rows[found.part])
            return _spread(here, there, start if forward else start.inverse(), paired, chance)
    return None


def _needed(prior: Prior | None) -> float:
    """Evidence wanted: less where the field is expected just there than where it could be anywhere."""
    return _LOG10_EXPECTED if prior is not None and np.isfinite(prior.place_um) else _LOG10_TRUST


def _allowed(found: Similarity, prior: Prior | None) -> bool:
    """Whether the fitted transform still lies where it must."""
    return prior is None or abs(float(np.angle(found.a / prior.similarity.a))) <= 2 * prior.turn_rad


def _patches(points: Points, effort: Effort) -> Iterator[Integers]:
    """Compact parts of a constellation, far from one another; all of it if it is small."""
    if 2 * len(points) <= 3 * effort.points:
        yield np.arange(len(points))
        return
    tree = cKDTree(points)
    centre = np.median(points, axis=0)
    far = np.full(len(points), np.inf)
    for _ in range(effort.patches):
        rows = np.sort(np.atleast_1d(tree.query(centre, effort.points)[1])).astype(np.int64)
        yield rows
        far = np.minimum(far, np.hypot(*(points - centre).T))
        centre = points[int(np.argmax(far))]


def log10_chance(part: Points, whole: Index, found: Candidate, prior: Prior | None = None) -> float:
    """Bound on the chance that unrelated constellations agree this well under some transform.

    Binomial tail times the number of transforms that differ by more than the tolerance (Bonferroni), for the best of
    three tolerances. The two pairs that fix a transform (one where the turn is known) do not count. The chance of one
    point to be paired is measured: the share paired after the part was moved aside, where nothing should fit; it goes
    with the tolerance squared.

    Parameters
    ----------
    part : ndarray, (N, 2)
    whole : Index
    found : Candidate
    prior : Prior, optional
        Fewer transforms are possible with it.
    """
    moved = found.similarity.apply(part)
    n = len(part)
    paired = (_decoy_share(moved, whole.tree) * n * _DECOYS + 1) / (n * _DECOYS + 2)
    distance = np.hypot(*(moved[found.part] - whole.points[found.whole]).T)
    spread = float(np.sqrt(((part - part.mean(0)) ** 2).sum(1).mean())) + _TOLERANCE_UM
    places, angles = float(np.prod(np.ptp(whole.points, axis=0) + 2 * spread)), 4 * np.pi
    if prior is not None:
        places, angles = min(places, np.pi * prior.place_um**2), 2 * prior.turn_rad
    best = 0.0
    for within in _WITHIN_UM:
        k = int((distance <= within).sum()) - (2 if prior is None else 1)
        if k < 1:
            continue
        tail = max(float(bdtrc(k - 1, n, paired * (within / _TOLERANCE_UM) ** 2)), 1e-280)
        tried = len(_WITHIN_UM) * max(places / within**2, 1.0) * max(angles * spread / within, 1.0)
        best = min(best, float(np.log10(tail) + np.log10(tried)))
    return best


def _decoy_share(moved: Points, tree: cKDTree) -> float:
    """Share of points paired when moved aside."""
    turns = np.arange(_DECOYS) * (2 * np.pi / _DECOYS)
    pairs = 0
    for turn, radius in zip(turns, np.resize(_ASIDE_UM, _DECOYS), strict=True):
        pairs += len(mutual_pairs(moved + radius * np.array([np.cos(turn), np.sin(turn)]), tree, _TOLERANCE_UM)[0])
    return pairs / (max(len(moved), 1) * _DECOYS)


def _spread(
    here: Cloud, there: Cloud, start: Similarity, paired: tuple[Integers, Integers], chance: float
) -> Alignment | None:
    """Grow from the patch over the whole scene, refitting with more freedom as pairs come in."""
    source, target, tree = here.points, there.points, there.tree
    rows, partners = paired
    warp = fit_warp(source[rows], target[partners], start.mirrored)
    middle = source[rows].mean(0)
    from_middle = np.hypot(*(source - middle).T)
    reach = _GROWTH * float(from_middle[rows].max())
    for _ in range(_rounds(reach, float(from_middle.max()))):
        inside = np.flatnonzero(from_middle <= reach)
        found, partners = mutual_pairs(warp.apply(source[inside]), tree, _TOLERANCE_UM)
        if len(found) < 3:
            return None
        rows = inside[found]
        warp = fit_warp(source[rows], target[partners], start.mirrored)
        reach *= _GROWTH
    itself = np.full(len(source), -1)
    itself[rows] = np.arange(len(rows))
    moved = warp.apply(source, leave_out=itself)
    distance = np.hypot(*(moved[rows] - target[partners]).T)
    common = min(int(covered(moved, target).sum()), int(covered(target, moved).sum()))
    share = len(rows) / max(common, 1)
    if share - _decoy_share(moved[rows], tree) < _LEAST_EXCESS:
        return None
    sigma = max(float(np.median(distance)) / 1.1774, 0.15)
    return Alignment(here.name, there.name, warp, moved, target, len(rows), share, sigma, chance)


def _rounds(reach: float, farthest: float) -> int:
    """Steps of growth until everything is inside, and two more to settle."""
    return max(int(np.ceil(np.log(max(farthest / reach, 1.0)) / np.log(_GROWTH))), 0) + 3


def covered(points: Points, others: Points) -> NDArray[np.bool_]:
    """Whether a point lies in the area another constellation covers: within two typical gaps of it."""
    k = min(3, len(others))
    tree = cKDTree(others)
    gap = float(np.median(tree.query(others, k)[0].reshape(len(others), -1)[:, -1]))
    distance = tree.query(points, k)[0].reshape(len(points), -1)[:, -1]
    return np.asarray(distance <= 2 * gap + 1e-9)
