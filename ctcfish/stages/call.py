"""From counts to calls: the trial's hard rule, the guarded rule beside it, and a probability.

``call`` is pure in its inputs: a correction of a count or another rule calls again at once. The posterior is
``P(countable HER2 / countable CEP17 >= cut | counts with their intervals, error rates, prior over true states)``
(:mod:`ctcfish.stats.count_posterior`); the hard rule never looks at it. The guard does, and on a slide outside the
range the detection was calibrated for, and in a cell with stain left from IF, it trusts no posterior: what passes the
hard rule there is ``UNCERTAIN``.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import assert_never

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ctcfish import flags
from ctcfish.flags import CellFlag, Reason, SlideFlag
from ctcfish.parameters import GUARDED, Call, FishRule, Prior, ProteinRule
from ctcfish.stages.calibrate import false_clusters_of
from ctcfish.stages.patterns import patterns
from ctcfish.stats.count_posterior import (
    MAX_CEP17_COUNT,
    MAX_HER2_COUNT,
    CountWeights,
    exact_weights,
    interval_weights,
    prior_share,
    reaching_likelihoods,
    reaching_probability,
)
from ctcfish.stats.countmodel import CountRule, pass_probability
from ctcfish.stats.false_clusters import doubted
from ctcfish.stats.patient_posterior import PosteriorBar, called_by_false_cluster
from ctcfish.stats.ratio_rule import exceeds, reaches
from ctcfish.stats.state_prior import StatePrior, cell_classes, prior_of
from ctcfish.types import ErrorRates

EXCLUDING: tuple[tuple[CellFlag, Reason], ...] = (
    (CellFlag.OVERLAP, Reason.OVERLAP),
    (CellFlag.TRUNCATED, Reason.TRUNCATED),
    (CellFlag.APOPTOTIC, Reason.APOPTOTIC),
    (CellFlag.OUT_OF_FOCUS, Reason.OUT_OF_FOCUS),
    (CellFlag.HIGH_BACKGROUND, Reason.HIGH_BACKGROUND),
)
"""Flags that make a cell not evaluable, the first that holds giving the reason."""

CALLED = (
    *("ratio", "call", "reason", "call_guarded", "reason_guarded"),
    *("p_amplified", "log10_bayes_factor", "patterns"),
)
"""Columns that :func:`call` sets."""

LEAST = 1e-300
"""Likelihood of counts that the model holds impossible."""


def call(cells: pd.DataFrame, rates: ErrorRates, params: Call) -> pd.DataFrame:
    """Call every cell by the run's rule and by the guarded rule.

    Parameters
    ----------
    cells : pandas.DataFrame
        Counts, intervals, flags; HER2 protein class where an IF scan was made.
    rates : ErrorRates
    params : Call

    Returns
    -------
    pandas.DataFrame
        The same rows with :data:`CALLED` set.
    """
    called = cells.copy()
    her2, cep17 = _counts(cells, "her2_count"), _counts(cells, "cep17_count")
    called["ratio"] = np.divide(her2, cep17, out=np.full(len(cells), np.nan), where=(cep17 > 0) & np.isfinite(her2))
    why_not = _why_not_evaluable(cells, rates)
    evidence = _evidence(cells, rates, params.prior, GUARDED)
    trusted = _trusted(cells, rates)
    called["call_guarded"], called["reason_guarded"] = _fish_call(cells, GUARDED, evidence.posterior * trusted, why_not)
    match params.rule:
        case FishRule() as rule:
            evidence = _evidence(cells, rates, params.prior, rule)
            called["call"], called["reason"] = _fish_call(cells, rule, evidence.posterior * trusted, why_not)
        case ProteinRule() as rule:
            called["call"], called["reason"] = _protein_call(cells, rule)
        case _ as unreachable:
            assert_never(unreachable)
    called["p_amplified"], called["log10_bayes_factor"] = evidence.posterior, evidence.log10_bayes_factor
    called["patterns"] = patterns(cells, why_not == "")
    return called


def _trusted(cells: pd.DataFrame, rates: ErrorRates) -> NDArray[np.bool_]:
    """Cells whose posterior may be believed: stain left from IF grows false signals that no leukocyte shows."""
    stained = (flags.from_text(cells["flags"].to_numpy(), CellFlag) & int(CellFlag.IF_RESIDUE)) != 0
    return np.asarray(~stained & (SlideFlag.OUT_OF_RANGE not in rates.flags))


def passes(her2: NDArray[np.int64], cep17: NDArray[np.int64], rule: FishRule) -> NDArray[np.bool_]:
    """Tell which counts pass the hard rule, guard left aside; in exact integers.

    Parameters
    ----------
    her2, cep17 : ndarray of int64, (N,)
    rule : FishRule

    Returns
    -------
    ndarray of bool, (N,)
        False where CEP17 is 0, unless the rule has copies that suffice without the ratio.
    """
    compare = exceeds if rule.strict else reaches
    passed = compare(her2, cep17, Fraction(rule.cut)) & (her2 >= rule.min_her2)
    return passed if rule.or_her2 is None else passed | (her2 >= rule.or_her2)


def passes_guard(her2: NDArray[np.int64], cep17: NDArray[np.int64], rule: FishRule) -> NDArray[np.bool_]:
    """Tell which counts pass the guard's demand on counts; all do where the rule has no guard."""
    if rule.guard is None:
        return np.ones(her2.shape, bool)
    return np.asarray((cep17 >= rule.guard.min_cep17) | (her2 >= rule.guard.or_min_her2))


