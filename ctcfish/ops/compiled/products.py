"""Information of an image of several parts: the products of the derivatives of the light themselves.

Overlaps are closed for two Gaussians alone; those of halos that a window cuts are not of one matrix.
"""

from __future__ import annotations

from ctcfish.ops.compiled.background import add_up
from ctcfish.ops.compiled.kernel import kernel
from ctcfish.ops.compiled.region import (
    BY_WIDTH,
    BY_Y,
    BY_Z,
    COLUMN,
    GROWTH,
    REST,
    ROOT,
    SLOPE,
    VALUE,
    WEIGHT,
    Region,
    Rows,
    Work,
)
from ctcfish.ops.compiled.vector import LANES, load, root, spread, store, total_of


@kernel
def fill_products(region: Region, number: int, axes: int) -> None:
    """Gradient and information of the likelihood by every parameter of ``number`` emitters; upper triangle."""
    size = number * (2 + axes)
    _take_roots(region.rows)
    for m in range(number):
        _differentiate(region, m, axes)
    _multiply(region.work, size, len(region.rows.at) * region.rows.width)
    for p in range(size):
        _couple(region, p, size)


@kernel
def _take_roots(rows: Rows) -> None:
    for q in range(len(rows.at)):
        for x in range(0, rows.width, LANES):
            store(rows.values, (ROOT, q, x), root(load(rows.values, (WEIGHT, q, x))))


@kernel
def _differentiate(region: Region, m: int, axes: int) -> None:
    """Derivatives of the light by brightness, place and width of an emitter; gradient of the likelihood by these."""
    values, images, work = region.rows.values, region.profiles, region.work
    of_row, parts, photons = images.rows, len(region.shared.parts), work.photons[m]
    width, first, last = region.rows.width, m * (2 + axes), m * (2 + axes) + axes
    light, by_z, by_y, by_x, by_width = spread(0.0), spread(0.0), spread(0.0), spread(0.0), spread(0.0)
    for q in range(len(region.rows.at)):
        for x in range(0, width, LANES):
            own, own_z, own_y, own_x, wider = spread(0.0), spread(0.0), spread(0.0), spread(0.0), spread(0.0)
            for row in range(m * parts, (m + 1) * parts):
                image = load(images.x, (VALUE, row, x))
                own += of_row[VALUE, row, q] * image
                own_z += of_row[BY_Z, row, q] * image
                own_y += of_row[BY_Y, row, q] * image
                own_x += of_row[VALUE, row, q] * load(images.x, (SLOPE, row, x))
                wider += of_row[VALUE, row, q] * load(images.x, (GROWTH, row, x)) + of_row[BY_WIDTH, row, q] * image
            at, rest, weight = q * width + x, load(values, (REST, q, x)), load(values, (ROOT, q, x)) * photons
            light += own * rest
            by_z += own_z * rest
            by_y += own_y * rest
            by_x += own_x * rest
            by_width += wider * rest
            if axes == 3:
                store(work.slopes, (first + 1, at), own_z * weight)
            store(work.slopes, (first, at), own * weight)
            store(work.slopes, (last - 1, at), own_y * weight)
            store(work.slopes, (last, at), own_x * weight)
            store(work.slopes, (last + 1, at), wider * weight)
    if axes == 3:
        work.gradient[first + 1] = photons * total_of(by_z)
    work.gradient[first], work.gradient[last - 1] = photons * total_of(light), photons * total_of(by_y)
    work.gradient[last], work.gradient[last + 1] = photons * total_of(by_x), photons * total_of(by_width)


@kernel
def _multiply(work: Work, size: int, pixels: int) -> None:
    """Products of every two derivatives by the emitters; four are summed at once."""
    slopes = work.slopes
    for p in range(size):
        for first in range(p // 4 * 4, size, 4):
            second, third, fourth = min(first + 1, size - 1), min(first + 2, size - 1), min(first + 3, size - 1)
            a, b, c, d = spread(0.0), spread(0.0), spread(0.0), spread(0.0)
            for x in range(0, pixels, LANES):
                own = load(slopes, (p, x))
                a += own * load(slopes, (first, x))
                b += own * load(slopes, (second, x))
                c += own * load(slopes, (third, x))
                d += own * load(slopes, (fourth, x))
            work.system[p, fourth], work.system[p, third] = total_of(d), total_of(c)
            work.system[p, second], work.system[p, first] = total_of(b), total_of(a)


@kernel
def _couple(region: Region, p: int, first: int) -> None:
    """Products of a derivative by an emitter with those by the background, which stand from parameter ``first`` on."""
    rows, waves, work = region.rows, region.shared.waves, region.work
    for q in range(len(rows.at)):
        for x in range(0, rows.width, LANES):
            own = load(work.slopes, (p, q * rows.width + x))
            store(rows.values, (COLUMN, q, x), own * load(rows.values, (ROOT, q, x)))
    add_up(rows, COLUMN, waves, waves.highest, work.sums)
    for b in range(len(waves.orders)):
        order = waves.orders[b]
        work.system[p, first + b] = waves.amplitude[b] * work.sums.whole[order[0], order[1], order[2]]
