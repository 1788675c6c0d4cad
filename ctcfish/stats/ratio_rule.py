"""The ratio rule in whole numbers: HER2/CEP17 against a cut-off without rounding."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike

from ctcfish.stats.checks import BoolArray, as_counts


def reaches(her2: ArrayLike, cep17: ArrayLike, cut: Fraction) -> BoolArray:
    """Tell where HER2/CEP17 is at least ``cut``: ``q * HER2 >= p * CEP17`` for the cut p/q.

    Parameters
    ----------
    her2, cep17 : array_like of int
        Counts, broadcast together.
    cut : Fraction
        Cut-off; 11/5 makes the rule ``5 * HER2 >= 11 * CEP17``.

    Returns
    -------
    ndarray of bool
        False where CEP17 is 0: there is no ratio.

    Raises
    ------
    StatisticsError
        A count is negative or not whole.
    """
    h, c = as_counts(her2, "HER2 counts"), as_counts(cep17, "CEP17 counts")
    return np.asarray((cut.denominator * h >= cut.numerator * c) & (c > 0))


def exceeds(her2: ArrayLike, cep17: ArrayLike, cut: Fraction) -> BoolArray:
    """Tell where HER2/CEP17 is greater than ``cut`` (the 2007 wording, "> 2.2"); arguments as in `reaches`."""
    h, c = as_counts(her2, "HER2 counts"), as_counts(cep17, "CEP17 counts")
    return np.asarray((cut.denominator * h > cut.numerator * c) & (c > 0))
