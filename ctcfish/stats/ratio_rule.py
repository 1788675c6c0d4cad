"""The ratio rule in whole numbers: HER2/CEP17 against a cut-off without rounding."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike

from ctcfish.errors import StatisticsError
from ctcfish.stats.checks import BoolArray, as_counts


def as_cut(value: float | str | Fraction) -> Fraction:
    """Return a cut-off as the fraction its decimal text says: 2.2 is 11/5, not the nearest binary float.

    Raises
    ------
    StatisticsError
        The value is no positive number.

    Examples
    --------
    >>> as_cut(2.2)
    Fraction(11, 5)
    """
    try:
        cut = value if isinstance(value, Fraction) else Fraction(Decimal(str(value)))
    except (InvalidOperation, ValueError, OverflowError) as error:
        raise StatisticsError(f"ratio cut-off {value!r} is no number: give one such as 2.2") from error
    if cut <= 0:
        raise StatisticsError(f"ratio cut-off {value!r} must be positive: give one such as 2.2")
    return cut


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
