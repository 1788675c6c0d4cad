"""Two-stage designs per cohort: what they ask, where the data stand, and estimates that know the trial could stop."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pandas as pd

from ctcfish.errors import StatisticsError
from ctcfish.stats.design_inference import (
    Outcome,
    median_unbiased,
    p_value,
    posterior_above,
    predictive_probability,
    stagewise_interval,
)
from ctcfish.stats.designs import DesignFigures, Hypotheses, admissible, all_designs, minimax, optimal
from ctcfish.stats.estimate import Estimate
from ctcfish.stats.rate_priors import BetaPrior
from ctcfish.trial.finding import Finding, Label
from ctcfish.trial.protocol import Design, MergeIfSlow, OpenAfter
from ctcfish.trial.subjects import Study


@dataclass(frozen=True, slots=True)
class Plan:
    """Designs that keep a cohort's error rates.

    Attributes
    ----------
    chosen : DesignFigures
    optimal, minimax : DesignFigures
        Over all first stages.
    admissible : tuple of DesignFigures
    enumerated : int
        Pairs of n1 and n for which a design exists.
    """

    chosen: DesignFigures
    optimal: DesignFigures
    minimax: DesignFigures
    admissible: tuple[DesignFigures, ...]
    enumerated: int


@dataclass(frozen=True, slots=True)
class Decision:
    """Where a cohort stands.

    Attributes
    ----------
    cohort : str
    illustrative : bool
        Whether the protocol calls the design illustrative.
    design : Design
    plan : Plan
    treated, responses : int
    stage : int
        Stage that the data are in.
    state : str
        What follows, in a sentence.
    outcome : Outcome or None
        Where the trial ended by its design; None while it goes on.
    predictive : float
        Probability that the trial ends with success, given the data so far (beta-binomial).
    above_p0 : float
        Posterior probability that the response rate exceeds p0.
    """

    cohort: str
    illustrative: bool
    design: Design
    plan: Plan
    treated: int
    responses: int
    stage: int
    state: str
    outcome: Outcome | None
    predictive: float
    above_p0: float


def plan_of(design: Design) -> Plan:
    """Return the designs by exact enumeration; with a fixed first look only first stages of that size are chosen from.

    Raises
    ------
    StatisticsError
        No design keeps the error rates.
    """
    found = all_designs(Hypotheses(design.p0, design.p1, design.alpha, design.beta), design.largest)
    usable = [d for d in found if design.first_look in (None, d.design.n1)]
    if not usable:
        look = f" with a first look after {design.first_look}" if design.first_look else ""
        raise StatisticsError(
            f"no design up to {design.largest} patients keeps alpha and beta{look}: change one of them"
        )
    pick = optimal if design.choice == "optimal" else minimax
    return Plan(pick(usable), optimal(found), minimax(found), tuple(admissible(found)), len(found))


def decide(study: Study) -> list[Decision]:
    """Return the standing of every cohort with a design, in the order of the protocol, under its adaptive rule."""
    rule, treated = study.protocol.adaptive, study.treated
    if isinstance(rule, MergeIfSlow) and is_slow(study, rule):
        own = treated[treated["cohort"].notna()]
        return [_stand("merged", rule.design, own, "adaptive" in study.protocol.illustrative)]
    found = []
    for cohort in study.protocol.cohorts:
        if cohort.design is not None:
            named = {f"cohorts.{cohort.name}", f"cohorts.{cohort.name}.design", "cohorts"}
            illustrative = bool(named & set(study.protocol.illustrative))
            own = treated[treated["cohort"] == cohort.name]
            found.append(_stand(cohort.name, cohort.design, own, illustrative))
    if isinstance(rule, OpenAfter):
        stage = {d.cohort: d.stage for d in found}
        waits = f"Not open: {rule.first} has not passed its first stage. "
        found = [
            replace(d, state=waits + d.state) if d.cohort == rule.then and stage.get(rule.first) != 2 else d
            for d in found
        ]
    return found


def is_slow(study: Study, rule: MergeIfSlow) -> bool:
    """Return whether, after so many screened patients, some cohort has fewer patients than the rule asks for."""
    order = study.subjects.sort_values(["screening_date", "patient_id"], kind="stable")
    if len(order) < rule.screened:
        return False
    counts = order.head(rule.screened)["cohort"].value_counts()
    return any(int(counts.get(cohort.name, 0)) < rule.fewer_than for cohort in study.protocol.cohorts)


def _stand(cohort: str, design: Design, own: pd.DataFrame, illustrative: bool) -> Decision:
    plan = plan_of(design)
    responders = own["responder"].astype(int) if len(own) else pd.Series(dtype=int)
    stage, state, outcome = standing(plan, responders.tolist())
    n, k, prior = len(own), int(responders.sum()), BetaPrior(design.prior_a, design.prior_b)
    d = plan.chosen.design
    inside, hits = min(n, d.n), int(responders.iloc[: d.n].sum())
    predictive = 0.0 if outcome and outcome.stage == 1 else predictive_probability(hits, inside, d.n, d.r + 1, prior)
    above = posterior_above(design.p0, k, n, prior)
    return Decision(cohort, illustrative, design, plan, n, k, stage, state, outcome, predictive, above)


def standing(plan: Plan, responses: list[int]) -> tuple[int, str, Outcome | None]:
    """Return stage, what follows, and the outcome where the design has come to an end.

    Parameters
    ----------
    plan : Plan
    responses : list of int
        1 or 0 of each treated patient, in order of treatment; patients beyond the design's size do not count.
    """
    d, n = plan.chosen.design, len(responses)
    if n < d.n1:
        seen = sum(responses)
        early = f" {seen} responses already exceed the {d.r1} that would stop it." if seen > d.r1 else ""
        return 1, f"Stage 1 goes on: {n} of {d.n1} treated, {seen} responses.{early}", None
    first = sum(responses[: d.n1])
    if first <= d.r1:
        beyond = f" {n - d.n1} treated beyond the first look do not count." if n > d.n1 else ""
        return (
            1,
            f"Stopped for futility: {first} of {d.n1} responses, {d.r1} or fewer stop.{beyond}",
            Outcome(d, 1, first),
        )
    if n < d.n:
        return 2, f"Stage 2 goes on: {n} of {d.n} treated, {sum(responses)} responses.", None
    total = sum(responses[: d.n])
    verdict = "reached" if total > d.r else "not reached"
    return 2, f"Ended: {total} of {d.n} responses, {d.r + 1} needed: {verdict}.", Outcome(d, 2, total)


def inference(decisions: list[Decision]) -> list[Finding]:
    """Return the estimates that know the trial could have stopped, for every cohort that has ended."""
    found = []
    for decision in decisions:
        if decision.outcome is None:
            continue
        outcome, population = decision.outcome, f"treated patients of cohort {decision.cohort} within the design"
        unbiased = stagewise_interval(outcome)
        p = p_value(outcome, decision.design.p0)
        label = Label("response", f"umvue_{decision.cohort}", f"Response rate after two stages ({decision.cohort})")
        note = f"Responses over treated {outcome.naive:.1%}; one-sided p against p0 = {decision.design.p0:g}: {p:.4g}."
        found.append(Finding(label, unbiased, population, outcome.treated, "share", outcome.responses, note=note))
        middle = median_unbiased(outcome)
        method = "median-unbiased, stagewise exact"
        estimate = Estimate(middle, min(unbiased.low, middle), max(unbiased.high, middle), method)
        label = Label("response", f"median_unbiased_{decision.cohort}", f"Median-unbiased rate ({decision.cohort})")
        found.append(Finding(label, estimate, population, outcome.treated, "share", outcome.responses))
    return found
