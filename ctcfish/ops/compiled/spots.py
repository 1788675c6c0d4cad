"""Single signals on a CPU: the fit of :mod:`ctcfish.ops.fit`, one spot after the other."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctcfish.ops.compiled.kernel import entry, kernel
from ctcfish.ops.compiled.lanes import edges_of, padded
from ctcfish.ops.compiled.spot import (
    BROAD,
    COUNTS,
    DATA,
    KNOWN,
    LIGHT,
    ONE,
    OTHER,
    RAMP,
    REST,
    SHAPE,
    SQRT_HALF,
    TILT,
    WEIGHT,
    Profiles,
    Search,
    Setup,
    Spot,
    equations,
    profile,
)
from ctcfish.ops.fit_model import BACKGROUND, PHOTONS, SMALLEST_MODEL, X, Y

_Array = NDArray[Any]


@kernel
def _factor(spot: Spot) -> None:
    """Cholesky factor of the information scaled to a unit diagonal, and the scale."""
    search, scale, factored = spot.search, spot.search.scale, spot.search.factored
    for p in range(spot.setup.size):
        scale[p] = 1.0 / math.sqrt(max(search.system[p, p], 1e-20))
    for p in range(spot.setup.size):
        for r in range(p + 1):
            rest = search.system[p, r] * scale[p] * scale[r] + (1e-5 if p == r else 0.0)
            for k in range(r):
                rest -= factored[p, k] * factored[r, k]
            factored[p, r] = rest / factored[r, r] if r < p else math.sqrt(max(rest, 1e-12))


@kernel
def _solve(spot: Spot) -> None:
    """Fisher-scoring step."""
    _factor(spot)
    search, step, factored, size = spot.search, spot.search.step, spot.search.factored, spot.setup.size
    for p in range(size):
        rest = search.gradient[p] * search.scale[p]
        for k in range(p):
            rest -= factored[p, k] * step[k]
        step[p] = rest / factored[p, p]
    for p in range(size - 1, -1, -1):
        for k in range(p + 1, size):
            step[p] -= factored[k, p] * step[k]
        step[p] /= factored[p, p]
    for p in range(size):
        step[p] *= search.scale[p]


@kernel
def _move(spot: Spot, damping: float) -> tuple[float, bool]:
    """Take the bounded step; the decrement, and whether no bound held it."""
    search, size, theta = spot.search, spot.setup.size, spot.search.theta
    decrement, free = 0.0, True
    for p in range(size):
        step = min(max(search.step[p] * damping, -search.limit[p]), search.limit[p])
        if p == PHOTONS:
            step = max(step, -0.7 * theta[p])
        moved = min(max(theta[p] + step, search.low[p]), search.high[p])
        free = free and moved == theta[p] + step
        search.step[p] = moved - theta[p]
        theta[p] = moved
    for p in range(size):
        for r in range(size):
            decrement += search.system[p, r] * search.step[p] * search.step[r]
    return decrement, free


@kernel
def _searched(spot: Spot) -> tuple[bool, int]:
    """Steps to the maximum; whether it was reached within the bounds, and how many they were.

    A decrement that does not fall means that full steps overshoot, and shortens the next.
    """
    damping, previous = 1.0, math.inf
    for turn in range(spot.setup.iterations):
        equations(spot)
        _solve(spot)
        decrement, free = _move(spot, damping)
        if decrement < spot.setup.tolerance:
            return free, turn + 1
        damping = max(0.5 * damping if decrement > 0.5 * previous else min(1.5 * damping, 1.0), 0.1)
        previous = decrement
    return False, spot.setup.iterations


@kernel
def _begin(spot: Spot, start: _Array) -> None:
    """Start values by least squares of the template at the given place on a constant, and their bounds."""
    setup, search, pixels = spot.setup, spot.search, spot.pixels
    depth, height, width = setup.shape
    theta, low, high, limit = search.theta, search.low, search.high, search.limit
    for p in range(setup.size):
        theta[p], low[p], high[p], limit[p] = 0.0, -math.inf, math.inf, math.inf
    theta[PHOTONS] = 1.0
    low[PHOTONS], low[BACKGROUND] = 1e-2, SMALLEST_MODEL
    for column, axis in ((setup.z, 0), (Y, 1), (X, 2)):
        if column >= 0:
            theta[column] = start[axis]
            low[column] = max(start[axis] - setup.max_shift, -0.5)
            high[column] = min(start[axis] + setup.max_shift, setup.shape[axis] - 0.5)
            limit[column] = 0.5 * setup.widths[0 if axis == 0 else 1]
    for column, sigma in ((setup.sigma_z, setup.widths[0]), (setup.sigma_xy, setup.widths[1])):
        if column >= 0:
            theta[column], limit[column] = sigma, 0.25 * sigma
            low[column], high[column] = sigma * setup.width_range[0], sigma * setup.width_range[1]
    profile(spot)
    template, light, both, square = 0.0, 0.0, 0.0, 0.0
    for q in range(depth * height):
        share = spot.profiles.z[SHAPE, q // height] * spot.profiles.y[SHAPE, q % height]
        for i in range(width):
            own, seen = share * spot.profiles.x[SHAPE, i], float(pixels[DATA, q, i] - pixels[KNOWN, q, i])
            template, light, both, square = template + own, light + seen, both + own * seen, square + own * own
    number = depth * height * width
    template, light = template / number, light / number - setup.read_variance
    covariance = both / number - template * (light + setup.read_variance)
    photons = max(covariance / max(square / number - template**2, 1e-12), 1.0)
    theta[PHOTONS], theta[BACKGROUND] = photons, max(light - photons * template, SMALLEST_MODEL)


@kernel
def _errors(spot: Spot, out: _Array) -> None:
    """Cramér–Rao errors at the end: square roots of the inverse's diagonal (P,)."""
    equations(spot)
    _factor(spot)
    size, factored, column = spot.setup.size, spot.search.factored, spot.search.step
    for p in range(size):
        out[p] = 0.0
    for c in range(size):
        for p in range(c, size):
            rest = 1.0 if p == c else 0.0
            for k in range(c, p):
                rest -= factored[p, k] * column[k]
            column[p] = rest / factored[p, p]
            out[c] += column[p] ** 2
    for p in range(size):
        out[p] = math.sqrt(out[p]) * spot.search.scale[p]


