"""One crowded region: what it is made of, and its expected light.

The algorithm is that of :mod:`ctcfish.ops.emitters`, region by region instead of all in lockstep: only pixels that
count are worked on, and no slot is empty. Inner loops run along rows of x, by vectors.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from numpy.typing import NDArray

from ctcfish.ops.compiled.background import Sums, Waves, shine
from ctcfish.ops.compiled.kernel import kernel
from ctcfish.ops.compiled.lanes import BELL, SHARE, gaussian
from ctcfish.ops.compiled.vector import LANES, load, select, store
from ctcfish.ops.emitters import SMALLEST_MODEL

DATA, COUNTS, LIGHT, WEIGHT, REST, ROOT, COLUMN = range(7)
VALUE, SLOPE = range(2)
BY_Z, BY_Y, IMAGE_LIGHT = range(1, 4)
_SQRT_HALF, INV_SQRT_2PI = math.sqrt(0.5), 1.0 / math.sqrt(2.0 * math.pi)
_Array = NDArray[Any]


class Known(NamedTuple):
    """What is known of brightness and camera: see :class:`ctcfish.ops.emitters.CrowdModel`."""

    log_median: float
    log_sigma: float
    mean_photons: float
    read_variance: float
    log_faintest: float
    log_room: float


class Shared(NamedTuple):
    """What all regions of one shape share.

    Width of a point's image (3,), one over twice its variance over pixels (3,); parts of it (K, 4): light, width along
    z and in the plane, distance of its halves from the point along z; series of the background.
    """

    shape: tuple[int, int, int]
    known: Known
    sigma: _Array
    sharpness: _Array
    parts: _Array
    waves: Waves


class State(NamedTuple):
    """Places (M, 3), logarithms of photons (M,) and background coefficients (B,) of one region, changed in place."""

    places: _Array
    log_photons: _Array
    background: _Array


class Rows(NamedTuple):
    """Rows along x of one region in which pixels count, Q of them, plane by plane, all cut to the same columns.

    Background level; first column and width W, which lanes divide; place z, y (Q, 2); values (7, …, W): data, 0 or 1,
    light, weight, residual, and room for the root of the weight and a column of the derivatives.
    """

    level: float
    left: int
    width: int
    at: _Array
    values: _Array


class Profiles(NamedTuple):
    """Profiles of the images along each axis and their derivatives by the centre (2, M K, L), padded; edges.

    Along z with a row to spare, along the columns of the rows for x; ``rows`` (4, M K, Q) holds what each row has of an
    image: the product of both other profiles, its derivatives by z and by y, and its light.
    """

    z: _Array
    y: _Array
    x: _Array
    rows: _Array
    edges: _Array


class Work(NamedTuple):
    """Room for a step.

    Photons (M,); sums under each emitter (M, 5): value, derivatives by z, y, x, and the weight under its core; cosine
    and slope of every order of the series along each axis (3, H, 2); system (P, P + 1), its rows padded, gradient (P,),
    step and scale (P + 1,); sums over the pixels by the series; of an image of several parts the derivatives of the
    light by every parameter of the emitters times the root of the weight (4 M, Q W).
    """

    photons: _Array
    seen: _Array
    waves: _Array
    system: _Array
    gradient: _Array
    step: _Array
    scale: _Array
    sums: Sums
    slopes: _Array


class Region(NamedTuple):
    """A region at work."""

    shared: Shared
    rows: Rows
    state: State
    profiles: Profiles
    work: Work


@kernel
def copied(places: _Array, log_photons: _Array, background: _Array, number: int, to: State) -> None:
    """Write ``number`` emitters and a background into a state."""
    for m in range(number):
        to.log_photons[m] = log_photons[m]
        for a in range(3):
            to.places[m, a] = places[m, a]
    for b in range(len(background)):
        to.background[b] = background[b]


@kernel
def _axis(centre: float, width: tuple[float, float], pixels: int, row: int, to: _Array, edges: _Array) -> None:
    """Profile of a Gaussian of σ ``width[0]`` over pixels, and its derivative by the centre, times ``width[1]``."""
    light, height = width[1], -INV_SQRT_2PI / width[0] * width[1]
    gaussian(centre, _SQRT_HALF / width[0], pixels + 1, edges)
    for i in range(0, pixels, LANES):
        store(to, (VALUE, row, i), (load(edges, (SHARE, i + 1)) - load(edges, (SHARE, i))) * light)
        store(to, (SLOPE, row, i), (load(edges, (BELL, i + 1)) - load(edges, (BELL, i))) * height)


@kernel
def _along_z(centre: float, part: _Array, depth: int, row: int, to: Profiles) -> None:
    """Profile of a part of an image along z, which may be in two halves."""
    light, deep, away = part[0], part[1], part[3]
    if away == 0.0:
        _axis(centre, (deep, light), depth, row, to.z, to.edges)
        return
    spare = to.z.shape[1] - 1
    _axis(centre - away, (deep, 0.5 * light), depth, row, to.z, to.edges)
    _axis(centre + away, (deep, 0.5 * light), depth, spare, to.z, to.edges)
    for value in (VALUE, SLOPE):
        for i in range(0, depth, LANES):
            store(to.z, (value, row, i), load(to.z, (value, row, i)) + load(to.z, (value, spare, i)))


@kernel
def _profile(region: Region, first: int, number: int) -> None:
    """Brightness and profiles of the state's emitters from ``first`` up to ``number``."""
    shared, places, to = region.shared, region.state.places, region.profiles
    depth, height, _ = shared.shape
    for m in range(first, number):
        region.work.photons[m] = math.exp(region.state.log_photons[m])
        for part in range(len(shared.parts)):
            row = m * len(shared.parts) + part
            wide = shared.parts[part, 2]
            if depth == 1:
                to.z[VALUE, row, 0], to.z[SLOPE, row, 0] = shared.parts[part, 0], 0.0
            else:
                _along_z(places[m, 0], shared.parts[part], depth, row, to)
            _axis(places[m, 1], (wide, 1.0), height, row, to.y, to.edges)
            _axis(places[m, 2] - region.rows.left, (wide, 1.0), region.rows.width, row, to.x, to.edges)
            _rows_of(region.rows.at, to, row, region.work.photons[m])


