"""Find one constellation of points in another: triangles of neighbours vote for a turn, a mirror and a shift.

A triangle of neighbouring nuclei keeps its three sides when a slide is turned, mirrored and shifted. Each pair of like
triangles proposes one transform; true pairs agree, chance pairs scatter. The idea is the geometric hashing of star
trackers (Lang et al. 2010, Astron. J. 139:1782), with absolute side lengths, as the scale is nearly known here.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ctcfish.stages.relocation.warp import Similarity, fit_similarity, fit_similarity_trimmed, mutual_pairs

Points = NDArray[np.float64]
Integers = NDArray[np.int64]

_CODE_RADIUS = 2.5
_ANGLE_BIN_RAD = 0.09
_WORTH = 0.2
_PLENTY = 12
_PLENTY_SHARE = 0.85


@dataclass(frozen=True)
class Noise:
    """How far two scans disagree on one constellation.

    Attributes
    ----------
    jitter_um : float
        Standard deviation of a side length, from the centroids' errors.
    scale : float
        Standard deviation of the scale between the scans.
    """

    jitter_um: float = 1.5
    scale: float = 0.02


@dataclass(frozen=True)
class Triangles:
    """Triangles of neighbours.

    Attributes
    ----------
    corner : ndarray of int, (T, 3)
        Points; the first lies opposite the longest side, the last opposite the shortest.
    code : ndarray of float, (T, 3)
        Sides, long to short, in standard deviations of their error.
    turn : ndarray of bool, (T,)
        Whether the corners run anticlockwise; a mirror changes it.
    """

    corner: Integers
    code: Points
    turn: NDArray[np.bool_]


@dataclass(frozen=True)
class Index:
    """A constellation, ready to be searched."""

    points: Points
    tree: cKDTree
    triangles: Triangles
    codes: cKDTree


@dataclass(frozen=True)
class Candidate:
    """A transform and the pairs it makes.

    Attributes
    ----------
    similarity : Similarity
        From the part to the whole.
    part, whole : ndarray of int, (M,)
        Paired rows.
    score : float
        Sum over the pairs of 1 - (distance / tolerance)^2: chance pairs, which lie anywhere, count half.
    """

    similarity: Similarity
    part: Integers
    whole: Integers
    score: float


def triangles(points: Points, neighbours: int, noise: Noise) -> Triangles:
    """Triangles each point makes with pairs of its nearest neighbours, every one once.

    Parameters
    ----------
    points : ndarray, (N, 2)
    neighbours : int
    noise : Noise

    Returns
    -------
    Triangles
        None where there are fewer than three points.
    """
    k = min(neighbours, len(points) - 1)
    if k < 2:
        return Triangles(np.zeros((0, 3), np.int64), np.zeros((0, 3)), np.zeros(0, bool))
    near = cKDTree(points).query(points, k + 1)[1].astype(np.int64)
    pairs = np.array(list(combinations(range(1, k + 1), 2)))
    corner = np.stack([np.repeat(near[:, :1], len(pairs), 1), near[:, pairs[:, 0]], near[:, pairs[:, 1]]], -1)
    corner = np.sort(corner.reshape(-1, 3), axis=1)
    n = len(points)
    _, first = np.unique((corner[:, 0] * n + corner[:, 1]) * n + corner[:, 2], return_index=True)
    corner = corner[first]
    sides = np.stack([_length(points, corner, a, b) for a, b in ((1, 2), (0, 2), (0, 1))], axis=1)
    order = np.argsort(-sides, axis=1, kind="stable")
    corner, sides = np.take_along_axis(corner, order, 1), np.take_along_axis(sides, order, 1)
    keep = sides[:, 2] > 2 * noise.jitter_um
    corner, sides = corner[keep], sides[keep]
    one, two = points[corner[:, 1]] - points[corner[:, 0]], points[corner[:, 2]] - points[corner[:, 0]]
    # Stretches a side so that an error of one standard deviation (jitter and scale together) is one unit at any length.
    code = np.arcsinh(sides * noise.scale / noise.jitter_um) / noise.scale
    return Triangles(corner, code, one[:, 0] * two[:, 1] > one[:, 1] * two[:, 0])


def _length(points: Points, corner: Integers, a: int, b: int) -> Points:
    difference = points[corner[:, a]] - points[corner[:, b]]
    return np.hypot(difference[:, 0], difference[:, 1])


def neighbours_for(n: int) -> int:
    """Neighbours per point that keep triangles under about a million."""
    limits = ((30_000, 5), (10_000, 6), (2_000, 8), (300, 9))
    return next((k for least, k in limits if n > least), 12)


def index(points: Points, neighbours: int, noise: Noise) -> Index:
    """Build the search index of a constellation."""
    found = triangles(points, neighbours, noise)
    return Index(points, cKDTree(points), found, cKDTree(found.code))


@dataclass(frozen=True)
class Search:
    """How to look.

    Attributes
    ----------
    neighbours : int
        As the index was built with.
    tolerance_um : float
        Distance up to which two points are one.
    noise : Noise
    groups : int
        Groups of agreeing triangles followed up, for either mirror.
    """

    neighbours: int
    tolerance_um: float = 4.0
    noise: Noise = Noise()
    groups: int = 60


@dataclass(frozen=True)
class Prior:
    """Where the transform must lie.

    Attributes
    ----------
    similarity : Similarity
        Expected, from the part to the whole.
    turn_rad : float
        Largest difference of the turn; the mirror must be the same.
    place_um : float
        Largest difference of the place; infinite where only the turn is known.
    """

    similarity: Similarity
    turn_rad: float
    place_um: float


def locate(part: Points, whole: Index, search: Search, prior: Prior | None = None) -> Candidate | None:
    """Find a small constellation in a large one.

    Parameters
    ----------
    part : ndarray, (N, 2)
        Points, (y, x), um.
    whole : Index
    search : Search
    prior : Prior, optional

    Returns
    -------
    Candidate or None
        The transform that pairs most points most closely; ``None`` if no triangle of the part occurs in the whole.
    """
    mine = triangles(part, search.neighbours, search.noise)
    if not len(mine.corner) or not len(whole.triangles.corner):
        return None
    hits = cKDTree(mine.code).sparse_distance_matrix(whole.codes, _CODE_RADIUS, output_type="ndarray")
    here, there = hits["i"].astype(np.int64), hits["j"].astype(np.int64)
    mirrored = mine.turn[here] != whole.triangles.turn[there]
    best: Candidate | None = None
    for mirror in (False, True) if prior is None else (prior.similarity.mirrored,):
        chosen = mirrored == mirror
        source = _complex(part)[mine.corner[here[chosen]]]
        target = _complex(whole.points)[whole.triangles.corner[there[chosen]]]
        for rows in _agreeing(_proposals(source, target, complex(_complex(part).mean()), mirror), prior, search.groups):
            found = _grow(part, whole, (source[rows].ravel(), target[rows].ravel(), mirror), search.tolerance_um)
            if found is not None and (best is None or found.score > best.score):
                best = found
            if best is not None and len(best.part) >= max(_PLENTY_SHARE * len(part), _PLENTY):
                return best
    return best


def _complex(points: Points) -> NDArray[np.complex128]:
    return points[:, 0] + 1j * points[:, 1]


@dataclass(frozen=True)
class _Proposals:
    """What pairs of triangles propose: the turn (unit complex), the place of the part's middle, the part's size."""

    turn: NDArray[np.complex128]
    place: NDArray[np.complex128]
    pivot: complex
    reach: float


def _proposals(
    source: NDArray[np.complex128], target: NDArray[np.complex128], pivot: complex, mirror: bool
) -> _Proposals:
    z, fixed = (source.conj(), pivot.conjugate()) if mirror else (source, pivot)
    middle, goal = z.mean(1), target.mean(1)
    turn = ((z - middle[:, None]).conj() * (target - goal[:, None])).sum(1)
    turn /= np.maximum(np.abs(turn), 1e-12)
    reach = float(np.abs(z - fixed).max()) if len(z) else 0.0
    return _Proposals(turn, goal + turn * (fixed - middle), pivot, reach)


def _agreeing(proposed: _Proposals, prior: Prior | None, groups: int) -> list[Integers]:
    """Groups of triangle pairs that propose nearly the same turn and the same place of the pivot."""
    turn, place = proposed.turn, proposed.place
    known = np.arange(len(turn))
    if prior is not None:
        a = prior.similarity.a / abs(prior.similarity.a)
        goal = prior.similarity.move(proposed.pivot)
        known = np.flatnonzero(
            (np.abs(np.angle(turn * np.conj(a))) <= prior.turn_rad + _ANGLE_BIN_RAD)
            & (np.abs(place - goal) <= prior.place_um)
        )
        turn, place = turn[known], place[known]
    if not len(turn):
        return []
    step = max(8.0, 0.05 * proposed.reach)
    angle = np.floor((np.angle(turn) + np.pi) / _ANGLE_BIN_RAD).astype(np.int64)
    rows = np.floor((place.real - place.real.min()) / step).astype(np.int64)
    columns = np.floor((place.imag - place.imag.min()) / step).astype(np.int64)
    wide, high = int(columns.max()) + 2, int(rows.max()) + 2
    key = (angle * high + rows) * wide + columns
    order = np.argsort(key, kind="stable")
    bins, start, count = np.unique(key[order], return_index=True, return_counts=True)
    shifts = [(a * high + r) * wide + c for a in (-1, 0, 1) for r in (-1, 0, 1) for c in (-1, 0, 1)]
    strong = np.argsort(-count, kind="stable")[: 8 * groups]
    votes = sum(_count_at(bins, count, bins[strong] + s) for s in shifts)
    strong = strong[np.argsort(-np.asarray(votes), kind="stable")][:groups]
    return [known[order[start[s] : start[s] + count[s]]] for s in strong]


def _count_at(bins: Integers, count: Integers, wanted: Integers) -> Integers:
    place = np.minimum(np.searchsorted(bins, wanted), len(bins) - 1)
    return np.where(bins[place] == wanted, count[place], 0)


def _grow(
    part: Points,
    whole: Index,
    start: tuple[NDArray[np.complex128], NDArray[np.complex128], bool],
    tolerance_um: float,
) -> Candidate | None:
    """Let a few paired corners grow to all points they explain, outwards, refitting on the way."""
    source, target, mirror = start
    similarity = fit_similarity_trimmed(source, target, mirror)
    middle = source.mean()
    from_middle = np.abs(_complex(part) - middle)
    reach = 1.5 * float(np.abs(source - middle).max()) + tolerance_um
    rows, partners = np.zeros(0, np.int64), np.zeros(0, np.int64)
    last = False
    while True:
        inside = np.flatnonzero(from_middle <= reach)
        rows, partners = mutual_pairs(similarity.apply(part[inside]), whole.tree, tolerance_um)
        if len(rows) < max(3, _WORTH * len(inside)):
            return None
        rows = inside[rows]
        similarity = fit_similarity(_complex(part[rows]), _complex(whole.points[partners]), mirror)
        if last:
            left = similarity.apply(part[rows]) - whole.points[partners]
            score = float((1 - (left**2).sum(1) / tolerance_um**2).sum())
            return Candidate(similarity, rows, partners, score)
        last = len(inside) == len(part)
        reach *= 1.5
