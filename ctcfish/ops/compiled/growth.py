"""Crowded regions resolved one by one: the algorithm of :mod:`ctcfish.ops.resolve` without a batch."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ctcfish.ops.compiled.kernel import kernel, maker
from ctcfish.ops.compiled.lanes import logarithm
from ctcfish.ops.compiled.median import lower_median
from ctcfish.ops.compiled.region import (
    COUNTS,
    DATA,
    LIGHT,
    Region,
    Rows,
    State,
    add_light,
    copied,
    expected_light,
    move,
    sized,
)
from ctcfish.ops.compiled.scoring import columns, refine
from ctcfish.ops.compiled.vector import LANES, load, spread, store, total_of
from ctcfish.ops.emitters import SMALLEST_MODEL, WIDTH_SD
from ctcfish.ops.missing import TEXTURE_POWER
from ctcfish.ops.resolve import CLOSE, HOPELESS, RESTED

_Array = NDArray[Any]
_INV_MEDIAN = 1.0 / 0.455  # of χ² of one degree of freedom


class Limits(NamedTuple):
    """See :class:`ctcfish.ops.resolve.Growth`."""

    most: int
    patience: int
    first_steps: int
    steps: int
    drops: int


class Tried(NamedTuple):
    """Every number of emitters that was tried in one region: see :class:`ctcfish.ops.resolve.Path`."""

    log_likelihood: _Array
    log_occam: _Array
    total_photons: _Array
    places: _Array
    log_photons: _Array
    log_widths: _Array
    background: _Array
    crowding: _Array
    dispersion: _Array


class Where(NamedTuple):
    """Pixels where emitters may be added, and away from every candidate: row and x (K, 2); blurs along each axis.

    ``blur`` (3, L, W) holds a row per place, ``reach`` (3,) its half length, and ``norm`` is one over what the blur
    makes of a unit deviation. Image and other are room for a window, a row per z and y (Z Y, W), spare for its pixels.
    """

    allowed: _Array
    ring: _Array
    blur: _Array
    reach: _Array
    norm: float
    image: _Array
    other: _Array
    spare: _Array


@kernel
def _log_likelihood(rows: Rows) -> float:
    """Of the light of the rows, up to a constant of the region."""
    values, total, pixels, out = rows.values, 0.0, 0.0, 0.0
    for q in range(len(rows.at)):
        light, counted = spread(0.0), spread(0.0)
        for x in range(0, rows.width, LANES):
            light += load(values, (DATA, q, x)) * load(values, (COUNTS, q, x))
            counted += load(values, (COUNTS, q, x))
        total, pixels = total + total_of(light), pixels + total_of(counted)
    null = np.float32(max(total / max(pixels, 1.0), SMALLEST_MODEL))
    for q in range(len(rows.at)):
        gain = spread(0.0)
        for x in range(0, rows.width, LANES):
            light = load(values, (LIGHT, q, x))
            excess = light - null
            gain += (load(values, (DATA, q, x)) * logarithm(light / null) - excess) * load(values, (COUNTS, q, x))
        out += total_of(gain)
    return out


@kernel
def _log_occam(region: Region, number: int, log_determinant: float) -> float:
    """Logarithm of prior times volume of the posterior: see :func:`ctcfish.ops.scoring.log_occam`."""
    axes, state = 3 if region.shared.shape[0] > 1 else 2, region.state
    known, brightness = region.shared.known, 0.0
    for m in range(number):
        brightness -= 0.5 * ((state.log_photons[m] - known.log_median) / known.log_sigma) ** 2
    brightness -= number * math.log(known.log_sigma * math.sqrt(2.0 * math.pi))
    process = math.lgamma(max(number, 1)) - number * known.log_room
    if sized(region.shared):
        for m in range(number):
            process -= 0.5 * (state.log_widths[m] / WIDTH_SD) ** 2
        process -= number * math.log(WIDTH_SD * math.sqrt(2.0 * math.pi))
    volume = math.log(2.0 * math.pi) * 0.5 * columns(region, axes) * number
    return brightness + process + volume - 0.5 * log_determinant


@kernel
def _apart(places: _Array, m: int, other: int, sigma: _Array) -> float:
    """Squared distance of two emitters, in widths of a point's image."""
    square = 0.0
    for a in range(3):
        square += ((places[m, a] - places[other, a]) / sigma[a]) ** 2
    return square


