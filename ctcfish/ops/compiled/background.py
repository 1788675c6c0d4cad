"""The background of one region, and sums over its pixels: :class:`ctcfish.ops.background.Series` axis by axis.

No function of the series is ever held: what the rows of a plane have in common is told by cosines along y and x, and
what planes have in common by those along z.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from numpy.typing import NDArray

from ctcfish.ops.compiled.kernel import kernel
from ctcfish.ops.compiled.vector import LANES, load, spread, store, total_of

_Array = NDArray[Any]


class Waves(NamedTuple):
    """Series over crops of one shape.

    Cosines (3, 2 H + 1, L) of every order at every pixel of each axis, L padded; orders (B, 3), precision, amplitude
    and height under an emitter (B,); phase of the first order from pixel to pixel along each axis (3,); highest order
    along each.
    """

    cosines: _Array
    orders: _Array
    precision: _Array
    amplitude: _Array
    height: _Array
    first: _Array
    highest: tuple[int, int, int]


class Sums(NamedTuple):
    """Room for a sum of every order along z, y and x, of a plane along y and x, of a row along x; for its pixels."""

    whole: _Array
    plane: _Array
    row: _Array
    pixels: _Array


@kernel
def add_up(rows: Any, value: int, waves: Waves, most: tuple[int, int, int], sums: Sums) -> None:
    """Sum a value of the rows times the product of cosines of every order up to ``most`` along each axis."""
    sums.whole.fill(0.0)
    start = 0
    for stop in range(1, len(rows.at) + 1):
        if stop == len(rows.at) or rows.at[stop, 0] != rows.at[start, 0]:
            _add_plane(rows, value, waves, most, (start, stop), sums)
            start = stop


@kernel
def _add_plane(
    rows: Any, value: int, waves: Waves, most: tuple[int, int, int], own: tuple[int, int], sums: Sums
) -> None:
    """Add the sums over the rows of one plane, from the first to before the second of ``own``."""
    z = rows.at[own[0], 0]
    for j in range(most[1] + 1):
        for x in range(0, rows.width, LANES):
            down = spread(0.0)
            for q in range(own[0], own[1]):
                down += waves.cosines[1, j, rows.at[q, 1]] * load(rows.values, (value, q, x))
            store(sums.pixels, x, down)
        for k in range(most[2] + 1):
            across = spread(0.0)
            for x in range(0, rows.width, LANES):
                across += load(sums.pixels, x) * load(waves.cosines, (2, k, rows.left + x))
            total = total_of(across)
            for p in range(most[0] + 1):
                sums.whole[p, j, k] += total * waves.cosines[0, p, z]


@kernel
def product(waves: Waves, a: int, b: int, sums: Sums) -> float:
    """Sum times the product of two functions, by the sums of the sum and the difference of their orders."""
    orders, total = waves.orders, 0.0
    for z in (orders[a, 0] + orders[b, 0], abs(orders[a, 0] - orders[b, 0])):
        for y in (orders[a, 1] + orders[b, 1], abs(orders[a, 1] - orders[b, 1])):
            for x in (orders[a, 2] + orders[b, 2], abs(orders[a, 2] - orders[b, 2])):
                total += sums.whole[z, y, x]
    return float(0.125 * waves.amplitude[a] * waves.amplitude[b] * total)


@kernel
def shine(rows: Any, value: int, waves: Waves, background: _Array, sums: Sums) -> None:
    """Put the light of the background's coefficients (B,) into a value of the rows."""
    plane, last = -1, waves.highest[2]
    sums.whole.fill(0.0)
    for b in range(len(background)):
        sums.whole[waves.orders[b, 0], waves.orders[b, 1], waves.orders[b, 2]] = background[b] * waves.amplitude[b]
    for q in range(len(rows.at)):
        if rows.at[q, 0] != plane:
            plane = rows.at[q, 0]
            _of_plane(waves, plane, sums)
        _of_row(waves, rows.at[q, 1], sums)
        for x in range(0, rows.width, LANES):
            light = spread(sums.row[0])
            for k in range(1, last + 1):
                light += sums.row[k] * load(waves.cosines, (2, k, rows.left + x))
            store(rows.values, (value, q, x), light)


@kernel
def _of_plane(waves: Waves, z: int, sums: Sums) -> None:
    """What a plane holds of every order along y and x."""
    for j in range(waves.highest[1] + 1):
        for k in range(waves.highest[2] + 1):
            sums.plane[j, k] = 0.0
            for p in range(waves.highest[0] + 1):
                sums.plane[j, k] += sums.whole[p, j, k] * waves.cosines[0, p, z]


@kernel
def _of_row(waves: Waves, y: int, sums: Sums) -> None:
    """What a row of a plane holds of every order along x."""
    for k in range(waves.highest[2] + 1):
        sums.row[k] = 0.0
        for j in range(waves.highest[1] + 1):
            sums.row[k] += sums.plane[j, k] * waves.cosines[1, j, y]
