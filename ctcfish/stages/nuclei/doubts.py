"""Flags of nuclei from what was measured of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ctcfish.flags import CellFlag
from ctcfish.parameters import Segment
from ctcfish.stages.nuclei.measure import IN_FOCUS, Traits
from ctcfish.stages.nuclei.regions import Values
from ctcfish.types import Nuclei

_BORDER_UM = 0.25
_CONTACT_LIGHT = 0.84
_LOBE_LIGHT = 0.95
_STOREY_UM = 1.8
_UNEVEN = 1.42
_UNEVEN_SIGMAS = 4.0
_BROKEN_SOLIDITY = 0.9
_BROKEN_LIGHT = 1.1
_DENSE_LIGHT = 1.35
_CONDENSED_AREA = 0.6


def doubts(nuclei: Nuclei, traits: Traits, params: Segment) -> NDArray[np.int64]:
    """Bits of :class:`~ctcfish.flags.CellFlag` for every nucleus.

    Parameters
    ----------
    nuclei : Nuclei
    traits : Traits
        In the same order.
    params : Segment

    Returns
    -------
    ndarray of int64, (N,)
    """
    box, (rows, columns), area = nuclei.box_px, nuclei.shape_px, nuclei.area_um2
    near = [round(_BORDER_UM / side) for side in nuclei.pixel_um]
    cut = (box[:, 0] <= near[0]) | (box[:, 1] <= near[1])
    cut |= (box[:, 2] >= rows - near[0]) | (box[:, 3] >= columns - near[1])
    found = {
        CellFlag.TRUNCATED: cut,
        CellFlag.TOO_SMALL: ~cut & (area < params.small_area_um2),
        CellFlag.TOO_LARGE: area > params.large_area_um2,
        CellFlag.OUT_OF_FOCUS: traits.focus < IN_FOCUS,
        CellFlag.OVERLAP: _overlapping(traits),
        CellFlag.APOPTOTIC: _apoptotic(area, traits, params),
    }
    flags = np.zeros(len(nuclei), np.int64)
    for flag, where in found.items():
        flags[where] |= int(flag)
    return flags


def _overlapping(traits: Traits) -> NDArray[np.bool_]:
    """Light that adds up along a contact or a neck, two storeys, or one part brighter than this scene's nuclei have it.

    Blur evens out light and storeys, so a nucleus out of focus is judged by its contacts alone.
    """
    if len(traits.focus) == 0:
        return np.zeros(0, bool)
    middle = np.median(traits.unevenness)
    scatter = 1.4826 * np.median(np.abs(traits.unevenness - middle))
    uneven = traits.unevenness > max(_UNEVEN, middle + _UNEVEN_SIGMAS * scatter)
    storeys = np.maximum(traits.spread_um, traits.rise_um) > _STOREY_UM
    result: NDArray[np.bool_] = (traits.contact > _CONTACT_LIGHT) | (traits.lobes > _LOBE_LIGHT)
    result |= (uneven | storeys) & (traits.focus >= IN_FOCUS)
    return result


def _apoptotic(area: Values, traits: Traits, params: Segment) -> NDArray[np.bool_]:
    """Condensed (smaller and brighter than this scene's nuclei) and broken or very small, or mere pieces."""
    if len(area) == 0:
        return np.zeros(0, bool)
    light = traits.brightness / max(float(np.median(traits.brightness)), 1e-9)
    broken = (traits.solidity < _BROKEN_SOLIDITY) & (light > _BROKEN_LIGHT)
    dense = (area < params.small_area_um2) & (light > _DENSE_LIGHT)
    condensed = (area < _CONDENSED_AREA * np.median(area)) & (broken | dense)
    result: NDArray[np.bool_] = condensed | (area < params.min_area_um2)
    return result
