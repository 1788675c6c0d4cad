"""Single signals on a CPU: the fit of :mod:`ctcfish.ops.fit`, as many at once as a vector has lanes.

A spot that is done holds its parameters until all of its company are; no lane asks what another holds.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctcfish.ops.compiled.kernel import entry, kernel, maker
from ctcfish.ops.compiled.lanes import logarithm
from ctcfish.ops.compiled.spot import (
    COUNTS,
    DATA,
    KNOWN,
    LIGHT,
    ONE,
    RAMP,
    REST,
    SHAPE,
    SQRT_HALF,
    WEIGHT,
    Profiles,
    Search,
    Setup,
    Spots,
    equations,
    profile,
)
from ctcfish.ops.compiled.vector import LANES, load, magnitude, root, select, spread, store, total_of
from ctcfish.ops.fit_model import BACKGROUND, PHOTONS, SMALLEST_MODEL, X, Y

_Array = NDArray[Any]
_DAMPING, _PREVIOUS, _ACTIVE, _FREE, _TURNS = range(5)


@kernel
def _larger(a: Any, b: Any) -> Any:
    return select(a, b, a, b)


@kernel
def _smaller(a: Any, b: Any) -> Any:
    return select(b, a, a, b)


@kernel
def _factor(search: Search) -> None:
    """Cholesky factor of the information scaled to a unit diagonal, its diagonal inverted, and the scale."""
    system, scale, factored = search.system, search.scale, search.factored
    for p in range(len(scale)):
        store(scale, p, 1.0 / root(_larger(load(system, (p, p)), 1e-20)))
    for p in range(len(scale)):
        for r in range(p + 1):
            rest = load(system, (p, r)) * load(scale, p) * load(scale, r)
            if p == r:
                rest += 1e-5
            for k in range(r):
                rest -= load(factored, (p, k)) * load(factored, (r, k))
            if r < p:
                store(factored, (p, r), rest * load(factored, (r, r)))
            else:
                store(factored, (p, p), 1.0 / root(_larger(rest, 1e-12)))


@kernel
def _solve(search: Search) -> None:
    """Fisher-scoring step."""
    _factor(search)
    step, factored, number = search.step, search.factored, len(search.scale)
    for p in range(number):
        rest = load(search.gradient, p) * load(search.scale, p)
        for k in range(p):
            rest -= load(factored, (p, k)) * load(step, k)
        store(step, p, rest * load(factored, (p, p)))
    for p in range(number - 1, -1, -1):
        rest = load(step, p)
        for k in range(p + 1, number):
            rest -= load(factored, (k, p)) * load(step, k)
        store(step, p, rest * load(factored, (p, p)))
    for p in range(number):
        store(step, p, load(step, p) * load(search.scale, p))


@kernel
def _move(search: Search, damping: Any, active: Any) -> tuple[Any, Any]:
    """Take the bounded step where the search goes on; the decrement, and 1 where no bound held it."""
    theta, step, free, decrement = search.theta, search.step, spread(1.0), spread(0.0)
    for p in range(len(theta)):
        own, limit = load(theta, p), load(search.limit, p)
        wanted = _smaller(_larger(load(step, p) * damping, 0.0 - limit), limit)
        if p == PHOTONS:
            wanted = _larger(wanted, -0.7 * own)
        moved = _smaller(_larger(own + wanted, load(search.low, p)), load(search.high, p))
        free = select(magnitude(moved - (own + wanted)), 0.0, 0.0, free)
        store(step, p, moved - own)
        store(theta, p, select(active, 0.0, moved, own))
    for p in range(len(theta)):
        twice = 0.5 * load(search.system, (p, p)) * load(step, p)
        for r in range(p):
            twice += load(search.system, (p, r)) * load(step, r)
        decrement += 2.0 * twice * load(step, p)
    return decrement, free


@kernel
def _search(spots: Spots, state: _Array) -> None:
    """Steps to the maximum; fills which lanes reached it within the bounds, and after how many steps.

    A decrement that does not fall means that full steps overshoot, and shortens the next.
    """
    store(state, _DAMPING, 1.0)
    store(state, _PREVIOUS, math.inf)
    store(state, _ACTIVE, 1.0)
    store(state, _FREE, 0.0)
    store(state, _TURNS, 0.0)
    for _ in range(spots.setup.iterations):
        equations(spots)
        _solve(spots.search)
        damping, active = load(state, _DAMPING), load(state, _ACTIVE)
        decrement, free = _move(spots.search, damping, active)
        store(state, _TURNS, load(state, _TURNS) + active)
        # what is done stays as it was found: its company goes on
        on = select(spots.setup.tolerance, decrement, 0.0, active)
        store(state, _FREE, select(active - on, 0.0, free, load(state, _FREE)))
        shorter = select(decrement, 0.5 * load(state, _PREVIOUS), 0.5 * damping, _smaller(1.5 * damping, 1.0))
        store(state, _DAMPING, _larger(shorter, 0.1))
        store(state, _PREVIOUS, decrement)
        store(state, _ACTIVE, on)
        if total_of(on) == 0:
            break


@kernel
def _bound(spots: Spots, start: _Array) -> None:
    """Places and widths to start from, and bounds of all parameters."""
    setup, search = spots.setup, spots.search
    for p in range(setup.size):
        store(search.theta, p, 0.0)
        store(search.low, p, -math.inf)
        store(search.high, p, math.inf)
        store(search.limit, p, math.inf)
    store(search.theta, PHOTONS, 1.0)
    store(search.low, PHOTONS, 1e-2)
    store(search.low, BACKGROUND, SMALLEST_MODEL)
    for column, axis in ((setup.z, 0), (Y, 1), (X, 2)):
        if column >= 0:
            begin = load(start, axis)
            store(search.theta, column, begin)
            store(search.low, column, _larger(begin - setup.max_shift, -0.5))
            store(search.high, column, _smaller(begin + setup.max_shift, setup.shape[axis] - 0.5))
            store(search.limit, column, 0.5 * setup.widths[0 if axis == 0 else 1])
    for column, sigma in ((setup.sigma_z, setup.widths[0]), (setup.sigma_xy, setup.widths[1])):
        if column >= 0:
            store(search.theta, column, sigma)
            store(search.limit, column, 0.25 * sigma)
            store(search.low, column, sigma * setup.width_range[0])
            store(search.high, column, sigma * setup.width_range[1])


@kernel
def _begin(spots: Spots) -> None:
    """Light to start from, by least squares of the template at the given place on a constant."""
    setup, search, pixels, profiles = spots.setup, spots.search, spots.pixels, spots.profiles
    profile(spots)
    template, light, both, square = spread(0.0), spread(0.0), spread(0.0), spread(0.0)
    for q in range(setup.shape[0] * setup.shape[1]):
        share = load(profiles.z, (SHAPE, q // setup.shape[1])) * load(profiles.y, (SHAPE, q % setup.shape[1]))
        for i in range(setup.shape[2]):
            own = share * load(profiles.x, (SHAPE, i))
            seen = load(pixels, (DATA, q, i)) - load(pixels, (KNOWN, q, i))
            template, light, both, square = template + own, light + seen, both + own * seen, square + own * own
    share = 1.0 / (setup.shape[0] * setup.shape[1] * setup.shape[2])
    template, light = template * share, light * share
    spread_out = _larger(square * share - template * template, 1e-12)
    photons = _larger((both * share - template * light) / spread_out, 1.0)
    store(search.theta, PHOTONS, photons)
    store(search.theta, BACKGROUND, _larger(light - setup.read_variance - photons * template, SMALLEST_MODEL))


@kernel
def _errors(search: Search, error: _Array) -> None:
    """Cramér–Rao errors: square roots of the inverse's diagonal (P, lanes)."""
    _factor(search)
    factored, column, number = search.factored, search.step, len(search.scale)
    for p in range(number):
        store(error, p, 0.0)
    for c in range(number):
        for p in range(c, number):
            rest = spread(1.0 if p == c else 0.0)
            for k in range(c, p):
                rest -= load(factored, (p, k)) * load(column, k)
            rest = rest * load(factored, (p, p))
            store(column, p, rest)
            store(error, c, load(error, c) + rest * rest)
    for p in range(number):
        store(error, p, root(load(error, p)) * load(search.scale, p))


