"""Which nucleus is which cell: the probability of every pair, given that a nucleus is used once and may be missing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

Points = NDArray[np.float64]
Integers = NDArray[np.int64]

_MOVED_SHARE = 0.03
_MOVED_WIDER = 3.0
_MOVED_UM = 1.5
_LEAST_AREA_SPREAD = 0.15
_AREA_SAYS = 8.0
_ROUNDS = 30
_DENSITY_NEIGHBOURS = 8
_SHARE_NEIGHBOURS = 20
_SHARE_PRIOR = 1.5
_SHARE_ROUNDS = 4
_START_SHARE = 0.3


@dataclass(frozen=True)
class Cells:
    """Nuclei of one scan on common coordinates.

    Attributes
    ----------
    place_um : ndarray, (N, 2)
    area_um2 : ndarray, (N,)
    """

    place_um: Points
    area_um2: Points


@dataclass(frozen=True)
class Pairing:
    """Best partner of each cell.

    Attributes
    ----------
    partner : ndarray of int, (N,)
        Row of the other scan; -1 where no nucleus is near.
    distance_um, probability : ndarray, (N,)
        Of that pair; NaN and 0 without one.
    """

    partner: Integers
    distance_um: Points
    probability: Points


@dataclass(frozen=True)
class _Edges:
    here: Integers
    there: Integers
    distance: Points
    area_log: Points
    shapes: tuple[int, int]


def pair(cells: Cells, nuclei: Cells, sigma_um: float, max_um: float) -> Pairing:
    """Marginal probability that a nucleus is the cell, for every pair within reach.

    The likelihood of a pair against "the cell is gone and the nucleus another one" is the density of true
    displacements (two Gaussians, the wider one for cells that moved) and of the change of area, over the density of
    nuclei that belong to no cell here. Exclusion (each nucleus once) by belief propagation for data association
    (Williams and Lau 2014, IEEE Trans. Aerosp. Electron. Syst. 50:2942). The shares of missing cells and of extra
    nuclei are those of the neighbourhood.

    Parameters
    ----------
    cells : Cells
        IF nuclei, moved to the FISH scene.
    nuclei : Cells
        FISH nuclei.
    sigma_um, max_um : float
        Spread of true displacements along an axis; distance beyond which nothing is the same cell.
    """
    n, m = len(cells.place_um), len(nuclei.place_um)
    if not n or not m:
        return Pairing(np.full(n, -1), np.full(n, np.nan), np.zeros(n))
    edges = _edges(cells, nuclei, max_um)
    density = _density(nuclei.place_um)
    likelihood = _likelihood(edges, nuclei.area_um2, sigma_um)
    near_cells, near_nuclei = _neighbours(cells.place_um), _neighbours(nuclei.place_um)
    missing, extra = np.full(n, _START_SHARE), np.full(m, _START_SHARE)
    probability = np.zeros(len(edges.here))
    for _ in range(_SHARE_ROUNDS):
        gone, strange = missing[edges.here], extra[edges.there] * density[edges.there]
        probability = _marginals(edges, likelihood * (1 - gone) / (gone * strange))
        missing = _share_around(1.0 - np.bincount(edges.here, probability, n).astype(np.float64), near_cells)
        extra = _share_around(1.0 - np.bincount(edges.there, probability, m).astype(np.float64), near_nuclei)
    order = np.lexsort((edges.there, -probability, edges.here))
    first = order[np.unique(edges.here[order], return_index=True)[1]]
    partner, distance, best = np.full(n, -1), np.full(n, np.nan), np.zeros(n)
    partner[edges.here[first]] = edges.there[first]
    distance[edges.here[first]] = edges.distance[first]
    best[edges.here[first]] = probability[first]
    return Pairing(partner, distance, best)


def _neighbours(points: Points) -> Integers:
    """Nearest others of each point, without itself."""
    k = min(_SHARE_NEIGHBOURS, len(points) - 1)
    nearest = cKDTree(points).query(points, k + 1)[1].reshape(len(points), -1)
    return np.asarray(nearest[:, 1:], np.int64)


def _share_around(value: Points, near: Integers) -> Points:
    """Mean of the neighbours, drawn to the mean of all: what is common here need not be common everywhere."""
    known = (value[near].sum(1) + _SHARE_PRIOR * value.mean()) / (near.shape[1] + _SHARE_PRIOR)
    return np.asarray(np.clip(known, 0.02, 0.995))


def _edges(cells: Cells, nuclei: Cells, max_um: float) -> _Edges:
    found = cKDTree(cells.place_um).sparse_distance_matrix(cKDTree(nuclei.place_um), max_um, output_type="ndarray")
    found = found[np.lexsort((found["j"], found["i"]))]
    here, there = found["i"].astype(np.int64), found["j"].astype(np.int64)
    area = np.log(np.maximum(nuclei.area_um2[there], 1e-3) / np.maximum(cells.area_um2[here], 1e-3))
    return _Edges(here, there, found["v"], area, (len(cells.place_um), len(nuclei.place_um)))


def _density(points: Points) -> Points:
    k = min(_DENSITY_NEIGHBOURS, len(points) - 1)
    if k < 1:
        return np.full(len(points), 1e-4)
    distance = cKDTree(points).query(points, k + 1)[0][:, -1]
    return np.asarray(np.maximum(k / (np.pi * np.maximum(distance, 1.0) ** 2), 1e-7))


def _likelihood(edges: _Edges, areas: Points, sigma: float) -> Points:
    def gauss(s: float) -> Points:
        return np.asarray(np.exp(-0.5 * (edges.distance / s) ** 2) / (2 * np.pi * s * s))

    place = (1 - _MOVED_SHARE) * gauss(sigma) + _MOVED_SHARE * gauss(max(_MOVED_WIDER * sigma, _MOVED_UM))
    close = edges.area_log[edges.distance <= 2 * sigma]
    if len(close) < 20:
        return place
    shift = float(np.median(close))
    spread = max(1.4826 * float(np.median(np.abs(close - shift))), _LEAST_AREA_SPREAD)
    logs = np.log(np.maximum(areas, 1e-3))
    middle = float(np.median(logs))
    width = max(1.4826 * float(np.median(np.abs(logs - middle))), _LEAST_AREA_SPREAD)
    same = _student(edges.area_log, shift, spread)
    other = _student(logs[edges.there], middle, width)
    return np.asarray(place * np.clip(same / other, 1 / _AREA_SAYS, _AREA_SAYS))


def _student(value: Points, location: float, scale: float) -> Points:
    """Student density of 4 degrees of freedom: 3/8 (1 + z^2/4)^(-5/2) / scale."""
    return np.asarray(0.375 * (1 + ((value - location) / scale) ** 2 / 4) ** -2.5 / scale)


def _marginals(edges: _Edges, odds: Points) -> Points:
    n, m = edges.shapes
    back = np.ones(len(odds))
    for _ in range(_ROUNDS):
        weighted = odds * back
        forth = odds / (1 + np.bincount(edges.here, weighted, n)[edges.here] - weighted)
        back = 1 / (1 + np.bincount(edges.there, forth, m)[edges.there] - forth)
    weighted = odds * back
    return np.asarray(weighted / (1 + np.bincount(edges.here, weighted, n)[edges.here]))
