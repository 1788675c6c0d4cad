"""One scoring step on all emitters of a region and its background: :func:`ctcfish.ops.scoring.refine`."""

from __future__ import annotations

import math
from typing import Any

from numpy.typing import NDArray

from ctcfish.ops.compiled.background import add_up, product
from ctcfish.ops.compiled.kernel import kernel
from ctcfish.ops.compiled.lanes import padded
from ctcfish.ops.compiled.products import fill_products
from ctcfish.ops.compiled.region import (
    BY_Y,
    BY_Z,
    COUNTS,
    DATA,
    INV_SQRT_2PI,
    LIGHT,
    REST,
    SLOPE,
    VALUE,
    WEIGHT,
    Region,
    Rows,
    Work,
    sized,
)
from ctcfish.ops.compiled.vector import LANES, load, spread, store, total_of
from ctcfish.ops.emitters import WIDTH_SD
from ctcfish.ops.scoring import DAMPING, FARTHEST, LONGEST_STEP, PLACE_PRECISION, SHORT, WIDEST

_Array = NDArray[Any]


@kernel
def columns(region: Region, axes: int) -> int:
    """Parameters of an emitter: see :attr:`ctcfish.ops.emitters.Frame.columns`."""
    return 2 + axes if sized(region.shared) else 1 + axes


@kernel
def _weigh(rows: Rows) -> None:
    """Weight of every pixel of the rows by its light, and what the model lacks there."""
    values = rows.values
    for q in range(len(rows.at)):
        for x in range(0, rows.width, LANES):
            counts = load(values, (COUNTS, q, x))
            weight = counts / load(values, (LIGHT, q, x))
            store(values, (WEIGHT, q, x), weight)
            store(values, (REST, q, x), load(values, (DATA, q, x)) * weight - counts)


@kernel
def _project(region: Region, number: int) -> None:
    """Sum what the model lacks, and the weight, under every emitter."""
    values, images, of_row, seen = region.rows.values, region.profiles, region.profiles.rows, region.work.seen
    for m in range(number):
        light, by_z, by_y, by_x, weight = spread(0.0), spread(0.0), spread(0.0), spread(0.0), spread(0.0)
        for x in range(0, region.rows.width, LANES):
            down, down_z, down_y, heavy = spread(0.0), spread(0.0), spread(0.0), spread(0.0)
            for q in range(len(region.rows.at)):
                rest = load(values, (REST, q, x))
                down += of_row[VALUE, m, q] * rest
                down_z += of_row[BY_Z, m, q] * rest
                down_y += of_row[BY_Y, m, q] * rest
                heavy += of_row[VALUE, m, q] * load(values, (WEIGHT, q, x))
            image = load(images.x, (VALUE, m, x))
            light += down * image
            by_z += down_z * image
            by_y += down_y * image
            by_x += down * load(images.x, (SLOPE, m, x))
            weight += heavy * image
        seen[m, 0], seen[m, 1], seen[m, 2] = total_of(light), total_of(by_z), total_of(by_y)
        seen[m, 3], seen[m, 4] = total_of(by_x), total_of(weight)


@kernel
def _fill_background(region: Region, first: int) -> None:
    """Gradient and information of the background's coefficients from parameter ``first`` on, priors included."""
    waves, rows, background = region.shared.waves, region.rows, region.state.background
    sums, system, gradient, most = region.work.sums, region.work.system, region.work.gradient, waves.highest
    add_up(rows, REST, waves, most, sums)
    for b in range(len(background)):
        order, stiffness = waves.orders[b], waves.precision[b] / max(rows.level, 1.0) ** 2
        lacking = waves.amplitude[b] * sums.whole[order[0], order[1], order[2]]
        gradient[first + b] = lacking - (background[b] - (rows.level if b == 0 else 0.0)) * stiffness
    add_up(rows, WEIGHT, waves, (2 * most[0], 2 * most[1], 2 * most[2]), sums)
    for b in range(len(background)):
        for other in range(b, len(background)):
            system[first + b, first + other] = product(waves, b, other, sums)
        system[first + b, first + b] += waves.precision[b] / max(rows.level, 1.0) ** 2


@kernel
def _fill_overlaps(region: Region, number: int, axes: int) -> None:
    """Gradient and information of the likelihood by brightness and places of Gaussians; upper triangle."""
    shared, work, k = region.shared, region.work, 1 + axes
    norm = 1.0
    for a in range(axes):
        norm *= INV_SQRT_2PI * math.sqrt(shared.sharpness[3 - axes + a])
    _project(region, number)
    for m in range(number):
        work.gradient[m * k] = work.photons[m] * work.seen[m, 0]
        for a in range(axes):
            work.gradient[m * k + 1 + a] = work.photons[m] * work.seen[m, 4 - axes + a]
        strength = work.photons[m] * math.sqrt(max(work.seen[m, 4], 0.0)) * norm
        for other in range(m + 1):
            theirs = work.photons[other] * math.sqrt(max(work.seen[other, 4], 0.0))
            _overlap(region, (m, other), axes, strength * theirs)
        _couple(region, m, number, axes)


