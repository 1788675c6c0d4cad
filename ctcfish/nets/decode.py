"""From the network's maps to nuclei: every foreground pixel walks to the centre it points at.

Each step reads offsets within a bounded distance only, so a window of the maps gives a nucleus the same pixels that the
whole gives it, if its centre lies 80 px inside: its pixels came to stand within `_CATCH_PX` of it, so a centre that
might have caught them instead lies within twice that; whether that is a centre depends on votes a peak radius and a
blur away, cast from as far as a pixel can walk.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.measure import label as connected

from ctcfish.nets.architecture import FOREGROUND, OFFSET_UNIT_PX, OFFSET_X, OFFSET_Y

_FIRST_STEP_PX, _NEXT_STEP_PX, _WALKS = 40, 3, 5
_VOTE_SIGMA_PX = 2.0
_PEAK_RADIUS_PX = 4
_CATCH_PX = 8


@dataclass(frozen=True)
class DecodeParams:
    """How maps become nuclei; chosen on held-back training images.

    Attributes
    ----------
    foreground : float
        Probability from which a pixel belongs to a nucleus.
    least_votes : float
        Smoothed votes a centre needs.
    least_area_px, least_score : float
        Nuclei that are smaller, or surer to be nothing (mean foreground probability), are dropped.
    """

    foreground: float = 0.5
    least_votes: float = 0.5
    least_area_px: int = 60
    least_score: float = 0.85


@dataclass(frozen=True)
class Decoded:
    """Nuclei of one window.

    Attributes
    ----------
    labels : ndarray of int32, shape (Y, X)
        1 to n, 0 background.
    centre_px : ndarray of int64, shape (n, 2)
        Row and column of each nucleus's voted centre.
    score : ndarray of float64, shape (n,)
        Mean foreground probability.
    """

    labels: NDArray[np.int32]
    centre_px: NDArray[np.int64]
    score: NDArray[np.float64]


def decode(maps: NDArray[np.float32], params: DecodeParams) -> Decoded:
    """Find the nuclei of a window.

    Parameters
    ----------
    maps : ndarray of float32, shape (outputs, Y, X)
        The network's output: foreground as a logit, offsets in `OFFSET_UNIT_PX`.
    params : DecodeParams
        Thresholds.

    Returns
    -------
    Decoded
        Numbered by centre, row by row; nothing found is no rows.
    """
    shape = maps.shape[1:]
    probability = np.float32(1.0) / (np.float32(1.0) + np.exp(-maps[FOREGROUND]))
    start = np.nonzero(probability > params.foreground)
    stand = _walk(start, maps)
    votes = np.bincount(stand[0] * shape[1] + stand[1], probability[start], minlength=shape[0] * shape[1])
    peaks = _peaks(votes.reshape(shape).astype(np.float32), params)
    centres, nearest, distance = _nearest_peak(peaks)
    labels = np.zeros(shape, np.int32)
    labels[start] = np.where(distance[stand] <= _CATCH_PX, nearest[stand], 0)
    return _keep(_whole_pieces(labels), probability, centres, params)


def _walk(start: tuple[NDArray[np.intp], ...], maps: NDArray[np.float32]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Follow the offsets from each pixel: one long step, then short ones."""
    height, width = maps.shape[1:]
    row, column = start[0], start[1]
    steps = np.rint(maps[[OFFSET_Y, OFFSET_X]] * OFFSET_UNIT_PX).astype(np.int16)
    for walk in range(_WALKS):
        limit = _FIRST_STEP_PX if walk == 0 else _NEXT_STEP_PX
        down, along = (np.clip(steps[axis, row, column], -limit, limit) for axis in (0, 1))
        row, column = np.clip(row + down, 0, height - 1), np.clip(column + along, 0, width - 1)
    return row, column


def _peaks(votes: NDArray[np.float32], params: DecodeParams) -> NDArray[np.bool_]:
    smooth = cv2.GaussianBlur(votes, (0, 0), _VOTE_SIGMA_PX)
    side = 2 * _PEAK_RADIUS_PX + 1
    highest = cv2.dilate(smooth, np.ones((side, side), np.uint8))
    result: NDArray[np.bool_] = (smooth == highest) & (smooth > params.least_votes)
    return result


def _nearest_peak(peaks: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]:
    """Return the centres (row, column), and for each pixel the nearest one's number and distance.

    Peaks that touch, equal in votes, are one centre, at the first of its pixels.
    """
    if not peaks.any():
        return np.empty((0, 2), np.int64), np.zeros(peaks.shape, np.int32), np.full(peaks.shape, np.inf, np.float32)
    distance, nearest = cv2.distanceTransformWithLabels(
        (~peaks).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_CCOMP
    )
    at = np.argwhere(peaks)
    number, first = np.unique(nearest[peaks], return_index=True)
    centres = np.zeros((int(number[-1]), 2), np.int64)
    centres[number - 1] = at[first]
    return centres, nearest.astype(np.int32), distance.astype(np.float32, copy=False)


def _whole_pieces(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    """Keep the largest connected piece of each label."""
    pieces: NDArray[np.int64] = connected(labels, connectivity=1, background=0)  # type: ignore[no-untyped-call]
    area = np.bincount(pieces.ravel())
    first = np.zeros(len(area), np.int64)
    first[pieces.ravel()] = labels.ravel()
    order = np.lexsort((-area, first))
    leads = np.ones(len(order), bool)
    leads[1:] = first[order][1:] != first[order][:-1]
    keep = np.zeros(len(area), bool)
    keep[order[leads]] = True
    keep[0] = False
    return np.where(keep[pieces], labels, 0).astype(np.int32)


def _keep(
    labels: NDArray[np.int32], probability: NDArray[np.float32], centres: NDArray[np.int64], params: DecodeParams
) -> Decoded:
    """Drop what is too small or too unsure, and number the rest anew."""
    flat, number = labels.ravel(), len(centres) + 1
    area = np.bincount(flat, minlength=number)
    score = np.bincount(flat, probability.ravel(), minlength=number) / np.maximum(area, 1)
    good = (area >= params.least_area_px) & (score >= params.least_score)
    good[0] = False
    renumber = np.cumsum(good) * good
    return Decoded(renumber[labels].astype(np.int32), centres[good[1:]], score[good])
