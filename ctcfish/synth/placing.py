"""Where nuclei lie on the glass: apart, in contact, or one on the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ctcfish.errors import ConfigError
from ctcfish.synth.nucleus import Shape
from ctcfish.synth.spec import Population

_TRIES = 4000
_REST = 0.42
"""Height of an upper nucleus over a lower one, as a share of both thicknesses: they give way a little."""


@dataclass(frozen=True)
class Places:
    """Places of nuclei.

    Attributes
    ----------
    zyx_um : ndarray of float64, (N, 3)
        Centres; z from the layer that rests on the glass.
    overlap : ndarray of bool, (N,)
        Lies on or under its partner.
    partner : ndarray of int, (N,)
        The other of a pair; -1 for none.
    """

    zyx_um: NDArray[np.float64]
    overlap: NDArray[np.bool_]
    partner: NDArray[np.intp]


def place_nuclei(
    shapes: Sequence[Shape],
    border_um: Sequence[float],
    population: Population,
    extent_um: tuple[float, float],
    rng: np.random.Generator,
) -> Places:
    """Place nuclei one after the other where there is room.

    Parameters
    ----------
    shapes : sequence of Shape
    border_um : sequence of float
        How far each centre keeps from the border.
    population : Population
        Pairs wanted and the least gap.
    extent_um : tuple of float
        Height and width of the slide's part; centres lie inside, but for the second one of a pair.
    rng : numpy.random.Generator

    Raises
    ------
    ConfigError
        They do not fit, or there are fewer nuclei than the pairs need.
    """
    n = len(shapes)
    partner, overlap = _pairs(n, population, rng)
    reach = np.array([s.reach_um for s in shapes])
    zyx, taken = np.zeros((n, 3)), np.zeros(n, bool)
    border = np.asarray(border_um, dtype=float)
    for index in range(n):
        if taken[index]:
            continue
        group = [index] if partner[index] < 0 else [index, int(partner[index])]
        for _ in range(_TRIES):
            own = _lay([shapes[i] for i in group], bool(overlap[index]), extent_um, rng)
            inside = np.minimum(own[:, 1:], np.array(extent_um) - own[:, 1:]).min(axis=1)
            room = reach[taken] + population.gap_um
            away = np.hypot(*(zyx[taken, None, 1:] - own[:, 1:]).transpose(2, 0, 1))
            if (away > room[:, None] + reach[group]).all() and ((inside >= border[group]) | (border[group] == 0)).all():
                break
        else:
            raise ConfigError(
                f"{n} cells do not fit on {extent_um[0]:.0f} x {extent_um[1]:.0f} um; "
                "lower population.ctc or population.leukocytes, or raise fish.shape_px or fish.fields."
            )
        zyx[group], taken[group] = own, True
    return Places(zyx, overlap, partner)


def _pairs(n: int, population: Population, rng: np.random.Generator) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    wanted = population.overlap_pairs + population.touching_pairs
    if 2 * wanted > n:
        raise ConfigError(
            f"{wanted} touching and overlapping pairs need {2 * wanted} cells, there are {n}; lower "
            "population.touching_pairs or population.overlap_pairs."
        )
    partner, overlap = np.full(n, -1, np.intp), np.zeros(n, bool)
    pairs = rng.permutation(n)[: 2 * wanted].reshape(-1, 2)
    partner[pairs[:, 0]], partner[pairs[:, 1]] = pairs[:, 1], pairs[:, 0]
    overlap[pairs[: population.overlap_pairs].ravel()] = True
    return partner, overlap


def _lay(
    shapes: Sequence[Shape], overlap: bool, extent_um: tuple[float, float], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Centres ``(1 or 2, 3)`` of a nucleus or of a pair somewhere on the slide."""
    y, x = rng.uniform((0.0, 0.0), extent_um)
    if len(shapes) == 1:
        return np.array([[0.0, y, x]])
    first, second = shapes
    angle = rng.uniform(0, 2 * np.pi)
    contact = float(first.outline_um(angle) + second.outline_um(angle + np.pi))
    if overlap:
        distance = contact * rng.uniform(0.4, 0.8)
        lift = _REST * (first.thickness_um + second.thickness_um)
    else:
        distance, lift = contact + rng.uniform(0.0, 0.15), 0.0
    return np.array([[0.0, y, x], [lift, y + distance * np.sin(angle), x + distance * np.cos(angle)]])
