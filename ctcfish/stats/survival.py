"""Kaplan-Meier curves with their tables, and Turnbull's estimate where events are known only between visits."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from ctcfish.errors import StatisticsError
from ctcfish.stats.checks import BoolArray, FloatArray, IntArray, as_floats, as_marks, check_confidence
from ctcfish.stats.estimate import Estimate


@dataclass(frozen=True, slots=True)
class KaplanMeier:
    """A survival curve; every array has one entry an event time, in order.

    Attributes
    ----------
    time : ndarray, shape (K,)
        Distinct event times.
    at_risk, events : ndarray of int, shape (K,)
        Subjects at risk just before, and events at, each time.
    survival, low, high : ndarray, shape (K,)
        Survival from this time on with its pointwise log(-log) interval; NaN limits where survival is 0.
    durations : ndarray, shape (n,)
        All times, sorted, for the at-risk table.
    confidence : float
    """

    time: FloatArray
    at_risk: IntArray
    events: IntArray
    survival: FloatArray
    low: FloatArray
    high: FloatArray
    durations: FloatArray
    confidence: float

    def number_at_risk(self, times: ArrayLike) -> IntArray:
        """Return how many subjects are at risk just before each time: those with a duration of at least it."""
        return np.asarray(self.durations.size - np.searchsorted(self.durations, times, side="left"), dtype=np.int64)

    def at(self, moment: float) -> Estimate:
        """Return survival at a time with its interval, NaN after the last duration.

        Before the first event it is 1, where the log(-log) interval has no width: the lower limit is then the exact one
        of Clopper and Pearson for those still at risk.
        """
        method = "Kaplan-Meier, log(-log)"
        if not self.durations.size or (moment > self.durations[-1] and not self._ends_at_zero()):
            return Estimate(math.nan, math.nan, math.nan, method, self.confidence)
        index = int(np.searchsorted(self.time, moment, side="right")) - 1
        if index < 0:
            low = ((1 - self.confidence) / 2) ** (1 / int(self.number_at_risk(moment)))
            return Estimate(1.0, low, 1.0, "Kaplan-Meier; no event yet: Clopper-Pearson", self.confidence)
        value, low, high = (float(curve[index]) for curve in (self.survival, self.low, self.high))
        return Estimate(value, low, high, method, self.confidence)

    def median(self) -> Estimate:
        """Return the median time, NaN where not reached; limits where the pointwise limits cross one half.

        Brookmeyer and Crowley 1982 on the log(-log) scale; an upper limit that is not reached is infinite.
        """
        value = self._first_below(self.survival)
        low, high = self._first_below(self.low), self._first_below(self.high)
        limits = (math.inf if math.isnan(low) else low, math.inf if math.isnan(high) else high)
        return Estimate(value, *limits, "Kaplan-Meier median, log(-log)", self.confidence)

    def _first_below(self, curve: FloatArray) -> float:
        # where survival falls to 0 both limits do: the curve has ended
        reached = np.flatnonzero(np.where(np.isnan(curve), self.survival, curve) <= 0.5 + 1e-12)
        return float(self.time[reached[0]]) if reached.size else math.nan

    def _ends_at_zero(self) -> bool:
        return bool(self.survival.size and self.survival[-1] == 0.0)


@dataclass(frozen=True, slots=True)
class IntervalCurve:
    """Turnbull's estimate: mass on intervals in which the data cannot place it further.

    Attributes
    ----------
    left, right : ndarray, shape (M,)
        Ends of the intervals ``(left, right]``; right may be infinite.
    mass : ndarray, shape (M,)
        Probability in each; sums to one.
    """

    left: FloatArray
    right: FloatArray
    mass: FloatArray

    def median_bounds(self) -> tuple[float, float]:
        """Return the interval that holds the median."""
        if not self.mass.size:
            return math.nan, math.nan
        index = int(np.searchsorted(np.cumsum(self.mass), 0.5 - 1e-9))
        return float(self.left[index]), float(self.right[index])


def kaplan_meier(durations: ArrayLike, events: ArrayLike, confidence: float = 0.95) -> KaplanMeier:
    """Return the product-limit estimate with Greenwood's variance on the log(-log) scale (Kaplan and Meier 1958).

    Parameters
    ----------
    durations : array_like, shape (n,)
        Time to event or to the last follow-up, 0 or more.
    events : array_like of bool, shape (n,)
        Whether the event was seen; a subject censored at an event time is at risk there.
    confidence : float

    Returns
    -------
    KaplanMeier
        Of no rows where there is no event.

    Raises
    ------
    StatisticsError
        Lengths differ, or a time or mark is missing, or a time negative.
    """
    check_confidence(confidence)
    time, seen = follow_up(durations, events)
    moments = np.unique(time[seen])
    ordered = np.sort(time)
    at_risk = ordered.size - np.searchsorted(ordered, moments, side="left")
    died = np.searchsorted(np.sort(time[seen]), moments, side="right")
    died = np.diff(died, prepend=0)
    survival = np.asarray(np.cumprod(1.0 - died / at_risk), dtype=np.float64)
    alive = survival > 0
    greenwood = np.cumsum(np.divide(died, at_risk * (at_risk - died), out=np.zeros(died.shape), where=at_risk > died))
    logs = np.log(np.where(alive, survival, 0.5))
    reach = float(stats.norm.ppf((1 + confidence) / 2)) * np.sqrt(greenwood) / np.abs(logs)
    low, high = (np.where(alive, np.exp(logs * np.exp(sign * reach)), np.nan) for sign in (1, -1))
    return KaplanMeier(moments, at_risk, died, survival, low, high, ordered, confidence)


def turnbull(left: ArrayLike, right: ArrayLike, tolerance: float = 1e-8, rounds: int = 20_000) -> IntervalCurve:
    """Return the nonparametric estimate of interval-censored times by self-consistency (Turnbull 1976).

    Parameters
    ----------
    left, right : array_like, shape (n,)
        The event lies in ``(left, right]``: after the last visit without, up to the first visit with it. Equal ends are
        an exact time, an infinite right end is censoring.
    tolerance : float
        Largest change of a mass at which the iteration ends.
    rounds : int
        Largest number of iterations.

    Raises
    ------
    StatisticsError
        Lengths differ, an end is missing, or ends are crossed.
    """
    start, stop = np.asarray(left, dtype=np.float64), np.asarray(right, dtype=np.float64)
    if start.shape != stop.shape or start.ndim != 1:
        raise StatisticsError(f"intervals need two ends each, found shapes {start.shape} and {stop.shape}")
    if np.isnan(start).any() or np.isnan(stop).any() or (start > stop).any() or np.isinf(start).any():
        raise StatisticsError("interval ends must be known with left <= right: censor with an infinite right end")
    inner_left, inner_right, covers = _innermost(start, stop)
    mass = np.full(inner_left.size, 1.0 / max(inner_left.size, 1))
    for _ in range(rounds):
        weights = covers * mass
        updated = (weights / weights.sum(axis=1, keepdims=True)).mean(axis=0) if start.size else mass
        change = np.abs(updated - mass).max(initial=0.0)
        mass = updated
        if change < tolerance:
            break
    return IntervalCurve(inner_left, inner_right, mass)


def _innermost(start: FloatArray, stop: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the intervals that can carry mass and which subject's interval holds each, shape (n, M)."""
    # at one value: exact starts, then closed right ends, then open left ends
    left_key = np.where(start == stop, 0, 2)
    values = np.concatenate([start, stop])
    keys = np.concatenate([left_key, np.ones(stop.size, dtype=np.int64)])
    is_left = np.repeat([True, False], start.size)
    order = np.lexsort((keys, values))
    rank = np.empty(order.size, dtype=np.int64)
    # equal ends share a rank
    value, key = values[order], keys[order]
    changed = (value[1:] != value[:-1]) | (key[1:] != key[:-1])  # no difference: two open ends are equal
    fresh = np.append(True, changed) if order.size else order > 0
    rank[order] = np.cumsum(fresh)
    follows = is_left[order][:-1] & ~is_left[order][1:]
    left_at, right_at = order[:-1][follows], order[1:][follows]
    covers = (rank[: start.size, None] <= rank[left_at]) & (rank[start.size :, None] >= rank[right_at])
    return values[left_at], values[right_at], covers.astype(np.float64)


def follow_up(durations: ArrayLike, events: ArrayLike) -> tuple[FloatArray, BoolArray]:
    """Return checked durations and event marks.

    Raises
    ------
    StatisticsError
        Lengths differ, or a duration or mark is missing, or a duration negative.
    """
    time, seen = as_floats(durations, "durations"), as_marks(events, "event marks")
    if time.shape != seen.shape:
        raise StatisticsError(f"{time.size} durations and {seen.size} event marks: give one of each a subject")
    if time.size and time.min() < 0:
        raise StatisticsError(f"durations must be 0 or more, found {time.min():g}: check the dates")
    return time, seen
