"""The whole analysis of a cohort in one piece: what must hold between its parts."""

from __future__ import annotations

from pathlib import Path

import pytest

from ctcfish.errors import InputError
from ctcfish.synth.trial_cohort import simulate_tables
from ctcfish.synth.trial_spec import TableCohort
from ctcfish.trial.analysis import Analysis, run_trial
from ctcfish.trial.protocol import parse_protocol
from tests.make_trial import PROTOCOL


@pytest.fixture(scope="module", params=[1, 2])
def analysis(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    out = tmp_path_factory.mktemp("trial") / "cohort"
    simulate_tables(TableCohort(seed=request.param, patients=400), out)
    return run_trial(out, out / "clinical", parse_protocol(PROTOCOL, "test.toml"))


def test_keys_are_unique_and_endpoints_complete(analysis: Analysis) -> None:
    keys = [f.label.key for f in analysis.findings]
    assert len(set(keys)) == len(keys)
    assert len({f.label.endpoint for f in analysis.findings}) == 13


def test_values_lie_in_their_intervals(analysis: Analysis) -> None:
    for f in analysis.findings:
        e = f.estimate
        if e.is_defined and e.low == e.low:
            assert e.low <= e.value <= e.high, f.label.key


def test_shares_are_their_counts(analysis: Analysis) -> None:
    for f in analysis.findings:
        if f.numerator is not None and f.n:
            assert f.estimate.value == pytest.approx(f.numerator / f.n), f.label.key


def test_p_values_are_probabilities_and_adjustment_never_lowers_them(analysis: Analysis) -> None:
    for f in analysis.findings:
        if f.p_value == f.p_value:
            assert 0 < f.p_value <= 1, f.label.key
            assert f.p_value <= f.p_adjusted + 1e-12 <= 1 + 1e-9, f.label.key


def test_the_flow_and_the_figures_count_the_same(analysis: Analysis) -> None:
    n = {step.name: step.n for step in analysis.steps}
    by = {f.label.key: f for f in analysis.findings}
    assert by["response_all"].n == len(analysis.study.treated) == n["treated"]
    assert by["detected_of_screened"].numerator == n["with amplified CTC"]
    assert by["failed_fish"].n == n["FISH attempted"]
    assert sum(by[f"cohort_{c}"].numerator or 0 for c in ("LOW", "HIGH")) == n["with amplified CTC"]


def test_without_designs_there_are_no_decisions(analysis: Analysis) -> None:
    assert analysis.decisions == ()
    assert len(analysis.operating) == 0


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    out = simulate_tables(TableCohort(patients=20), tmp_path / "cohort")
    with pytest.raises(InputError, match=r"no slides\.csv"):
        run_trial(out / "clinical", out / "clinical", parse_protocol(PROTOCOL, "test.toml"))
