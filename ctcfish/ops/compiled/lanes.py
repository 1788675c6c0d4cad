"""Exponentials and logarithms of vectors: a few products each, where the libraries' functions go one by one.

Powers of two are made of the bits of a float of 32: its exponent stands from bit 23 on, 127 above its value.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctcfish.ops.compiled.kernel import kernel, maker
from ctcfish.ops.compiled.vector import LANES, bits, floor, load, magnitude, of_bits, select, store

SHARE, BELL, PLACE = range(3)
_Array = NDArray[Any]
_F = np.float32

_BIAS, _ONE_EXPONENT = _F(127.0), _F(2.0**23)
_HALF, _ONE = _F(0.5), _F(1.0)
_LOWEST = _F(-120.0)  # of an exponent of two; what is smaller is below the precision of the pixels
_TO_TWO = _F(-1.0 / math.log(2.0))
_P1, _P2, _P3, _P4, _P5, _P6 = (_F(math.log(2.0) ** k / math.factorial(k)) for k in range(1, 7))
_E0, _E1, _E2, _E3, _E4, _E5 = (
    _F(e) for e in (0.3275911, 0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429)
)
_ROOT_HALF_BITS, _LOG_TWO = _F(0x3F3504F3), _F(math.log(2.0))
_Q0, _Q1, _Q2 = (_F(q) for q in (7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1))
_Q3, _Q4, _Q5 = (_F(q) for q in (-1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1))
_Q6, _Q7, _Q8 = (_F(q) for q in (2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1))


@kernel
def padded(width: int) -> int:
    """Width that lanes divide."""
    return (width + LANES - 1) // LANES * LANES


@kernel
def bell_and_share(t: Any) -> tuple[Any, Any]:
    """Vectors exp(−t²) and ½ erf(t).

    exp by the series of 2^f to f⁶ (within 3e-7 of itself), erf by 7.1.26 of Abramowitz and Stegun 1964 (1.5e-7).
    """
    exponent = t * t * _TO_TWO
    exponent = select(exponent, _LOWEST, exponent, _LOWEST)
    whole = floor(exponent + _HALF)
    f = exponent - whole
    series = (((((_P6 * f + _P5) * f + _P4) * f + _P3) * f + _P2) * f + _P1) * f + _ONE
    bell = series * of_bits((whole + _BIAS) * _ONE_EXPONENT)
    k = _ONE / (_ONE + _E0 * magnitude(t))
    share = _HALF - _HALF * (((((_E5 * k + _E4) * k + _E3) * k + _E2) * k + _E1) * k * bell)
    return bell, select(t, 0.0, share, 0.0 - share)


@kernel
def logarithm(values: Any) -> Any:
    """Logarithms of a vector of positive floats.

    Of 1 + f, f from √½ − 1 to √2 − 1, by the polynomial of Moshier's Cephes (logf.c), within 1e-7 of the mantissa.
    """
    whole = floor((bits(values) - _ROOT_HALF_BITS) / _ONE_EXPONENT)
    f = values * of_bits((_BIAS - whole) * _ONE_EXPONENT) - _ONE
    square = f * f
    high = ((((_Q0 * f + _Q1) * f + _Q2) * f + _Q3) * f + _Q4) * f + _Q5
    rest = (((high * f + _Q6) * f + _Q7) * f + _Q8) * f * square - _HALF * square
    return f + rest + whole * _LOG_TWO


@maker
def edges_of(pixels: int) -> _Array:
    """Room (3, W) for :func:`gaussian` at the edges of so many pixels: integral, bell, and place."""
    room = np.zeros((3, padded(pixels + 1)), np.float32)
    for i in range(room.shape[1]):
        room[PLACE, i] = i - 0.5
    return room


@kernel
def gaussian(centre: float, scale: float, edges: int, room: _Array) -> None:
    """Fill ½ erf(t) and exp(−t²) of ``t = (place − centre) · scale`` at so many edges at least."""
    for i in range(0, edges, LANES):
        bell, share = bell_and_share((load(room, (PLACE, i)) - centre) * scale)
        store(room, (BELL, i), bell)
        store(room, (SHARE, i), share)
