from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from ctcfish.errors import StatisticsError
from ctcfish.stats.design_inference import umvue
from ctcfish.trial.decision import decide, inference, is_slow, plan_of, standing
from ctcfish.trial.operating import exact_success
from ctcfish.trial.protocol import Design, MergeIfSlow
from ctcfish.trial.subjects import Study
from tests.make_trial import Rows, row, run_of, slide, study


@dataclass(frozen=True)
class Published:
    """A design of Simon's tables (1989)."""

    p0: float
    p1: float
    alpha: float
    beta: float
    optimal: str
    minimax: str


PUBLISHED = [
    Published(
        p0=0.10,
        p1=0.30,
        alpha=0.05,
        beta=0.20,
        optimal="1/10 5/29",
        minimax="1/15 5/25",
    ),
    Published(
        p0=0.05,
        p1=0.25,
        alpha=0.05,
        beta=0.20,
        optimal="0/9 2/17",
        minimax="0/12 2/16",
    ),
    Published(
        p0=0.20,
        p1=0.40,
        alpha=0.05,
        beta=0.20,
        optimal="3/13 12/43",
        minimax="4/18 10/33",
    ),
    Published(
        p0=0.10,
        p1=0.30,
        alpha=0.10,
        beta=0.10,
        optimal="1/12 5/35",
        minimax="1/16 4/25",
    ),
]


def text(figures: Any) -> str:
    d = figures.design
    return f"{d.r1}/{d.n1} {d.r}/{d.n}"


@pytest.mark.parametrize("known", PUBLISHED)
def test_designs_are_those_published(known: Published) -> None:
    design = Design(p0=known.p0, p1=known.p1, alpha=known.alpha, beta=known.beta)
    plan = plan_of(design)
    assert text(plan.optimal) == known.optimal
    assert text(plan.minimax) == known.minimax
    assert text(plan.chosen) == known.optimal
    assert text(plan_of(design.model_copy(update={"choice": "minimax"})).chosen) == known.minimax
    assert known.minimax == text(plan.admissible[0])
    assert known.optimal == text(plan.admissible[-1])


def test_a_first_look_that_the_trial_fixes_is_kept() -> None:
    plan = plan_of(Design(p0=0.1, p1=0.3, alpha=0.1, beta=0.1, first_look=14))
    assert text(plan.chosen) == "1/14 5/31"
    assert plan.chosen.type_one <= 0.1
    assert plan.chosen.power >= 0.9
    assert plan.optimal.expected < plan.chosen.expected


def test_a_design_that_cannot_be_is_told() -> None:
    with pytest.raises(StatisticsError, match="no design up to 20 patients keeps alpha and beta: change"):
        plan_of(Design(p0=0.1, p1=0.2, alpha=0.05, beta=0.1, largest=20))
    with pytest.raises(StatisticsError, match="with a first look after 2"):
        plan_of(Design(p0=0.1, p1=0.3, alpha=0.05, beta=0.2, first_look=2))


PLAN = plan_of(Design(p0=0.10, p1=0.30, alpha=0.05, beta=0.20))  # 1/10, 5/29


@dataclass(frozen=True)
class Standing:
    """What the design says of a sequence of responses."""

    what: str
    responses: list[int]
    stage: int
    says: str
    ended: bool


