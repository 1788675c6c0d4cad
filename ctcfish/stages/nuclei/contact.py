"""Overlap told from touching: where one nucleus lies on another, the light of both adds up along their contact."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ctcfish.stages.nuclei.regions import Labels, Surroundings, Values, quantiles
from ctcfish.stages.nuclei.surface import Floats, as_floats, gaussian
from ctcfish.stages.nuclei.watersheds import split

_BRIDGE_UM = 0.6
_SMOOTH_UM = 0.4
_MIN_CONTACT_UM = 1.6
_LOBE_DEPTH_UM = 0.12


def contacts(signal: Floats, labels: Labels, around: Surroundings, pixel_um: float) -> tuple[NDArray[np.intp], Values]:
    """Nuclei in contact, and the brightness along their contact over the mean of their own brightness.

    Nuclei that touch thin out towards their rims and leave a valley (0.5 to 0.8 in simulated pairs); where they overlap
    both shine (0.9 to 2.0).

    Parameters
    ----------
    signal : ndarray of float32, (Y, X)
        Above the background.
    labels : ndarray of int32, (Y, X)
        Consecutive from 1.
    around : Surroundings
        Of the labels.
    pixel_um : float

    Returns
    -------
    pairs : ndarray of int, (P, 2)
        Labels, the lower first.
    light : ndarray of float64, (P,)
    """
    smooth = gaussian(signal, _SMOOTH_UM / pixel_um)
    return _along_contacts(smooth, around.within(_BRIDGE_UM / pixel_um), labels, pixel_um)


def highest(pairs: NDArray[np.intp], values: Values, count: int) -> Values:
    """Highest of the values of the pairs that each label takes part in; 0 without pair."""
    result = np.zeros(count + 1)
    np.maximum.at(result, pairs[:, 0], values)
    np.maximum.at(result, pairs[:, 1], values)
    return result[1:]


def lobe_light(signal: Floats, labels: Labels, lobed: NDArray[np.bool_], pixel_um: float) -> Values:
    """The same inside one outline: along the necks between its lobes.

    Parameters
    ----------
    signal : ndarray of float32, (Y, X)
    labels : ndarray of int32, (Y, X)
    lobed : ndarray of bool, (N,)
        Outlines worth looking at.
    pixel_um : float

    Returns
    -------
    ndarray of float64, (N,)
        Highest value over the necks of each outline; 0 for an outline of one lobe.
    """
    count = int(labels.max(initial=0))
    apart = np.where(np.append(False, lobed)[labels], labels, 0)
    for one, two in (np.s_[:-1], np.s_[1:]), (np.s_[:, :-1], np.s_[:, 1:]):
        apart[one][(apart[one] != apart[two]) & (apart[two] > 0)] = 0
    if not apart.any():
        return np.zeros(count)
    depth = cv2.distanceTransform((apart > 0).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    smooth_depth = gaussian(as_floats(depth, labels.shape), _SMOOTH_UM / pixel_um) * np.float32(pixel_um)
    lobes = split(smooth_depth, apart > 0, _LOBE_DEPTH_UM)
    owner = np.zeros(int(lobes.max(initial=0)) + 1, np.int32)
    owner[lobes[apart > 0]] = labels[apart > 0]
    smooth = gaussian(signal, _SMOOTH_UM / pixel_um)
    pairs, ratio = _along_contacts(smooth, lobes, lobes, pixel_um)
    same = owner[pairs[:, 0]] == owner[pairs[:, 1]]
    result = np.zeros(count + 1)
    np.maximum.at(result, owner[pairs[same, 0]], ratio[same])
    return result[1:]


def _along_contacts(smooth: Floats, wide: Labels, labels: Labels, pixel_um: float) -> tuple[NDArray[np.intp], Values]:
    """Pairs of labels with a contact of some length, ``(P, 2)``, and the contact's light over the pair's own."""
    middle = np.append(0.0, quantiles(smooth, labels, int(labels.max(initial=0)), (0.5,))[0])
    first, second, light = [], [], []
    for one, two in (np.s_[:-1], np.s_[1:]), (np.s_[:, :-1], np.s_[:, 1:]):
        a, b = wide[one], wide[two]
        meet = (a != b) & (a > 0) & (b > 0)
        first.append(np.minimum(a[meet], b[meet]))
        second.append(np.maximum(a[meet], b[meet]))
        light.append(0.5 * (smooth[one][meet] + smooth[two][meet]))
    code = np.concatenate(first).astype(np.int64) * len(middle) + np.concatenate(second)
    known, number = np.unique(code, return_inverse=True)
    pairs = np.stack([known // len(middle), known % len(middle)], axis=1).astype(np.intp)
    numbers = (number + 1).astype(np.int32)
    along = quantiles(np.concatenate(light), numbers, len(known), (0.5,))[0]
    length = np.bincount(number, minlength=len(known)) * pixel_um
    ratio = along / np.maximum(middle[pairs].mean(axis=1), 1e-9)
    long = length >= _MIN_CONTACT_UM
    return pairs[long], ratio[long]
