"""Why a detected signal does not count: the other dye's light, granules, hot pixels, broad objects."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ctcfish.flags import SpotFlag
from ctcfish.stages.signals.colours import DIRECTIONS
from ctcfish.stages.signals.probe import Signals
from ctcfish.types import Probe, ProbeModel, SlideModel

REJECTING = SpotFlag.CROSSTALK | SpotFlag.BROAD | SpotFlag.HOT_PIXEL | SpotFlag.BOTH_COLOURS
_LEAK_ERROR = 0.2  # of the light of a ghost: the leak's, the widths' and the places'
_LEAK_SIGMAS = 2.0
_LEAK_SHARE = 0.3  # of a signal's light: less of it being the other dye's makes no ghost
_REACH = 3.0  # widths at which a signal's light ends


def colour_flags(found: Mapping[Probe, Signals], model: SlideModel) -> dict[Probe, NDArray[np.int64]]:
    """Flag the other dye's light.

    A signal is crosstalk where the light of all the other colour's signals about its place, times the slide's leak,
    explains its own but for the errors of both: what stays of a signal on another is a signal.

    Parameters
    ----------
    found : mapping of Probe to Signals
    model : SlideModel

    Returns
    -------
    mapping of Probe to ndarray of int64
    """
    bits = {probe: np.zeros(len(signals.photons), np.int64) for probe, signals in found.items()}
    if len(found) < 2 or any(len(s.photons) == 0 for s in found.values()):
        return bits
    shift = np.array(model.chromatic_shift_um)
    place = {p: s.position_um + (shift if p == "CEP17" else 0.0) for p, s in found.items()}
    for probe, other in DIRECTIONS:
        own = found[probe]
        leak = model.crosstalk.get(f"{other}>{probe}", 0.0)
        lent = leak * _light_at(place[probe], place[other], found[other], (model.probes[probe], model.probes[other]))
        noise = np.hypot(own.photons / np.maximum(own.snr, 1.0), _LEAK_ERROR * lent)
        ghost = (own.photons - lent < _LEAK_SIGMAS * noise) & (lent > _LEAK_SHARE * own.photons)
        bits[probe][ghost] |= int(SpotFlag.CROSSTALK)
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