def false_amplified(rates: ErrorRates, params: Call) -> float:
    """Probability that a diploid 2/2 nucleus is called amplified by the run's rule, guard and posterior included.

    Among nuclei that show both colours; by the count model with this slide's error rates, and by the false clusters of
    HER2 that its leukocytes show. NaN for a protein rule.
    """
    if isinstance(params.rule, ProteinRule):
        return float("nan")
    by_signals = pass_probability(2, 2, rates.errors, decision(rates, params.rule, params.prior))
    share = false_clusters_of(rates, "her2").rate
    return (1.0 - share) * by_signals + share * by_false_cluster(rates, params.rule, params.prior)


def by_false_cluster(rates: ErrorRates, rule: FishRule, prior: Prior) -> float:
    """Probability that a diploid 2/2 nucleus is called amplified if one of its HER2 signals is taken for a cluster."""
    cut, bar = Fraction(rule.cut), None
    if rule.guard is not None:
        bar = PosteriorBar(states_of(prior, cut), cut, rule.guard.min_posterior)

    def decide(her2: NDArray[np.int64], cep17: NDArray[np.int64]) -> NDArray[np.bool_]:
        return passes(her2, cep17, rule) & passes_guard(her2, cep17, rule)

    return called_by_false_cluster((2, 2), rates.errors, false_clusters_of(rates, "her2"), decide, bar)


def decision(rates: ErrorRates, rule: FishRule, prior: Prior) -> CountRule:
    """What a rule decides of counts that are not in doubt, guard and posterior included."""
    cut = Fraction(rule.cut)
    states = states_of(prior, cut)

    def decide(her2: NDArray[np.int64], cep17: NDArray[np.int64]) -> NDArray[np.bool_]:
        verdict = passes(her2, cep17, rule) & passes_guard(her2, cep17, rule)
        if rule.guard is not None:
            seen = exact_weights(her2.ravel(), cep17.ravel())
            posterior = reaching_probability(states, rates.errors, seen, cut).reshape(her2.shape)
            verdict &= np.nan_to_num(posterior) >= rule.guard.min_posterior
        return verdict

    return decide


def _counts(cells: pd.DataFrame, column: str) -> NDArray[np.float64]:
    """Counts as floats; NaN where the channel is absent or the cell was lost."""
    return np.asarray(cells[column].to_numpy(float, na_value=np.nan))


def _whole(cells: pd.DataFrame, column: str) -> NDArray[np.int64]:
    """Counts as integers, 0 where missing."""
    return np.nan_to_num(_counts(cells, column)).astype(np.int64)


def _fish_call(
    cells: pd.DataFrame, rule: FishRule, posterior: NDArray[np.float64], why_not: NDArray[np.object_]
) -> tuple[NDArray[np.object_], NDArray[np.object_]]:
    her2, cep17 = _whole(cells, "her2_count"), _whole(cells, "cep17_count")
    bits = flags.from_text(cells["flags"].to_numpy(), CellFlag)
    uncountable = bits & int(CellFlag.UNCOUNTABLE_CLUSTER) != 0
    least = np.where(uncountable, _whole(cells, "her2_low"), her2)
    most = np.where(uncountable, _whole(cells, "cep17_high"), cep17)
    hard = passes(least, most, rule)
    reason = np.where(uncountable & ~hard & (why_not == ""), Reason.UNCOUNTABLE_CLUSTER.value, why_not).astype(object)
    if rule.guard is not None:
        sure = passes_guard(least, most, rule) & (np.nan_to_num(posterior) >= rule.guard.min_posterior)
        reason = np.where(hard & ~sure & (reason == ""), Reason.UNCERTAIN.value, reason).astype(object)
    verdict = np.where(reason != "", "not_evaluable", np.where(hard, "amplified", "not_amplified")).astype(object)
    return verdict, _or_missing(reason)


