"""False calls among leukocytes: observed, pooled with the laboratory's history, modelled."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import beta

from ctcfish import config
from ctcfish.errors import ConfigError, StatisticsError
from ctcfish.flags import SlideFlag
from ctcfish.parameters import Calibrate, Call, FishRule
from ctcfish.stages.calibrate import calibrate, fit_of, shows_both
from ctcfish.stages.call import decision, false_amplified
from ctcfish.stages.control import leukocyte_control
from ctcfish.stats.countmodel import pass_probability
from ctcfish.stats.error_rates import errors_of, passing_rates
from ctcfish.stats.rate_priors import discounted
from tests import make
from tests.stages.test_calibrate import leukocytes

RULES = {name: own for name, (own, _) in config.rules().items()}
HARD = {"circe_tdm1": Call()}


def told(counts: list[tuple[int, int]], params: Calibrate | None = None, rules=HARD, **columns):
    params = params or Calibrate()
    cells = make.cells(*counts, **({"kind": "wbc"} | columns))
    return leukocyte_control(cells, calibrate(cells, params), rules, params)


def test_what_is_seen_of_every_rule_on_counts() -> None:
    made = told([(2, 2)] * 90 + [(3, 1)] * 3 + [(4, 2)] * 4 + [(2, 0)] * 5 + [(9, 3)] * 3, rules=RULES)
    assert set(made) == {name for name, own in RULES.items() if isinstance(own.rule, FishRule)}
    seen = {name: (own["amplified"], own["leukocytes"]) for name, own in made.items()}
    assert seen["circe_tdm1"] == (6, 100)
    assert seen["meng_2004"] == (10, 100)
    assert seen["asco_cap_2018"] == (7, 100)
    assert seen["circe_guarded"][0] <= 3
    one = made["circe_tdm1"]
    assert one["observed"] == 0.06
    assert (one["low"], one["high"]) == pytest.approx((0.02233, 0.12603), abs=1e-5)


def test_spoiled_leukocytes_and_other_cells_are_left_out() -> None:
    cells = make.cells(*[(2, 2)] * 10, *[(9, 2)] * 4, kind="wbc")
    cells.loc[10:11, "flags"] = "OVERLAP"
    cells.loc[12, "kind"] = "ctc"
    made = leukocyte_control(cells, calibrate(cells, Calibrate()), HARD, Calibrate())["circe_tdm1"]
    assert (made["amplified"], made["leukocytes"]) == (1, 11)


def test_without_leukocytes_nothing_is_seen_and_the_prior_speaks() -> None:
    made = told([(12, 2)], kind="ctc")["circe_tdm1"]
    assert (made["amplified"], made["leukocytes"], made["low"], made["high"]) == (0, 0, 0.0, 1.0)
    assert np.isnan(made["observed"])
    assert made["modelled_low"] < 0.0099 < made["modelled_high"]
    assert made["p_excess"] == pytest.approx(1.0)


def test_seen_and_modelled_agree_where_the_model_is_true() -> None:
    made = told(leukocytes(6000, 0.06, 0.04, 0.03, 4), Calibrate(false_cluster=1e-9), RULES)
    for name in ("circe_tdm1", "meng_2004", "asco_cap_2013"):
        own = made[name]
        assert own["low"] - 0.002 <= own["modelled"] <= own["high"] + 0.002, name
        assert own["modelled_low"] < own["modelled"] < own["modelled_high"]
        assert own["p_excess"] > 0.01
    assert made["circe_guarded"]["modelled"] < made["circe_tdm1"]["modelled"] / 50


def test_more_false_calls_than_the_model_explains_are_improbable() -> None:
    """Errors of both colours in the same cells: the marginal rates are as before, the rule is passed far more often."""
    together = [(2, 2)] * 950 + [(3, 1)] * 50
    assert told(together)["circe_tdm1"]["p_excess"] < 1e-3


def test_modelled_rate_is_the_mixture_of_2_2_and_4_4() -> None:
    draws = np.array([[0.05, 0.05, 0.03, 0.05, 0.05, 0.03, g] for g in (0.0, 1.0)])
    passing = np.array([[5 * h >= 11 * c for c in range(1, 31)] for h in range(1, 31)])
    found = passing_rates(draws, passing)
    decide = decision(make.rates(), FishRule(), Call().prior)
    expected = [pass_probability(t, t, errors_of(draws[0]), decide) for t in (2, 4)]
    assert found.tolist() == pytest.approx(expected, rel=1e-9)
    assert found.tolist() == pytest.approx([0.00997357, 0.00259977], abs=1e-8)


def test_few_leukocytes_are_pooled_with_the_history() -> None:
    history = {"2/2": 9500, "3/1": 100, "2/1": 400, "2/0": 7}
    few, many = ([(2, 2)] * n for n in (10, 4000))
    params = Calibrate(history=history, history_worth=200)
    pooled = told(few, params)["circe_tdm1"]
    assert pooled["history"] == pytest.approx(200)
    assert pooled["pooled"] == pytest.approx((2 + 0.5) / (10 + 200 + 1), rel=1e-9)
    low, high = beta.ppf([0.025, 0.975], 2.5, 208.5)
    assert (pooled["pooled_low"], pooled["pooled_high"]) == pytest.approx((low, high))
    assert told(many, params)["circe_tdm1"]["pooled"] < 0.001
    alone = told(few)["circe_tdm1"]
    assert alone["history"] == 0.0
    assert alone["pooled"] == pytest.approx(0.5 / 11)


def test_the_history_moves_the_rates_of_a_slide_without_leukocytes() -> None:
    bad = {"2/2": 500, "1/2": 250, "2/1": 250}
    none = make.cells((9, 2), kind="ctc")
    rates = calibrate(none, Calibrate(history=bad, history_worth=1000))
    assert rates.origin == "history"
    assert SlideFlag.UNCONTROLLED in rates.flags
    assert rates.errors.her2.missed > 0.1 > calibrate(none, Calibrate()).errors.her2.missed
    assert rates.n_leukocytes == 0


def test_a_slide_of_many_leukocytes_outweighs_its_history() -> None:
    cells = make.cells(*[(2, 2)] * 2000, kind="wbc")
    bad = {"2/2": 500, "1/2": 250, "2/1": 250}
    with_history = calibrate(cells, Calibrate(history=bad)).errors.her2.missed
    assert with_history < 0.02
    assert calibrate(make.cells(*[(2, 2)] * 5, kind="wbc"), Calibrate(history=bad)).errors.her2.missed > 0.05


def test_a_history_worth_no_more_than_it_holds() -> None:
    assert discounted({(2, 2): 3, (3, 2): 1, (4, 4): 0}, 100.0) == ((2, 2, 3.0), (3, 2, 1.0))
    assert discounted({(2, 2): 300, (3, 2): 100}, 100.0) == ((2, 2, 75.0), (3, 2, 25.0))
    assert discounted({}, 100.0) == ()
    with pytest.raises(StatisticsError, match="above 0 nuclei"):
        discounted({(2, 2): 1}, 0.0)
    with pytest.raises(StatisticsError, match="nuclei of the history"):
        discounted({(2, 2): -1}, 1.0)


def test_the_history_is_written_as_counts() -> None:
    read = config.load(sets=['calibrate.history={"2/2" = 950, "3/2" = 20}']).calibrate
    assert read.history == {"2/2": 950, "3/2": 20}
    for wrong in ('{"2-2" = 9}', '{"2/2" = -9}'):
        with pytest.raises(ConfigError, match=r"calibrate\.history"):
            config.load(sets=[f"calibrate.history={wrong}"])


def test_the_model_is_that_of_the_rates() -> None:
    """Second path: the draws' mean rate lies near the rate at the mean."""
    cells = make.cells(*leukocytes(3000, 0.05, 0.05, 0.03, 9), kind="wbc")
    rates = calibrate(cells, Calibrate())
    fit = fit_of(cells[shows_both(cells)], Calibrate())
    assert fit.errors == rates.errors
    made = leukocyte_control(cells, rates, HARD, Calibrate())["circe_tdm1"]
    assert made["modelled"] == pytest.approx(false_amplified(rates, Call()), rel=0.1)
