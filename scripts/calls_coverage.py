"""How often each interval holds the truth, by simulation where the truth is known."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from ctcfish.stats import survival
from ctcfish.stats.bootstrap import IDENTITY, BootstrapPlan, cluster_interval
from ctcfish.stats.design_inference import Outcome, stagewise_interval
from ctcfish.stats.designs import TwoStage
from ctcfish.stats.error_rates import PARAMETERS, fit_rates
from ctcfish.stats.estimate import Estimate
from ctcfish.stats.heterogeneity import HeterogeneityPlan, heterogeneity
from ctcfish.stats.overdispersion import beta_binomial_rho, icc_oneway
from ctcfish.stats.prevalence import RateStudy, corrected_prevalence, corrected_prevalence_estimated
from ctcfish.stats.proportions import clopper_pearson, clopper_pearson_upper, wilson
from ctcfish.stats.rate_priors import RatePriors

Held = dict[str, bool]
"""Whether each interval of one replicate held the truth; one that was withheld is left out."""

Case = tuple[str, str, Callable[[np.random.Generator], Held]]
"""Kind (exact, large-sample, posterior or heterogeneity), population, and one replicate."""

SHARES = (0.02, 0.05, 0.1, 0.3, 0.5)
STATES: dict[str, dict[tuple[int, int], float]] = {
    "two kinds": {(2, 2): 2 / 3, (4, 2): 1 / 3},
    "mild": {(1, 1): 0.1, (2, 2): 0.4, (3, 2): 0.2, (4, 2): 0.15, (5, 3): 0.1, (6, 2): 0.05},
    "skewed": {(2, 2): 0.45, (3, 2): 0.15, (4, 4): 0.1, (3, 3): 0.1, (1, 1): 0.05, (8, 2): 0.1, (20, 2): 0.05},
    "mostly diploid": {(2, 2): 0.7, (2, 1): 0.05, (2, 3): 0.05, (1, 1): 0.05, (3, 2): 0.1, (6, 2): 0.05},
    "wide": {
        (2, 2): 0.2,
        (3, 2): 0.15,
        (4, 2): 0.1,
        (4, 3): 0.1,
        (5, 2): 0.1,
        (6, 3): 0.1,
        (8, 2): 0.1,
        (10, 3): 0.05,
        (12, 2): 0.05,
        (20, 4): 0.05,
    },
}


def _holds(made: Estimate, truth: float) -> bool:
    return made.low <= truth <= made.high


def proportions(n: int) -> Callable[[np.random.Generator], Held]:
    """Intervals of shares, one true share after the other."""

    def once(rng: np.random.Generator) -> Held:
        held: Held = {}
        for p in SHARES:
            k = int(rng.binomial(n, p))
            low, high = clopper_pearson(k, n)
            held[f"Clopper-Pearson, share {p:g}"] = bool(low <= p <= high)
            held[f"upper bound, share {p:g}"] = bool(p <= clopper_pearson_upper(k, n))
            called = int(rng.binomial(n, 0.9 * p + 0.02 * (1 - p)))
            made = corrected_prevalence(called, n, 0.02, 0.9)
            held[f"Rogan-Gladen, rates known, share {p:g}"] = _holds(made, p)
        return held

    return once


def two_stage(rate: float) -> Callable[[np.random.Generator], Held]:
    """Stagewise interval after Simon's 1/10, 5/29."""
    design = TwoStage(1, 10, 5, 29)

    def once(rng: np.random.Generator) -> Held:
        first = int(rng.binomial(10, rate))
        if first <= 1:
            return {"stagewise": _holds(stagewise_interval(Outcome(design, 1, first)), rate)}
        outcome = Outcome(design, 2, first + int(rng.binomial(19, rate)))
        return {"stagewise": _holds(stagewise_interval(outcome), rate)}

    return once


def scores(n: int) -> Callable[[np.random.Generator], Held]:
    """Large-sample intervals of a share; the true share is drawn anew, since coverage swings with it."""

    def once(rng: np.random.Generator) -> Held:
        p = float(rng.uniform(0.02, 0.6))
        k = int(rng.binomial(n, p))
        low, high = wilson(k, n)
        study = RateStudy(int(rng.binomial(200, 0.02)), 200, int(rng.binomial(60, 0.9)), 60)
        called = int(rng.binomial(n, 0.9 * p + 0.02 * (1 - p)))
        held = {"Wilson": bool(low <= p <= high)}
        return held | {"Lang-Reiczigel": _holds(corrected_prevalence_estimated(called, n, study), p)}

    return once


def diversity_of(name: str, n: int, plan: HeterogeneityPlan) -> Callable[[np.random.Generator], Held]:
    """Every heterogeneity metric that has an interval."""
    pairs, p = np.array(list(STATES[name])), np.array(list(STATES[name].values()))
    truth = population_values(pairs, p)

    def once(rng: np.random.Generator) -> Held:
        drawn = pairs[rng.choice(len(p), n, p=p)]
        made = heterogeneity(drawn[:, 0], drawn[:, 1], plan)
        return {m: _holds(made[m], truth[m]) for m in truth if math.isfinite(made[m].low)}

    return once


