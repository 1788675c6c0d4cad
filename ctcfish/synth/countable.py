"""What a perfect reader would count: true copies seen through the counting rules."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

DIAMETER_PER_FWHM = 1.6
"""One signal diameter as a multiple of the width at half height of isolated signals."""
LIKE_SIZE = 3.0
"""Brightness ratio up to which two signals are of like size."""
_CLUSTER = 3


@dataclass(frozen=True)
class Reading:
    """How one colour of one nucleus is read.

    Attributes
    ----------
    count : int
    cluster : ndarray of int32, (N,)
        Number of the cluster each signal lies in, from 1; 0 for none.
    doublet : ndarray of bool, (N,)
        The fainter of a pair that counts as one.
    """

    count: int
    cluster: NDArray[np.int32]
    doublet: NDArray[np.bool_]


def read_signals(yx_um: NDArray[np.float64], photons: NDArray[np.float64], fwhm_um: float) -> Reading:
    """Count signals of one colour in one nucleus under perfect optics.

    Signals that lie closer than a width at half height in projection are not resolved; three or more so linked are a
    cluster, whose estimate is the number of its members. Of the others the brightest first is kept, and one of like
    size within a signal diameter of a kept one is its doublet; so is one of any size that is not resolved from it.

    Parameters
    ----------
    yx_um : ndarray, (N, 2)
    photons : ndarray, (N,)
    fwhm_um : float
        Width at half height of an isolated signal.
    """
    n = len(yx_um)
    if n == 0:
        return Reading(0, np.zeros(0, np.int32), np.zeros(0, bool))
    pairs = cKDTree(yx_um).query_pairs(fwhm_um, output_type="ndarray")
    graph = coo_matrix((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    _, part = connected_components(graph, directed=False)
    large = np.bincount(part) >= _CLUSTER
    cluster = (np.cumsum(large) * large)[part].astype(np.int32)
    doublet = np.zeros(n, bool)
    single = np.flatnonzero(cluster == 0)
    apart = cdist(yx_um, yx_um)
    unresolved, near = apart < fwhm_um, apart < DIAMETER_PER_FWHM * fwhm_um
    kept: list[int] = []
    for i in single[np.argsort(-photons[single], kind="stable")].tolist():
        doublet[i] = any(unresolved[i, j] or (near[i, j] and photons[j] <= LIKE_SIZE * photons[i]) for j in kept)
        if not doublet[i]:
            kept.append(i)
    return Reading(n - int(doublet.sum()), cluster, doublet)
