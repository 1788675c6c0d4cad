from __future__ import annotations

from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

from ctcfish import config
from ctcfish.flags import SlideFlag
from ctcfish.parameters import GUARDED, Call, FishRule, Guard, ProteinRule
from ctcfish.stages.calibrate import false_clusters_of
from ctcfish.stages.call import CALLED, by_false_cluster, call, false_amplified, passes, passes_guard
from tests import make

PRESETS = {name: config.load(name).call for name in config.preset_names()}

BOUNDARIES = [
    # preset, HER2, CEP17, amplified
    *[("circe_tdm1", her2, cep17, True) for cep17, her2 in zip(range(1, 7), (3, 5, 7, 9, 11, 14), strict=True)],
    *[("circe_tdm1", her2 - 1, cep17, False) for cep17, her2 in zip(range(1, 7), (3, 5, 7, 9, 11, 14), strict=True)],
    ("circe_tdm1", 22, 10, True),
    ("circe_tdm1", 21, 10, False),
    ("asco_cap_2007", 11, 5, False),
    ("asco_cap_2007", 12, 5, True),
    ("asco_cap_2007", 22, 10, False),
    ("asco_cap_2007", 23, 10, True),
    ("asco_cap_2013", 4, 2, True),
    ("asco_cap_2013", 3, 2, False),
    ("asco_cap_2013", 6, 4, True),
    ("asco_cap_2013", 5, 3, False),
    ("asco_cap_2018", 4, 2, True),
    ("asco_cap_2018", 3, 1, False),
    ("asco_cap_2018", 4, 3, False),
    ("cap_2009", 11, 5, False),
    ("cap_2009", 12, 5, True),
    ("meng_2004", 4, 2, True),
    ("meng_2004", 3, 2, False),
    ("meng_2004", 2, 1, True),
    ("meng_2004", 19, 10, False),
    ("meng_2004", 20, 10, True),
]


@pytest.mark.parametrize(("preset", "her2", "cep17", "amplified"), BOUNDARIES)
def test_presets_at_their_cuts(preset: str, her2: int, cep17: int, amplified: bool) -> None:
    called = call(make.cells((her2, cep17)), make.rates(), PRESETS[preset])
    assert called["call"][0] == ("amplified" if amplified else "not_amplified")
    assert called["ratio"][0] == pytest.approx(her2 / cep17, abs=0)
    assert called["reason"][0] is None


def test_the_hard_rule_is_the_integer_comparison() -> None:
    her2, cep17 = np.meshgrid(np.arange(600), np.arange(200), indexing="ij")
    expected = (5 * her2 >= 11 * cep17) & (cep17 > 0)
    assert (passes(her2, cep17, PRESETS["circe_tdm1"].rule) == expected).all()


def test_the_guarded_preset_is_the_rule_behind_call_guarded() -> None:
    assert PRESETS["circe_guarded"].rule == GUARDED
    called = call(make.cells((3, 1), (5, 2), (9, 2), (20, 4)), make.rates(), PRESETS["circe_guarded"])
    assert called["call"].tolist() == called["call_guarded"].tolist()


def test_the_guard() -> None:
    rule = FishRule(guard=Guard(min_posterior=0.0))
    her2, cep17 = np.array([3, 4, 5]), np.array([1, 1, 2])
    assert passes(her2, cep17, rule).tolist() == [True, True, True]
    assert passes_guard(her2, cep17, rule).tolist() == [False, True, True]
    assert passes_guard(her2, cep17, FishRule()).all()


def test_guarded_calls_stand_beside_the_hard_ones() -> None:
    called = call(make.cells((3, 1), (2, 2), (12, 2)), make.rates(), Call())
    assert called["call"].tolist() == ["amplified", "not_amplified", "amplified"]
    assert called["call_guarded"].tolist() == ["not_evaluable", "not_amplified", "amplified"]
    assert called["reason_guarded"].tolist() == ["UNCERTAIN", None, None]
    assert called["reason"].tolist() == [None, None, None]


