"""Limit of blank, limit of detection and power of finding amplified cells in a patient."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import special, stats

from ctcfish.errors import StatisticsError
from ctcfish.stats.checks import FloatArray, as_counts, as_rates, check_confidence
from ctcfish.stats.proportions import cutoff_count


def detection_power(
    fraction: ArrayLike, cells: ArrayLike, sensitivity: float, false_call: float, at_least: int = 1
) -> FloatArray:
    """Return P(at least ``at_least`` cells called) of a patient with a true fraction of amplified cells.

    Each cell is called with ``f se + (1 - f) a``, independently.

    Parameters
    ----------
    fraction, cells : array_like
        True fraction of amplified cells and number of evaluable cells, broadcast.
    sensitivity, false_call : float
        Per-cell rates.
    at_least : int
        Called cells that make the patient positive.

    Raises
    ------
    StatisticsError
        Rates outside [0, 1] or counts that cannot be.
    """
    f, n = as_rates(fraction, "true fraction"), as_counts(cells, "cells")
    se, a = as_rates(sensitivity, "sensitivity"), as_rates(false_call, "false-call rate")
    threshold = int(as_counts(at_least, "called cells"))
    return np.asarray(stats.binom.sf(threshold - 1, n, f * se + (1 - f) * a), dtype=np.float64)


def limit_of_blank(cells: int, false_call: float, alpha: float = 0.05) -> int:
    """Return the largest number of called cells that a patient without amplified cells is expected to show.

    The smallest L with ``P(X > L) <= alpha`` for X binomial, the count form of CLSI EP17; a patient is above blank
    from L + 1 called cells.

    Raises
    ------
    StatisticsError
        Rates outside their range or counts that cannot be.
    """
    return cutoff_count(false_call, cells, alpha) - 1


def limit_of_detection(
    cells: int, sensitivity: float, false_call: float, alpha: float = 0.05, beta: float = 0.05
) -> float:
    """Return the smallest true fraction that shows more called cells than the limit of blank with ``1 - beta``.

    Returns
    -------
    float
        NaN where even a fraction of one is not found so surely.

    Raises
    ------
    StatisticsError
        The sensitivity does not exceed the false-call rate, or as `limit_of_blank`.
    """
    check_confidence(beta)
    se = float(as_rates(sensitivity, "sensitivity"))
    blank = limit_of_blank(cells, false_call, alpha)
    if se <= false_call:
        raise StatisticsError(
            f"sensitivity {se:g} does not exceed the false-call rate {false_call:g}: nothing is detected"
        )
    if blank >= cells:
        return float("nan")
    share = float(special.betaincinv(blank + 1.0, cells - blank, 1.0 - beta))  # P(X > blank) = 1 - beta
    fraction = (share - false_call) / (se - false_call)
    return max(fraction, 0.0) if fraction <= 1.0 else float("nan")
