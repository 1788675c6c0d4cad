"""Small operations on label images, over all labels at once."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ctcfish.stages.nuclei.surface import Floats, as_floats

Labels = NDArray[np.int32]
Values = NDArray[np.float64]


def keep(labels: Labels, wanted: NDArray[np.bool_]) -> Labels:
    """Keep some labels and number them from 1 again.

    Parameters
    ----------
    labels : ndarray of int32, (Y, X)
    wanted : ndarray of bool, (highest label + 1,)
        Entry 0 belongs to background and is not looked at.

    Returns
    -------
    ndarray of int32, (Y, X)
    """
    number = np.cumsum(np.append(False, wanted[1:])).astype(np.int32)
    number[1:][~wanted[1:]] = 0
    return number[labels]


@dataclass(frozen=True)
class Proposal:
    """Nuclei as a method proposes them.

    Attributes
    ----------
    labels : ndarray of int32, (Y, X)
        0 is background.
    sure : ndarray of bool, (highest label or more + 1,)
        Whether the method would stand by the label alone; an unsure one is kept where its blur explains the doubt.
    """

    labels: Labels
    sure: NDArray[np.bool_]


@dataclass(frozen=True)
class Surroundings:
    """The ground around labels.

    Attributes
    ----------
    away_px : ndarray of float32, (Y, X)
        Distance to the nearest label; 0 inside, infinite where there is none.
    nearest : ndarray of int32, (Y, X)
        That label.
    """

    away_px: Floats
    nearest: Labels

    def within(self, far_px: float, beyond_px: float = -1.0) -> Labels:
        """Labels widened by a distance, or the rings between two distances; ground of two goes to the nearer."""
        return np.where((self.away_px <= far_px) & (self.away_px > beyond_px), self.nearest, 0).astype(np.int32)


def surroundings(labels: Labels) -> Surroundings:
    """Measure the ground around labels.

    Parameters
    ----------
    labels : ndarray of int32, (Y, X)

    Returns
    -------
    Surroundings
    """
    if not labels.any():
        return Surroundings(np.full(labels.shape, np.inf, np.float32), labels)
    away, source = cv2.distanceTransformWithLabels(
        (labels == 0).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    near = np.asarray(source).reshape(labels.shape)
    number = np.zeros(int(near.max()) + 1, np.int32)
    number[near[labels > 0]] = labels[labels > 0]
    return Surroundings(as_floats(away, labels.shape), number[near])


def quantiles(image: Floats, labels: Labels, count: int, shares: tuple[float, ...]) -> list[Values]:
    """Quantiles of the pixels under each label.

    Parameters
    ----------
    image : ndarray of float32
    labels : ndarray of int32, shape of `image`
    count : int
        Highest label.
    shares : tuple of float

    Returns
    -------
    list of ndarray of float64, (count,)
        One for each share; 0 where a label has no pixel.
    """
    inside = np.flatnonzero(labels)
    if len(inside) == 0:
        return [np.zeros(count) for _ in shares]
    number, value = labels.ravel()[inside], image.ravel()[inside]
    size = np.bincount(number, minlength=count + 1)[1:]
    # One sort of whole numbers: the label above, the bits of the float below, negative ones turned round.
    bits = np.ascontiguousarray(value, np.float32).view(np.int32)
    rank = np.where(bits < 0, bits ^ np.int32(0x7FFFFFFF), bits).astype(np.int64)
    ordered = np.sort((number.astype(np.int64) << 32) + rank)
    lowest = np.cumsum(size) - size
    result = []
    for share in shares:
        place = lowest + ((size - 1) * share).astype(np.intp)
        chosen = ordered[np.minimum(place, len(ordered) - 1)]
        bits = (chosen - (np.arange(1, count + 1, dtype=np.int64) << 32)).astype(np.int32)
        found = np.where(bits < 0, bits ^ np.int32(0x7FFFFFFF), bits).view(np.float32)
        result.append(np.where(size > 0, found, 0.0).astype(np.float64))
    return result
