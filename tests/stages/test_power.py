from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest

from ctcfish import tables
from ctcfish.errors import ConfigError
from ctcfish.parameters import GUARDED, Call, FishRule, ProteinRule
from ctcfish.report.power import power_plot, power_text
from ctcfish.stages.calibrate import false_clusters_of
from ctcfish.stages.call import passes
from ctcfish.stages.power import N_CTC, SHARES, assay_power, cell_rates
from ctcfish.stats.state_prior import cell_classes, prior_of, reaching
from tests import make

RATES = make.rates()


def test_every_rule_number_and_share_is_a_row() -> None:
    table = assay_power(RATES, Call())
    assert len(table) == 2 * len(N_CTC) * len(SHARES)
    assert table.columns.tolist() == tables.POWER.names


def test_power_grows_with_cells_and_share() -> None:
    table = assay_power(RATES, Call())
    for _, own in table.groupby("rule"):
        wide = own.pivot_table(index="n_ctc", columns="share", values="power").to_numpy()
        assert (np.diff(wide, axis=0) >= 0).all()
        assert (np.diff(wide, axis=1) >= 0).all()
        without = own[own["share"] == 0]
        assert without["power"].to_numpy() == pytest.approx(without["positive_by_error"].to_numpy())


def test_the_guard_costs_sensitivity_and_saves_false_calls() -> None:
    hard, guarded = cell_rates(RATES, Call(), FishRule()), cell_rates(RATES, Call(), GUARDED)
    assert guarded[0] < hard[0]
    assert guarded[1] < hard[1] / 20


def test_false_clusters_count_among_the_false_calls() -> None:
    clean = make.rates(false_cluster=1e-9)
    for rule, more in ((FishRule(), 0.006), (GUARDED, 0.0001)):
        with_them, without = cell_rates(RATES, Call(), rule), cell_rates(clean, Call(), rule)
        assert with_them[1] > without[1] + more
        assert with_them[0] == pytest.approx(without[0])
    table = assay_power(RATES, Call(), (100,), (0.0,)).set_index("rule")["positive_by_error"]
    assert (table > assay_power(clean, Call(), (100,), (0.0,)).set_index("rule")["positive_by_error"]).all()


def test_the_rates_of_a_cell_agree_with_a_simulation() -> None:
    """Second path: true states drawn from the prior, counts drawn signal by signal."""
    rng = np.random.default_rng(8)
    rule = Call()
    cut = FishRule().cut
    from fractions import Fraction

    table = prior_of(rule.prior.weights, cell_classes(Fraction(cut), rule.prior.mean_excess)).table
    n = 300_000
    state = rng.choice(table.size, n, p=table.ravel() / table.sum())
    true = np.unravel_index(state, table.shape)
    amplified = reaching(Fraction(cut))[true]
    counts = []
    for copies, errors in zip(true, (RATES.errors.her2, RATES.errors.cep17), strict=True):
        seen = rng.binomial(copies, 1 - errors.missed)
        counts.append(seen + rng.binomial(seen, errors.split) + rng.poisson(errors.extra, n))
    clusters = false_clusters_of(RATES, "her2")
    spoiled = ~amplified & (true[0] > 0) & (rng.random(n) < clusters.rate)
    others = rng.binomial(np.maximum(true[0] - 1, 0), 1 - RATES.errors.her2.missed)
    others += rng.binomial(others, RATES.errors.her2.split) + rng.poisson(RATES.errors.her2.extra, n)
    counts[0] = np.where(spoiled, others + 3 + rng.negative_binomial(2, 2 / (clusters.copies - 1), n), counts[0])
    shown = (counts[0] > 0) & (counts[1] > 0)
    called = passes(counts[0], counts[1], FishRule())
    sensitivity, false_call = cell_rates(RATES, rule, FishRule())
    assert called[shown & amplified].mean() == pytest.approx(sensitivity, abs=0.01)
    assert called[shown & ~amplified].mean() == pytest.approx(false_call, abs=0.001)


def test_a_protein_rule_has_no_counts() -> None:
    with pytest.raises(ConfigError, match="power needs a rule on FISH counts"):
        assay_power(RATES, Call(rule=ProteinRule()))


def test_text_and_picture_name_what_they_show() -> None:
    table = assay_power(RATES, Call(), (1, 10), (0.0, 0.1))
    text = power_text(table, RATES)
    assert "the configured rates (no slide given)" in text
    assert "guarded rule" in text
    assert "research use only" in text
    svg = power_plot(table)
    assert svg == power_plot(table)
    words = " ".join(e.text or "" for e in ElementTree.fromstring(svg).iter())
    assert "evaluable CTC" in words
    assert "none (error alone)" in words
    assert "mathdefault" not in words  # formulas are not typeset: a power of ten would stand there as its source


def test_the_command_writes_table_and_picture(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    assert make.run("power", "--out", tmp_path) == 0
    assert "limit_of_blank" in capsys.readouterr().out
    assert {p.name for p in tmp_path.iterdir()} == {"power.csv", "power.svg"}
    assert make.run("power", "--slide", tmp_path) == 2
    assert make.run("power", "--preset", "if_detect") == 2