@kernel
def _set_apart(spots: Spots) -> None:
    """Put light that is of neither signal nor constant background in place of the known."""
    pixels, profiles, theta, height = spots.pixels, spots.profiles, spots.search.theta, spots.setup.shape[1]
    for q in range(pixels.shape[1]):
        light = load(profiles.z, (SHAPE, q // height)) * load(profiles.y, (SHAPE, q % height)) * load(theta, PHOTONS)
        for i in range(pixels.shape[2]):
            signal = light * load(profiles.x, (SHAPE, i))
            store(pixels, (KNOWN, q, i), load(pixels, (LIGHT, q, i)) - signal - load(theta, BACKGROUND))


@kernel
def _background_alone(pixels: _Array) -> Any:
    """Level of the best constant beside what is there anyway: three scoring steps from the mean."""
    level, counted = spread(0.0), spread(0.0)
    for q in range(pixels.shape[1]):
        for i in range(pixels.shape[2]):
            counts = load(pixels, (COUNTS, q, i))
            level += (load(pixels, (DATA, q, i)) - load(pixels, (KNOWN, q, i))) * counts
            counted += counts
    level = level / counted
    for _ in range(3):
        up, down = spread(0.0), spread(0.0)
        for q in range(pixels.shape[1]):
            for i in range(pixels.shape[2]):
                null = _larger(level + load(pixels, (KNOWN, q, i)), SMALLEST_MODEL)
                weight = load(pixels, (COUNTS, q, i)) / null
                up += (load(pixels, (DATA, q, i)) - null) * weight
                down += weight
        level += up / down
    return level


@kernel
def _goodness(spots: Spots, out: _Array) -> None:
    """Fill χ², share of light in the variance, pixels counted, and the log-likelihood ratio, (4, lanes)."""
    pixels, variance = spots.pixels, spots.setup.read_variance
    chi2, share, number, ratio = spread(0.0), spread(0.0), spread(0.0), spread(0.0)
    _set_apart(spots)
    level = _background_alone(pixels)
    for q in range(pixels.shape[1]):
        for i in range(pixels.shape[2]):
            expected, data = load(pixels, (LIGHT, q, i)), load(pixels, (DATA, q, i))
            counts = load(pixels, (COUNTS, q, i))
            chi2 += load(pixels, (REST, q, i)) * (data - expected)
            share += (expected - variance) * load(pixels, (WEIGHT, q, i)) / expected
            number += counts
            null = _larger(level + load(pixels, (KNOWN, q, i)), SMALLEST_MODEL)
            ratio += (data * logarithm(expected / null) - (expected - null)) * counts
    store(out, 0, chi2)
    store(out, 1, share)
    store(out, 2, number)
    store(out, 3, ratio)


@kernel
def _judged(sums: tuple[float, float, float, float], size: int) -> tuple[float, float, float]:
    """χ² per degree of freedom, its p-value, and the log-likelihood ratio: see ``fit_model.goodness``."""
    chi2, share, number, ratio = sums
    dof = max(number - size, 1.0)
    shape = dof / (max(share / number, 0.0) + 2.0)
    normal = ((chi2 / dof) ** (1 / 3) - 1.0 + 1.0 / (9.0 * shape)) * 3.0 * math.sqrt(shape)
    return chi2 / dof, 0.5 * math.erfc(normal * SQRT_HALF), ratio


@maker
def _room(setup: Setup, functions: tuple[_Array, _Array, _Array]) -> Spots:
    """Room for one company after the other."""
    (depth, height, width), size, (kind, used, pairs) = setup.shape, setup.size, functions
    pixels, x = np.zeros((6, depth * height, width, LANES), np.float32), np.zeros((5, width, LANES), np.float32)
    for i in range(width):
        store(x, (ONE, i), 1.0)
        store(x, (RAMP, i), i - 0.5 * (width - 1))
    z, y = np.ones((3, depth, LANES), np.float32), np.zeros((3, height, LANES), np.float32)
    vectors, squares = np.zeros((8, size, LANES), np.float32), np.zeros((2, size, size, LANES), np.float32)
    sums, moments = np.zeros((6, 6, LANES), np.float32), np.zeros((6, LANES), np.float32)
    products = np.zeros((len(pairs), width, LANES), np.float32)
    search = Search(
        vectors[0],
        vectors[1],
        vectors[2],
        vectors[3],
        kind,
        used,
        pairs,
        vectors[4],
        sums,
        moments,
        squares[0],
        squares[1],
        vectors[5],
        vectors[6],
        vectors[7],
    )
    return Spots(setup, pixels, Profiles(z, y, x, products), search)


@kernel
def _put(image: _Array, rows: _Array, otherwise: float, plane: _Array) -> None:
    """Put pixels (N, V) of the spots in these rows side by side; the same number everywhere where there is no image."""
    for q in range(plane.shape[0]):
        for i in range(plane.shape[1]):
            at = q * plane.shape[1] + i
            if len(image):
                for lane in range(LANES):
                    plane[q, i, lane] = image[rows[lane], at]
            else:
                store(plane, (q, i), otherwise)


@kernel
def _load(spots: Spots, rows: _Array, images: tuple[_Array, _Array, _Array]) -> None:
    """Put the spots in these rows (lanes,) to work; no known light and no weights are arrays of no rows."""
    pixels, (data, known, counts) = spots.pixels, images
    _put(data, rows, 0.0, pixels[DATA])
    _put(known, rows, 0.0, pixels[KNOWN])
    _put(counts, rows, 1.0, pixels[COUNTS])
    for q in range(pixels.shape[1]):
        for i in range(pixels.shape[2]):
            store(pixels, (DATA, q, i), load(pixels, (DATA, q, i)) + spots.setup.read_variance)


@entry
def fit_all(setup: Setup, functions: Any, pixels: Any, start: _Array, out: Any) -> None:
    """Fit every spot.

    Parameters
    ----------
    setup : Setup
    functions : tuple of ndarray of int64
        See :func:`ctcfish.ops.compiled.spot.functions_of`.
    pixels : tuple of ndarray of float32, (N, V)
        Photons; known light and weights, no rows where there are none.
    start : ndarray, (N, 3)
    out : tuple of ndarray
        Parameters and errors (N, P); χ² per degree of freedom, p-value and likelihood ratio (N, 3); converged (N,);
        steps (N,).
    """
    theta, error, fit, converged, steps = out
    spots, size, rows = _room(setup, functions), setup.size, np.zeros(LANES, np.int64)
    begin, state = np.zeros((3, LANES), np.float32), np.zeros((5, LANES), np.float32)
    errors, sums = np.zeros((size, LANES), np.float32), np.zeros((4, LANES), np.float32)
    for first in range(0, len(start), LANES):
        for lane in range(LANES):
            rows[lane] = min(first + lane, len(start) - 1)  # the last company is filled with its last spot
            for axis in range(3):
                begin[axis, lane] = start[rows[lane], axis]
        _load(spots, rows, pixels)
        _bound(spots, begin)
        _begin(spots)
        _search(spots, state)
        equations(spots)
        _errors(spots.search, errors)
        _goodness(spots, sums)
        for lane in range(min(LANES, len(start) - first)):
            row = first + lane
            converged[row], steps[row] = state[_FREE, lane] > 0, np.int32(state[_TURNS, lane])
            own = (float(sums[0, lane]), float(sums[1, lane]), float(sums[2, lane]), float(sums[3, lane]))
            fit[row, 0], fit[row, 1], fit[row, 2] = _judged(own, size)
            for p in range(size):
                theta[row, p], error[row, p] = spots.search.theta[p, lane], errors[p, lane]