@kernel
def _crowding(region: Region, number: int) -> float:
    """Light under an emitter, in signals of mean brightness, less one; averaged over the light."""
    shared, state, work = region.shared, region.state, region.work
    total, weighted = 0.0, 0.0
    for m in range(number):
        under = 0.0
        for other in range(number):
            under += math.exp(-0.25 * _apart(state.places, m, other, shared.sigma)) * work.photons[other]
        weighted += (under / shared.known.mean_photons - 1.0) * work.photons[m]
        total += work.photons[m]
    return max(weighted / max(total, 1.0), 0.0)


@maker
def _kept(tried: Tried, number: int) -> State:
    """The state of a number in the path."""
    return State(tried.places[number], tried.log_photons[number], tried.log_widths[number], tried.background[number])


@kernel
def _record(region: Region, tried: Tried, number: int, judged: tuple[float, float]) -> None:
    state = region.state
    tried.log_likelihood[number], tried.log_occam[number] = judged
    copied(state, number, _kept(tried, number))
    tried.total_photons[number] = 0.0
    for m in range(number):
        tried.total_photons[number] += region.work.photons[m]
    tried.crowding[number] = _crowding(region, number)


@kernel
def _refined(region: Region, number: int, steps: int) -> float:
    """Refine the state to rest, whose light the rows hold before and after; the last log-determinant."""
    log_determinant = 0.0
    for _ in range(steps):
        log_determinant, gain = refine(region, number)
        expected_light(region, number)
        if gain < RESTED:
            break
    return log_determinant


@kernel
def _judged(region: Region, number: int, log_determinant: float) -> tuple[float, float]:
    """Likelihood and Occam factor of the state, whose light the rows hold."""
    return _log_likelihood(region.rows), _log_occam(region, number, log_determinant)


@kernel
def _blur(shape: tuple[int, int, int], axis: int, where: Where, image: _Array, out: _Array) -> None:
    """Blur an image, a row per z and y, along one of both."""
    stride = shape[1] if axis == 0 else 1
    _clear(out)
    for row in range(len(image)):
        at = row // shape[1] if axis == 0 else row % shape[1]
        for i in range(max(0, at - where.reach[axis]), min(shape[axis], at + where.reach[axis] + 1)):
            to, part = row + (i - at) * stride, where.blur[axis, at, i]
            for x in range(0, image.shape[1], LANES):
                store(out, (to, x), load(out, (to, x)) + part * load(image, (row, x)))


@kernel
def _clear(image: _Array) -> None:
    for row in range(len(image)):
        for x in range(0, image.shape[1], LANES):
            store(image, (row, x), 0.0)


@kernel
def _across(image: _Array, row: int, where: Where, x: int) -> float:
    """What the blur along x makes of an image at a place, which is even about it."""
    total = spread(0.0)
    for i in range(0, image.shape[1], LANES):
        total += load(image, (row, i)) * load(where.blur, (2, x, i))
    return float(total_of(total))


@kernel
def _lacking(shape: tuple[int, int, int], rows: Rows, where: Where) -> tuple[float, tuple[float, float, float]]:
    """Overdispersion of the residuals beside the emitters, and the place where light is missing most significantly."""
    values, best, place = rows.values, -math.inf, (0.0, 0.0, 0.0)
    _clear(where.image)
    for q in range(len(rows.at)):
        row = rows.at[q, 0] * shape[1] + rows.at[q, 1]
        for x in range(0, rows.width, LANES):
            lacking = load(values, (DATA, q, x)) / load(values, (LIGHT, q, x)) - 1.0
            store(where.image, (row, rows.left + x), lacking * load(values, (COUNTS, q, x)))
    image, other = where.image, where.other
    for axis in range(2):
        if shape[axis] > 1:
            _blur(shape, axis, where, image, other)
            image, other = other, image
    for k in range(len(where.allowed)):
        q, x = where.allowed[k, 0], where.allowed[k, 1]
        z, y, whole = rows.at[q, 0], rows.at[q, 1], rows.left + x
        significance = _across(image, z * shape[1] + y, where, whole) * math.sqrt(values[LIGHT, q, x])
        if significance > best:
            best, place = significance, (float(z), float(y), float(whole))
    for k in range(len(where.ring)):
        q, x = where.ring[k, 0], where.ring[k, 1]
        row = rows.at[q, 0] * shape[1] + rows.at[q, 1]
        significance = _across(image, row, where, rows.left + x) * where.norm
        where.spare[k] = significance * significance * values[LIGHT, q, x]
    if not len(where.ring):
        return 1.0, place
    return max(lower_median(where.spare, len(where.ring)) * _INV_MEDIAN, 1.0) ** TEXTURE_POWER, place


