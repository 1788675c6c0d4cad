"""A single signal on its background: what it is made of, its expected light, and its normal equations.

Along a row of x every derivative is one of five functions of x times a factor of the row: profile, its derivatives by
centre and by width, one, and x itself. So the information is made of their few products, not of a matrix per pixel.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ctcfish.ops.compiled.kernel import kernel
from ctcfish.ops.compiled.lanes import BELL, PLACE, gaussian
from ctcfish.ops.compiled.lanes import SHARE as INTEGRAL
from ctcfish.ops.fit_model import BACKGROUND, PHOTONS, SMALLEST_MODEL, X, Y

SHAPE, TILT, WIDTH, ONE, RAMP, BROAD = range(6)
DATA, KNOWN, COUNTS, LIGHT, WEIGHT, REST, OTHER = range(7)
SQRT_HALF, _INV_SQRT_2PI = math.sqrt(0.5), 1.0 / math.sqrt(2.0 * math.pi)
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
    """Profile and its derivatives by the centre and by the width: along z and y (3, L); room for edges.

    Along x (6, W) with one, x from the middle, and the derivative by the width in the row at hand.
    """

    z: _Array
    y: _Array
    x: _Array
    edges: _Array


class Search(NamedTuple):
    """Where the search stands.

    Parameters, bounds and longest steps (P,); each parameter's function (P,), and those in use; its factor in every
    row (Q, P), the light there (Q, 5), products of two functions and of what is missing (Q, 7, 6); information and its
    factor (P, P), gradient, step and scale (P,).
    """

    theta: _Array
    low: _Array
    high: _Array
    limit: _Array
    kind: _Array
    used: _Array
    factor: _Array
    light: _Array
    products: _Array
    system: _Array
    factored: _Array
    gradient: _Array
    step: _Array
    scale: _Array


class Spot(NamedTuple):
    """A spot at work.

    ``pixels`` (7, Q, W), a row per z and y padded to lanes, one array, because the compiler takes loops over many in
    no lanes: data, other known light, 0 or 1; expected light, its weight, what is missing; light of neither signal nor
    constant background.
    """

    setup: Setup
    pixels: _Array
    profiles: Profiles
    search: Search


@kernel
def _axis(centre: float, sigma: float, length: int, out: _Array, edges: _Array) -> None:
    """Profile of a Gaussian integrated over pixels, and its derivatives by centre and width."""
    height, middle, scale = np.float32(-_INV_SQRT_2PI / sigma), np.float32(centre), np.float32(1.0 / sigma)
    gaussian(centre, SQRT_HALF / sigma, edges)
    for i in range(length):
        out[SHAPE, i] = edges[INTEGRAL, i + 1] - edges[INTEGRAL, i]
    for i in range(edges.shape[1]):
        edges[BELL, i] *= height
        edges[INTEGRAL, i] = edges[BELL, i] * (edges[PLACE, i] - middle) * scale
    for i in range(length):
        out[TILT, i], out[WIDTH, i] = edges[BELL, i + 1] - edges[BELL, i], edges[INTEGRAL, i + 1] - edges[INTEGRAL, i]


@kernel
def profile(spot: Spot) -> None:
    """Profiles at the parameters of the search."""
    setup, theta, edges = spot.setup, spot.search.theta, spot.profiles.edges
    deep, wide = setup.widths
    if setup.sigma_xy >= 0:
        wide = theta[setup.sigma_xy]
    if setup.sigma_z >= 0:
        deep = theta[setup.sigma_z]
    if setup.z >= 0:
        _axis(theta[setup.z], deep, setup.shape[0], spot.profiles.z, edges)
    _axis(theta[Y], wide, setup.shape[1], spot.profiles.y, edges)
    _axis(theta[X], wide, setup.shape[2], spot.profiles.x, edges)


@kernel
def _rows(spot: Spot) -> None:
    """Factors of every row, how its broader profile blends, and its light: flat, of the signal, and of the ramp."""
    setup, theta, profiles = spot.setup, spot.search.theta, spot.profiles
    factor, light, photons = spot.search.factor, spot.search.light, spot.search.theta[PHOTONS]
    for z in range(setup.shape[0]):
        deep = profiles.z[SHAPE, z]
        for y in range(setup.shape[1]):
            q, high = z * setup.shape[1] + y, profiles.y[SHAPE, y]
            factor[q, PHOTONS], factor[q, BACKGROUND] = deep * high, 1.0
            factor[q, Y], factor[q, X] = photons * deep * profiles.y[TILT, y], photons * deep * high
            if setup.sigma_xy >= 0:
                factor[q, setup.sigma_xy] = photons * deep
            if setup.z >= 0:
                factor[q, setup.z] = photons * profiles.z[TILT, z] * high
            if setup.sigma_z >= 0:
                factor[q, setup.sigma_z] = photons * profiles.z[WIDTH, z] * high
            light[q, 0], light[q, 1], light[q, 2] = theta[BACKGROUND] + setup.read_variance, photons * deep * high, 0.0
            light[q, 3], light[q, 4] = profiles.y[WIDTH, y], high
            if setup.slope >= 0:
                factor[q, setup.slope], factor[q, setup.slope + 1] = y - 0.5 * (setup.shape[1] - 1), 1.0
                light[q, 0] += theta[setup.slope] * factor[q, setup.slope]
                light[q, 2] = theta[setup.slope + 1]
                if setup.z >= 0:
                    factor[q, setup.slope + 2] = z - 0.5 * (setup.shape[0] - 1)
                    light[q, 0] += theta[setup.slope + 2] * factor[q, setup.slope + 2]


@kernel
def _expect(pixels: _Array, x: _Array, light: _Array) -> None:
    """Light expected in every row, its weight, and what is missing."""
    for q in range(pixels.shape[1]):
        flat, signal, ramp = light[q, 0], light[q, 1], light[q, 2]
        for i in range(x.shape[1]):
            here = flat + signal * x[SHAPE, i] + ramp * x[RAMP, i] + pixels[KNOWN, q, i]
            pixels[LIGHT, q, i] = here if here > np.float32(SMALLEST_MODEL) else np.float32(SMALLEST_MODEL)
        for i in range(x.shape[1]):
            pixels[WEIGHT, q, i] = pixels[COUNTS, q, i] / pixels[LIGHT, q, i]
        for i in range(x.shape[1]):
            pixels[REST, q, i] = (pixels[DATA, q, i] - pixels[LIGHT, q, i]) * pixels[WEIGHT, q, i]


@kernel
def _multiply(pixels: _Array, x: _Array, light: _Array, used: _Array, products: _Array) -> None:
    """Weighted products of every two functions in use in every row, and with what is missing: (Q, 7, 6)."""
    for q in range(pixels.shape[1]):
        if used[len(used) - 1] == BROAD:
            by_y, own = light[q, 3], light[q, 4]
            for i in range(x.shape[1]):
                x[BROAD, i] = by_y * x[SHAPE, i] + own * x[WIDTH, i]
        for k in range(len(used)):
            a, moment = used[k], np.float32(0.0)
            for i in range(x.shape[1]):
                moment += pixels[REST, q, i] * x[a, i]
            products[q, 6, a] = moment
            for j in range(k + 1):
                b, product = used[j], np.float32(0.0)
                for i in range(x.shape[1]):
                    product += pixels[WEIGHT, q, i] * x[a, i] * x[b, i]
                products[q, a, b], products[q, b, a] = product, product


@kernel
def equations(spot: Spot) -> None:
    """Information and gradient at the parameters of the search."""
    search, kind, products = spot.search, spot.search.kind, spot.search.products
    system, gradient, factor = search.system, search.gradient, search.factor
    profile(spot)
    _rows(spot)
    _expect(spot.pixels, spot.profiles.x, search.light)
    _multiply(spot.pixels, spot.profiles.x, search.light, search.used, products)
    for p in range(spot.setup.size):
        moment = 0.0
        for q in range(len(factor)):
            moment += factor[q, p] * products[q, 6, kind[p]]
        gradient[p] = moment
        for r in range(p + 1):
            a, b, product = kind[p], kind[r], 0.0
            for q in range(len(factor)):
                product += factor[q, p] * factor[q, r] * products[q, a, b]
            system[p, r], system[r, p] = product, product
