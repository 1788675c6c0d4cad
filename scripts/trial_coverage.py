#!/usr/bin/env python3
"""How often the trial's intervals hold the truth, in simulation: the table of design/trial.md.

python scripts/trial_coverage.py [--trials 1000] [--only NAME ...]
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable

import numpy as np
from scipy import stats

from ctcfish.errors import StatisticsError
from ctcfish.stats.agreement import clustered, cohen_kappa, percent_agreement, specific_agreement
from ctcfish.stats.bootstrap import BootstrapPlan
from ctcfish.stats.count_ratio import ratio_of_counts
from ctcfish.stats.estimate import Estimate
from ctcfish.stats.firth import firth_cox, firth_logistic
from ctcfish.stats.overdispersion import beta_binomial_rho
from ctcfish.stats.survival import kaplan_meier
from ctcfish.trial.assay import clustered_share
from ctcfish.trial.cox import cox
from ctcfish.trial.finding import correlation_interval
from ctcfish.trial.ranks import auc_interval

Draw = Callable[[np.random.Generator, int], tuple[float, float, float]]
"""Truth, lower and upper limit of one simulated study of so many patients."""


def limits(truth: float, found: Estimate) -> tuple[float, float, float]:
    return truth, found.low, found.high


def survival(rng: np.random.Generator, n: int, effect: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A covariate, exponential times of median 4.8 months at its mean, and whether they were seen to end."""
    x = rng.normal(size=n)
    time, end = rng.exponential(4.8 / math.log(2) / np.exp(effect * x)), rng.uniform(6, 40, n)
    return x, np.minimum(time, end), time <= end


def median(rng: np.random.Generator, n: int) -> tuple[float, float, float]:
    _, time, seen = survival(rng, n, 0.0)
    return limits(4.8, kaplan_meier(time, seen).median())


def landmark(month: float) -> Draw:
    def draw(rng: np.random.Generator, n: int) -> tuple[float, float, float]:
        _, time, seen = survival(rng, n, 0.0)
        return limits(0.5 ** (month / 4.8), kaplan_meier(time, seen).at(month))

    return draw


def odds(rng: np.random.Generator, n: int) -> tuple[float, float, float]:
    x = rng.normal(size=n)
    answered = rng.random(n) < 1 / (1 + np.exp(1 - 0.8 * x))
    return limits(0.8, firth_logistic(x[:, None], answered).coefficients[1])


def hazard(rng: np.random.Generator, n: int) -> tuple[float, float, float]:
    x, time, seen = survival(rng, n, 0.5)
    return limits(0.5, firth_cox(x[:, None], time, seen).coefficients[0])


def ordinary_hazard(rng: np.random.Generator, n: int) -> tuple[float, float, float]:
    x, time, seen = survival(rng, n, 0.5)
    return limits(math.exp(0.5), cox(x, time, seen.astype(float), 0.95)[0])


def superiority(marked: int, shift: float) -> Draw:
    def draw(rng: np.random.Generator, n: int) -> tuple[float, float, float]:
        a, b = rng.normal(shift, size=marked), rng.normal(size=n - marked)
        theta = float((a[:, None] > b).mean())
        return float(stats.norm.cdf(shift / math.sqrt(2))), *auc_interval(theta, marked, n - marked, 0.95)

    return draw


def correlation(rho: float) -> Draw:
    def draw(rng: np.random.Generator, n: int) -> tuple[float, float, float]:
        x = rng.normal(size=n)
        y = rho * x + math.sqrt(1 - rho * rho) * rng.normal(size=n)
        found = correlation_interval(float(stats.spearmanr(x, y).statistic), n, 0.95)
        return 6 / math.pi * math.asin(rho / 2), *found

    return draw


def clusters(rng: np.random.Generator, n: int, share: float, rho: float) -> tuple[np.ndarray, np.ndarray]:
    """Hits among 5 to 39 cells a patient, whose own share is beta distributed."""
    size, more = rng.integers(5, 40, n), (1 - rho) / rho
    return rng.binomial(size, rng.beta(share * more, (1 - share) * more, n)), size


def share_of_cells(share: float, rho: float) -> Draw:
    def draw(rng: np.random.Generator, n: int) -> tuple[float, float, float]:
        return limits(share, clustered_share(*clusters(rng, n, share, rho), 0.95))

    return draw


