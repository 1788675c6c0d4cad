"""Operating characteristics by simulation: what errors of the assay do to the trial and to who is treated.

A screened patient is one of the data: with amplified CTC, as many as were found, or without. Each CTC is called rightly
or not. Her cohort follows from the number of amplified calls, her response from whether she truly has an amplified CTC.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import binom

from ctcfish.stats.checks import BoolArray, IntArray
from ctcfish.stats.designs import TwoStage
from ctcfish.stats.proportions import wilson
from ctcfish.trial.decision import plan_of
from ctcfish.trial.protocol import MergeIfSlow, OpenAfter, Operating, Protocol
from ctcfish.trial.subjects import Study

COLUMNS = [
    "cell_error",
    "cohort",
    "success",
    "success_low",
    "success_high",
    "stopped_early",
    "incomplete",
    "mean_treated",
    "false_share",
    "screened_positive_by_error",
    "exact",
]


@dataclass(frozen=True, slots=True)
class Patients:
    """Simulated patients of many trials; arrays of shape (trials, screened).

    Attributes
    ----------
    amplified : ndarray of int
        CTC called amplified.
    true : ndarray of bool
        Whether she has an amplified CTC in truth.
    response : ndarray of bool
        Whether she would respond if treated.
    """

    amplified: IntArray
    true: BoolArray
    response: BoolArray


@dataclass(frozen=True, slots=True)
class Population:
    """Patients to draw from, as the data have them.

    Attributes
    ----------
    cells : ndarray of int
        Evaluable CTC of screened patients without amplified ones, zeros included.
    carrier_cells, carrier_amplified : ndarray of int
        Evaluable and amplified CTC of patients with amplified ones.
    """

    cells: IntArray
    carrier_cells: IntArray
    carrier_amplified: IntArray


def draw(plan: Operating, population: Population, error: float) -> Patients:
    """Draw patients of many trials.

    Parameters
    ----------
    plan : Operating
    population : Population
    error : float
        Probability that a CTC that is not amplified is called so.
    """
    rng = np.random.default_rng([plan.seed, round(error * 1e9)])
    shape = (plan.trials, plan.screened)
    carrier = rng.random(shape) < (plan.positive_share if population.carrier_cells.size else 0.0)
    other = rng.choice(population.cells, shape) if population.cells.size else np.zeros(shape, dtype=np.int64)
    pick = rng.integers(0, max(population.carrier_cells.size, 1), shape)
    if population.carrier_cells.size:
        n = np.where(carrier, population.carrier_cells[pick], other)
        true_cells = np.where(carrier, population.carrier_amplified[pick], 0)
    else:
        n, true_cells = other, np.zeros(shape, dtype=np.int64)
    called = rng.binomial(true_cells, plan.sensitivity) + rng.binomial(n - true_cells, error)
    true = true_cells > 0
    response = rng.random(shape) < np.where(true, plan.response_true, plan.response_false)
    return Patients(called, true, response)


def cohorts_of(protocol: Protocol, amplified: IntArray) -> NDArray[np.int64]:
    """Return the number of each patient's cohort in the protocol's order, -1 for none."""
    index = np.full(amplified.shape, -1, dtype=np.int64)
    for number, cohort in enumerate(protocol.cohorts):
        most = cohort.most if cohort.most is not None else np.inf
        index[(amplified >= cohort.least) & (amplified <= most)] = number
    return index


@dataclass(frozen=True, slots=True)
class Trials:
    """What became of a cohort in each trial; arrays of shape (trials,)."""

    success: BoolArray
    stopped: BoolArray
    incomplete: BoolArray
    treated: IntArray
    false: IntArray
    passed_at: IntArray


def conduct(design: TwoStage, member: BoolArray, patients: Patients) -> Trials:
    """Run a two-stage design over the members of a cohort in order of screening.

    ``passed_at`` is the number of screened patients at which the first stage was passed, beyond the last one if never.
    """
    order = np.cumsum(member, axis=1)
    hit = member & patients.response
    first, within = member & (order <= design.n1), member & (order <= design.n)
    enough1, enough = order[:, -1] >= design.n1, order[:, -1] >= design.n
    responses1 = (hit & first).sum(axis=1)
    goes_on = enough1 & (responses1 > design.r1)
    stopped = enough1 & ~goes_on
    success = goes_on & enough & ((hit & within).sum(axis=1) > design.r)
    treated_mask = np.where(goes_on[:, None], within, first)
    reached = np.where(goes_on, (order < design.n1).sum(axis=1) + 1, member.shape[1] + 1)
    return Trials(
        success,
        stopped,
        ~stopped & ~(goes_on & enough),
        treated_mask.sum(axis=1),
        (treated_mask & ~patients.true).sum(axis=1),
        reached,
    )


def simulate(protocol: Protocol, patients: Patients) -> dict[str, Trials]:
    """Run every cohort of every trial under the protocol's adaptive rule."""
    index = cohorts_of(protocol, patients.amplified)
    designs = {c.name: plan_of(c.design).chosen.design for c in protocol.cohorts if c.design is not None}
    member = {c.name: index == number for number, c in enumerate(protocol.cohorts) if c.design is not None}
    rule = protocol.adaptive
    if isinstance(rule, MergeIfSlow):
        return _merged(rule, designs, member, patients)
    if isinstance(rule, OpenAfter) and {rule.first, rule.then} <= set(member):
        opened = conduct(designs[rule.first], member[rule.first], patients).passed_at
        number = np.arange(1, index.shape[1] + 1)
        member[rule.then] = member[rule.then] & (number[None, :] > opened[:, None])
    return {name: conduct(designs[name], member[name], patients) for name in member}


