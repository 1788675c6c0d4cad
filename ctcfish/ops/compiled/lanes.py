"""Exponentials and logarithms of rows: a loop of products the compiler takes in lanes, its own functions one by one.

Powers of two are made of the bits of a float of 32: its exponent stands from bit 23 on, 127 above its value.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctcfish.ops.compiled.kernel import kernel

LANES = 8
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
def edges_of(pixels: int) -> _Array:
    """Room (3, W) for :func:`gaussian` at the edges of so many pixels: integral, bell, and place."""
    room = np.zeros((3, padded(pixels + 1)), np.float32)
    for i in range(room.shape[1]):
        room[PLACE, i] = i - 0.5
    return room


@kernel
def gaussian(centre: float, scale: float, room: _Array) -> None:
    """Fill ½ erf(t) and exp(−t²) of ``t = (place − centre) · scale``.

    exp by the series of 2^f to f⁶ (within 3e-7 of itself), erf by 7.1.26 of Abramowitz and Stegun 1964 (1.5e-7).
    """
    middle, per_pixel, bits = np.float32(centre), np.float32(scale), room.view(np.int32)
    for i in range(room.shape[1]):
        t = (room[PLACE, i] - middle) * per_pixel
        exponent = t * t * _TO_TWO
        exponent = exponent if exponent > _LOWEST else _LOWEST
        whole = np.floor(exponent + _HALF)
        f = exponent - whole
        room[SHARE, i] = (((((_P6 * f + _P5) * f + _P4) * f + _P3) * f + _P2) * f + _P1) * f + _ONE
        bits[BELL, i] = np.int32((whole + _BIAS) * _ONE_EXPONENT)
    for i in range(room.shape[1]):
        t = (room[PLACE, i] - middle) * per_pixel
        bell = room[SHARE, i] * room[BELL, i]
        k = _ONE / (_ONE + _E0 * abs(t))
        tail = ((((_E5 * k + _E4) * k + _E3) * k + _E2) * k + _E1) * k * bell
        share = _HALF - _HALF * tail
        room[SHARE, i], room[BELL, i] = share if t > 0 else -share, bell


@kernel
def logarithms(values: _Array, room: _Array) -> None:
    """Logarithms of positive floats of 32 in place (W,); ``room`` (2, W).

    Of 1 + f, f from √½ − 1 to √2 − 1, by the polynomial of Moshier's Cephes (logf.c), within 1e-7 of the mantissa.
    """
    bits, power = values.view(np.int32), room.view(np.int32)
    for i in range(len(values)):
        whole = np.floor((np.float32(bits[i]) - _ROOT_HALF_BITS) / _ONE_EXPONENT)
        room[0, i] = whole
        power[1, i] = np.int32((_BIAS - whole) * _ONE_EXPONENT)
    for i in range(len(values)):
        f = values[i] * room[1, i] - _ONE
        square = f * f
        high = ((((_Q0 * f + _Q1) * f + _Q2) * f + _Q3) * f + _Q4) * f + _Q5
        rest = (((high * f + _Q6) * f + _Q7) * f + _Q8) * f * square - _HALF * square
        values[i] = f + rest + room[0, i] * _LOG_TWO
