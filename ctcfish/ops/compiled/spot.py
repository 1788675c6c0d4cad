"""Single signals on their backgrounds, one in each lane: what they are made of, and their normal equations.

Along a row of x every derivative is one of five functions of x times a factor of the row: profile, its derivatives by
centre and by width, one, and x itself. So the information is made of their few products, which are those of every row,
not of a matrix per pixel.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ctcfish.ops.compiled.kernel import kernel
from ctcfish.ops.compiled.lanes import bell_and_share
from ctcfish.ops.compiled.vector import load, select, spread, store
from ctcfish.ops.fit_model import BACKGROUND, PHOTONS, SMALLEST_MODEL, X, Y

SHAPE, TILT, WIDTH, ONE, RAMP, BROAD = range(6)
DATA, KNOWN, COUNTS, LIGHT, WEIGHT, REST = range(6)
SQRT_HALF, _INV_SQRT_2PI, _ROOT_TWO = math.sqrt(0.5), 1.0 / math.sqrt(2.0 * math.pi), math.sqrt(2.0)
_Array = NDArray[Any]


class Setup(NamedTuple):
    """What all spots share: see :class:`ctcfish.ops.fit_model.FitModel` and ``Layout``; −1 where there is no such."""

    shape: tuple[int, int, int]
    z: int
    sigma_xy: int
    sigma_z: int
    slope: int
    size: int
    widths: tuple[float, float]
    width_range: tuple[float, float]
    max_shift: float
    iterations: int
    tolerance: float
    read_variance: float


class Profiles(NamedTuple):
    """Functions along each axis.

    Profile and its derivatives by the centre and by the width along z and y, (3, L, lanes); along x with one and x
    from the middle, (5, W, lanes), and the product of every two in use, (K, W, lanes).
    """

    z: _Array
    y: _Array
    x: _Array
    products: _Array


class Search(NamedTuple):
    """Where the search stands.

    Parameters, bounds and longest steps, (P, lanes); the function of each parameter (P,), those in use of x, and every
    two of them (K, 2); each parameter's factor in the row at hand, (P, lanes), and what is summed there: products of
    two functions (6, 6, lanes), and of what is missing (6, lanes); information and its factor (P, P, lanes), lower
    triangles; gradient, step and scale (P, lanes).
    """

    theta: _Array
    low: _Array
    high: _Array
    limit: _Array
    kind: _Array
    used: _Array
    pairs: _Array
    factor: _Array
    sums: _Array
    moments: _Array
    system: _Array
    factored: _Array
    gradient: _Array
    step: _Array
    scale: _Array


class Spots(NamedTuple):
    """Spots at work, one in each lane.

    ``pixels`` (6, Q, W, lanes), a row per z and y: data, other known light, 0 or 1; expected light, its weight, what is
    missing.
    """

    setup: Setup
    pixels: _Array
    profiles: Profiles
    search: Search


@kernel
def _axis(centre: Any, sigma: Any, length: int, out: _Array) -> None:
    """Profile of a Gaussian integrated over pixels, and its derivatives by centre and width."""
    scale, height = SQRT_HALF / sigma, -_INV_SQRT_2PI / sigma
    share_before, bell_before, broad_before = spread(0.0), spread(0.0), spread(0.0)
    for i in range(length + 1):
        t = ((i - 0.5) - centre) * scale
        bell, share = bell_and_share(t)
        bell = bell * height
        broad = bell * t * _ROOT_TWO
        if i > 0:
            store(out, (SHAPE, i - 1), share - share_before)
            store(out, (TILT, i - 1), bell - bell_before)
            store(out, (WIDTH, i - 1), broad - broad_before)
        share_before, bell_before, broad_before = share, bell, broad


@kernel
def profile(spots: Spots) -> None:
    """Profiles at the parameters of the search."""
    setup, theta = spots.setup, spots.search.theta
    deep, wide = spread(setup.widths[0]), spread(setup.widths[1])
    if setup.sigma_xy >= 0:
        wide = load(theta, setup.sigma_xy)
    if setup.sigma_z >= 0:
        deep = load(theta, setup.sigma_z)
    if setup.z >= 0:
        _axis(load(theta, setup.z), deep, setup.shape[0], spots.profiles.z)
    _axis(load(theta, Y), wide, setup.shape[1], spots.profiles.y)
    _axis(load(theta, X), wide, setup.shape[2], spots.profiles.x)


@kernel
def _multiply(profiles: Profiles, pairs: _Array) -> None:
    """Products of every two functions of x."""
    for k in range(len(pairs)):
        for i in range(profiles.x.shape[1]):
            store(profiles.products, (k, i), load(profiles.x, (pairs[k, 0], i)) * load(profiles.x, (pairs[k, 1], i)))


@kernel
def expect(spots: Spots, z: int, y: int) -> None:
    """Light expected in a row, its weight, and what is missing."""
    setup, theta, pixels, x, slope = spots.setup, spots.search.theta, spots.pixels, spots.profiles.x, spots.setup.slope
    flat, ramp = load(theta, BACKGROUND) + setup.read_variance, spread(0.0)
    signal = load(theta, PHOTONS) * load(spots.profiles.z, (SHAPE, z)) * load(spots.profiles.y, (SHAPE, y))
    if slope >= 0:
        flat, ramp = flat + load(theta, slope) * (y - 0.5 * (setup.shape[1] - 1)), load(theta, slope + 1)
        if setup.z >= 0:
            flat = flat + load(theta, slope + 2) * (z - 0.5 * (setup.shape[0] - 1))
    q = z * setup.shape[1] + y
    for i in range(setup.shape[2]):
        here = flat + signal * load(x, (SHAPE, i)) + ramp * load(x, (RAMP, i)) + load(pixels, (KNOWN, q, i))
        here = select(here, SMALLEST_MODEL, here, SMALLEST_MODEL)
        weight = load(pixels, (COUNTS, q, i)) / here
        store(pixels, (LIGHT, q, i), here)
        store(pixels, (WEIGHT, q, i), weight)
        store(pixels, (REST, q, i), (load(pixels, (DATA, q, i)) - here) * weight)


@kernel
def _factors(spots: Spots, z: int, y: int) -> None:
    """What the derivatives by the parameters are in a row, over their functions of x."""
    setup, profiles, factor = spots.setup, spots.profiles, spots.search.factor
    photons, deep, high = load(spots.search.theta, PHOTONS), load(profiles.z, (SHAPE, z)), load(profiles.y, (SHAPE, y))
    store(factor, PHOTONS, deep * high)
    store(factor, BACKGROUND, 1.0)
    store(factor, Y, photons * deep * load(profiles.y, (TILT, y)))
    store(factor, X, photons * deep * high)
    if setup.sigma_xy >= 0:
        store(factor, setup.sigma_xy, photons * deep)
    if setup.z >= 0:
        store(factor, setup.z, photons * load(profiles.z, (TILT, z)) * high)
    if setup.sigma_z >= 0:
        store(factor, setup.sigma_z, photons * load(profiles.z, (WIDTH, z)) * high)
    if setup.slope >= 0:
        store(factor, setup.slope, y - 0.5 * (setup.shape[1] - 1))
        store(factor, setup.slope + 1, 1.0)
        if setup.z >= 0:
            store(factor, setup.slope + 2, z - 0.5 * (setup.shape[0] - 1))


@kernel
def _sum_row(spots: Spots, q: int) -> None:
    """Weighted products of every two functions in use in a row, and of each with what is missing."""
    search, pixels, profiles, width = spots.search, spots.pixels, spots.profiles, spots.setup.shape[2]
    for k in range(len(search.pairs)):
        total = spread(0.0)
        for i in range(width):
            total += load(pixels, (WEIGHT, q, i)) * load(profiles.products, (k, i))
        store(search.sums, (search.pairs[k, 0], search.pairs[k, 1]), total)
        store(search.sums, (search.pairs[k, 1], search.pairs[k, 0]), total)
    for k in range(len(search.used)):
        total = spread(0.0)
        for i in range(width):
            total += load(pixels, (REST, q, i)) * load(profiles.x, (search.used[k], i))
        store(search.moments, search.used[k], total)


@kernel
def _broaden(search: Search, by_y: Any, own: Any) -> None:
    """Sums of the derivative by the width, in a row its profile and that profile's derivative blended."""
    sums, moments = search.sums, search.moments
    store(moments, BROAD, by_y * load(moments, SHAPE) + own * load(moments, WIDTH))
    for k in range(len(search.used)):
        other = search.used[k]
        total = by_y * load(sums, (SHAPE, other)) + own * load(sums, (WIDTH, other))
        store(sums, (BROAD, other), total)
        store(sums, (other, BROAD), total)
    store(sums, (BROAD, BROAD), by_y * load(sums, (BROAD, SHAPE)) + own * load(sums, (BROAD, WIDTH)))


