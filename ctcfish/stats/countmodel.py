"""How true copies become counted signals.

Each true signal is missed with probability m, else seen as two with probability s, else seen as one; a Poisson number
of extra signals with mean e is added per colour and nucleus. The count given t true copies is the t-fold convolution of
``(m, (1 - m)(1 - s), (1 - m) s)`` with that Poisson distribution.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from ctcfish.errors import StatisticsError
from ctcfish.stats.checks import BoolArray, FloatArray, as_rates

CountRule = Callable[[NDArray[np.int64], NDArray[np.int64]], BoolArray]


@dataclass(frozen=True, slots=True)
class SignalErrors:
    """What can go wrong with the signals of one colour.

    Attributes
    ----------
    missed : float
        Probability that a true signal is not seen.
    split : float
        Probability that a seen signal is counted as two.
    extra : float
        Expected number of extra signals per nucleus.

    Raises
    ------
    StatisticsError
        A probability outside [0, 1] or a negative mean.
    """

    missed: float
    split: float
    extra: float

    def __post_init__(self) -> None:
        """Check the ranges."""
        as_rates([self.missed, self.split], "missed and split rates")
        if not 0.0 <= self.extra < np.inf:
            raise StatisticsError(f"expected extra signals must be 0 or more, found {self.extra:g}")


@dataclass(frozen=True, slots=True)
class CountErrors:
    """Error rates of both colours."""

    her2: SignalErrors
    cep17: SignalErrors

    def times(self, factor: float) -> CountErrors:
        """Every rate multiplied, probabilities up to one half: a signal missed more often than not is no signal."""
        worse = [
            SignalErrors(
                max(own.missed, min(factor * own.missed, 0.5)),
                max(own.split, min(factor * own.split, 0.5)),
                factor * own.extra,
            )
            for own in (self.her2, self.cep17)
        ]
        return CountErrors(*worse)


def count_tables(missed: ArrayLike, split: ArrayLike, extra: ArrayLike, max_true: int, max_count: int) -> FloatArray:
    """Return P(count | true copies) for a batch of error rates.

    Parameters
    ----------
    missed, split, extra : array_like, shape (...)
        Rates, one set per entry.
    max_true, max_count : int
        Largest true copy number and count of the table.

    Returns
    -------
    ndarray, shape (..., max_true + 1, max_count + 1)
        Exact up to rounding; a row sums to less than one by the mass beyond ``max_count``.
    """
    m, s, e = np.broadcast_arrays(*(np.asarray(rate, dtype=np.float64) for rate in (missed, split, extra)))
    counts = np.arange(max_count + 1)
    table = np.empty((*m.shape, max_true + 1, max_count + 1))
    mean = e[..., None]
    table[..., 0, :] = np.exp(special.xlogy(counts, mean) - mean - special.gammaln(counts + 1.0))
    none, one, two = (weight[..., None] for weight in (m, (1 - m) * (1 - s), (1 - m) * s))
    for copies in range(1, max_true + 1):
        before = table[..., copies - 1, :]
        row = none * before
        row[..., 1:] += one * before[..., :-1]
        row[..., 2:] += two * before[..., :-2]
        table[..., copies, :] = row
    return table


@lru_cache(maxsize=64)
def count_matrix(errors: SignalErrors, max_true: int, max_count: int) -> FloatArray:
    """Return P(count | true copies), shape (max_true + 1, max_count + 1), of one set of rates; not to be written to."""
    made = count_tables(errors.missed, errors.split, errors.extra, max_true, max_count)
    made.flags.writeable = False
    return made


def enough_counts(true_copies: int, extra: float) -> int:
    """Return a largest count beyond which less than 1e-12 of the probability lies.

    Twice the copies if all split, and the Poisson mean with a margin of eight standard deviations and ten signals.
    """
    return int(2 * true_copies + np.ceil(extra + 8 * np.sqrt(extra)) + 10)


def joint_pmf(true_her2: int, true_cep17: int, errors: CountErrors) -> FloatArray:
    """Return P(HER2 count, CEP17 count | true copies), shape (counts of HER2, counts of CEP17); sums to one."""
    pmf = []
    for copies, colour in ((true_her2, errors.her2), (true_cep17, errors.cep17)):
        pmf.append(count_matrix(colour, copies, enough_counts(copies, colour.extra))[copies])
    return np.asarray(np.outer(*pmf))


def pass_probability(true_her2: int, true_cep17: int, errors: CountErrors, rule: CountRule) -> float:
    """Return the probability that a nucleus passes a rule, among nuclei with at least one signal of each colour.

    Parameters
    ----------
    true_her2, true_cep17 : int
        True copies.
    errors : CountErrors
        Error rates.
    rule : callable
        ``rule(her2, cep17) -> bool array`` over count arrays of one shape.

    Returns
    -------
    float
        NaN where no nucleus can show both colours.
    """
    pmf = joint_pmf(true_her2, true_cep17, errors)[1:, 1:]
    her2, cep17 = np.meshgrid(np.arange(1, pmf.shape[0] + 1), np.arange(1, pmf.shape[1] + 1), indexing="ij")
    scored = float(pmf.sum())
    return float(pmf[rule(her2, cep17)].sum()) / scored if scored > 0 else float("nan")
