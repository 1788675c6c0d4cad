from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from ctcfish.stats.designs import TwoStage
from ctcfish.stats.proportions import patient_by_error
from ctcfish.trial.decision import plan_of
from ctcfish.trial.operating import Patients, Population, cohorts_of, conduct, draw, exact_success, simulate
from ctcfish.trial.protocol import Design, Operating
from tests.make_trial import protocol

DESIGN = {"p0": 0.10, "p1": 0.30, "alpha": 0.05, "beta": 0.20}  # 1/10, 5/29
COHORTS = [
    {"name": "LOW", "least": 1, "most": 2, "design": DESIGN},
    {"name": "HIGH", "least": 3, "design": DESIGN},
]
D = TwoStage(1, 10, 5, 29)


def plan(**changes: Any) -> Operating:
    told: dict[str, Any] = {
        "trials": 400,
        "screened": 300,
        "response_true": 0.3,
        "response_false": 0.0,
        "positive_share": 0.2,
    }
    return Operating(**(told | changes))


def marks(*text: str) -> np.ndarray:
    return np.array([[letter == "1" for letter in line] for line in text])


@dataclass(frozen=True)
class Course:
    """A trial of design 0/2, 1/4 over screened patients: who belongs to the cohort, and who responds."""

    what: str
    member: str
    response: str
    success: bool
    stopped: bool
    incomplete: bool
    treated: int


COURSES = [
    Course(
        what="both respond at once, then one more",
        member="1111",
        response="1100",
        success=True,
        stopped=False,
        incomplete=False,
        treated=4,
    ),
    Course(
        what="no response in the first stage",
        member="1111",
        response="0011",
        success=False,
        stopped=True,
        incomplete=False,
        treated=2,
    ),
    Course(
        what="too few responses in the end",
        member="1111",
        response="1000",
        success=False,
        stopped=False,
        incomplete=False,
        treated=4,
    ),
    Course(
        what="patients of no cohort do not count",
        member="010101010",
        response="111111111",
        success=True,
        stopped=False,
        incomplete=False,
        treated=4,
    ),
    Course(
        what="responses of others do not count",
        member="01010101",
        response="10101010",
        success=False,
        stopped=True,
        incomplete=False,
        treated=2,
    ),
    Course(
        what="the first stage is never filled",
        member="1000",
        response="1111",
        success=False,
        stopped=False,
        incomplete=True,
        treated=1,
    ),
    Course(
        what="the second stage is never filled",
        member="1110",
        response="1111",
        success=False,
        stopped=False,
        incomplete=True,
        treated=3,
    ),
    Course(
        what="patients beyond the last do not count",
        member="111111",
        response="100011",
        success=False,
        stopped=False,
        incomplete=False,
        treated=4,
    ),
    Course(
        what="nobody belongs to the cohort",
        member="0000",
        response="1111",
        success=False,
        stopped=False,
        incomplete=True,
        treated=0,
    ),
]


@pytest.mark.parametrize("case", COURSES, ids=[case.what for case in COURSES])
def test_a_trial_is_conducted_as_designed(case: Course) -> None:
    member, response = marks(case.member), marks(case.response)
    patients = Patients(member.astype(np.int64), np.zeros_like(member), response)
    out = conduct(TwoStage(0, 2, 1, 4), member, patients)
    assert bool(out.success[0]) is case.success
    assert bool(out.stopped[0]) is case.stopped
    assert bool(out.incomplete[0]) is case.incomplete
    assert out.treated[0] == case.treated
    assert out.false[0] == case.treated  # nobody here has a truly amplified CTC


def test_the_first_stage_is_passed_when_its_last_patient_is_treated() -> None:
    member, response = marks("0110111", "0110111", "0000000"), marks("0110000", "0000000", "0000000")
    out = conduct(TwoStage(0, 2, 1, 4), member, Patients(member.astype(np.int64), member, response))
    assert out.passed_at.tolist() == [3, 8, 8]


@pytest.mark.parametrize("rate", [0.05, 0.1, 0.2, 0.3, 0.5])
def test_simulation_equals_enumeration(rate: float) -> None:
    rng = np.random.default_rng(7)
    member = np.ones((6000, 29), dtype=bool)
    patients = Patients(member.astype(np.int64), member, rng.random(member.shape) < rate)
    out = conduct(D, member, patients)
    exact = exact_success(D, rate)
    assert out.success.mean() == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 6000) + 1e-9)
    assert not out.incomplete.any()
    early = out.stopped.mean()
    assert out.treated.mean() == pytest.approx(29 - 19 * early)


@pytest.mark.parametrize(
    ("p0", "p1", "alpha", "beta"),
    [
        (0.05, 0.20, 0.10, 0.10),
        (0.05, 0.25, 0.05, 0.20),
        (0.10, 0.30, 0.05, 0.10),
        (0.10, 0.30, 0.10, 0.10),
        (0.20, 0.40, 0.05, 0.20),
        (0.30, 0.50, 0.10, 0.10),
        (0.40, 0.60, 0.05, 0.20),
        (0.50, 0.70, 0.10, 0.10),
    ],
)
def test_error_rates_are_kept(p0: float, p1: float, alpha: float, beta: float) -> None:
    plan = plan_of(Design(p0=p0, p1=p1, alpha=alpha, beta=beta))
    for figures in (plan.optimal, plan.minimax, *plan.admissible):
        assert exact_success(figures.design, p0) <= alpha + 1e-12
        assert exact_success(figures.design, p1) >= 1 - beta - 1e-12
        assert exact_success(figures.design, p0) == pytest.approx(figures.type_one)