@kernel
def _add_priors(region: Region, number: int, axes: int) -> None:
    """Add the priors of brightness, places and widths to gradient and information."""
    known, work, k = region.shared.known, region.work, columns(region, axes)
    stiffness = 1.0 / (known.log_sigma * known.log_sigma)
    for m in range(number):
        work.gradient[m * k] -= (region.state.log_photons[m] - known.log_median) * stiffness
        work.system[m * k, m * k] += stiffness
        for a in range(axes):
            work.system[m * k + 1 + a, m * k + 1 + a] += PLACE_PRECISION
        if sized(region.shared):
            work.gradient[m * k + k - 1] -= region.state.log_widths[m] / WIDTH_SD**2
            work.system[m * k + k - 1, m * k + k - 1] += 1.0 / WIDTH_SD**2


@kernel
def _overlap(region: Region, pair: tuple[int, int], axes: int, strength: float) -> None:
    """Information between two emitters.

    Two columns of the Jacobian are Gaussians: their product sum is the overlap of the two images or a derivative of it.
    """
    places, sharpness, system = region.state.places, region.shared.sharpness, region.work.system
    (m, other), first = pair, 3 - axes
    exponent = 0.0
    for a in range(first, 3):
        exponent += (places[m, a] - places[other, a]) ** 2 * sharpness[a]
    overlap = strength * math.exp(-0.5 * exponent)
    row, column = m * (1 + axes), other * (1 + axes)
    system[column, row] = overlap
    for a in range(axes):
        slope = (places[m, first + a] - places[other, first + a]) * sharpness[first + a]
        system[column + 1 + a, row], system[column, row + 1 + a] = overlap * slope, -overlap * slope
        for b in range(axes):
            own = sharpness[first + a] if a == b else 0.0
            tilt = (places[m, first + b] - places[other, first + b]) * sharpness[first + b]
            system[column + 1 + b, row + 1 + a] = overlap * (own - slope * tilt)


@kernel
def _couple(region: Region, m: int, number: int, axes: int) -> None:
    """Information between emitter ``m`` and the background: the mean of the series under its image."""
    series, state, work = region.shared.waves, region.state, region.work
    k, waves, orders = 1 + axes, work.waves, series.orders
    for a in range(3):
        phase = (state.places[m, a] + 0.5) * series.first[a]
        for order in range(1, waves.shape[1]):
            waves[a, order, 0] = math.cos(order * phase)
            waves[a, order, 1] = -order * series.first[a] * math.sin(order * phase)
    for b in range(len(state.background)):
        row, last = number * k + b, m * k + k - 1
        strength = work.photons[m] * work.seen[m, 4] * series.height[b]
        z, by_z = waves[0, orders[b, 0], 0], waves[0, orders[b, 0], 1]
        y, by_y = waves[1, orders[b, 1], 0], waves[1, orders[b, 1], 1]
        x, by_x = waves[2, orders[b, 2], 0], waves[2, orders[b, 2], 1]
        work.system[m * k, row] = strength * z * y * x
        work.system[last, row], work.system[last - 1, row] = strength * z * y * by_x, strength * z * by_y * x
        if axes == 3:
            work.system[last - 2, row] = strength * by_z * y * x


