"""Why a detected signal does not count: the other dye's light, granules, hot pixels, broad objects."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ctcfish.flags import SpotFlag
from ctcfish.parameters import Detect
from ctcfish.stages.signals.colours import DIRECTIONS
from ctcfish.stages.signals.probe import Signals
from ctcfish.types import Probe, ProbeModel, SlideModel

REJECTING = SpotFlag.CROSSTALK | SpotFlag.BROAD | SpotFlag.HOT_PIXEL | SpotFlag.BOTH_COLOURS
_TOGETHER_UM = 0.35
_SMOOTH_UM = 0.15  # a broad object is located less well
_LEAK_MARGIN = 2.0
_HALF = 0.5


def colour_flags(found: Mapping[Probe, Signals], model: SlideModel, params: Detect) -> dict[Probe, NDArray[np.int64]]:
    """Flags that need both colours.

    A signal is crosstalk where the other colour's signal at its place, times the slide's leak, explains its light
    within a factor of two. Two objects at one place, alike in brightness and broader than signals, are one granule.

    Parameters
    ----------
    found : mapping of Probe to Signals
    model : SlideModel
    params : Detect

    Returns
    -------
    mapping of Probe to ndarray of int64
    """
    bits = {probe: np.zeros(len(signals.photons), np.int64) for probe, signals in found.items()}
    if len(found) < 2 or any(len(s.photons) == 0 for s in found.values()):
        return bits
    shift = np.array(model.chromatic_shift_um)
    place = {p: s.position_um[:, 1:] + (shift[1:] if p == "CEP17" else 0.0) for p, s in found.items()}
    for probe, other in DIRECTIONS:
        own, theirs = found[probe], found[other]
        distance, partner = cKDTree(place[other]).query(place[probe])
        close = distance < _TOGETHER_UM
        leak = model.crosstalk.get(f"{other}>{probe}", 0.0)
        explained = own.photons < _LEAK_MARGIN * leak * theirs.photons[partner]
        bits[probe][close & explained] |= int(SpotFlag.CROSSTALK)
        alike = np.abs(np.log(own.photons / theirs.photons[partner])) < np.log(params.granule_ratio)
        broader = _widths(own, model.probes[probe]) * _widths(theirs, model.probes[other])[partner]
        ordinary = theirs.photons[partner] > _HALF * model.probes[other].photons_median
        smooth = (((own.flags | theirs.flags[partner]) & int(SpotFlag.BROAD)) != 0) & ordinary
        reach = params.granule_um + np.where(smooth, _SMOOTH_UM, 0.0)
        same = (distance < reach) & alike & (broader > params.granule_width**2)
        bits[probe][same] |= int(SpotFlag.BOTH_COLOURS)
    return bits


def _widths(signals: Signals, slide: ProbeModel) -> NDArray[np.float64]:
    return signals.sigma_um / slide.sigma_xy_um
