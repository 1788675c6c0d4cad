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
_SAME_Z_UM = 0.25  # one object's places in two colours along z, up to which it is one
_SMOOTH = 2.5  # a broad object is located so many times less well
_LEAK_ERROR = 0.2  # of the light of a ghost: the leak's, the widths' and the places'
_LEAK_SIGMAS = 2.0
_LEAK_SHARE = 0.3  # of a signal's light: less of it being the other dye's makes no ghost
_REACH = 3.0  # widths at which a signal's light ends
_HALF = 0.5


def colour_flags(found: Mapping[Probe, Signals], model: SlideModel, params: Detect) -> dict[Probe, NDArray[np.int64]]:
    """Flags that need both colours.

    A signal is crosstalk where the light of all the other colour's signals about its place, times the slide's leak,
    explains its own but for the errors of both: what stays of a signal on another is a signal. Two objects at one
    place in all three directions, alike in brightness and broader than signals, are one granule.

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
    place = {p: s.position_um + (shift if p == "CEP17" else 0.0) for p, s in found.items()}
    net = {}
    for probe, other in DIRECTIONS:
        own = found[probe]
        leak = model.crosstalk.get(f"{other}>{probe}", 0.0)
        lent = leak * _light_at(place[probe], place[other], found[other], (model.probes[probe], model.probes[other]))
        noise = np.hypot(own.photons / np.maximum(own.snr, 1.0), _LEAK_ERROR * lent)
        ghost = (own.photons - lent < _LEAK_SIGMAS * noise) & (lent > _LEAK_SHARE * own.photons)
        bits[probe][ghost] |= int(SpotFlag.CROSSTALK)
        net[probe] = np.where(ghost, 0.0, np.maximum(own.photons - lent, 0.0))
    for pair in DIRECTIONS:
        granule = _granules(
            (place[pair[0]], place[pair[1]]), (net[pair[0]], net[pair[1]]), pair, (found, model, params)
        )
        bits[pair[0]][granule] |= int(SpotFlag.BOTH_COLOURS)
    return bits


def _light_at(
    place_um: NDArray[np.float64],
    source_um: NDArray[np.float64],
    sources: Signals,
    widths: tuple[ProbeModel, ProbeModel],
) -> NDArray[np.float64]:
    """Photons that a signal fitted at each place would find of all sources, ``(N,)``.

    A source off by d adds ``exp(-d² / 2 (s² + t²))`` of its light, s and t being the widths of both.
    """
    scale = np.sqrt(sum(np.array([w.sigma_z_um, w.sigma_xy_um, w.sigma_xy_um]) ** 2 for w in widths))
    bright = np.flatnonzero((sources.flags & int(SpotFlag.HOT_PIXEL)) == 0)
    near = cKDTree(source_um[bright] / scale).query_ball_point(place_um / scale, _REACH)
    row = np.repeat(np.arange(len(place_um)), [len(n) for n in near])
    source = bright[np.array([k for n in near for k in n], int)]
    square = (((place_um[row] - source_um[source]) / scale) ** 2).sum(1)
    return np.asarray(np.bincount(row, np.exp(-0.5 * square) * sources.photons[source], len(place_um)), np.float64)


def _granules(
    place_um: tuple[NDArray[np.float64], NDArray[np.float64]],
    photons: tuple[NDArray[np.float64], NDArray[np.float64]],
    probes: tuple[Probe, Probe],
    given: tuple[Mapping[Probe, Signals], SlideModel, Detect],
) -> NDArray[np.bool_]:
    """Objects of the first probe that are one with an object of the second: a granule. Photons are less the leak's."""
    found, model, params = given
    own, theirs = found[probes[0]], found[probes[1]]
    reach = np.array([_SAME_Z_UM, params.granule_um, params.granule_um])
    distance, partner = cKDTree(place_um[1] / reach).query(place_um[0] / reach)
    light, other = photons[0], photons[1][partner]
    alike = (np.maximum(light, other) < params.granule_ratio * np.minimum(light, other)) & (light > 0.0)
    broader = _widths(own, model.probes[probes[0]]) * _widths(theirs, model.probes[probes[1]])[partner]
    ordinary = other > _HALF * model.probes[probes[1]].photons_median
    smooth = (((own.flags | theirs.flags[partner]) & int(SpotFlag.BROAD)) != 0) & ordinary
    same = distance < np.where(smooth, _SMOOTH, 1.0)
    return np.asarray(same & alike & (broader > params.granule_width**2))


def _widths(signals: Signals, slide: ProbeModel) -> NDArray[np.float64]:
    return signals.sigma_um / slide.sigma_xy_um