def test_the_posterior_grows_with_the_evidence_and_lies_between_0_and_1() -> None:
    counts = [(h, 2) for h in range(1, 30)]
    posterior = call(make.cells(*counts), make.rates(), Call())["p_amplified"].to_numpy()
    assert ((posterior >= 0) & (posterior <= 1)).all()
    assert (np.diff(posterior[4:]) >= -1e-9).all()
    assert posterior[1] < 0.001
    assert posterior[-1] > 0.99


def test_worse_error_rates_make_a_call_less_sure() -> None:
    good = call(make.cells((5, 2)), make.rates(missed=0.01, split=0.01, extra=0.005), Call())["p_amplified"][0]
    bad = call(make.cells((5, 2)), make.rates(missed=0.1, split=0.1, extra=0.1), Call())["p_amplified"][0]
    assert good > bad


@pytest.mark.parametrize(
    ("cells", "reason", "has_p"),
    [
        (make.cells((2, 0)), "NO_CEP17", False),
        (make.cells((0, 2)), "NO_HER2", False),
        (make.cells((4, None)), "NO_CEP17", False),
        (make.cells((None, 4)), "NO_HER2", False),
        (make.cells((0, None), flags="OVERLAP"), "NO_CEP17", False),
        (make.cells((9, 2), flags="OVERLAP"), "OVERLAP", True),
        (make.cells((9, 2), flags="TRUNCATED"), "TRUNCATED", True),
        (make.cells((9, 2), flags="OUT_OF_FOCUS|APOPTOTIC"), "APOPTOTIC", True),
        (make.cells((9, 2), flags="OUT_OF_FOCUS"), "OUT_OF_FOCUS", True),
        (make.cells((9, 2), flags="HIGH_BACKGROUND"), "HIGH_BACKGROUND", True),
        (make.cells((None, None), label=pd.array([None], dtype="Int64")), "LOST", False),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_not_evaluable_has_its_reason(cells: pd.DataFrame, reason: str, has_p: bool) -> None:
    called = call(cells, make.rates(), Call())
    assert called["call"][0] == called["call_guarded"][0] == "not_evaluable"
    assert called["reason"][0] == called["reason_guarded"][0] == reason
    assert np.isfinite(called["p_amplified"][0]) == has_p


def test_doubts_that_do_not_exclude() -> None:
    called = call(make.cells((2, 2), flags="TOO_LARGE|LOW_SNR|UNSURE_MATCH|CLUSTER"), make.rates(), Call())
    assert called["call"][0] == "not_amplified"


def test_a_lower_bound_may_still_be_amplified() -> None:
    cells = make.cells((20, 2), (4, 2), flags="CLUSTER|UNCOUNTABLE_CLUSTER|LOWER_BOUND")
    cells["her2_low"] = pd.array([12, 3], dtype="Int64")
    called = call(cells, make.rates(), Call())
    assert called["call"].tolist() == ["amplified", "not_evaluable"]
    assert called["reason"].tolist() == [None, "UNCOUNTABLE_CLUSTER"]


def test_an_uncountable_cep17_cluster_counts_against_amplification() -> None:
    cells = make.cells((9, 4), flags="UNCOUNTABLE_CLUSTER")
    cells["cep17_high"] = pd.array([30], dtype="Int64")
    assert call(cells, make.rates(), Call())["call"][0] == "not_evaluable"


def test_protein_presets_read_the_class() -> None:
    cells = make.cells((2, 2), (9, 2), (2, 2), (2, 2))
    cells["her2_protein_class"] = ["high", "medium", "negative", None]
    called = call(cells, make.rates(), PRESETS["if_detect"])
    assert called["call"].tolist() == ["amplified", "not_amplified", "not_amplified", "not_evaluable"]
    assert called["reason"].tolist() == [None, None, None, "NO_HER2_PROTEIN"]
    assert called["call_guarded"].tolist()[:2] == ["not_amplified", "amplified"]
    assert call(make.cells((2, 2)), make.rates(), Call(rule=ProteinRule()))["call"][0] == "not_evaluable"


def test_a_failed_hybridisation_makes_no_calls() -> None:
    from dataclasses import replace

    failed = replace(make.rates(), flags=SlideFlag.HYBRIDISATION_FAILED)
    called = call(make.cells((9, 2)), failed, Call())
    assert (called["call"][0], called["reason"][0]) == ("not_evaluable", "HYBRIDISATION")


def test_outside_the_calibrated_range_the_guard_trusts_no_posterior() -> None:
    from dataclasses import replace

    strange = replace(make.rates(), flags=SlideFlag.OUT_OF_RANGE)
    called = call(make.cells((20, 2), (2, 2)), strange, Call())
    assert called["call"].tolist() == ["amplified", "not_amplified"]
    assert called["call_guarded"].tolist() == ["not_evaluable", "not_amplified"]
    assert called["reason_guarded"].tolist() == ["UNCERTAIN", None]
    assert called["p_amplified"][0] > 0.95


def test_in_a_cell_with_stain_left_the_guard_trusts_no_posterior() -> None:
    """Patches of stain count as signals; leukocytes, which carry none, cannot tell how often."""
    cells = make.cells((20, 2), (20, 2), (2, 2))
    cells["flags"] = ["IF_RESIDUE", "", "IF_RESIDUE"]
    called = call(cells, make.rates(), Call())
    assert called["call"].tolist() == ["amplified", "amplified", "not_amplified"]
    assert called["call_guarded"].tolist() == ["not_evaluable", "amplified", "not_amplified"]
    assert called["reason_guarded"].tolist() == ["UNCERTAIN", None, None]


def test_no_cells_is_a_table_of_no_rows() -> None:
    called = call(make.cells(), make.rates(), Call())
    assert len(called) == 0
    assert {"call", "call_guarded", "p_amplified", "reason"} <= set(called.columns)


def test_every_column_that_a_call_sets_is_named() -> None:
    """Other calls rewrite these columns of a stored table and no other."""
    bare = make.cells((9, 2), (2, 2), (None, 3)).drop(columns=list(CALLED), errors="ignore")
    called = call(bare, make.rates(), Call())
    assert set(called.columns) - set(bare.columns) == set(CALLED)
    pd.testing.assert_frame_equal(called[bare.columns], bare)


def test_calling_again_changes_nothing() -> None:
    once = call(make.cells((3, 1), (5, 2), (0, 2)), make.rates(), Call())
    pd.testing.assert_frame_equal(call(once, make.rates(), Call()), once)


@pytest.mark.parametrize(("cut", "pairs"), [("11/5", [(3, 1), (2, 2)]), ("2", [(2, 1), (3, 2)])])
def test_false_amplified_agrees_with_a_simulation(cut: str, pairs: list[tuple[int, int]]) -> None:
    """Second path: draw the counts of a 2/2 nucleus signal by signal, one now and then taken for a cluster."""
    rates = make.rates()
    rng = np.random.default_rng(5)
    clusters = false_clusters_of(rates, "her2")
    spoiled = rng.random(400_000) < clusters.rate
    size = 3 + rng.negative_binomial(2, 2 / (clusters.copies - 1), 400_000)
    counts = []
    for errors, taken in ((rates.errors.her2, spoiled), (rates.errors.cep17, np.zeros(400_000, bool))):
        missed = rng.random((400_000, 2)) < errors.missed
        split = rng.random((400_000, 2)) < errors.split
        signals = ~missed * (1 + split)
        signals[taken, 1] = size[taken]
        counts.append(signals.sum(axis=1) + rng.poisson(errors.extra, 400_000))
    both = (counts[0] > 0) & (counts[1] > 0)
    rule = FishRule(cut=cut)
    simulated = float(np.mean(passes(counts[0][both], counts[1][both], rule)))
    modelled = false_amplified(rates, Call(rule=rule))
    assert modelled == pytest.approx(simulated, abs=5 * np.sqrt(simulated / both.sum()))


def test_the_guard_makes_false_calls_rare() -> None:
    hard, guarded = false_amplified(make.rates(), Call()), false_amplified(make.rates(), Call(rule=GUARDED))
    assert 0.017 < hard < 0.021  # 1 % by signals, and most of the 1 % of nuclei with a false cluster
    assert guarded < hard / 100
    clean = make.rates(false_cluster=1e-9)
    assert 0.008 < false_amplified(clean, Call()) < 0.012
    assert false_amplified(clean, Call(rule=GUARDED)) < 1e-6


def test_a_false_cluster_is_called_as_often_as_cells_that_show_one() -> None:
    """Second path: nuclei as a slide's table holds them, through the calls themselves."""
    rates, rng, n = make.rates(), np.random.default_rng(7), 3000
    clusters = false_clusters_of(rates, "her2")
    sides = {}
    for probe, copies in (("her2", 1), ("cep17", 2)):
        errors = getattr(rates.errors, probe)
        seen = rng.binomial(copies, 1 - errors.missed, n)
        sides[probe] = seen + rng.binomial(seen, errors.split) + rng.poisson(errors.extra, n)
    size = 3 + rng.negative_binomial(2, 2 / (clusters.copies - 1), n)
    reach = np.maximum(np.round(0.2 * size), 1).astype(int)
    total = sides["her2"] + size
    cells = make.cells(*zip(total.tolist(), sides["cep17"].tolist(), strict=True))
    cells = cells.assign(
        her2_points=sides["her2"], her2_in_clusters=size, her2_low=total - reach, her2_high=total + reach
    )
    shown = sides["cep17"] > 0
    for rule in (FishRule(), GUARDED):
        called = (call(cells, rates, Call(rule=rule))["call"] == "amplified").to_numpy()[shown]
        modelled = by_false_cluster(rates, rule, Call().prior)
        assert called.mean() == pytest.approx(modelled, abs=5 * np.sqrt(max(modelled, 0.01) / n))


def test_a_protein_rule_has_no_false_calls_by_counts() -> None:
    assert np.isnan(false_amplified(make.rates(), Call(rule=ProteinRule())))
    assert Fraction(GUARDED.cut) == Fraction(11, 5)


def test_a_small_cluster_is_no_proof_where_leukocytes_show_such() -> None:
    """The same counts as single signals are sure; as a cluster they are as sure as the slide's leukocytes allow."""
    parts = {"cep17_points": 2, "cep17_in_clusters": 0}
    alone = make.cells((9, 2)).assign(her2_points=9, her2_in_clusters=0, **parts)
    small = make.cells((9, 2)).assign(her2_points=1, her2_in_clusters=8, **parts)
    large = make.cells((26, 2)).assign(her2_points=1, her2_in_clusters=25, **parts)
    sure, unsure = make.rates(false_cluster=1e-5), make.rates(false_cluster=0.05)
    p = {k: call(c, r, Call())["p_amplified"][0] for k, (c, r) in {
        "alone": (alone, unsure), "small": (small, unsure), "large": (large, unsure), "clean slide": (small, sure)
    }.items()}  # fmt: skip
    assert p["alone"] == pytest.approx(call(make.cells((9, 2)), unsure, Call())["p_amplified"][0], rel=1e-12)
    assert p["small"] < 0.9 < p["large"] < p["alone"]
    assert p["small"] < p["clean slide"] == pytest.approx(p["alone"], abs=0.01)
    assert call(small, unsure, Call())["call_guarded"][0] == "not_evaluable"
    assert call(small, unsure, Call())["call"][0] == "amplified"


def test_a_count_that_a_reader_set_is_no_longer_doubted() -> None:
    parts = {"her2_points": 1, "her2_in_clusters": 5, "cep17_points": 2, "cep17_in_clusters": 0}
    rates = make.rates(false_cluster=0.05)
    corrected = call(make.cells((9, 2)).assign(**parts), rates, Call())["p_amplified"][0]
    assert corrected == call(make.cells((9, 2)), rates, Call())["p_amplified"][0]