STANDINGS = [
    Standing(
        what="nobody treated",
        responses=[],
        stage=1,
        says="Stage 1 goes on: 0 of 10 treated, 0 responses.",
        ended=False,
    ),
    Standing(
        what="one short of the first look",
        responses=[0] * 9,
        stage=1,
        says="Stage 1 goes on: 9 of 10 treated, 0 responses.",
        ended=False,
    ),
    Standing(
        what="enough responses before the first look",
        responses=[1, 1],
        stage=1,
        says="2 responses already exceed the 1 that would stop it",
        ended=False,
    ),
    Standing(
        what="no response at the first look",
        responses=[0] * 10,
        stage=1,
        says="Stopped for futility: 0 of 10 responses, 1 or fewer stop.",
        ended=True,
    ),
    Standing(
        what="one response at the first look",
        responses=[0] * 9 + [1],
        stage=1,
        says="Stopped for futility: 1 of 10 responses",
        ended=True,
    ),
    Standing(
        what="treated on though stopped",
        responses=[0] * 10 + [1, 1, 1],
        stage=1,
        says="3 treated beyond the first look do not count",
        ended=True,
    ),
    Standing(
        what="two responses at the first look",
        responses=[1, 1] + [0] * 8,
        stage=2,
        says="Stage 2 goes on: 10 of 29 treated, 2 responses.",
        ended=False,
    ),
    Standing(
        what="one short of the end",
        responses=[1, 1] + [0] * 26,
        stage=2,
        says="Stage 2 goes on: 28 of 29 treated, 2 responses.",
        ended=False,
    ),
    Standing(
        what="as many as are not enough",
        responses=[1] * 5 + [0] * 24,
        stage=2,
        says="Ended: 5 of 29 responses, 6 needed: not reached.",
        ended=True,
    ),
    Standing(
        what="as many as are enough",
        responses=[1] * 6 + [0] * 23,
        stage=2,
        says="Ended: 6 of 29 responses, 6 needed: reached.",
        ended=True,
    ),
    Standing(
        what="patients beyond the last do not count",
        responses=[1] * 5 + [0] * 24 + [1] * 4,
        stage=2,
        says="Ended: 5 of 29 responses, 6 needed: not reached.",
        ended=True,
    ),
]


@pytest.mark.parametrize("case", STANDINGS, ids=[case.what for case in STANDINGS])
def test_where_a_cohort_stands(case: Standing) -> None:
    stage, says, outcome = standing(PLAN, case.responses)
    assert stage == case.stage
    assert case.says in says
    assert (outcome is not None) is case.ended
    if outcome is not None:
        assert outcome.stage == stage


def test_the_unbiased_estimate_is_unbiased() -> None:
    """Over every way a trial of this design can end, weighted by its probability."""
    d = PLAN.chosen.design
    for rate in (0.05, 0.1, 0.3, 0.6):
        mean, naive = 0.0, 0.0
        for first in range(d.n1 + 1):
            p_first = stats.binom.pmf(first, d.n1, rate)
            ends = [0] if first <= d.r1 else range(d.n - d.n1 + 1)
            for second in ends:
                chance = p_first * (1.0 if first <= d.r1 else stats.binom.pmf(second, d.n - d.n1, rate))
                order = [1] * first + [0] * (d.n1 - first)
                if first > d.r1:
                    order += [1] * second + [0] * (d.n - d.n1 - second)
                outcome = standing(PLAN, order)[2]
                assert outcome is not None
                mean += chance * umvue(outcome)
                naive += chance * outcome.naive
        assert mean == pytest.approx(rate, abs=1e-9)
        assert naive < rate  # the naive estimate is biased low: a trial that starts badly stops


def test_enumeration_agrees_with_the_design_and_with_simulation() -> None:
    d = PLAN.chosen.design
    assert exact_success(d, 0.1) == pytest.approx(PLAN.chosen.type_one)
    assert exact_success(d, 0.3) == pytest.approx(PLAN.chosen.power)
    rng = np.random.default_rng(4)
    drawn = rng.random((20_000, d.n)) < 0.3
    first = drawn[:, : d.n1].sum(axis=1) > d.r1
    success = (first & (drawn.sum(axis=1) > d.r)).mean()
    assert success == pytest.approx(PLAN.chosen.power, abs=4 * np.sqrt(0.16 / 20_000))


DESIGN = {"p0": 0.10, "p1": 0.30, "alpha": 0.05, "beta": 0.20}
COHORTS = [
    {"name": "LOW", "least": 1, "most": 2, "design": DESIGN},
    {"name": "HIGH", "least": 3, "design": DESIGN},
]


