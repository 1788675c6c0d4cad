"""What kernels reckon with vectors, against the same by numpy."""

from __future__ import annotations

import numba
import numpy as np
import pytest

from ctcfish.ops.compiled import vector as v
from ctcfish.ops.compiled.vector import LANES, load, store

F = np.float32
LEFT = np.random.default_rng(1).normal(0, 3, LANES).astype(F)
RIGHT = np.random.default_rng(2).uniform(0.5, 3, LANES).astype(F)


def reckoned(kernel, *arrays):
    out = np.zeros(LANES, F)
    numba.njit(kernel)(*arrays, out)
    return out


def sums(a, b, out):
    x, y = load(a, 0), load(b, 0)
    total = x + y * 2 - 0.5 / y
    total += x
    total -= 1
    total *= y
    store(out, 0, total)


def chosen(a, b, out):
    store(out, 0, v.select(load(a, 0), 0.0, load(b, 0), -1.0))


def functions(a, b, out):
    store(out, 0, v.root(load(b, 0)) + v.floor(load(a, 0)) + v.magnitude(load(a, 0)))


@pytest.mark.parametrize(
    ("kernel", "expected"),
    [
        (sums, (LEFT + RIGHT * 2 - 0.5 / RIGHT + LEFT - 1) * RIGHT),
        (chosen, np.where(LEFT > 0, RIGHT, -1)),
        (functions, np.sqrt(RIGHT) + np.floor(LEFT) + abs(LEFT)),
    ],
)
def test_every_lane_is_reckoned_by_itself(kernel, expected):
    np.testing.assert_allclose(reckoned(kernel, LEFT, RIGHT), expected, rtol=1e-5, atol=1e-6)


def test_a_comparison_with_no_number_is_not_true():
    nothing = np.full(LANES, np.nan, F)
    np.testing.assert_array_equal(reckoned(chosen, nothing, RIGHT), np.full(LANES, -1, F))


@numba.njit
def total_of(values, at):
    return v.total_of(load(values, at))


def test_the_lanes_are_summed():
    assert total_of(np.arange(LANES, dtype=F), 0) == LANES * (LANES - 1) / 2


def test_a_vector_begins_at_its_index_or_at_the_last_axis():
    rows = np.arange(6 * 3 * LANES, dtype=F).reshape(2, 3, 3 * LANES)
    assert total_of(rows, (1, 2)) == rows[1, 2, :LANES].sum()
    assert total_of(rows, (1, 2, 5)) == rows[1, 2, 5 : 5 + LANES].sum()
    assert total_of(rows, 1) == rows[1, 0, :LANES].sum()


@numba.njit
def powers(values, bits, whole):
    store(whole, 0, v.bits(load(values, 0)))
    store(bits, 0, v.of_bits(load(whole, 0)))


def test_bits_are_whole_numbers_and_back():
    values, out, whole = F(2.0) ** np.arange(-3, LANES - 3, dtype=F), np.zeros(LANES, F), np.zeros(LANES, F)
    powers(values, out, whole)
    np.testing.assert_array_equal(whole, values.view(np.int32).astype(F))
    np.testing.assert_array_equal(out, values)