def _merged(
    rule: MergeIfSlow, designs: dict[str, TwoStage], member: dict[str, BoolArray], patients: Patients
) -> dict[str, Trials]:
    """Run one cohort of all patients in trials in which some cohort is slow, and the cohorts by themselves in others.

    Shares are over all trials: success of a cohort is success without merging, of ``merged`` success after it.
    """
    slow = np.zeros(patients.amplified.shape[0], dtype=np.bool_)
    for own in member.values():
        slow |= own[:, : rule.screened].sum(axis=1) < rule.fewer_than
    together = np.logical_or.reduce(list(member.values())) & slow[:, None]
    out = {name: conduct(designs[name], own & ~slow[:, None], patients) for name, own in member.items()}
    return out | {"merged": conduct(plan_of(rule.design).chosen.design, together, patients)}


def exact_success(design: TwoStage, rate: float) -> float:
    """Return the probability that a completed design ends with success at a response rate, by enumeration."""
    first = np.arange(design.r1 + 1, design.n1 + 1)
    later = binom.sf(design.r - first, design.n - design.n1, rate)
    return float(binom.pmf(first, design.n1, rate) @ later)


def operating(study: Study) -> pd.DataFrame:
    """Return operating characteristics by cell error and cohort, :data:`COLUMNS`; no rows without a plan or designs."""
    protocol, plan = study.protocol, study.protocol.operating
    designs = {c.name: plan_of(c.design).chosen.design for c in protocol.cohorts if c.design is not None}
    population = population_of(study)
    if plan is None or not designs or not (population.cells.any() or population.carrier_cells.any()):
        return pd.DataFrame(columns=COLUMNS)
    if isinstance(protocol.adaptive, MergeIfSlow):
        designs["merged"] = plan_of(protocol.adaptive.design).chosen.design
    rows = []
    for error in plan.cell_error:
        patients = draw(plan, population, error)
        chosen = patients.amplified >= protocol.least_amplified
        by_error = float((chosen & ~patients.true).sum() / max(chosen.sum(), 1))
        for name, trials in simulate(protocol, patients).items():
            rows.append(_row(error, name, trials, by_error, designs[name], plan))
    return pd.DataFrame(rows, columns=COLUMNS)


def population_of(study: Study) -> Population:
    """Return the screened patients of the data."""
    s = study.subjects
    n, k = (s[name].fillna(0).to_numpy(float).astype(np.int64) for name in ("n_evaluable", "n_amplified"))
    positive = s["positive"].to_numpy(bool)
    return Population(n[~positive], n[positive], k[positive])


def _row(
    error: float, name: str, trials: Trials, by_error: float, design: TwoStage, plan: Operating
) -> dict[str, object]:
    treated = int(trials.treated.sum())
    false = float(trials.false.sum() / treated) if treated else 0.0
    low, high = wilson(int(trials.success.sum()), trials.success.size)
    rate = false * plan.response_false + (1 - false) * plan.response_true
    return {
        "cell_error": error,
        "cohort": name,
        "success": float(trials.success.mean()),
        "success_low": float(low),
        "success_high": float(high),
        "stopped_early": float(trials.stopped.mean()),
        "incomplete": float(trials.incomplete.mean()),
        "mean_treated": float(trials.treated.mean()),
        "false_share": false,
        "screened_positive_by_error": by_error,
        "exact": exact_success(design, rate),
    }
