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
from ctcfish.ops.compiled.lanes import BELL, PLACE, SHARE, gaussian
from ctcfish.ops.compiled.vector import LANES, load, select, store
from ctcfish.ops.emitters import SMALLEST_MODEL

DATA, COUNTS, LIGHT, WEIGHT, REST, ROOT, COLUMN = range(7)
VALUE, SLOPE, GROWTH = range(3)
BY_Z, BY_Y, IMAGE_LIGHT, BY_WIDTH = range(1, 5)
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
    """Emitters and background of one region, changed in place.

    Places (M, 3), logarithms of photons and of widths over a point's (M,), background coefficients (B,).
    """

    places: _Array
    log_photons: _Array
    log_widths: _Array
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

    Along y and x a third of each: the derivative by the log width. Along z with a row to spare, along the columns of
    the rows for x; ``rows`` (5, M K, Q) holds what each row has of an image: the product of both other profiles, its
    derivatives by z and by y, its light, and its derivative by the log width.
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
    light by every parameter of the emitters times the root of the weight (5 M, Q W).
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
def sized(shared: Shared) -> bool:
    """Whether emitters have a width of their own: see :class:`ctcfish.ops.emitters.CrowdModel`."""
    return len(shared.parts) > 1


@kernel
def move(state: State, m: int, to: State, other: int) -> None:
    """Write emitter ``m`` of a state into the slot ``other`` of another, or of the same."""
    to.log_photons[other], to.log_widths[other] = state.log_photons[m], state.log_widths[m]
    for a in range(3):
        to.places[other, a] = state.places[m, a]


@kernel
def copied(state: State, number: int, to: State) -> None:
    """Write ``number`` emitters and the background of a state into another."""
    for m in range(number):
        move(state, m, to, m)
    for b in range(len(state.background)):
        to.background[b] = state.background[b]


@kernel
def _axis(centre: float, width: tuple[float, float], pixels: int, row: int, to: _Array, edges: _Array) -> None:
    """Profile of a Gaussian of σ ``width[0]`` over pixels, and its derivative by the centre, times ``width[1]``."""
    light, height = width[1], -INV_SQRT_2PI / width[0] * width[1]
    gaussian(centre, _SQRT_HALF / width[0], pixels + 1, edges)
    for i in range(0, pixels, LANES):
        store(to, (VALUE, row, i), (load(edges, (SHARE, i + 1)) - load(edges, (SHARE, i))) * light)
        store(to, (SLOPE, row, i), (load(edges, (BELL, i + 1)) - load(edges, (BELL, i))) * height)


@kernel
def _grow(centre: float, width: tuple[float, float], pixels: int, row: int, to: _Array, edges: _Array) -> None:
    """Derivative of a profile by its σ ``width[0]`` times ``width[1]``, from the edges that it has left."""
    height = -INV_SQRT_2PI / (width[0] * width[0]) * width[1]
    for i in range(0, pixels, LANES):
        upper = (load(edges, (PLACE, i + 1)) - centre) * load(edges, (BELL, i + 1))
        lower = (load(edges, (PLACE, i)) - centre) * load(edges, (BELL, i))
        store(to, (GROWTH, row, i), (upper - lower) * height)


@kernel
def _in_plane(centre: tuple[float, float], width: tuple[float, float], shape: Any, row: int, to: Profiles) -> None:
    """Profiles along y and x of a Gaussian of σ ``width[0]``; by log width too, which changes σ by ``width[1]``."""
    _axis(centre[0], (width[0], 1.0), shape[0], row, to.y, to.edges)
    if width[1] > 0.0:
        _grow(centre[0], width, shape[0], row, to.y, to.edges)
    _axis(centre[1], (width[0], 1.0), shape[1], row, to.x, to.edges)
    if width[1] > 0.0:
        _grow(centre[1], width, shape[1], row, to.x, to.edges)


@kernel
def _width_of(shared: Shared, part: int, log_width: float) -> tuple[float, float]:
    """Width of a part of an emitter's image in the plane, and its derivative by the log width: see ``_part`` there."""
    wide = shared.parts[part, 2]
    if not sized(shared):
        return wide, 0.0
    point = shared.sigma[2] * shared.sigma[2]
    own = math.exp(2.0 * log_width) * point
    wide = math.sqrt(wide * wide - point + own)
    return wide, own / wide


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
            if depth == 1:
                to.z[VALUE, row, 0], to.z[SLOPE, row, 0] = shared.parts[part, 0], 0.0
            else:
                _along_z(places[m, 0], shared.parts[part], depth, row, to)
            width = _width_of(shared, part, region.state.log_widths[m])
            centre = (places[m, 1], places[m, 2] - region.rows.left)
            _in_plane(centre, width, (height, region.rows.width), row, to)
            _rows_of(region.rows.at, to, row, region.work.photons[m])
            if sized(shared):
                _grown_rows(region.rows.at, to, row)


@kernel
def _rows_of(at: _Array, to: Profiles, row: int, photons: float) -> None:
    """What every row has of an image."""
    for q in range(len(at)):
        deep, high = to.z[VALUE, row, at[q, 0]], to.y[VALUE, row, at[q, 1]]
        to.rows[VALUE, row, q], to.rows[IMAGE_LIGHT, row, q] = deep * high, deep * high * photons
        to.rows[BY_Z, row, q] = to.z[SLOPE, row, at[q, 0]] * high
        to.rows[BY_Y, row, q] = deep * to.y[SLOPE, row, at[q, 1]]


@kernel
def _grown_rows(at: _Array, to: Profiles, row: int) -> None:
    """What every row has of the derivative of an image by its log width, that of the profile along x aside."""
    for q in range(len(at)):
        to.rows[BY_WIDTH, row, q] = to.z[VALUE, row, at[q, 0]] * to.y[GROWTH, row, at[q, 1]]


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
