"""Control charts: Levey-Jennings with Westgard's rules, CUSUM and EWMA.

Results of a control come in time order and are scaled by the laboratory's target and standard deviation to z. A rule
marks the result that breaks it; the results before it that took part are found by `involved`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ctcfish.errors import StatisticsError
from ctcfish.stats.checks import BoolArray, FloatArray, as_floats

# number of consecutive results each rule looks at
RULE_LENGTHS = {"1-2s": 1, "1-3s": 1, "2-2s": 2, "R-4s": 2, "4-1s": 4, "10x": 10}
WARNINGS = ("1-2s",)


@dataclass(frozen=True, slots=True)
class Drift:
    """A chart of accumulated deviations.

    Attributes
    ----------
    high, low : ndarray, shape (n,)
        Upper and lower statistic in units of the standard deviation (equal for EWMA).
    limit : ndarray, shape (n,)
        Control limit at each result.
    signals : ndarray of bool, shape (n,)
        Results at which the limit is passed.
    """

    high: FloatArray
    low: FloatArray
    limit: FloatArray
    signals: BoolArray


def standardise(values: ArrayLike, target: float, spread: float) -> FloatArray:
    """Return ``(value - target) / spread``, shape (n,).

    Raises
    ------
    StatisticsError
        The spread is not positive, or a value is missing.
    """
    if not spread > 0:
        raise StatisticsError(
            f"a control chart needs a standard deviation above 0, found {spread:g}: set it from the history"
        )
    return (as_floats(values, "control results") - target) / spread


def westgard(z: ArrayLike) -> dict[str, BoolArray]:
    """Return where each rule of Westgard (1981) is broken, one boolean a result, in time order.

    ``1-2s`` beyond 2 s (a warning); ``1-3s`` beyond 3 s; ``2-2s`` two in a row beyond 2 s on one side; ``R-4s`` two in
    a row, one above +2 s and one below -2 s; ``4-1s`` four in a row beyond 1 s on one side; ``10x`` ten in a row on one
    side of the target.

    Parameters
    ----------
    z : array_like, shape (..., n)
        Standardised results, oldest first; leading axes are series of their own.

    Returns
    -------
    dict of str to ndarray of bool, shape (..., n)
    """
    series = as_floats(z, "standardised results", ndim=None)
    above2, below2 = series > 2, series < -2
    return {
        "1-2s": above2 | below2,
        "1-3s": np.abs(series) > 3,
        "2-2s": _in_a_row(above2, 2) | _in_a_row(below2, 2),
        "R-4s": _after(above2, below2) | _after(below2, above2),
        "4-1s": _in_a_row(series > 1, 4) | _in_a_row(series < -1, 4),
        "10x": _in_a_row(series > 0, 10) | _in_a_row(series < 0, 10),
    }


def rejected(broken: dict[str, BoolArray]) -> BoolArray:
    """Return the results at which any rule but the warning is broken."""
    return np.asarray(np.logical_or.reduce([where for rule, where in broken.items() if rule not in WARNINGS]))


def involved(broken: BoolArray, rule: str) -> BoolArray:
    """Return every result that took part in a broken rule: the marked one and those before it the rule looked at.

    Raises
    ------
    StatisticsError
        The rule is unknown.
    """
    if rule not in RULE_LENGTHS:
        raise StatisticsError(f"no rule is called {rule!r}: use {', '.join(RULE_LENGTHS)}")
    where = np.asarray(broken, dtype=np.bool_)
    result = where.copy()
    for back in range(1, RULE_LENGTHS[rule]):
        result[..., :-back] |= where[..., back:]
    return result


def cusum(z: ArrayLike, slack: float = 0.5, limit: float = 5.0) -> Drift:
    """Return the two-sided cumulative sum chart (Page 1954): ``S = max(0, S + z - k)`` and its mirror image.

    The defaults see a shift of one standard deviation after about 10 results and signal falsely once in about 465
    (Montgomery 2009).

    Parameters
    ----------
    z : array_like, shape (n,)
        Standardised results, oldest first.
    slack, limit : float
        Reference value k and decision limit h in standard deviations.

    Raises
    ------
    StatisticsError
        Slack below 0 or a limit that is not positive.
    """
    series = as_floats(z, "standardised results")
    if slack < 0 or not limit > 0:
        raise StatisticsError(f"CUSUM needs slack 0 or more and a limit above 0, found {slack:g} and {limit:g}")
    high, low = _excess(series - slack), _excess(-series - slack)
    limits = np.full(series.shape, limit)
    return Drift(high, low, limits, (high > limits) | (low > limits))


def ewma(z: ArrayLike, weight: float = 0.2, width: float = 2.962) -> Drift:
    """Return the exponentially weighted moving average with its exact limits (Roberts 1959; Lucas and Saccucci 1990).

    ``E = w z + (1 - w) E`` against ``L sqrt(w / (2 - w) (1 - (1 - w)^(2 i)))``; the defaults signal falsely once in
    about 500 results.

    Parameters
    ----------
    z : array_like, shape (n,)
    weight : float
        Share of the newest result, above 0 and up to 1.
    width : float
        Limit L in standard deviations of the average.

    Raises
    ------
    StatisticsError
        The weight lies outside (0, 1] or the width is not positive.
    """
    series = as_floats(z, "standardised results")
    if not (0 < weight <= 1 and width > 0):
        raise StatisticsError(f"EWMA needs a weight in (0, 1] and a width above 0, found {weight:g} and {width:g}")
    average = np.zeros(series.size)
    last = 0.0
    for i, value in enumerate(series.tolist()):
        last = weight * value + (1 - weight) * last
        average[i] = last
    steps = np.arange(1, series.size + 1)
    limit = width * np.sqrt(weight / (2 - weight) * (1 - (1 - weight) ** (2 * steps)))
    return Drift(average, average.copy(), limit, np.abs(average) > limit)


def _in_a_row(where: BoolArray, length: int) -> BoolArray:
    """Return the results that end a run of at least ``length``."""
    result = np.zeros_like(where)
    if where.shape[-1] >= length:
        windows = np.lib.stride_tricks.sliding_window_view(where, length, axis=-1)
        result[..., length - 1 :] = windows.all(axis=-1)
    return result


def _after(first: BoolArray, second: BoolArray) -> BoolArray:
    result = np.zeros_like(first)
    result[..., 1:] = first[..., :-1] & second[..., 1:]
    return result


def _excess(steps: FloatArray) -> FloatArray:
    # the sum that is cut off at 0 is the plain sum less its running minimum, 0 included
    total = np.cumsum(steps)
    return np.asarray(total - np.minimum(np.minimum.accumulate(total), 0.0)) if steps.size else steps
