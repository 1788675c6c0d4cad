"""Granules: what shines alike in both colours at one place is autofluorescence, not two signals.

A granule has a broad emission, so it lies at one place in both channels and is about as bright in both. A HER2 signal
lies on a CEP17 signal by chance alone: the two loci of a chromosome are about a micrometre apart. The odds of the two
are told by place, brightness and width, which is that of one body; they are told before crowds are resolved, because
the image of a bright granule is that of no number of signals.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ctcfish.parameters import Detect
from ctcfish.types import PROBES, Probe, SlideModel

_REACH_UM = 0.4
_ALONE = 4.5  # widths of a signal within which a granule is the brightest
_BESIDE_BRIGHTER = 10.0  # odds asked where either has a brighter neighbour, which may hold it up or draw it aside
_PLACE_UM, _DEPTH_UM = 0.035, 0.1  # errors of the distance between both fits
_FAR_UM, _FAR_DEPTH_UM = 0.8, 0.6  # spread of a HER2 locus around its centromere
_SIGNAL_WIDTH, _SIGNAL_WIDTH_SD = 0.15, 0.12  # logarithm, over the slide's width, of both colours' mean
_GRANULE_WIDTH, _GRANULE_WIDTH_SD = 0.25, 0.25
_ONE_BODY, _ONE_BODY_SD = -0.12, 0.17  # logarithm of HER2's width over CEP17's: a granule has one size
_TWO_LOCI, _TWO_LOCI_SD = -0.03, 0.19  # likewise, over that of the slide's widths: loci have sizes of their own
_GRANULE_LIGHT, _GRANULE_LIGHT_SD = 0.4, 0.6  # logarithm over the slide's median, of both colours' mean
ALIKE_SD = 0.3  # logarithm of the ratio of both colours
_UNLIKE = 1.5  # of it: a colour so much fainter is leak or none; both normal laws are far beyond what they know of


@dataclass(frozen=True)
class Objects:
    """Bright objects of one probe, N rows, before crowds are resolved.

    Attributes
    ----------
    position_um : ndarray, (N, 3)
        In the channel's own coordinates.
    photons : ndarray, (N,)
    width_um : ndarray, (N,)
    """

    position_um: NDArray[np.float64]
    photons: NDArray[np.float64]
    width_um: NDArray[np.float64]


def granules(
    objects: Mapping[Probe, Objects], axes: int, model: SlideModel, params: Detect
) -> dict[Probe, NDArray[np.bool_]]:
    """Tell granules among the objects of both colours.

    Parameters
    ----------
    objects : mapping of Probe to Objects
    axes : int
        2 in a single plane, where depth says nothing; 3 in a stack.
    model : SlideModel
        Widths, brightness and chromatic shift of the slide.
    params : Detect
        ``granule_odds``: granules in a nucleus to one pair of signals.

    Returns
    -------
    mapping of Probe to ndarray of bool, (N,)
        Two objects, nearest to each other, whose odds to be one granule exceed one.
    """
    told = {probe: np.zeros(len(own.photons), bool) for probe, own in objects.items()}
    if len(objects) < 2 or any(not len(own.photons) for own in objects.values()):
        return told
    her2, cep17 = objects["HER2"], objects["CEP17"]
    place = cep17.position_um + np.array(model.chromatic_shift_um)
    forth, partner = cKDTree(place[:, 1:]).query(her2.position_um[:, 1:])
    back = cKDTree(her2.position_um[:, 1:]).query(place[:, 1:])[1]
    first = np.flatnonzero((forth < _REACH_UM) & (back[partner] == np.arange(len(partner))))
    second = partner[first]
    offset = (her2.position_um[first] - place[second])[:, 3 - axes :]
    odds = params.granule_odds * np.exp(_place_term(offset) + _look_term((her2, first), (cep17, second), model))
    leading = leads(her2, model.probes["HER2"].sigma_xy_um)[first]
    leading &= leads(cep17, model.probes["CEP17"].sigma_xy_um)[second]
    same = odds > np.where(leading, 1.0, _BESIDE_BRIGHTER)
    told["HER2"][first[same]] = True
    told["CEP17"][second[same]] = True
    return told


def _place_term(offset_um: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log-density of the offset (M, 2 or 3) for one object, less that for two loci."""
    error = np.array([_DEPTH_UM, _PLACE_UM, _PLACE_UM])[-offset_um.shape[1] :]
    apart = np.array([_FAR_DEPTH_UM, _FAR_UM, _FAR_UM])[-offset_um.shape[1] :]
    one = -0.5 * (offset_um / error) ** 2 - np.log(error)
    two = -0.5 * (offset_um / apart) ** 2 - np.log(apart)
    return np.asarray((one - two).sum(1))


def _look_term(
    her2: tuple[Objects, NDArray[np.intp]], cep17: tuple[Objects, NDArray[np.intp]], model: SlideModel
) -> NDArray[np.float64]:
    """Log-density of brightness and width of both for one granule, less that for two signals.

    Each colour's light is less what leaks into it from the other: a ghost has none of its own.
    """
    photons, width = [], []
    for probe, (own, rows) in zip(PROBES, (her2, cep17), strict=True):
        wide = own.width_um[rows] / model.probes[probe].sigma_xy_um
        photons.append(own.photons[rows] * (1 + wide**2) / 2)  # a Gaussian of the slide's width catches less of a wider
        width.append(np.log(wide))
    net = (
        photons[0] - model.crosstalk.get("CEP17>HER2", 0.0) * photons[1],
        photons[1] - model.crosstalk.get("HER2>CEP17", 0.0) * photons[0],
    )
    light = [np.log(np.maximum(n, 1.0) / model.probes[p].photons_median) for p, n in zip(PROBES, net, strict=True)]
    mean, ratio = (light[0] + light[1]) / 2, light[0] - light[1]
    broad, apart = (width[0] + width[1]) / 2, width[0] - width[1]
    usual = math.log(model.probes["HER2"].sigma_xy_um / model.probes["CEP17"].sigma_xy_um)
    either = math.hypot(*(model.probes[probe].photons_log_sd for probe in PROBES))
    odds = (
        _normal(mean, _GRANULE_LIGHT, _GRANULE_LIGHT_SD)
        - _normal(mean, 0.0, either / 2)
        + _normal(ratio, 0.0, ALIKE_SD)
        - _normal(ratio, 0.0, either)
        + _normal(broad, _GRANULE_WIDTH, _GRANULE_WIDTH_SD)
        - _normal(broad, _SIGNAL_WIDTH, _SIGNAL_WIDTH_SD)
        + _normal(apart + usual, _ONE_BODY, _ONE_BODY_SD)
        - _normal(apart, _TWO_LOCI, _TWO_LOCI_SD)
    )
    return np.where(np.abs(ratio) < _UNLIKE, odds, -np.inf)


def _normal(value: NDArray[np.float64], mean: float, sd: float) -> NDArray[np.float64]:
    return np.asarray(-0.5 * ((value - mean) / sd) ** 2 - np.log(sd))


def leads(own: Objects, sigma_um: float) -> NDArray[np.bool_]:
    """Whether no object close by is brighter."""
    pairs = cKDTree(own.position_um[:, 1:]).query_pairs(_ALONE * sigma_um, output_type="ndarray")
    leads = np.ones(len(own.photons), bool)
    for a, b in ((0, 1), (1, 0)):
        leads[pairs[own.photons[pairs[:, b]] > own.photons[pairs[:, a]], a]] = False
    return leads
