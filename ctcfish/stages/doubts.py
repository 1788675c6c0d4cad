"""Flags of nuclei from what was measured of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ctcfish.flags import CellFlag
from ctcfish.parameters import Segment
from ctcfish.stages.measure import Traits
from ctcfish.stages.regions import Values
from ctcfish.types import Nuclei

_SHARP_EDGE_UM = 0.65
_BLURRED_EDGE_UM = 0.95
_CONTACT_LIGHT = 0.9
_LOBE_LIGHT = 0.95
_UNEVEN = 1.8
_BROKEN_SOLIDITY = 0.9
_CONDENSED_LIGHT = 1.25
_CONDENSED_AREA = 0.6


def focus_score(traits: Traits) -> Values:
    """Sharpness of the border: 1 in focus, (0.65 um / blur)^2 beyond."""
    return np.minimum(1.0, (_SHARP_EDGE_UM / np.maximum(traits.edge_um, 1e-9)) ** 2)


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
    cut = (box[:, 0] == 0) | (box[:, 1] == 0) | (box[:, 2] == rows) | (box[:, 3] == columns)
    found = {
        CellFlag.TRUNCATED: cut,
        CellFlag.TOO_SMALL: ~cut & (area < params.small_area_um2),
        CellFlag.TOO_LARGE: area > params.large_area_um2,
        CellFlag.OUT_OF_FOCUS: traits.edge_um > _BLURRED_EDGE_UM,
        CellFlag.OVERLAP: _overlapping(traits),
        CellFlag.APOPTOTIC: _apoptotic(area, traits),
    }
    flags = np.zeros(len(nuclei), np.int64)
    for flag, where in found.items():
        flags[where] |= int(flag)
    return flags


def _overlapping(traits: Traits) -> NDArray[np.bool_]:
    lit = (traits.contact > _CONTACT_LIGHT) | (traits.lobes > _LOBE_LIGHT)
    result: NDArray[np.bool_] = lit | (traits.unevenness > _UNEVEN)
    return result


def _apoptotic(area: Values, traits: Traits) -> NDArray[np.bool_]:
    """Condensed (smaller and brighter than this scene's nuclei) and of broken outline."""
    if len(area) == 0:
        return np.zeros(0, bool)
    condensed = (area < _CONDENSED_AREA * np.median(area)) & (
        traits.brightness > _CONDENSED_LIGHT * np.median(traits.brightness)
    )
    result: NDArray[np.bool_] = condensed & (traits.solidity < _BROKEN_SOLIDITY)
    return result