def overdispersion(rng: np.random.Generator, n: int) -> tuple[float, float, float]:
    return limits(0.15, beta_binomial_rho(*clusters(rng, n, 0.15, 0.15), 0.95))


def agreement(statistic: Callable[[np.ndarray], np.ndarray], prevalence: float = 0.2) -> Draw:
    """Two readings, the second right in 80 % of the amplified and 95 % of the others; prevalence differs by patient."""
    right, wrong = (0.95, 0.05), (0.2, 0.8)
    whole = np.outer((1 - prevalence, prevalence), (1, 1)) * (right, wrong)
    truth = float(statistic(np.round(whole[None] * 1e7).astype(np.int64))[0])

    def draw(rng: np.random.Generator, n: int) -> tuple[float, float, float]:
        own = rng.beta(4 * prevalence, 4 * (1 - prevalence), n)
        chances = np.column_stack([np.outer(1 - own, right), np.outer(own, wrong)])
        tables = [rng.multinomial(size, p) for size, p in zip(rng.integers(3, 30, n), chances, strict=True)]
        return limits(truth, clustered(np.reshape(tables, (-1, 2, 2)), statistic))

    return draw


def counts(spread: float, change: float, missing: float) -> Draw:
    """CTC of two visits: log-normal means, counts of dispersion 1/2, a fall to one half that differs by patient."""

    def draw(rng: np.random.Generator, n: int) -> tuple[float, float, float]:
        mean = np.exp(rng.normal(3.0, spread, n))
        later = 0.5 * mean * np.exp(rng.normal(-(change**2) / 2, change, n))
        before, during = (rng.negative_binomial(2, 2 / (2 + m)).astype(float) for m in (mean, later))
        during[rng.random(n) < missing] = np.nan
        return limits(0.5, ratio_of_counts(before, during, BootstrapPlan(resamples=999, seed=int(rng.integers(1e9)))))

    return draw


STUDIES: dict[str, Draw] = {
    "median survival": median,
    "survival at 1 month": landmark(1.0),
    "survival at 6 months": landmark(6.0),
    "survival at 12 months": landmark(12.0),
    "superiority, 5 marked, no shift": superiority(5, 0.0),
    "superiority, 5 marked, shift 1": superiority(5, 1.0),
    "superiority, 12 marked, shift 0.8": superiority(12, 0.8),
    "rank correlation 0": correlation(0.0),
    "rank correlation of rho 0.6": correlation(0.6),
    "Firth, odds": odds,
    "Firth, hazard": hazard,
    "Cox, hazard": ordinary_hazard,
    "beta-binomial rho 0.15": overdispersion,
    "share of cells 0.02, rho 0.05": share_of_cells(0.02, 0.05),
    "share of cells 0.1, rho 0.1": share_of_cells(0.1, 0.1),
    "share of cells 0.3, rho 0.2": share_of_cells(0.3, 0.2),
    "share of cells 0.9, rho 0.1": share_of_cells(0.9, 0.1),
    "kappa by patient": agreement(cohen_kappa),
    "positive agreement by patient": agreement(lambda t: specific_agreement(t, 1)),
    "negative agreement by patient": agreement(lambda t: specific_agreement(t, 0)),
    "percent agreement by patient": agreement(percent_agreement),
}
STUDIES |= {
    f"ratio of counts, spread {spread:g}, change {change:g}, missing {missing:g}": counts(spread, change, missing)
    for spread in (0.5, 1.0, 1.5, 2.0)
    for change in (0.0, 0.7)
    for missing in (0.0, 0.2)
}


def coverage(draw: Draw, patients: int, trials: int) -> tuple[float, int]:
    """Share of defined intervals that hold the truth, and how many were defined."""
    rng, held = np.random.default_rng(patients), []
    for _ in range(trials):
        try:
            truth, low, high = draw(rng, patients)
        except StatisticsError:
            continue
        if not math.isnan(low):
            held.append(low - 1e-12 <= truth <= high + 1e-12)
    return float(np.mean(held)), len(held)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--only", nargs="*", default=[])
    asked = parser.parse_args()
    for name, draw in STUDIES.items():
        if not asked.only or any(part in name for part in asked.only):
            told = (
                f"n = {n}: {100 * share:.1f} % of {defined}"
                for n in (30, 60)
                for share, defined in [coverage(draw, n, asked.trials)]
            )
            print(f"{name}: {'; '.join(told)}", flush=True)


if __name__ == "__main__":
    main()
