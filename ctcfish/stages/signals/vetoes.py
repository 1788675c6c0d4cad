"""Light of the other dye that is seen as a signal: crosstalk.

At the place of a ghost the own channel holds the slide's leak times the light that the other channel holds there, at
that of a signal its own light besides. Both channels are measured there in the same way, by an object of the signal's
place and width, so that it does not matter of what shape the leaking object is, or of how many signals.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.stats import norm

from ctcfish.flags import SpotFlag
from ctcfish.ops.fit_probability import TAIL_SHARE, TAIL_WIDTH
from ctcfish.stages.signals.camera import Camera
from ctcfish.stages.signals.colours import DIRECTIONS
from ctcfish.stages.signals.fits import light_at
from ctcfish.stages.signals.probe import Signals
from ctcfish.types import Probe, ProbeModel, SlideModel

Floats = NDArray[np.float64]

REJECTING = SpotFlag.CROSSTALK | SpotFlag.BROAD | SpotFlag.HOT_PIXEL | SpotFlag.BOTH_COLOURS
_REACH_UM = 0.9  # of the other colour's objects: their light and its fit end there
_LEAST_SHARE = 0.3  # of a signal's light: less of it being the other dye's makes no ghost
_NOTICED = 2.0  # errors of the light: less that leaks is seen by nobody
_LEAK_ERROR = 0.2  # of the light that leaks: the leak's, the widths' and the places'
_FLOOR = 0.03  # of a median signal, what unevenness of a nucleus feigns
_STEPS = np.linspace(-4.0, 4.0, 33)


def colour_flags(
    found: Mapping[Probe, Signals],
    stacks: Mapping[Probe, NDArray[np.generic]],
    voxel_um: tuple[float, float, float],
    setting: tuple[SlideModel, Camera],
) -> dict[Probe, NDArray[np.int64]]:
    """Flag the other dye's light.

    A signal is crosstalk where at least three tenths of its light are the other dye's, and what is left is likelier
    none than a signal's: what stays of a signal on another is a signal.

    Parameters
    ----------
    found : mapping of Probe to Signals
    stacks : mapping of Probe to ndarray, (Z, Y, X)
        Camera numbers without hot pixels.
    voxel_um : tuple of float
    setting : tuple
        The slide's model and its camera.

    Returns
    -------
    mapping of Probe to ndarray of int64
    """
    model, camera = setting
    bits = {probe: np.zeros(len(signals.photons), np.int64) for probe, signals in found.items()}
    if len(found) < 2:
        return bits
    step = np.array([voxel_um[0] or 1.0, voxel_um[1], voxel_um[2]])
    shift = np.array(model.chromatic_shift_um)
    for probe, other in DIRECTIONS:
        own, slide = found[probe].position_um, model.probes[probe]
        leak = model.crosstalk.get(f"{other}>{probe}", 0.0)
        there = own + (shift if probe == "CEP17" else -shift)
        rows = np.flatnonzero(_near(there, found[other].position_um)) if leak > 0.0 else np.empty(0, int)
        width = (slide.sigma_z_um / step[0], np.full(len(rows), slide.sigma_xy_um / step[1]))
        light, error = light_at(stacks[probe], own[rows] / step, width, camera)
        lent, lent_error = (leak * v for v in light_at(stacks[other], there[rows] / step, width, camera))
        spread = np.hypot(np.hypot(error, lent_error), _LEAK_ERROR * lent) / slide.photons_median
        odds = _odds((light - lent) / slide.photons_median, np.hypot(spread, _FLOOR), slide)
        told = (odds > 1.0) & (lent > np.maximum(_LEAST_SHARE * light, _NOTICED * error))
        bits[probe][rows[told]] |= int(SpotFlag.CROSSTALK)
    return bits


def _near(place_um: Floats, others_um: Floats) -> NDArray[np.bool_]:
    if not len(place_um) or not len(others_um):
        return np.zeros(len(place_um), bool)
    return np.asarray(cKDTree(others_um[:, 1:]).query(place_um[:, 1:])[0] < _REACH_UM)


def _odds(left: Floats, spread: Floats, slide: ProbeModel) -> Floats:
    """Density of the light left (M,), in median signals and of the given error, for none over that for a signal's.

    A signal's is log-normal with a wider tail, as in :func:`ctcfish.ops.fit_probability.signal_probability`.
    """
    scatter = slide.photons_log_sd
    signal = np.zeros(len(left))
    for share, wide in ((1.0 - TAIL_SHARE, scatter), (TAIL_SHARE, TAIL_WIDTH * scatter)):
        weight = share * norm.pdf(_STEPS) / norm.pdf(_STEPS).sum()
        signal += norm.pdf(left[:, None], np.exp(wide * _STEPS), spread[:, None]) @ weight
    return np.asarray(norm.pdf(left, 0.0, spread) / np.maximum(signal, 1e-300))