@kernel
def _set_apart(spot: Spot) -> None:
    """Fill the light that is of neither signal nor constant background."""
    pixels, profiles, theta = spot.pixels, spot.profiles, spot.search.theta
    level = np.float32(theta[BACKGROUND])
    for q in range(pixels.shape[1]):
        z, y = q // spot.setup.shape[1], q % spot.setup.shape[1]
        light = np.float32(theta[PHOTONS] * profiles.z[SHAPE, z] * profiles.y[SHAPE, y])
        for i in range(pixels.shape[2]):
            pixels[OTHER, q, i] = pixels[LIGHT, q, i] - light * profiles.x[SHAPE, i] - level


@kernel
def _background_alone(pixels: _Array) -> float:
    """Level of the best constant beside what is there anyway: three scoring steps from the mean."""
    level, counted = np.float32(0.0), np.float32(0.0)
    for q in range(pixels.shape[1]):
        for i in range(pixels.shape[2]):
            level += (pixels[DATA, q, i] - pixels[OTHER, q, i]) * pixels[COUNTS, q, i]
            counted += pixels[COUNTS, q, i]
    level /= counted
    for _ in range(3):
        up, down = np.float32(0.0), np.float32(0.0)
        for q in range(pixels.shape[1]):
            for i in range(pixels.shape[2]):
                here = level + pixels[OTHER, q, i]
                null = here if here > np.float32(SMALLEST_MODEL) else np.float32(SMALLEST_MODEL)
                weight = pixels[COUNTS, q, i] / null
                up += (pixels[DATA, q, i] - null) * weight
                down += weight
        level += up / down
    return float(level)