def trial(tmp_path: Path, low: list[int], high: list[int], **changes: Any) -> Study:
    """Treated patients in order of treatment, 1 for a confirmed response, in cohorts LOW and HIGH."""
    rows: Rows = {"patients": [], "tumours": []}
    slides = []
    for number, (cohort, answer) in enumerate([("L", a) for a in low] + [("H", a) for a in high]):
        patient = f"{cohort}{number:03d}"
        dose = f"2015-{1 + number // 28:02d}-{1 + number % 28:02d}"
        rows["patients"].append(row("patients", patient, dose, "yes", "yes", dose))
        slides.append(slide(patient, 9, 9, 1 if cohort == "L" else 4))
        for date, size in ((dose, 50), ("2016-06-01", 20 if answer else 50), ("2016-08-01", 20 if answer else 50)):
            rows["tumours"].append(row("tumours", patient, date, "T1", "target", "liver", "no", size, "mm", ""))
    return study(tmp_path, rows, run_of(slides), **({"cohorts": COHORTS} | changes))


def test_cohorts_are_decided_by_themselves(tmp_path: Path) -> None:
    low, high = decide(trial(tmp_path, [0] * 10, [1, 1, *[0] * 9]))
    assert (low.cohort, low.treated, low.responses, low.stage) == ("LOW", 10, 0, 1)
    assert (high.cohort, high.treated, high.responses, high.stage) == ("HIGH", 11, 2, 2)
    assert low.outcome is not None
    assert high.outcome is None
    assert low.predictive == 0.0
    assert 0 < high.predictive < 1
    assert high.above_p0 == pytest.approx(stats.beta.sf(0.1, 1 + 2, 1 + 9))
    assert not low.illustrative


def test_a_cohort_that_ended_has_estimates_that_know_it(tmp_path: Path) -> None:
    findings = inference(decide(trial(tmp_path, [1] * 6 + [0] * 23, [0] * 4)))
    keys = [f.label.key for f in findings]
    assert keys == ["umvue_LOW", "median_unbiased_LOW"]
    unbiased, middle = findings
    assert (unbiased.numerator, unbiased.n) == (6, 29)
    assert unbiased.estimate.low < unbiased.estimate.value < unbiased.estimate.high
    assert unbiased.estimate.low < middle.estimate.value < unbiased.estimate.high
    assert "one-sided p against p0 = 0.1" in unbiased.note
    assert "cohort LOW" in unbiased.population


def test_illustrative_designs_say_so(tmp_path: Path) -> None:
    low, high = decide(trial(tmp_path, [0], [0], illustrative=["cohorts.LOW.design"]))
    assert low.illustrative
    assert not high.illustrative


def test_a_cohort_that_waits_is_not_open(tmp_path: Path) -> None:
    rule = {"kind": "open_after", "first": "HIGH", "then": "LOW"}
    low, high = decide(trial(tmp_path / "a", [0, 1], [0] * 3, adaptive=rule))
    assert low.state.startswith("Not open: HIGH has not passed its first stage.")
    assert not high.state.startswith("Not open")
    low, _ = decide(trial(tmp_path / "b", [0, 1], [1, 1, *[0] * 8], adaptive=rule))
    assert not low.state.startswith("Not open")


@pytest.mark.parametrize(
    ("screened", "fewer", "merged"),
    [
        (5, 2, False),
        (5, 3, True),
        (6, 2, False),
        (9, 9, False),  # fewer were screened than the rule waits for
    ],
)
def test_slow_cohorts_are_merged_by_rule(tmp_path: Path, screened: int, fewer: int, merged: bool) -> None:
    rule = {"kind": "merge_if_slow", "screened": screened, "fewer_than": fewer, "design": DESIGN}
    found = trial(tmp_path, [0, 1, 1], [1, 0, 0], adaptive=rule)
    assert isinstance(found.protocol.adaptive, MergeIfSlow)
    assert is_slow(found, found.protocol.adaptive) is merged
    decisions = decide(found)
    assert [d.cohort for d in decisions] == (["merged"] if merged else ["LOW", "HIGH"])
    assert sum(d.treated for d in decisions) == 6
    assert sum(d.responses for d in decisions) == 3


def test_without_a_design_nothing_is_decided(tmp_path: Path) -> None:
    cohorts = [{"name": "ALL", "least": 1}]
    assert decide(trial(tmp_path, [0, 1], [1], cohorts=cohorts)) == []
