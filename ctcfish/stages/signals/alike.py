"""Granules whose image in the other colour is too faint or too wide to be found: their light there is measured.

At the place of a signal the other channel holds its leak and nothing else; at that of a granule it holds about as much
light, in units of the slide's signals. Which of the two is told by the odds of the light measured there.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.stats import norm

from ctcfish.parameters import Detect
from ctcfish.stages.signals.camera import Camera
from ctcfish.stages.signals.colours import DIRECTIONS
from ctcfish.stages.signals.fits import light_at
from ctcfish.stages.signals.granules import ALIKE_SD, Objects, leads
from ctcfish.types import Probe, SlideModel

Floats = NDArray[np.float64]

_ALONE_UM = 0.9  # a found object of the other colour so near lends light, and is judged by its place instead
_LEAK_ERROR, _FLOOR = 0.3, 0.03  # of the leak; of a median signal, what unevenness of a nucleus feigns
_HIDDEN, _MOST_LIGHT = 0.03, 2.0  # share of signals on an unseen locus of the other colour, evenly bright up to this
_STEPS = np.linspace(-1.8, 1.8, 19)


def alike(
    objects: Mapping[Probe, Objects],
    stacks: Mapping[Probe, NDArray[np.generic]],
    voxel_um: tuple[float, float, float],
    setting: tuple[SlideModel, Camera, Detect],
) -> dict[Probe, NDArray[np.bool_]]:
    """Tell granules among the objects that have no partner in the other colour.

    Parameters
    ----------
    objects : mapping of Probe to Objects
    stacks : mapping of Probe to ndarray, (Z, Y, X)
        Camera numbers without hot pixels.
    voxel_um : tuple of float
    setting : tuple
        The slide's model, its camera, and the parameters: ``lone_granule_odds`` granules to one such signal.

    Returns
    -------
    mapping of Probe to ndarray of bool, (N,)
    """
    model, camera, params = setting
    told = {probe: np.zeros(len(own.photons), bool) for probe, own in objects.items()}
    if len(objects) < 2:
        return told
    step = np.array([voxel_um[0] or 1.0, voxel_um[1], voxel_um[2]])
    shift = np.array(model.chromatic_shift_um)
    for probe, other in DIRECTIONS:
        own, slide, beyond = objects[probe], model.probes[probe], model.probes[other]
        there = own.position_um + (shift if probe == "CEP17" else -shift)
        rows = np.flatnonzero(leads(own, slide.sigma_xy_um) & _apart(there, objects[other].position_um))
        wide = own.width_um[rows] / step[1]
        here, _ = light_at(stacks[probe], own.position_um[rows] / step, (slide.sigma_z_um / step[0], wide), camera)
        light, error = light_at(stacks[other], there[rows] / step, (beyond.sigma_z_um / step[0], wide), camera)
        leak = model.crosstalk.get(f"{probe}>{other}", 0.0) * here / beyond.photons_median
        spread = np.sqrt((error / beyond.photons_median) ** 2 + (_LEAK_ERROR * leak) ** 2 + _FLOOR**2)
        odds = _odds(light / beyond.photons_median - leak, here / slide.photons_median, spread)
        told[probe][rows] = params.lone_granule_odds * odds > 1.0
    return told


def _apart(place_um: Floats, others_um: Floats) -> NDArray[np.bool_]:
    if not len(others_um) or not len(place_um):
        return np.ones(len(place_um), bool)
    return np.asarray(cKDTree(others_um[:, 1:]).query(place_um[:, 1:])[0] > _ALONE_UM)


def _odds(light: Floats, own: Floats, error: Floats) -> Floats:
    """Density of the other colour's light (M,) for a granule over that for a signal; all in median signals.

    A granule's is log-normal about its own light, a signal's is none, or that of a hidden locus.
    """
    weight = norm.pdf(_STEPS) / norm.pdf(_STEPS).sum()
    expected = np.maximum(own, 0.0)[:, None] * np.exp(ALIKE_SD * _STEPS)
    granule = norm.pdf(light[:, None], expected, error[:, None]) @ weight
    hidden = _HIDDEN / _MOST_LIGHT * ((light > 0.0) & (light < _MOST_LIGHT))
    signal = (1.0 - _HIDDEN) * norm.pdf(light, 0.0, error) + np.maximum(hidden, 1e-9)
    return np.asarray(granule / signal)