@kernel
def _goodness(spot: Spot) -> tuple[float, float, float]:
    """χ² per degree of freedom, its p-value, and the log-likelihood ratio: see ``fit_model.goodness``."""
    pixels, setup = spot.pixels, spot.setup
    chi2, share, number, ratio = 0.0, 0.0, 0.0, 0.0
    _set_apart(spot)
    level = np.float32(_background_alone(pixels))
    for q in range(pixels.shape[1]):
        for i in range(setup.shape[2]):
            expected, data, counts = pixels[LIGHT, q, i], pixels[DATA, q, i], pixels[COUNTS, q, i]
            chi2 += pixels[REST, q, i] * (data - expected)
            share += (expected - np.float32(setup.read_variance)) * pixels[WEIGHT, q, i] / expected
            number += counts
            null = max(level + pixels[OTHER, q, i], np.float32(SMALLEST_MODEL))
            ratio += (data * math.log(expected / null) - (expected - null)) * counts
    dof = max(number - setup.size, 1.0)
    shape = dof / (max(share / number, 0.0) + 2.0)
    normal = ((chi2 / dof) ** (1 / 3) - 1.0 + 1.0 / (9.0 * shape)) * 3.0 * math.sqrt(shape)
    return chi2 / dof, 0.5 * math.erfc(normal * SQRT_HALF), ratio


@kernel
def _room(setup: Setup, kind: _Array, used: _Array) -> Spot:
    """Room for one spot after the other."""
    depth, height, width = setup.shape
    size, wide = setup.size, padded(width)
    pixels, x = np.zeros((7, depth * height, wide), np.float32), np.zeros((6, wide), np.float32)
    for i in range(width):
        x[ONE, i], x[RAMP, i] = 1.0, i - 0.5 * (width - 1)
    z, y = np.zeros((3, depth)), np.zeros((3, height))
    z[SHAPE] = 1.0
    vectors, squares = np.zeros((7, size)), np.zeros((2, size, size))
    search = Search(
        vectors[0],
        vectors[1],
        vectors[2],
        vectors[3],
        kind,
        used,
        np.zeros((depth * height, size), np.float32),
        np.zeros((depth * height, 5), np.float32),
        np.zeros((depth * height, 7, 6), np.float32),
        squares[0],
        squares[1],
        vectors[4],
        vectors[5],
        vectors[6],
    )
    return Spot(setup, pixels, Profiles(z, y, x, edges_of(max(setup.shape))), search)


@kernel
def _load(spot: Spot, row: int, data: _Array, known: _Array, counts: _Array) -> None:
    """Put the pixels of a spot into the room; no known light and no weights are arrays of no rows."""
    pixels, width = spot.pixels, spot.setup.shape[2]
    for q in range(pixels.shape[1]):
        for i in range(width):
            at = q * width + i
            pixels[DATA, q, i] = data[row, at] + np.float32(spot.setup.read_variance)
            pixels[KNOWN, q, i] = known[row, at] if len(known) else 0.0
            pixels[COUNTS, q, i] = counts[row, at] if len(counts) else 1.0


@entry
def fit_all(setup: Setup, functions: tuple[_Array, _Array], pixels: Any, start: _Array, out: Any) -> None:
    """Fit every spot.

    Parameters
    ----------
    setup : Setup
    functions : tuple of ndarray of int64
        The function of each parameter (P,), and those in use.
    pixels : tuple of ndarray of float32, (N, V)
        Photons; known light and weights, no rows where there are none.
    start : ndarray, (N, 3)
    out : tuple of ndarray
        Parameters and errors (N, P); χ² per degree of freedom, p-value and likelihood ratio (N, 3); converged (N,);
        steps (N,).
    """
    theta, error, fit, converged, steps = out
    data, known, counts = pixels
    spot = _room(setup, functions[0], functions[1])
    for row in range(len(start)):
        _load(spot, row, data, known, counts)
        _begin(spot, start[row])
        converged[row], steps[row] = _searched(spot)
        _errors(spot, error[row])
        fit[row, 0], fit[row, 1], fit[row, 2] = _goodness(spot)
        for p in range(setup.size):
            theta[row, p] = spot.search.theta[p]


def functions_of(setup: Setup) -> tuple[_Array, _Array]:
    """Which function of x each parameter's derivative follows, and those in use."""
    kind = np.full(setup.size, SHAPE, np.int64)
    kind[BACKGROUND], kind[X] = ONE, TILT
    if setup.sigma_xy >= 0:
        kind[setup.sigma_xy] = BROAD
    if setup.slope >= 0:
        kind[setup.slope :] = ONE
        kind[setup.slope + 1] = RAMP
    return kind, np.unique(kind)