@kernel
def _rows_of(at: _Array, to: Profiles, row: int, photons: float) -> None:
    """What every row has of an image."""
    for q in range(len(at)):
        deep, high = to.z[VALUE, row, at[q, 0]], to.y[VALUE, row, at[q, 1]]
        to.rows[VALUE, row, q], to.rows[IMAGE_LIGHT, row, q] = deep * high, deep * high * photons
        to.rows[BY_Z, row, q] = to.z[SLOPE, row, at[q, 0]] * high
        to.rows[BY_Y, row, q] = deep * to.y[SLOPE, row, at[q, 1]]


@kernel
def add_light(region: Region, first: int, number: int) -> None:
    """Add the light of the state's emitters from ``first`` up to ``number`` to that of the rows."""
    _profile(region, first, number)
    values, images, parts = region.rows.values, region.profiles, len(region.shared.parts)
    for q in range(len(region.rows.at)):
        for x in range(0, region.rows.width, LANES):
            light = load(values, (LIGHT, q, x))
            for row in range(first * parts, number * parts):
                light += images.rows[IMAGE_LIGHT, row, q] * load(images.x, (VALUE, row, x))
            store(values, (LIGHT, q, x), light)


@kernel
def expected_light(region: Region, number: int) -> None:
    """Fill the light of the rows: photons plus read variance of the state's ``number`` emitters on its background."""
    values, width, read_variance = region.rows.values, region.rows.width, region.shared.known.read_variance
    shine(region.rows, LIGHT, region.shared.waves, region.state.background, region.work.sums)
    add_light(region, 0, number)
    for q in range(len(region.rows.at)):
        for x in range(0, width, LANES):
            light = load(values, (LIGHT, q, x)) + read_variance
            store(values, (LIGHT, q, x), select(light, SMALLEST_MODEL, light, SMALLEST_MODEL))
