"""What must hold for any data: brute force, symmetry, order."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctcfish.parameters import Qc
from ctcfish.qc import tables as declared
from ctcfish.qc.agreement import Wide, eligibility, near_cut
from ctcfish.qc.control import broken_rules, make_charts
from ctcfish.qc.failures import STEPS, reasons, steps
from ctcfish.qc.precision import layout
from ctcfish.stats import moments
from ctcfish.stats.bootstrap import BootstrapPlan
from ctcfish.stats.control import RULE_LENGTHS

PLAN = BootstrapPlan(resamples=100)
COUNTS = st.integers(0, 15)
CUTS = st.sampled_from([Fraction(11, 5), Fraction(2), Fraction(9, 5)])


def wide_of(her2: list[int], cep17: list[int]) -> Wide:
    h, c = (np.array(v, float)[:, None] for v in (her2, cep17))
    names = np.array(["p"] * len(her2), dtype=object)
    return Wide(names, np.zeros(h.shape, np.int64), h, c, np.divide(h, c, out=np.full(h.shape, np.nan), where=c > 0))


@given(COUNTS, st.integers(1, 15), CUTS)
@settings(max_examples=150)
def test_near_is_what_trying_every_neighbour_says(her2: int, cep17: int, cut: Fraction) -> None:
    def passes(h: int, c: int) -> bool:
        return Fraction(h, c) >= cut

    neighbours = [(her2 + 1, cep17), (her2 - 1, cep17), (her2, cep17 + 1), (her2, cep17 - 1)]
    allowed = [(h, c) for h, c in neighbours if h >= 0 and c >= 1]
    expected = any(passes(h, c) != passes(her2, cep17) for h, c in allowed)
    assert near_cut(wide_of([her2], [cep17]), cut).tolist() == [expected]


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=2, max_size=30))
@settings(max_examples=40)
def test_agreement_does_not_ask_who_was_first(pairs: list[tuple[int, int]]) -> None:
    codes = np.array(pairs, dtype=np.int64)
    one, other = (pd.DataFrame(eligibility(table, PLAN))["value"] for table in (codes, codes[:, ::-1]))
    np.testing.assert_allclose(one.to_numpy(float), other.to_numpy(float), atol=1e-12)


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=2, max_size=30))
@settings(max_examples=40)
def test_figures_of_agreement_stay_in_their_bounds(pairs: list[tuple[int, int]]) -> None:
    found = pd.DataFrame(eligibility(np.array(pairs, dtype=np.int64), PLAN)).set_index("statistic")
    told = found[found["value"].notna()]
    assert told["value"].between(-1 - 1e-9, 1 + 1e-9).all()
    ends = told[told["low"].notna()]
    assert ((ends["low"] <= ends["value"] + 1e-9) & (ends["value"] <= ends["high"] + 1e-9)).all()
    assert found.loc["percent agreement", "numerator"] <= found.loc["percent agreement", "n_items"]
    share = found.loc["percent agreement", ["value", "low"]].dropna()
    assert share.between(0, 1).all()


@given(st.integers(3, 12), st.integers(2, 5), st.integers(0, 10_000))
@settings(max_examples=40)
def test_resampling_nothing_changes_nothing(items: int, readings: int, seed: int) -> None:
    table = np.random.default_rng(seed).normal(2, 1, (items, readings))
    sums = moments.item_sums(table)
    order = np.random.default_rng(seed + 1).permutation(items)
    for statistic in (moments.icc_agreement, moments.icc_consistency, moments.within_sd):
        whole, shuffled = (statistic(part.sum(axis=0, keepdims=True))[0] for part in (sums, sums[order]))
        assert whole == pytest.approx(shuffled, nan_ok=True)


@given(st.integers(0, 10_000), st.floats(0.1, 10.0), st.floats(-5.0, 5.0))
@settings(max_examples=40)
def test_correlations_do_not_ask_for_the_unit(seed: int, scale: float, shift: float) -> None:
    rng = np.random.default_rng(seed)
    table = rng.normal(0, 1, (10, 1)) + rng.normal(0, 0.5, (10, 3))
    one, other = (moments.item_sums(own).sum(axis=0, keepdims=True) for own in (table, scale * table + shift))
    assert moments.icc_agreement(one)[0] == pytest.approx(moments.icc_agreement(other)[0], abs=1e-6)
    assert scale * moments.within_sd(one)[0] == pytest.approx(moments.within_sd(other)[0], rel=1e-5)


@given(st.lists(st.sampled_from([step.code for step in STEPS] + [""]), max_size=40))
@settings(max_examples=60)
def test_the_way_loses_nobody(codes: list[str]) -> None:
    found = pd.DataFrame({"slide_id": [f"s{k}" for k in range(len(codes))], "code": codes})
    found = found.assign(operator=None, scanner=None, probe_lot=None)
    told = steps(found)
    assert told["reached"].iloc[0] == len(codes)
    assert told["passed"].tolist()[:-1] == told["reached"].tolist()[1:]
    assert told["passed"].iloc[-1] == codes.count("")
    assert told["failed"].sum() == sum(code not in ("", "S2") for code in codes)
    why = reasons(found, pd.DataFrame(columns=["slide_id", "reason"]))
    everyone = why[why["factor"] == "all"]
    assert everyone["failed"].sum() == told["failed"].sum()
    by_step = told.set_index("code")["reached"].to_dict()
    assert all(row["reached"] == by_step[row["reason"]] for row in everyone.to_dict("records"))


@given(st.integers(0, 10_000), st.integers(5, 60))
@settings(max_examples=40)
def test_a_broken_rule_takes_part_with_the_results_it_looks_at(seed: int, n: int) -> None:
    z = np.random.default_rng(seed).normal(0, 1.5, n)
    frame = pd.DataFrame({"value": 1 + 0.1 * z, "run": [f"r{k}" for k in range(n)]})
    frame = declared.CONTROLS.check(frame.assign(slide_id="c", material="line", quantity="ratio"))
    told = broken_rules(make_charts(frame, {("line", "ratio"): (1.0, 0.1, "set")}, Qc()))
    for row in told.to_dict("records"):
        at, parts = int(row["run"][1:]), row["involved"].split("|")
        length = RULE_LENGTHS[row["rule"]]
        assert parts == [f"r{k}" for k in range(at - length + 1, at + 1)]
        own = z[at - length + 1 : at + 1]
        if row["rule"] in ("2-2s", "4-1s", "10x"):
            assert (own > 0).all() or (own < 0).all()
        if row["rule"] == "1-3s":
            assert abs(row["z"]) > 3


@given(st.integers(2, 4), st.integers(2, 4), st.integers(2, 3), st.integers(0, 1000))
@settings(max_examples=40)
def test_a_balanced_layout_is_found_in_any_order(days: int, runs: int, replicates: int, seed: int) -> None:
    rows = [(str(d), str(r)) for d in range(days) for r in range(runs) for _ in range(replicates)]
    table = pd.DataFrame(rows, columns=["day", "run"]).assign(site=None, operator=None, scanner=None, probe_lot=None)
    shuffled = table.sample(frac=1, random_state=seed).reset_index(drop=True)
    levels, order = layout(shuffled)
    assert levels == ("day", "run")
    again = shuffled.iloc[order][["day", "run"]].to_numpy().tolist()
    assert again == sorted(again)
    fewer = shuffled.iloc[:-1]
    assert "run" not in layout(fewer)[0]
