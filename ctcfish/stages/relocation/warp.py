"""Transforms of points: similarity, low-order polynomial, and a smooth local correction on top."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

Points = NDArray[np.float64]
Complex = NDArray[np.complex128]
Integers = NDArray[np.int64]

_NEIGHBOURS = 24
_SHRINK = 3.0
_DEGREES = ((1000, 10), (200, 6), (40, 3))


@dataclass(frozen=True)
class Similarity:
    """Turn, mirror, scale and shift: ``w = a z + b``, or ``w = a conj(z) + b`` where mirrored, with ``z = y + i x``."""

    a: complex
    b: complex
    mirrored: bool

    def apply(self, points: Points) -> Points:
        """Move points ``(N, 2)``."""
        z = points[:, 0] + 1j * points[:, 1]
        w = self.a * (z.conj() if self.mirrored else z) + self.b
        return np.stack([w.real, w.imag], axis=1)

    def move(self, place: complex) -> complex:
        """Move one point ``y + i x``."""
        return self.a * (place.conjugate() if self.mirrored else place) + self.b

    def inverse(self) -> Similarity:
        """The way back."""
        a = 1 / self.a
        return (
            Similarity(a.conjugate(), -(self.b / self.a).conjugate(), True)
            if self.mirrored
            else Similarity(a, -a * self.b, False)
        )

    @property
    def scale(self) -> float:
        """Length there over length here."""
        return abs(self.a)

    @property
    def rotation_deg(self) -> float:
        """Angle from the y towards the x axis, after the mirror if there is one."""
        return float(np.degrees(np.angle(self.a)))

    def matrix(self) -> list[list[float]]:
        """Matrix 2x3 that acts on ``(y, x, 1)``."""
        p, q, s = self.a.real, self.a.imag, -1.0 if self.mirrored else 1.0
        return [[p, -s * q, self.b.real], [q, s * p, self.b.imag]]


def fit_similarity(source: Complex, target: Complex, mirrored: bool) -> Similarity:
    """Least squares (Umeyama 1991, in complex numbers).

    Parameters
    ----------
    source, target : ndarray of complex, (M,)
        Paired points as ``y + i x``.
    mirrored : bool
    """
    z = source.conj() if mirrored else source
    n = len(z)
    centre, goal = complex(z.sum()) / n, complex(target.sum()) / n
    d = z - centre
    a = complex(np.vdot(d, target - goal)) / max(float(np.vdot(d, d).real), 1e-12)
    return Similarity(a, goal - a * centre, mirrored)


def fit_similarity_trimmed(source: Complex, target: Complex, mirrored: bool) -> Similarity:
    """Least squares, twice refitted without the pairs that fit worst."""
    z = source.conj() if mirrored else source
    found = fit_similarity(source, target, mirrored)
    for _ in range(2):
        error = np.abs(found.a * z + found.b - target)
        keep = error <= 2.5 * np.median(error) + 1e-9
        found = fit_similarity(source[keep], target[keep], mirrored)
    return found


def mutual_pairs(points: Points, tree: cKDTree, tolerance_um: float) -> tuple[Integers, Integers]:
    """Rows of the points and of the tree that are each other's nearest within a distance."""
    distance, partner = tree.query(points, distance_upper_bound=tolerance_um)
    rows = np.flatnonzero(np.isfinite(distance))
    order = rows[np.argsort(distance[rows], kind="stable")]
    _, first = np.unique(partner[order], return_index=True)
    kept = np.sort(order[first])
    return kept.astype(np.int64), partner[kept].astype(np.int64)


@dataclass(frozen=True)
class Warp:
    """A similarity with a polynomial and a smooth local correction of what it leaves.

    Attributes
    ----------
    similarity : Similarity
    centre_um, reach_um : ndarray (2,), float
        Where and over what distance the polynomial's coordinates are scaled.
    coefficients : ndarray, (terms, 2)
        Polynomial correction, um.
    anchor_um : ndarray, (M, 2)
        Source points of the pairs the correction rests on.
    residual_um : ndarray, (M, 2)
        What similarity and polynomial leave of them.
    """

    similarity: Similarity
    centre_um: Points
    reach_um: float
    coefficients: Points
    anchor_um: Points
    residual_um: Points

    def apply(self, points: Points, leave_out: Integers | None = None) -> Points:
        """Move points.

        Parameters
        ----------
        points : ndarray, (N, 2)
        leave_out : ndarray of int, (N,), optional
            Row of the anchor that must not correct this point (itself); -1 for none.
        """
        moved = self.smooth(points)
        if not len(self.anchor_um):
            return moved
        k = min(_NEIGHBOURS, len(self.anchor_um))
        distance, near = cKDTree(self.anchor_um).query(points, k)
        distance, near = distance.reshape(len(points), k), near.reshape(len(points), k)
        width = np.maximum(distance[:, -1:], 1e-6)
        weight = np.exp(-0.5 * (2 * distance / width) ** 2)
        if leave_out is not None:
            weight[near == leave_out[:, None]] = 0.0
        shift: Points = (weight[..., None] * self.residual_um[near]).sum(1)
        return np.asarray(moved + shift / (weight.sum(1) + _SHRINK)[:, None])

    def smooth(self, points: Points) -> Points:
        """Move points by similarity and polynomial alone."""
        moved = self.similarity.apply(points)
        if not len(self.coefficients):
            return moved
        correction: Points = (
            _terms((points - self.centre_um) / self.reach_um, len(self.coefficients)) @ self.coefficients
        )
        return np.asarray(moved + correction)


def _terms(unit: Points, count: int) -> Points:
    y, x = unit[:, 0], unit[:, 1]
    every = [np.ones_like(y), y, x, y * y, y * x, x * x, y**3, y * y * x, y * x * x, x**3]
    return np.stack(every[:count], axis=1)


def _length(vectors: Points) -> Points:
    return np.asarray(np.hypot(vectors[:, 0], vectors[:, 1]))


def fit_warp(source: Points, target: Points, mirrored: bool) -> Warp:
    """Fit the transform to pairs; its freedom grows with their number.

    Parameters
    ----------
    source, target : ndarray, (M, 2)
    mirrored : bool
    """
    similarity = fit_similarity_trimmed(source[:, 0] + 1j * source[:, 1], target[:, 0] + 1j * target[:, 1], mirrored)
    centre = source.mean(0)
    reach = max(float(np.abs(source - centre).max()), 1e-6)
    left: Points = target - similarity.apply(source)
    terms = next((t for least, t in _DEGREES if len(source) >= least), 0)
    coefficients: Points = np.zeros((0, 2))
    if terms:
        design = _terms((source - centre) / reach, terms)
        keep = np.ones(len(source), bool)
        for _ in range(3):
            coefficients = np.asarray(np.linalg.lstsq(design[keep], left[keep], rcond=None)[0], np.float64)
            error = _length(left - design @ coefficients)
            keep = error <= 2.5 * np.median(error) + 1e-9
        left = left - np.asarray(design @ coefficients)
    return Warp(similarity, centre, reach, coefficients, source, left)