@kernel
def _scaled(size: int, work: Work) -> None:
    """Scale the information to a damped unit diagonal, in place, and the gradient, put beside it, with it."""
    system, scale = work.system, work.scale
    for i in range(size):
        scale[i] = 1.0 / math.sqrt(system[i, i])
        system[i, size] = work.gradient[i]
    scale[size] = 1.0
    for x in range(size + 1, padded(size + 1)):  # vectors reach so far: what a larger region left may be no number
        scale[x] = 0.0
    for i in range(size):
        for x in range(i // LANES * LANES, i):
            system[i, x] = 0.0
        for x in range(size + 1, padded(size + 1)):
            system[i, x] = 0.0
        for x in range(i // LANES * LANES, size + 1, LANES):
            store(system, (i, x), load(system, (i, x)) * scale[i] * load(scale, x))
        system[i, i] += DAMPING


@kernel
def _finished(system: _Array, j: int, size: int) -> float:
    """Divide a row by the root of its pivot, which is given back."""
    pivot = max(float(system[j, j]), 1e-12)
    inverse = 1.0 / math.sqrt(pivot)
    for x in range(j // LANES * LANES, size + 1, LANES):
        store(system, (j, x), load(system, (j, x)) * inverse)
    return pivot


@kernel
def _factor(size: int, work: Work) -> tuple[float, bool]:
    """Cholesky factor of the information scaled to a damped unit diagonal, upper triangle, in place, two rows at once.

    The gradient beside it is solved forwards on the way. Gives the log-determinant of the damped information before it
    was scaled, and whether there is a factor. What a vector holds left of the diagonal means nothing.
    """
    system, scale = work.system, work.scale
    log_determinant, pivots, sound = 0.0, 1.0, True
    _scaled(size, work)
    for j in range(0, size, 2):
        sound = sound and system[j, j] > 0.0
        pivots *= _finished(system, j, size) / float(scale[j]) ** 2
        if j + 1 < size:
            for x in range(j // LANES * LANES, size + 1, LANES):
                store(system, (j + 1, x), load(system, (j + 1, x)) - system[j, j + 1] * load(system, (j, x)))
            sound = sound and system[j + 1, j + 1] > 0.0
            pivots *= _finished(system, j + 1, size) / float(scale[j + 1]) ** 2
        if j % LANES == 0 or j + 2 >= size:  # a logarithm costs more than a row
            log_determinant += math.log(pivots)
            pivots = 1.0
        for x in range((j + 2) // LANES * LANES, size + 1 if j + 2 < size else 0, LANES):
            upper, lower = load(system, (j, x)), load(system, (j + 1, x))
            for i in range(j + 2, min(x + LANES, size)):
                rest = load(system, (i, x)) - system[j, i] * upper
                store(system, (i, x), rest - system[j + 1, i] * lower)
    return log_determinant, sound


@kernel
def _solve(size: int, work: Work) -> float:
    """Solve for the step; the log-determinant of the damped information.

    The closed overlaps are not exactly of one matrix: where they cannot be factored, a short step along the gradient.
    """
    log_determinant, sound = _factor(size, work)
    system, scale, step = work.system, work.scale, work.step
    if not sound:
        log_determinant = 2.0 * size * math.log(SHORT)
        for i in range(size):
            step[i] = work.gradient[i] * (scale[i] / SHORT) ** 2
            log_determinant -= 2.0 * math.log(scale[i])
        return log_determinant
    for x in range(0, size + 1, LANES):
        store(step, x, 0.0)
    for i in range(size - 1, -1, -1):
        known = spread(0.0)
        for x in range(i // LANES * LANES, size, LANES):
            known += load(system, (i, x)) * load(step, x)
        step[i] = (system[i, size] - total_of(known)) / system[i, i]
    for i in range(size):
        step[i] *= scale[i]
    return log_determinant


@kernel
def refine(region: Region, number: int) -> tuple[float, float]:
    """One damped scoring step from the light of the rows, in place.

    Gives the log-determinant of the information before it, and what the step is to gain, in log-posterior.

    The light is not that of the state any more.
    """
    shared, rows, state, work = region.shared, region.rows, region.state, region.work
    axes = 3 if shared.shape[0] > 1 else 2
    k, orders = columns(region, axes), len(state.background)
    _weigh(rows)
    if sized(shared):
        fill_products(region, number, axes)
    else:
        _fill_overlaps(region, number, axes)
    _add_priors(region, number, axes)
    _fill_background(region, number * k)
    log_determinant, gain = _solve(number * k + orders, work), 0.0
    for i in range(number * k + orders):
        gain += 0.5 * work.step[i] * work.gradient[i]
    for m in range(number):
        part = min(max(work.step[m * k], -LONGEST_STEP), LONGEST_STEP)
        state.log_photons[m] = max(state.log_photons[m] + part, shared.known.log_faintest)
        for a in range(axes):
            axis = 3 - axes + a
            part = min(max(work.step[m * k + 1 + a], -LONGEST_STEP), LONGEST_STEP)
            state.places[m, axis] = min(max(state.places[m, axis] + part, 0.0), shared.shape[axis] - 1.0)
        if sized(shared):
            part = min(max(work.step[m * k + k - 1], -LONGEST_STEP), LONGEST_STEP)
            state.log_widths[m] = min(max(state.log_widths[m] + part, -WIDEST * WIDTH_SD), WIDEST * WIDTH_SD)
    for b in range(orders):
        spread = max(rows.level, 1.0) / math.sqrt(shared.waves.precision[b])
        middle = rows.level if b == 0 else 0.0
        moved = state.background[b] + min(max(work.step[number * k + b], -spread), spread)
        moved = min(max(moved, middle - FARTHEST * spread), middle + FARTHEST * spread)
        state.background[b] = max(moved, 0.1 * rows.level) if b == 0 else moved
    return log_determinant, gain
