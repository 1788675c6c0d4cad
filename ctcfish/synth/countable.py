"""What a perfect reader would count: true copies seen through the counting rules."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree


@dataclass(frozen=True)
class Reading:
    """How one colour of one nucleus is read.

    Attributes
    ----------
    count : int
    cluster : ndarray of int32, (N,)
        Number of the cluster (three or more linked signals) each signal lies in, from 1; 0 for none.
    doublet : ndarray of bool, (N,)
        The fainter of a pair that counts as one.
    """

    count: int
    cluster: NDArray[np.int32]
    doublet: NDArray[np.bool_]


def read_signals(yx_um: NDArray[np.float64], photons: NDArray[np.float64], diameter_um: float) -> Reading:
    """Count signals of one colour in one nucleus under perfect optics.

    Signals whose centres lie closer than a diameter in projection are linked. A linked pair counts as one; three or
    more linked ones are a cluster, whose estimate is the number of its members.

    Parameters
    ----------
    yx_um : ndarray, (N, 2)
    photons : ndarray, (N,)
    diameter_um : float
        One signal diameter.
    """
    n = len(yx_um)
    if n == 0:
        return Reading(0, np.zeros(0, np.int32), np.zeros(0, bool))
    pairs = cKDTree(yx_um).query_pairs(diameter_um, output_type="ndarray")
    graph = coo_matrix((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    _, part = connected_components(graph, directed=False)
    size = np.bincount(part)
    numbers = np.cumsum(size >= 3) * (size >= 3)
    doublet = np.zeros(n, bool)
    for first, second in pairs:
        if size[part[first]] == 2:
            doublet[first if photons[first] < photons[second] else second] = True
    return Reading(n - int(doublet.sum()), numbers[part].astype(np.int32), doublet)