@kernel
def _add_row(search: Search, size: int) -> None:
    """Add a row's share to information and gradient."""
    for p in range(size):
        a, own = search.kind[p], load(search.factor, p)
        store(search.gradient, p, load(search.gradient, p) + own * load(search.moments, a))
        for r in range(p + 1):
            part = own * load(search.factor, r) * load(search.sums, (a, search.kind[r]))
            store(search.system, (p, r), load(search.system, (p, r)) + part)


@kernel
def equations(spots: Spots) -> None:
    """Information and gradient at the parameters of the search."""
    setup, search, size = spots.setup, spots.search, spots.setup.size
    profile(spots)
    _multiply(spots.profiles, search.pairs)
    for p in range(size):
        store(search.gradient, p, 0.0)
        for r in range(p + 1):
            store(search.system, (p, r), 0.0)
    for z in range(setup.shape[0]):
        for y in range(setup.shape[1]):
            expect(spots, z, y)
            _factors(spots, z, y)
            _sum_row(spots, z * setup.shape[1] + y)
            if setup.sigma_xy >= 0:
                _broaden(search, load(spots.profiles.y, (WIDTH, y)), load(spots.profiles.y, (SHAPE, y)))
            _add_row(search, size)


def functions_of(setup: Setup) -> tuple[_Array, _Array, _Array]:
    """Which function of x each parameter's derivative follows, those in use, and every two of them."""
    kind = np.full(setup.size, SHAPE, np.int64)
    kind[BACKGROUND], kind[X] = ONE, TILT
    used = [SHAPE, TILT, ONE]
    if setup.sigma_xy >= 0:
        kind[setup.sigma_xy] = BROAD
        used.append(WIDTH)
    if setup.slope >= 0:
        kind[setup.slope :] = ONE
        kind[setup.slope + 1] = RAMP
        used.append(RAMP)
    return kind, np.array(used), np.array([(a, b) for i, a in enumerate(used) for b in used[: i + 1]])
