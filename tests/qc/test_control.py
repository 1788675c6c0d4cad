"""Control charts: what a run says of its controls, Westgard's rules, drift, cut-offs, release."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from scipy import stats

from ctcfish.errors import QcGateError
from ctcfish.parameters import Qc, Quantity
from ctcfish.qc import tables as declared
from ctcfish.qc.control import (
    CUT_OFF,
    LEUKOCYTES,
    broken_rules,
    chart_table,
    control_results,
    control_study,
    drawn,
    gate,
    make_charts,
)
from ctcfish.qc.history import FALSE_CALLS, add_results
from ctcfish.report.qc_page import to_html
from ctcfish.stats.control import rejected, westgard
from tests import make
from tests.qc.conftest import Scorer, cells_of

QC = Qc()
TARGET = {("line", "ratio"): (1.0, 0.1, "set")}

TEXTBOOK = {
    "1-2s": [0.5, -0.5, 2.1],
    "1-3s": [0.5, -0.5, 3.1],
    "2-2s": [0.5, 2.1, 2.2],
    "R-4s": [0.5, 2.1, -2.1],
    "4-1s": [-0.5, 1.1, 1.2, 1.3, 1.4],
    "10x": [-0.5, *[0.4, 0.6] * 5],
}
"""A series that breaks each rule at its last result and not before (Westgard et al. 1981)."""


def results(values: list[float] | np.ndarray, quantity: str = "ratio", **columns: object) -> pd.DataFrame:
    n = len(values)
    frame = pd.DataFrame({"value": np.asarray(values, float), "run": [f"run{k}" for k in range(n)]})
    frame = frame.assign(slide_id="c", material="line", quantity=quantity)
    return declared.CONTROLS.check(frame.assign(**columns))


@pytest.mark.parametrize("rule", TEXTBOOK)
@pytest.mark.parametrize("side", [1, -1])
def test_every_rule_fires_on_its_textbook_series(rule: str, side: int) -> None:
    z = side * np.array(TEXTBOOK[rule])
    (chart,) = make_charts(results(1.0 + 0.1 * z), TARGET, QC)
    assert np.flatnonzero(chart.broken[rule]).tolist() == [len(z) - 1]
    told = broken_rules([chart]).set_index("rule")
    length = {"1-2s": 1, "1-3s": 1, "2-2s": 2, "R-4s": 2, "4-1s": 4, "10x": 10}[rule]
    assert told.loc[rule, "involved"].split("|") == [f"run{k}" for k in range(len(z) - length, len(z))]
    assert bool(told.loc[rule, "warning"]) == (rule == "1-2s")


def test_no_rule_fires_on_controls_in_control_beyond_its_known_rate() -> None:
    """10,000 series of 20 results: per result, away from the start, the rate that normal theory gives."""
    rng = np.random.default_rng(0)
    broken = westgard(rng.normal(size=(10_000, 20)))
    one, two, three = (stats.norm.sf(k) for k in (1, 2, 3))
    known = {"1-2s": 2 * two, "1-3s": 2 * three, "2-2s": 2 * two**2, "R-4s": 2 * two**2, "4-1s": 2 * one**4}
    known["10x"] = 2 * 0.5**10
    for rule, rate in known.items():
        seen = broken[rule][:, 9:]
        # results of one series share their past, so a run of breaks counts once: a tenfold variance is ample
        spread = np.sqrt(10 * rate / seen.size)
        assert abs(seen.mean() - rate) < 4 * spread, rule
    per_run = rejected(broken)[:, 9:].mean()
    assert 0.005 < per_run < 0.02  # a run is held back falsely about once in a hundred, per chart


def test_the_first_results_make_the_target_and_are_not_judged() -> None:
    rng = np.random.default_rng(1)
    values = np.concatenate([rng.normal(1.0, 0.05, 20), [1.0, 1.6]])
    (chart,) = make_charts(results(values), {}, QC)
    assert (chart.target, chart.spread) == (pytest.approx(values[:20].mean()), pytest.approx(values[:20].std(ddof=1)))
    assert chart.origin == "first 20 results"
    assert not any(where[:20].any() for where in chart.broken.values())
    assert chart.broken["1-3s"].tolist() == [False] * 21 + [True]


def test_too_few_results_or_no_spread_are_not_judged() -> None:
    (few,) = make_charts(results([1.0, 1.1, 0.9]), {}, QC)
    assert not few.judged
    assert few.origin == "3 of 20 results of the baseline"
    assert drawn([few]) == []
    assert chart_table([few])["target"].isna().all()
    (flat,) = make_charts(results([1.0] * 25), {}, QC)
    assert not flat.judged
    assert len(broken_rules([few, flat])) == 0
    assert make_charts(declared.CONTROLS.empty(), {}, QC) == []


def test_drift_is_seen_before_any_result_is_out() -> None:
    z = np.concatenate([np.zeros(20), np.full(12, 1.5)]) + 0.01 * np.arange(32)
    (chart,) = make_charts(results(1.0 + 0.1 * z), TARGET, QC)
    row = chart_table([chart]).iloc[0]
    assert not chart.broken["1-3s"].any()
    assert row["cusum_signals"] > 0
    assert row["ewma_signals"] > 0
    assert row["last_z"] == pytest.approx(z[-1])


def test_false_calls_are_held_against_normals_exactly() -> None:
    """2000 normal cells with 2 false calls: beta.ppf(.95, 3, 2000); 100 cells may show what that rate explains."""
    n = pd.array([100] * 22, dtype="Int64")
    false = pd.array([0] * 18 + [1, 1] + [1, 6], dtype="Int64")
    own = results(np.array(false, float) / 100, FALSE_CALLS, numerator=false, denominator=n)
    (chart,) = make_charts(own, {}, QC)
    assert chart.broken[CUT_OFF].tolist() == [False] * 21 + [True]
    rate = stats.beta.ppf(0.95, 3, 2000)
    assert stats.binom.sf(5, 100, rate) <= 0.00135
    assert chart_table([chart])["cut_off"][0] == pytest.approx(stats.beta.ppf(0.95, 9 + 1, 2200))
    few = make_charts(own.iloc[:3], {}, QC)
    assert not few[0].judged


def test_a_share_of_hundred_per_cent_all_the_time_still_has_a_chart() -> None:
    n = pd.array([50] * 22, dtype="Int64")
    good = pd.array([50] * 20 + [50, 40], dtype="Int64")
    own = results(np.array(good, float) / 50, "hybridisation_efficiency", numerator=good, denominator=n)
    (chart,) = make_charts(own, {}, QC)
    lacking = stats.beta.ppf(0.95, 1, 1000)
    assert chart.spread == pytest.approx(np.sqrt(lacking * (1 - lacking) / 50))
    assert chart.broken["1-3s"].tolist() == [False] * 21 + [True]


@pytest.mark.parametrize(("normals", "per_cent"), [(200, 1.487), (500, 0.597), (1000, 0.299)])
def test_cut_off_from_normals_without_false_calls(normals: int, per_cent: float) -> None:
    own = results([0.0], FALSE_CALLS, numerator=pd.array([0], "Int64"), denominator=pd.array([normals], "Int64"))
    assert 100 * chart_table(make_charts(own, {}, QC))["cut_off"][0] == pytest.approx(per_cent, abs=0.001)


def test_the_gate_names_rule_and_runs() -> None:
    found = make_charts(results(1.0 + 0.1 * np.array([0.5, 2.1, 2.2])), TARGET, QC)
    with pytest.raises(QcGateError, match=r"line ratio breaks 2-2s at 1.22, \+2.2 SD \(runs run1, run2\)") as caught:
        gate(found, "run2", QC)
    assert caught.value.exit_code == 5
    with pytest.raises(QcGateError, match="2-2s"):
        gate(found, None, QC)
    gate(found, "run1", QC)  # 2.1 SD alone warns
    gate(found, "run0", QC)
    with pytest.raises(QcGateError, match="no control result of run9 to release by"):
        gate(found, "run9", QC)
    with pytest.raises(QcGateError, match="no target yet for line ratio"):
        gate(make_charts(results([1.0]), {}, QC), None, QC)


def test_broken_rules_stand_in_the_order_of_the_results() -> None:
    z = np.array([3.5, 0.0, -3.5, -3.2, 0.0, 2.5])
    told = broken_rules(make_charts(results(1.0 + 0.1 * z), TARGET, QC))
    assert told["run"].tolist() == sorted(told["run"])
    assert told["run"].iloc[-1] == "run5"


def test_changes_of_lot_and_scanner_are_marked_where_they_happen() -> None:
    columns = {"probe_lot": ["A", "A", "B", "B"], "scanner": ["M1", "M1", "M2", None]}
    (shown,) = drawn(make_charts(results([1.0, 1.1, 0.9, 1.0], **columns), TARGET, QC))
    assert list(shown.marks) == [(0, "probe lot A, scanner M1"), (2, "probe lot B, scanner M2")]
    assert shown.name == "line ratio"


def test_quantities_that_are_not_gated_hold_nothing_back() -> None:
    both = pd.concat([results([1.0]), results([9.0], "focus")], ignore_index=True)
    targets = TARGET | {("line", "focus"): (1.0, 0.1, "set")}
    gate(make_charts(both, targets, QC), None, QC)
    with pytest.raises(QcGateError, match="line focus breaks 1-3s"):
        gate(make_charts(both, targets, QC), None, QC.model_copy(update={"gate": ("focus",)}))


def test_a_gate_names_only_what_is_charted() -> None:
    """A misspelt quantity would gate nothing."""
    with pytest.raises(ValidationError, match="'ratio', 'her2_count'"):
        Qc(gate=("ratois",))  # type: ignore[arg-type]


def test_a_run_says_what_its_controls_showed(
    tmp_path: Path, scored: Scorer, places: Callable[[int], np.ndarray]
) -> None:
    run, n = tmp_path / "run1", 30
    line = cells_of("neg", [2] * 28 + [9, -1], [2] * 29 + [-1], places(n), "unknown")
    scored(run, "neg", line, control="negative line", day="3", probe_lot="L1")
    scored(run, "pat", cells_of("pat", [9] * 5 + [2] * 25, [2] * n, places(n), ["ctc"] * 5 + ["wbc"] * 25))
    scored(run, "few", cells_of("few", [2] * n, [2] * n, places(n), ["ctc"] * 25 + ["wbc"] * 5))
    found = control_results(run, QC).set_index(["material", "quantity"])
    assert set(found.index.get_level_values(0)) == {"negative line", LEUKOCYTES}
    assert set(found.index.get_level_values(1)) == {name for name in get_args(Quantity) if "_b" not in name}
    assert found.loc[("negative line", "ratio"), "value"] == pytest.approx(65 / 58)
    false = found.loc[("negative line", FALSE_CALLS)]
    assert false[["numerator", "denominator", "day", "probe_lot"]].tolist() == [1, 29, "3", "L1"]
    efficiency = found.loc[("negative line", "hybridisation_efficiency")]
    assert efficiency[["numerator", "denominator"]].tolist() == [29, 30]
    assert found.loc[(LEUKOCYTES, "ratio"), ["value", "slide_id"]].tolist() == [1.0, "pat"]


def test_from_runs_to_charts_and_release(tmp_path: Path, scored: Scorer, places: Callable[[int], np.ndarray]) -> None:
    history, rng = tmp_path / "lab.sqlite", np.random.default_rng(0)
    for day in range(1, 8):
        cep17 = rng.choice([1, 2, 2, 2, 3], 40) if day < 7 else np.full(40, 1)
        cells = cells_of("neg", np.full(40, 2), cep17, places(40), "unknown")
        scored(tmp_path / f"run{day}", "neg", cells, control="line", day=str(day), probe_lot=f"L{day // 5}")
        assert make.run("qc", "control", "add", tmp_path / f"run{day}", "--history", history) == 0
    options = ("--set", "qc.baseline_results=5")
    assert make.run("qc", "control", "gate", "--history", history, "--run", "run6", *options) == 0
    assert make.run("qc", "control", "gate", "--history", history, *options) == 5
    target = ("--material", "line", "--quantity", "ratio", "--target", 1.0, "--sd", 10)
    assert make.run("qc", "control", "target", "--history", history, *target) == 0
    only = ("--set", 'qc.gate=["ratio"]')
    assert make.run("qc", "control", "gate", "--history", history, *only) == 0
    assert make.run("qc", "control", "chart", "--history", history, "--out", tmp_path / "charts", *options) == 0
    html = (tmp_path / "charts" / "report.html").read_text(encoding="utf-8")
    for text in ("may go", "Levey-Jennings", "probe lot L1", "Research use only"):
        assert text in html
    assert len(pd.read_csv(tmp_path / "charts" / "charts.csv")) == 6
    assert (tmp_path / "charts" / "report.pdf").read_bytes().startswith(b"%PDF")


def test_ten_thousand_results_chart_in_two_seconds(tmp_path: Path) -> None:
    rng, n = np.random.default_rng(0), 10_000
    lots = [f"L{k // 500}" for k in range(n)]
    add_results(tmp_path / "h.sqlite", results(rng.normal(1, 0.05, n), probe_lot=lots, day=[str(k) for k in range(n)]))
    control_study(tmp_path / "h.sqlite", QC)  # libraries are imported once
    start = time.process_time()
    page, frames, verdict = control_study(tmp_path / "h.sqlite", QC)
    assert isinstance(verdict, str)
    html = to_html(page)
    assert time.process_time() - start < 2.0
    assert len(frames["controls"]) == n
    assert html.count("<svg") == 2
    assert len(html) < 2_000_000