def population_values(pairs: np.ndarray, p: np.ndarray) -> dict[str, float]:
    """Metrics of a population of states, from their definitions."""
    her2, ratio = pairs[:, 0].astype(float), pairs[:, 0] / pairs[:, 1]
    kinds = np.array([p[her2 == h].sum() for h in np.unique(her2)])
    entropy = float(-(kinds * np.log(kinds)).sum())
    mean, logs = float(p @ her2), np.log(ratio)
    rao = float(p @ np.abs(her2[:, None] - her2) @ p)
    variance = float(p @ logs**2 - (p @ logs) ** 2)
    return {
        "her2_shannon": entropy,
        "her2_simpson": float(1 - kinds @ kinds),
        "her2_hill_1": math.exp(entropy),
        "her2_hill_2": float(1 / (kinds @ kinds)),
        "her2_rao": rao,
        "her2_gini": rao / 2 / mean,
        "her2_cv": math.sqrt(float(p @ her2**2) - mean**2) / mean,
        "ratio_geometric_cv": math.sqrt(math.expm1(variance)),
    }


def error_rates(n: int) -> Callable[[np.random.Generator], Held]:
    """Posterior intervals of a slide's error rates; the true rates are drawn from the prior, as they promise."""
    a, b = RatePriors().shapes().T

    def once(rng: np.random.Generator) -> Held:
        rates = rng.beta(a, b)
        rates[[2, 5]] = rng.gamma(a[[2, 5]], 1 / b[[2, 5]])
        copies = np.where(rng.random(n) < rates[6], 4, 2)
        counts = []
        for missed, split, extra in (rates[:3], rates[3:6]):
            seen = rng.binomial(copies, 1 - missed)
            counts.append(seen + rng.binomial(seen, split) + rng.poisson(extra, n))
        fit = fit_rates(*counts, RatePriors())
        return {name: _holds(fit.estimates[name], rates[k]) for k, name in enumerate(PARAMETERS)}

    return once


def between(n: int) -> Callable[[np.random.Generator], Held]:
    """Between-patient correlation of ``n`` patients with 5 to 40 cells."""

    def once(rng: np.random.Generator) -> Held:
        cells = rng.integers(5, 41, n)
        made = beta_binomial_rho(rng.binomial(cells, rng.beta(0.3 * 4, 0.7 * 4, n)), cells)
        patient = np.repeat(np.arange(n), cells)
        values = rng.normal(0, 1, n)[patient] + rng.normal(0, 1.5, patient.size)
        mean = cluster_interval(
            lambda rows: float(values[rows].mean()), patient, IDENTITY, BootstrapPlan(200, seed=int(rng.integers(1e6)))
        )
        return {
            "beta-binomial rho 0.2": _holds(made, 0.2),
            "ICC(1,1), unequal sizes": _holds(icc_oneway(values, patient), 1 / (1 + 2.25)),
            "bootstrap by patient, mean": _holds(mean, 0.0),
        }

    return once


def survivors(n: int) -> Callable[[np.random.Generator], Held]:
    """Kaplan and Meier's curve at a moment, and its median."""

    def once(rng: np.random.Generator) -> Held:
        time, limit = rng.exponential(1, n), rng.uniform(0.5, 3, n)
        km = survival.kaplan_meier(np.minimum(time, limit), time <= limit)
        moment = float(rng.uniform(0.3, 0.8))
        return {
            "Kaplan-Meier": _holds(km.at(moment), math.exp(-moment)),
            "Kaplan-Meier median": _holds(km.median(), math.log(2)),
        }

    return once


def cases(sizes: tuple[int, ...] = (30, 50, 100)) -> Iterator[Case]:
    """Every interval at every size."""
    plan = HeterogeneityPlan(bootstrap=BootstrapPlan(400))
    for rate in (0.1, 0.2, 0.3, 0.5):
        yield "exact", f"two stages, rate {rate:g}", two_stage(rate)
    for n in sizes:
        yield "exact", f"n = {n}", proportions(n)
        yield "large-sample", f"n = {n}", scores(n)
        yield "large-sample", f"n = {n}", survivors(n)
        yield "large-sample", f"{n} patients", between(n)
        yield "posterior", f"{n} leukocytes", error_rates(n)
        for name in STATES:
            yield "heterogeneity", f"{n} cells, {name} copies", diversity_of(name, n, plan)


def coverage(replicates: int, seed: int = 7500) -> Iterator[pd.DataFrame]:
    """Share of replicates in which each interval held the truth, and how often it was given at all."""
    for number, (kind, population, once) in enumerate(cases()):
        rng = np.random.default_rng([seed, number])
        held = pd.DataFrame([once(rng) for _ in range(replicates)])
        rows = {"kind": kind, "population": population, "coverage %": 100 * held.mean().astype(float)}
        yield pd.DataFrame(rows | {"given": held.notna().sum()}).rename_axis("interval").reset_index()