@kernel
def _evidence(tried: Tried, number: int) -> float:
    """Logarithm of the evidence of a number; the likelihood is tempered by the overdispersion."""
    return float(tried.log_likelihood[number] / tried.dispersion[0] + tried.log_occam[number])


@kernel
def _best(tried: Tried) -> int:
    """Number of highest evidence."""
    best = 0
    for number in range(len(tried.log_likelihood)):
        if _evidence(tried, number) > _evidence(tried, best):
            best = number
    return best


@kernel
def grow(region: Region, where: Where, limits: Limits, tried: Tried, number: int) -> None:
    """Add emitters to a region that has ``number``; see :func:`ctcfish.ops.resolve.grow`."""
    state, known, steps = region.state, region.shared.known, limits.first_steps
    expected_light(region, number)
    while True:
        log_determinant = _refined(region, number, steps)
        _record(region, tried, number, _judged(region, number, log_determinant))
        tried.dispersion[0], at = _lacking(region.shared.shape, region.rows, where)
        best = _best(tried)
        light = tried.total_photons[best] / known.mean_photons
        # a region that one emitter explains is left at the first addition in vain, and any at one that costs much
        vain = _evidence(tried, number) < _evidence(tried, best) - HOPELESS
        enough = number >= best + (1 if vain else min(best, limits.patience)) and number >= np.rint(light)
        if enough or number >= limits.most:
            break
        state.places[number, 0], state.places[number, 1], state.places[number, 2] = at
        state.log_photons[number], state.log_widths[number] = known.log_median - 0.2, 0.0
        add_light(region, number, number + 1)
        number, steps = number + 1, limits.steps
    fewer = limits.drops
    while fewer > 0 and _drop_faintest(region, tried, limits.steps):
        fewer -= 1


@kernel
def _take(region: Region, tried: Tried, number: int) -> None:
    """Copy the state of a number out of the path."""
    copied(_kept(tried, number), number, region.state)


@kernel
def _faintest_paired(places: _Array, log_photons: _Array, number: int, sigma: _Array) -> int:
    """The faintest emitter that has another close by; -1 where none has."""
    faint = -1
    for m in range(number):
        paired = False
        for other in range(number):
            paired = paired or (other != m and _apart(places, m, other, sigma) < CLOSE * CLOSE)
        if paired and (faint < 0 or log_photons[m] < log_photons[faint]):
            faint = m
    return faint


@kernel
def _drop_faintest(region: Region, tried: Tried, steps: int) -> bool:
    """Leave out the faintest emitter close to another of the best number, kept where the evidence of one fewer rises.

    Says whether one fewer is the best number then: else to try again is to do the same.
    """
    best, state = _best(tried), region.state
    faint = _faintest_paired(tried.places[best], tried.log_photons[best], best, region.shared.sigma)
    if faint < 0 or tried.log_photons[best, faint] >= region.shared.known.log_median:
        return False
    _take(region, tried, best)
    last = best - 1
    move(state, last, state, faint)
    expected_light(region, last)
    likelihood, occam = _judged(region, last, _refined(region, last, steps))
    if likelihood / tried.dispersion[0] + occam > _evidence(tried, last):
        _record(region, tried, last, (likelihood, occam))
    return _best(tried) == last


@kernel
def settle(region: Region, tried: Tried, wanted: int, steps: int) -> int:
    """Refine the tried number nearest to the wanted one to rest, and return it."""
    chosen = -1
    for number in range(len(tried.log_likelihood)):
        nearer = chosen < 0 or abs(number - wanted) < abs(chosen - wanted)
        if nearer and tried.log_likelihood[number] > -math.inf:
            chosen = number
    _take(region, tried, chosen)
    for _ in range(steps):
        expected_light(region, chosen)
        refine(region, chosen)
    return chosen