def _protein_call(cells: pd.DataFrame, rule: ProteinRule) -> tuple[NDArray[np.object_], NDArray[np.object_]]:
    classes = (
        cells["her2_protein_class"] if "her2_protein_class" in cells else pd.Series(None, cells.index, dtype=object)
    )
    missing = classes.isna().to_numpy()
    positive = classes.isin(rule.classes).to_numpy()
    verdict = np.where(missing, "not_evaluable", np.where(positive, "amplified", "not_amplified")).astype(object)
    return verdict, _or_missing(np.where(missing, Reason.NO_HER2_PROTEIN.value, "").astype(object))


def _or_missing(reason: NDArray[np.object_]) -> NDArray[np.object_]:
    return np.array([text or None for text in reason.tolist()], dtype=object)


def _why_not_evaluable(cells: pd.DataFrame, rates: ErrorRates) -> NDArray[np.object_]:
    """Reason why a cell cannot be scored at all; empty where it can."""
    bits = flags.from_text(cells["flags"].to_numpy(), CellFlag)
    her2, cep17 = _counts(cells, "her2_count"), _counts(cells, "cep17_count")
    reason = np.full(len(cells), "", dtype=object)
    if SlideFlag.HYBRIDISATION_FAILED in rates.flags:
        reason[:] = Reason.HYBRIDISATION.value
    reason[cep17 == 0] = Reason.NO_CEP17.value
    reason[her2 == 0] = Reason.NO_HER2.value
    for flag, why in reversed(EXCLUDING):
        reason[bits & int(flag) != 0] = why.value
    reason[np.isnan(her2)] = Reason.NO_HER2.value
    reason[np.isnan(cep17)] = Reason.NO_CEP17.value
    reason[cells["label"].isna().to_numpy()] = Reason.LOST.value
    return reason


@dataclass(frozen=True)
class _Evidence:
    """What the counts say of the true ratio.

    Attributes
    ----------
    posterior : ndarray, (N,)
        P(countable ratio reaches the cut | counts and intervals); NaN where a colour is wanting.
    log10_bayes_factor : ndarray, (N,)
        Of reaching the cut against not reaching it, prior shares left aside.
    """

    posterior: NDArray[np.float64]
    log10_bayes_factor: NDArray[np.float64]


def _evidence(cells: pd.DataFrame, rates: ErrorRates, prior: Prior, rule: FishRule) -> _Evidence:
    posterior, factor = np.full(len(cells), np.nan), np.full(len(cells), np.nan)
    her2, cep17 = _counts(cells, "her2_count"), _counts(cells, "cep17_count")
    rows = np.flatnonzero((np.nan_to_num(her2) > 0) & (np.nan_to_num(cep17) > 0))
    if not len(rows):
        return _Evidence(posterior, factor)
    sides = (("her2", MAX_HER2_COUNT), ("cep17", MAX_CEP17_COUNT))
    seen = CountWeights(*(_weights(cells, rows, rates, probe, largest) for probe, largest in sides))
    cut = Fraction(rule.cut)
    states = states_of(prior, cut)
    inside, outside = (np.maximum(part, LEAST) for part in reaching_likelihoods(states, rates.errors, seen, cut))
    share = prior_share(states, cut)
    posterior[rows] = share * inside / (share * inside + (1 - share) * outside)
    factor[rows] = np.log10(inside / outside)
    return _Evidence(posterior, factor)


def states_of(prior: Prior, cut: Fraction) -> StatePrior:
    """Prior over true states as the configuration weighs its classes."""
    return _states(tuple(prior.weights.items()), prior.mean_excess, cut)


@lru_cache(maxsize=64)
def _states(weights: tuple[tuple[str, float], ...], mean_excess: float, cut: Fraction) -> StatePrior:
    return prior_of(dict(weights), cell_classes(cut, mean_excess))


def _weights(
    cells: pd.DataFrame, rows: NDArray[np.int64], rates: ErrorRates, probe: str, largest: int
) -> NDArray[np.float64]:
    """Likelihood over counts of one colour; a cluster may be none, unless a reader has set the count."""
    count, low, high = (cells[f"{probe}_{part}"].to_numpy()[rows].astype(np.int64) for part in ("count", "low", "high"))
    weights = interval_weights(count, low, high, largest)
    if f"{probe}_in_clusters" not in cells:
        return weights
    points, inside = (_whole(cells, f"{probe}_{part}")[rows] for part in ("points", "in_clusters"))
    estimated = np.where(points + inside == count, inside, 0)
    return doubted(weights, points, estimated, false_clusters_of(rates, probe))
