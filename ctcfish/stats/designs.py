"""Simon's two-stage design by exact enumeration.

Treat n1 patients; stop for futility with r1 responses or fewer; else treat up to n; the drug is rejected with r
responses or fewer (Simon 1989).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from ctcfish.errors import StatisticsError
from ctcfish.stats.checks import FloatArray


@dataclass(frozen=True, slots=True)
class Hypotheses:
    """What a design must tell apart; there are no defaults, they are the trial's to state.

    Attributes
    ----------
    p0, p1 : float
        Response rates of no interest and of interest.
    alpha, beta : float
        Largest probability to accept at p0 and to reject at p1.

    Raises
    ------
    StatisticsError
        Rates out of order or outside (0, 1).
    """

    p0: float
    p1: float
    alpha: float
    beta: float

    def __post_init__(self) -> None:
        """Check the order."""
        if not 0 < self.p0 < self.p1 < 1:
            raise StatisticsError(f"a design needs 0 < p0 < p1 < 1, found {self.p0:g} and {self.p1:g}")
        if not (0 < self.alpha < 1 and 0 < self.beta < 1):
            raise StatisticsError(f"alpha and beta must lie between 0 and 1, found {self.alpha:g} and {self.beta:g}")


@dataclass(frozen=True, slots=True)
class TwoStage:
    """Boundaries of a two-stage design: stop with r1 of n1 or fewer, reject with r of n or fewer.

    Raises
    ------
    StatisticsError
        Boundaries out of order.
    """

    r1: int
    n1: int
    r: int
    n: int

    def __post_init__(self) -> None:
        """Check the order."""
        if not (0 <= self.r1 < self.n1 < self.n and self.r1 <= self.r < self.n):
            raise StatisticsError(f"{self} is no design: 0 <= r1 < n1 < n and r1 <= r < n are wanted")

    def __str__(self) -> str:
        """Return the design as Simon's tables print it."""
        return f"{self.r1}/{self.n1}, {self.r}/{self.n}"


@dataclass(frozen=True, slots=True)
class DesignFigures:
    """What a design does.

    Attributes
    ----------
    design : TwoStage
    type_one, power : float
        Probability to go on with the drug at p0 and at p1.
    stop_early : float
        Probability to stop after the first stage at p0.
    expected : float
        Expected number of patients at p0.
    """

    design: TwoStage
    type_one: float
    power: float
    stop_early: float
    expected: float


def all_designs(hypotheses: Hypotheses, largest: int = 60) -> list[DesignFigures]:
    """Return the best design for each n and n1 up to ``largest``: smallest expected size, alpha and beta kept.

    Every r1 and r is enumerated: for given n, n1 and r1 the smallest r that keeps alpha is the one with most power.

    Parameters
    ----------
    hypotheses : Hypotheses
    largest : int
        Largest total number of patients.

    Returns
    -------
    list of DesignFigures
        Sorted by n, then n1; empty where no design exists.

    Raises
    ------
    StatisticsError
        Fewer than two patients.
    """
    if largest < 2:
        raise StatisticsError(f"a two-stage design needs at least 2 patients, found {largest}")
    nulls, alternatives = _pmf_rows(hypotheses.p0, largest), _pmf_rows(hypotheses.p1, largest)
    found = []
    for n in range(2, largest + 1):
        for n1 in range(1, n):
            best = _best(hypotheses, n1, n, (nulls[n1], nulls[n - n1], alternatives[n1], alternatives[n - n1]))
            if best is not None:
                found.append(best)
    return found


def optimal(designs: list[DesignFigures]) -> DesignFigures:
    """Return the design with the smallest expected size at p0 (of those, the smallest n)."""
    return min(_some(designs), key=lambda d: (round(d.expected, 9), d.design.n, d.design.n1))


def minimax(designs: list[DesignFigures]) -> DesignFigures:
    """Return the design with the smallest n (of those, the smallest expected size)."""
    return min(_some(designs), key=lambda d: (d.design.n, round(d.expected, 9), d.design.n1))


def admissible(designs: list[DesignFigures]) -> list[DesignFigures]:
    """Return the designs that minimise ``q n + (1 - q) expected`` for some q in 0 to 1 (Jung 2004), minimax first.

    They are the lower left corners of the convex hull of (n, expected size).
    """
    by_size: dict[int, DesignFigures] = {}
    for item in _some(designs):
        held = by_size.get(item.design.n)
        if held is None or item.expected < held.expected:
            by_size[item.design.n] = item
    hull: list[DesignFigures] = []
    for item in (by_size[n] for n in sorted(by_size)):
        if hull and item.expected >= hull[-1].expected - 1e-12:
            continue
        while len(hull) >= 2 and _turns_right(hull[-2], hull[-1], item):
            hull.pop()
        hull.append(item)
    return hull


def _best(hypotheses: Hypotheses, n1: int, n: int, pmf: tuple[FloatArray, ...]) -> DesignFigures | None:
    """Return the best design of one (n1, n) over all r1 and r."""
    null1, null2, alt1, alt2 = pmf
    # joint tail: P(first > r1 and total > r) for all r1 (rows) and r (columns)
    null, alternative = _tails(null1, null2), _tails(alt1, alt2)
    keeps = null <= hypotheses.alpha + 1e-12
    rows = np.arange(n1)
    r = np.maximum(keeps.argmax(axis=1), rows)  # more than r1 responses are more than any smaller r too
    power = alternative[rows, r]
    good = np.flatnonzero(keeps.any(axis=1) & (power >= 1 - hypotheses.beta - 1e-12))
    if not good.size:
        return None
    r1 = int(good[-1])  # stopping most often is the smallest expected size of this n1 and n
    stop = float(null1[: r1 + 1].sum())
    design = TwoStage(r1, n1, int(r[r1]), n)
    return DesignFigures(design, float(null[r1, r[r1]]), float(power[r1]), stop, n1 + (1 - stop) * (n - n1))


def _tails(first: FloatArray, second: FloatArray) -> FloatArray:
    """Return P(X1 > r1, X1 + X2 > r), shape (n1, n), for binomial pmfs of the two stages."""
    n1, n2 = first.size - 1, second.size - 1
    total = np.arange(n1 + n2)[None, :] - np.arange(n1 + 1)[:, None]  # r - x1
    above = np.append(np.cumsum(second[::-1])[::-1], 0.0)  # P(X2 >= k) for k = 0 … n2 + 1
    sure = first[:, None] * above[np.clip(total + 1, 0, n2 + 1)]
    return np.asarray(np.cumsum(sure[::-1], axis=0)[::-1][1:])


def _pmf_rows(rate: float, largest: int) -> list[FloatArray]:
    return [np.asarray(stats.binom.pmf(np.arange(n + 1), n, rate)) for n in range(largest + 1)]


def _some(designs: list[DesignFigures]) -> list[DesignFigures]:
    if not designs:
        raise StatisticsError("no design keeps alpha and beta: allow more patients or wider error rates")
    return designs


def _turns_right(a: DesignFigures, b: DesignFigures, c: DesignFigures) -> bool:
    """Tell whether b lies on or above the line from a to c."""
    slope = (c.expected - a.expected) / (c.design.n - a.design.n)
    return b.expected >= a.expected + slope * (b.design.n - a.design.n) - 1e-12
