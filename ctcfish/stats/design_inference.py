"""What a two-stage trial may say of the response rate: estimates and intervals that know it could have stopped."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import optimize, special, stats

from ctcfish.errors import StatisticsError
from ctcfish.stats.checks import check_confidence
from ctcfish.stats.designs import TwoStage
from ctcfish.stats.estimate import Estimate
from ctcfish.stats.rate_priors import BetaPrior


@dataclass(frozen=True, slots=True)
class Outcome:
    """Where a two-stage trial ended.

    Attributes
    ----------
    design : TwoStage
        With the numbers of patients actually treated.
    stage : int
        1 where it stopped for futility, else 2.
    responses : int
        Total responses.

    Raises
    ------
    StatisticsError
        The outcome cannot be reached by the design.
    """

    design: TwoStage
    stage: int
    responses: int

    def __post_init__(self) -> None:
        """Check that the design allows the outcome."""
        d = self.design
        reached = {1: 0 <= self.responses <= d.r1, 2: d.r1 < self.responses <= d.n}
        if not reached.get(self.stage, False):
            raise StatisticsError(
                f"{self.responses} responses at stage {self.stage} cannot be under {d}: "
                f"stage 1 ends with 0 to {d.r1}, stage 2 with {d.r1 + 1} to {d.n}"
            )

    @property
    def treated(self) -> int:
        """Patients treated when the trial ended."""
        return self.design.n1 if self.stage == 1 else self.design.n

    @property
    def naive(self) -> float:
        """Responses over patients treated; biased low, as a trial that starts badly stops."""
        return self.responses / self.treated

    @property
    def goes_on(self) -> bool:
        """Whether the design accepts the drug."""
        return self.stage == 2 and self.responses > self.design.r


def umvue(outcome: Outcome) -> float:
    """Return the uniformly minimum variance unbiased estimate of the response rate (Jung and Kim 2004).

    The mean of the first patient's response given the outcome: at stage 2 with s responses
    ``sum C(n1 - 1, x - 1) C(n2, s - x) / sum C(n1, x) C(n2, s - x)`` over the x > r1 of the first stage.
    """
    d, s = outcome.design, outcome.responses
    if outcome.stage == 1:
        return s / d.n1
    n2 = d.n - d.n1
    x = np.arange(max(d.r1 + 1, s - n2), min(d.n1, s) + 1)
    log_ways = _log_choose(d.n1, x) + _log_choose(n2, s - x)
    ways = np.exp(log_ways - log_ways.max())
    return float((ways * x / d.n1).sum() / ways.sum())  # C(n1 - 1, x - 1) = C(n1, x) x / n1


def p_value(outcome: Outcome, p0: float) -> float:
    """Return P(an outcome at least as high | p0), outcomes ordered by stage, then responses (Jennison, Turnbull)."""
    return _at_least(outcome.design, outcome.stage, outcome.responses, p0)


def median_unbiased(outcome: Outcome) -> float:
    """Return the rate at which the outcome or a higher one has probability one half (Koyama and Chen 2008)."""
    return _solve(outcome.design, outcome.stage, outcome.responses, 0.5)


def stagewise_interval(outcome: Outcome, confidence: float = 0.95) -> Estimate:
    """Return the exact interval by the stagewise ordering around the unbiased estimate (Jennison and Turnbull 1983).

    The limits are the rates at which the outcome or a higher one, and the outcome or a lower one, have probability
    ``(1 - confidence) / 2``; coverage is never below the nominal level.

    Raises
    ------
    StatisticsError
        A level outside (0, 1).
    """
    check_confidence(confidence)
    tail = (1 - confidence) / 2
    d = outcome.design
    low = _solve(d, outcome.stage, outcome.responses, tail)
    # the next higher outcome: after r1 responses at stage 1 it is the fewest a second stage can have
    stage = 2 if outcome.responses >= d.r1 else 1
    high = _solve(d, stage, outcome.responses + 1, 1 - tail) if outcome.responses < d.n else 1.0
    value = umvue(outcome)
    return Estimate(value, min(low, value), max(high, value), "stagewise exact, UMVUE", confidence)


def predictive_probability(responses: int, treated: int, total: int, needed: int, prior: BetaPrior) -> float:
    """Return P(at least ``needed`` responses among ``total`` patients | responses so far), beta-binomial.

    Parameters
    ----------
    responses, treated : int
        So far.
    total : int
        Patients at the end.
    needed : int
        Responses that count as success at the end, ``r + 1`` of a two-stage design.
    prior : BetaPrior
        Of the response rate.

    Raises
    ------
    StatisticsError
        Counts out of order.
    """
    if not 0 <= responses <= treated <= total:
        raise StatisticsError(f"{responses} responses of {treated} treated of {total}: counts must rise")
    left = total - treated
    future = stats.betabinom(left, prior.a + responses, prior.b + treated - responses)
    return float(future.sf(needed - responses - 1)) if left else float(responses >= needed)


def posterior_above(rate: float, responses: int, treated: int, prior: BetaPrior) -> float:
    """Return P(response rate above ``rate`` | responses so far) under a Beta prior.

    Raises
    ------
    StatisticsError
        More responses than patients.
    """
    if not 0 <= responses <= treated:
        raise StatisticsError(f"{responses} responses of {treated} treated: counts must rise")
    return float(stats.beta.sf(rate, prior.a + responses, prior.b + treated - responses))


def _at_least(design: TwoStage, stage: int, responses: int, rate: float) -> float:
    if stage == 1:
        return float(stats.binom.sf(responses - 1, design.n1, rate))
    first = np.arange(design.r1 + 1, design.n1 + 1)
    later = stats.binom.sf(responses - first - 1, design.n - design.n1, rate)
    return float(stats.binom.pmf(first, design.n1, rate) @ later)


def _solve(design: TwoStage, stage: int, responses: int, level: float) -> float:
    """Return the rate at which an outcome or a higher one has probability ``level``; it rises with the rate."""
    if responses <= 0:
        return 0.0
    return float(optimize.brentq(lambda p: _at_least(design, stage, responses, p) - level, 0.0, 1.0, xtol=1e-12))


def _log_choose(n: int, k: np.ndarray) -> np.ndarray:
    return np.asarray(special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1))
