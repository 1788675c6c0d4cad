"""Results against a known truth: signals, nuclei, counts and calls; pure functions of arrays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from ctcfish.errors import StatisticsError

AP_THRESHOLDS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9)
_HALF = 0.5
_SPLIT_PART = 0.1
"""Share of a true nucleus that a piece must hold to count as a piece of it."""


def _ratio(part: float, whole: float) -> float:
    """``part / whole``, NaN where nothing was there to count."""
    return part / whole if whole else float("nan")


@dataclass(frozen=True)
class PointMatch:
    """One-to-one pairs of found and true points.

    Attributes
    ----------
    found, truth : ndarray of int, (M,)
        Rows that belong together, in the order of ``truth``.
    distance : ndarray of float64, (M,)
        Distance of each pair, in units of the radius.
    n_found, n_truth : int
    """

    found: NDArray[np.intp]
    truth: NDArray[np.intp]
    distance: NDArray[np.float64]
    n_found: int
    n_truth: int

    @property
    def precision(self) -> float:
        """Share of the found points that are true."""
        return _ratio(len(self.found), self.n_found)

    @property
    def recall(self) -> float:
        """Share of the true points that were found."""
        return _ratio(len(self.truth), self.n_truth)


def match_points(found_um: ArrayLike, truth_um: ArrayLike, radius_um: float | Sequence[float]) -> PointMatch:
    """Pair found with true points: as many pairs as possible, and among those the least total distance.

    Parameters
    ----------
    found_um, truth_um : array_like, (N, D) and (M, D)
    radius_um : float or sequence of float, (D,)
        Farthest a pair may lie apart; one value per axis makes an ellipsoid.

    Returns
    -------
    PointMatch

    Raises
    ------
    StatisticsError
        Points of unlike dimension, not finite, or a radius that is not positive.

    Examples
    --------
    >>> m = match_points([[0.0, 0.0], [5.0, 5.0]], [[0.0, 0.2]], 0.5)
    >>> m.found.tolist(), m.precision, m.recall
    ([0], 0.5, 1.0)
    """
    found, truth = _points(found_um, "found_um"), _points(truth_um, "truth_um")
    radius = np.asarray(radius_um, dtype=float)
    if not np.all(radius > 0):
        raise StatisticsError(f"radius_um: found {radius_um}, needed a positive length.")
    n, m = len(found), len(truth)
    if n == 0 or m == 0:
        return PointMatch(np.zeros(0, np.intp), np.zeros(0, np.intp), np.zeros(0), n, m)
    if found.shape[1] != truth.shape[1]:
        raise StatisticsError(f"points: found {found.shape[1]} and {truth.shape[1]} axes, needed the same number.")
    near = cKDTree(found / radius).sparse_distance_matrix(cKDTree(truth / radius), 1.0, output_type="ndarray")
    rows, columns, distance = near["i"].astype(np.intp), near["j"].astype(np.intp), near["v"]
    chosen = _assign(rows, columns, distance, (n, m))
    order = chosen[np.argsort(columns[chosen], kind="stable")]
    return PointMatch(rows[order], columns[order], distance[order], n, m)


def _points(values: ArrayLike, name: str) -> NDArray[np.float64]:
    points = np.asarray(values, dtype=float)
    points = points.reshape(len(points), -1) if points.size else np.zeros((0, 1))
    if not np.isfinite(points).all():
        raise StatisticsError(f"{name}: found values that are not finite; drop those rows first.")
    return points


def _assign(
    rows: NDArray[np.intp], columns: NDArray[np.intp], distance: NDArray[np.float64], shape: tuple[int, int]
) -> NDArray[np.intp]:
    """Which of the near pairs are kept; pairs that share no point are settled apart from each other."""
    n = sum(shape)
    graph = coo_matrix((np.ones(len(rows), np.int8), (rows, columns + shape[0])), shape=(n, n))
    _, part = connected_components(graph, directed=False)
    group = part[rows]
    alone = np.bincount(group, minlength=n)[group] == 1
    kept = [np.flatnonzero(alone)]
    crowded = np.flatnonzero(~alone)
    crowded = crowded[np.argsort(group[crowded], kind="stable")]
    for pairs in np.split(crowded, np.flatnonzero(np.diff(group[crowded])) + 1):
        if len(pairs):
            kept.append(_assign_group(pairs, rows, columns, distance))
    return np.concatenate(kept)


def _assign_group(
    pairs: NDArray[np.intp], rows: NDArray[np.intp], columns: NDArray[np.intp], distance: NDArray[np.float64]
) -> NDArray[np.intp]:
    own_rows, r = np.unique(rows[pairs], return_inverse=True)
    own_columns, c = np.unique(columns[pairs], return_inverse=True)
    # a pair too far apart costs more than all near pairs together, so the number of near pairs comes first
    far = float(len(pairs) + 1)
    cost = np.full((len(own_rows), len(own_columns)), far)
    number = np.full(cost.shape, -1, np.intp)
    cost[r, c], number[r, c] = distance[pairs], pairs
    chosen = number[linear_sum_assignment(cost)]
    return np.asarray(chosen[chosen >= 0])


@dataclass(frozen=True)
class NucleiScores:
    """Outlines against true outlines.

    Attributes
    ----------
    thresholds : tuple of float
        Intersection over union.
    true_positive : tuple of int
        Nuclei matched at each threshold.
    n_found, n_truth : int
    splits : int
        True nuclei in pieces: two or more outlines, each mostly inside it and a tenth of its size.
    merges : int
        Outlines that hold most of each of two or more true nuclei.
    """

    thresholds: tuple[float, ...]
    true_positive: tuple[int, ...]
    n_found: int
    n_truth: int
    splits: int
    merges: int

    def ap(self, threshold: float) -> float:
        """Average precision ``TP / (TP + FP + FN)`` at a threshold, as StarDist reports it."""
        matched = self.true_positive[self.thresholds.index(threshold)]
        return _ratio(matched, self.n_found + self.n_truth - matched)

    @property
    def mean_ap(self) -> float:
        """Mean of :meth:`ap` over all thresholds."""
        return float(np.mean([self.ap(t) for t in self.thresholds]))

    @property
    def found_fraction(self) -> float:
        """Share of true nuclei matched at the first threshold."""
        return _ratio(self.true_positive[0], self.n_truth)


def nuclei_scores(
    pred: NDArray[np.integer], truth: NDArray[np.integer], thresholds: Sequence[float] = AP_THRESHOLDS
) -> NucleiScores:
    """Compare two label images.

    Parameters
    ----------
    pred, truth : ndarray of int, (...)
        Label images of one shape; 0 is background.
    thresholds : sequence of float
        Ascending, at least one half, so that no nucleus can match twice.

    Returns
    -------
    NucleiScores

    Raises
    ------
    StatisticsError
        Shapes differ, or a threshold lies under one half.

    Examples
    --------
    >>> truth = np.array([[1, 1, 0, 2, 2, 2]])
    >>> score = nuclei_scores(np.array([[1, 1, 0, 2, 2, 0]]), truth, (0.5, 0.75))
    >>> score.ap(0.5), score.ap(0.75)
    (1.0, 0.3333333333333333)
    """
    if pred.shape != truth.shape:
        raise StatisticsError(f"label images: found shapes {pred.shape} and {truth.shape}, needed one shape.")
    if min(thresholds) < _HALF:
        raise StatisticsError(f"thresholds: found {min(thresholds)}, needed at least {_HALF}.")
    _, p = np.unique(pred, return_inverse=True)
    _, t = np.unique(truth, return_inverse=True)
    p, t = p.ravel() + (0 not in pred), t.ravel() + (0 not in truth)
    width = int(t.max(initial=0)) + 1
    pair, shared = np.unique(p * width + t, return_counts=True)
    area_p, area_t = np.bincount(p)[pair // width], np.bincount(t)[pair % width]
    both = (pair // width > 0) & (pair % width > 0)
    who_p, who_t, shared = (pair // width)[both], (pair % width)[both], shared[both]
    area_p, area_t = area_p[both], area_t[both]
    iou = shared / (area_p + area_t - shared)
    piece = (shared > _HALF * area_p) & (shared >= _SPLIT_PART * area_t)
    swallowed = shared > _HALF * area_t
    return NucleiScores(
        thresholds=tuple(thresholds),
        # above one half a pair is unique; at one half exactly both halves of a nucleus reach it
        true_positive=tuple(min(len(np.unique(who_t[iou >= x])), len(np.unique(who_p[iou >= x]))) for x in thresholds),
        n_found=int(p.max(initial=0)),
        n_truth=int(t.max(initial=0)),
        splits=int((np.bincount(who_t[piece]) >= 2).sum()),
        merges=int((np.bincount(who_p[swallowed]) >= 2).sum()),
    )


def pool_nuclei(scores: Iterable[NucleiScores]) -> NucleiScores:
    """Add up several images' scores of one list of thresholds.

    Raises
    ------
    StatisticsError
        No scores, or unlike thresholds.
    """
    known = list(scores)
    if len({s.thresholds for s in known}) != 1:
        raise StatisticsError(f"scores: found {len(known)} images, needed at least one, all with the same thresholds.")
    hits = np.sum([s.true_positive for s in known], axis=0)
    return NucleiScores(
        known[0].thresholds,
        tuple(int(h) for h in hits),
        sum(s.n_found for s in known),
        sum(s.n_truth for s in known),
        sum(s.splits for s in known),
        sum(s.merges for s in known),
    )


@dataclass(frozen=True)
class CountScores:
    """Counts against true counts.

    Attributes
    ----------
    n : int
    exact, within_one : float
        Shares of the nuclei.
    mean_absolute_error : float
    bias : float
        Sum of the counts over the sum of true counts, less 1.
    """

    n: int
    exact: float
    within_one: float
    mean_absolute_error: float
    bias: float


def count_scores(found: ArrayLike, truth: ArrayLike) -> CountScores:
    """Compare counts of one colour, nucleus by nucleus.

    Raises
    ------
    StatisticsError
        Lengths differ.

    Examples
    --------
    >>> count_scores([2, 2, 5], [2, 3, 4]).exact
    0.3333333333333333
    """
    a, b = _same_length(found, truth)
    n, gap = len(a), np.abs(a - b)
    return CountScores(
        n=n,
        exact=_ratio(float((gap == 0).sum()), n),
        within_one=_ratio(float((gap <= 1).sum()), n),
        mean_absolute_error=_ratio(float(gap.sum()), n),
        bias=_ratio(float(a.sum()), float(b.sum())) - 1.0,
    )


def interval_coverage(low: ArrayLike, high: ArrayLike, truth: ArrayLike) -> float:
    """Share of intervals, ends included, that hold the truth; a missing upper end is no bound.

    Examples
    --------
    >>> interval_coverage([1, 4], [3, float("nan")], [2, 9])
    1.0
    """
    lower, value = _same_length(low, truth)
    upper, _ = _same_length(high, truth)
    held = (lower <= value) & ((value <= upper) | np.isnan(upper))
    return _ratio(float(held.sum()), len(value))


def _same_length(first: ArrayLike, second: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    a, b = np.atleast_1d(np.asarray(first, dtype=float)), np.atleast_1d(np.asarray(second, dtype=float))
    if a.shape != b.shape:
        raise StatisticsError(f"two columns: found {len(a)} and {len(b)} values, needed as many in both.")
    return a, b


@dataclass(frozen=True)
class CallScores:
    """Calls against true calls; cells whose truth is not evaluable are left out.

    Attributes
    ----------
    n_amplified, n_not_amplified : int
        True states.
    detected, missed : int
        Truly amplified cells called amplified, and not amplified.
    false_amplified : int
        Truly not amplified cells called amplified.
    not_evaluable : int
        Cells of either state left without a call.
    """

    n_amplified: int
    n_not_amplified: int
    detected: int
    missed: int
    false_amplified: int
    not_evaluable: int

    @property
    def sensitivity(self) -> float:
        """Detected over called among the truly amplified."""
        return _ratio(self.detected, self.detected + self.missed)

    @property
    def accuracy(self) -> float:
        """Right calls over calls."""
        called = self.n_amplified + self.n_not_amplified - self.not_evaluable
        return _ratio(called - self.missed - self.false_amplified, called)


def call_scores(found: ArrayLike, truth: ArrayLike) -> CallScores:
    """Compare calls ``amplified | not_amplified | not_evaluable``, cell by cell.

    Raises
    ------
    StatisticsError
        Lengths differ, or a call is none of the three.

    Examples
    --------
    >>> call_scores(["amplified", "not_evaluable"], ["not_amplified", "amplified"]).false_amplified
    1
    """
    a, b = np.atleast_1d(np.asarray(found, dtype=object)), np.atleast_1d(np.asarray(truth, dtype=object))
    if a.shape != b.shape:
        raise StatisticsError(f"two columns: found {len(a)} and {len(b)} values, needed as many in both.")
    known = {"amplified", "not_amplified", "not_evaluable"}
    strange = sorted({str(v) for v in [*a.tolist(), *b.tolist()]} - known)
    if strange:
        raise StatisticsError(f"calls: found {strange}, needed {sorted(known)}.")
    yes, no = b == "amplified", b == "not_amplified"
    return CallScores(
        n_amplified=int(yes.sum()),
        n_not_amplified=int(no.sum()),
        detected=int((yes & (a == "amplified")).sum()),
        missed=int((yes & (a == "not_amplified")).sum()),
        false_amplified=int((no & (a == "amplified")).sum()),
        not_evaluable=int(((yes | no) & (a == "not_evaluable")).sum()),
    )
