"""Input checks shared by the statistics: what is refused is refused in one sentence that says what to do."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ctcfish.errors import StatisticsError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


def as_floats(values: ArrayLike, name: str, ndim: int | None = 1) -> FloatArray:
    """Return ``values`` as finite float64.

    Parameters
    ----------
    values : array_like
        Numbers.
    name : str
        What they are, for the message.
    ndim : int or None
        Wanted number of axes; ``None`` accepts any.

    Returns
    -------
    ndarray of float64

    Raises
    ------
    StatisticsError
        Wrong number of axes, or a value that is not finite.
    """
    array = np.asarray(values, dtype=np.float64)
    if ndim is not None and array.ndim != ndim:
        raise StatisticsError(f"{name} has {array.ndim} axes, {ndim} wanted: reshape the input")
    if not np.isfinite(array).all():
        raise StatisticsError(f"{name} holds {int((~np.isfinite(array)).sum())} missing or infinite values: drop them")
    return array


def as_counts(values: ArrayLike, name: str) -> IntArray:
    """Return ``values`` as int64 counts of any shape.

    Raises
    ------
    StatisticsError
        A value is negative or not whole.
    """
    array = np.asarray(values)
    if array.size == 0:
        return array.astype(np.int64)
    numbers = as_floats(array, name, ndim=None)
    if (numbers < 0).any() or (numbers != np.floor(numbers)).any():
        raise StatisticsError(f"{name} must be whole numbers from 0 up, found {numbers.min():g} to {numbers.max():g}")
    return numbers.astype(np.int64)


def as_rates(values: ArrayLike, name: str) -> FloatArray:
    """Return ``values`` as probabilities of any shape.

    Raises
    ------
    StatisticsError
        A value lies outside [0, 1] or is missing.
    """
    array = as_floats(values, name, ndim=None)
    if array.size and (array.min() < 0 or array.max() > 1):
        raise StatisticsError(f"{name} must lie in 0 to 1, found {array.min():g} to {array.max():g}")
    return array


def as_marks(values: ArrayLike, name: str) -> BoolArray:
    """Return yes-or-no marks given as booleans or as 0 and 1.

    Raises
    ------
    StatisticsError
        Anything else stands among them: a missing mark must not pass for a yes.
    """
    array = np.asarray(values)
    if array.size and not np.isin(array, (0, 1)).all():
        raise StatisticsError(
            f"{name} must be yes or no (0 or 1), others were found: drop or decide missing ones first"
        )
    return array.astype(np.bool_)


def check_confidence(confidence: float) -> None:
    """Refuse a confidence level outside the open interval (0, 1), such as 95 given for 0.95.

    Raises
    ------
    StatisticsError
        The level lies outside (0, 1).
    """
    if not 0.0 < confidence < 1.0:
        raise StatisticsError(f"confidence must lie between 0 and 1, found {confidence:g}: give 0.95 for 95 %")


def as_paired(first: ArrayLike, second: ArrayLike, name: str) -> tuple[FloatArray, FloatArray]:
    """Return two finite vectors of one length.

    Raises
    ------
    StatisticsError
        Lengths differ or a value is missing.
    """
    x, y = as_floats(first, f"first {name}"), as_floats(second, f"second {name}")
    if x.shape != y.shape:
        raise StatisticsError(f"{name} come in pairs, found {x.size} and {y.size} values: join them by key first")
    return x, y