@pytest.mark.parametrize("error", [0.0001, 0.001, 0.01])
@pytest.mark.parametrize("cells", [10, 100])
def test_false_patients_follow_from_false_cells(error: float, cells: int) -> None:
    population = Population(np.array([cells]), np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))
    patients = draw(plan(positive_share=0.0), population, error)
    n = patients.amplified.size
    expected = float(patient_by_error(error, cells))
    assert not patients.true.any()
    seen = (patients.amplified > 0).mean()
    assert seen == pytest.approx(expected, abs=4 * np.sqrt(expected * (1 - expected) / n))
    assert not patients.response.any()  # response_false is 0


def test_carriers_are_drawn_as_pairs() -> None:
    population = Population(np.array([0]), np.array([1000, 10]), np.array([1, 10]))
    patients = draw(plan(positive_share=1.0), population, 0.0)
    assert set(np.unique(patients.amplified)) == {1, 10}
    assert patients.true.all()
    assert patients.response.mean() == pytest.approx(0.3, abs=0.01)


def test_a_blind_assay_misses_carriers() -> None:
    population = Population(np.array([0]), np.array([100]), np.array([2]))
    patients = draw(plan(positive_share=1.0, sensitivity=0.5), population, 0.0)
    assert (patients.amplified == 0).mean() == pytest.approx(0.25, abs=0.01)
    assert patients.true.all()


def test_without_carriers_in_the_data_there_are_none() -> None:
    population = Population(np.array([5, 9]), np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))
    assert not draw(plan(), population, 0.0).true.any()


@pytest.mark.parametrize(
    ("amplified", "cohort"),
    [
        (0, -1),
        (1, 0),
        (2, 0),
        (3, 1),
        (99, 1),
    ],
)
def test_cohorts_by_number(amplified: int, cohort: int) -> None:
    assert cohorts_of(protocol(cohorts=COHORTS), np.array([[amplified]])).tolist() == [[cohort]]


POPULATION = Population(np.array([0, 20, 50]), np.array([40, 60, 80]), np.array([1, 2, 6]))


def test_separate_cohorts_keep_their_error_rates() -> None:
    patients = draw(plan(screened=900, trials=1500, response_true=0.1), POPULATION, 0.0)
    for name, out in simulate(protocol(cohorts=COHORTS), patients).items():
        assert out.success.mean() <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / 1500), name
    patients = draw(plan(screened=900, trials=1500, response_true=0.3), POPULATION, 0.0)
    for name, out in simulate(protocol(cohorts=COHORTS), patients).items():
        assert out.success.mean() >= 0.80 - 4 * np.sqrt(0.16 / 1500), name


def test_errors_of_the_assay_cost_power_and_treat_the_wrong() -> None:
    power, false = [], []
    for error in (0.0, 0.001, 0.01):
        out = simulate(protocol(cohorts=COHORTS), draw(plan(screened=900), POPULATION, error))["LOW"]
        power.append(out.success.mean())
        false.append(out.false.sum() / out.treated.sum())
    assert power[0] > power[1] > power[2]
    assert false[0] == 0.0 < false[1] < false[2]


def test_a_cohort_that_opens_late_treats_later_patients_only() -> None:
    rule = {"kind": "open_after", "first": "HIGH", "then": "LOW"}
    patients = draw(plan(screened=900, response_true=0.3), POPULATION, 0.0)
    apart = simulate(protocol(cohorts=COHORTS), patients)
    waiting = simulate(protocol(cohorts=COHORTS, adaptive=rule), patients)
    assert (waiting["HIGH"].success == apart["HIGH"].success).all()
    never = waiting["HIGH"].stopped
    assert never.any()
    assert not waiting["LOW"].treated[never].any()
    assert (waiting["LOW"].treated <= 29).all()


def test_slow_trials_run_one_cohort() -> None:
    rule = {"kind": "merge_if_slow", "screened": 100, "fewer_than": 8, "design": DESIGN}
    patients = draw(plan(screened=600), POPULATION, 0.0)
    out = simulate(protocol(cohorts=COHORTS, adaptive=rule), patients)
    assert set(out) == {"LOW", "HIGH", "merged"}
    index = cohorts_of(protocol(cohorts=COHORTS), patients.amplified)
    slow = ((index[:, :100] == 0).sum(axis=1) < 8) | ((index[:, :100] == 1).sum(axis=1) < 8)
    assert 0 < slow.mean() < 1
    assert (out["merged"].treated[slow] > 0).all()
    assert not out["merged"].treated[~slow].any()
    assert not out["LOW"].treated[slow].any()


def test_the_same_seed_draws_the_same_patients() -> None:
    a, b, c = (draw(plan(seed=seed), POPULATION, 0.001) for seed in (1, 1, 2))
    assert (a.amplified == b.amplified).all()
    assert (a.amplified != c.amplified).any()
