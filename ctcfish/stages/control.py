"""False-amplified calls among the slide's leukocytes: what is seen of each rule beside what its error rates predict.

A leukocyte is true 2/2, or 4/4 in G2, so that every call of it is false; the prediction counts the slide's false
clusters in. Few leukocytes say little: 0 of 1000 leave 0.3 % open. So the observed share stands beside the modelled
one, and beside both pooled with the laboratory's history.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from ctcfish.parameters import Calibrate, Call, FishRule
from ctcfish.stages.calibrate import false_clusters_of, fit_of, history_of, intact_leukocytes, shows_both
from ctcfish.stages.call import by_false_cluster, call, decision
from ctcfish.stats.error_rates import passing_rates
from ctcfish.stats.proportions import clopper_pearson
from ctcfish.stats.rate_priors import discounted
from ctcfish.types import ErrorRates

MOST_COUNTS = 40
"""Counts of a leukocyte beyond this have no probability under any believable error rates."""

PARTS = ("count", "low", "high", "points", "in_clusters")
SEEN = [f"{probe}_{part}" for probe in ("her2", "cep17") for part in PARTS]


def leukocyte_control(
    cells: pd.DataFrame, rates: ErrorRates, rules: Mapping[str, Call], params: Calibrate
) -> dict[str, dict[str, Any]]:
    """Call the intact leukocytes that show both colours by every rule on counts.

    Parameters
    ----------
    cells : pandas.DataFrame
        Counted cells of the slide with their ``kind``.
    rates : ErrorRates
        By which cells are called.
    rules : mapping of str to Call
        Rules on HER2 protein are left out.
    params : Calibrate

    Returns
    -------
    dict of dict
        By rule: ``amplified`` of ``leukocytes``; their share ``observed`` with ``low`` and ``high`` (Clopper-Pearson,
        95 %; 0 to 1 without leukocytes); ``pooled`` with the laboratory's history (Beta posterior from Jeffreys'
        prior); ``modelled`` with the 95 % interval that the posterior of the error rates leaves; and ``p_excess``, the
        probability of as many calls or more if the model were right.
    """
    intact = intact_leukocytes(cells)
    controls = intact[shows_both(intact)]
    fit = fit_of(controls, params)
    seen = [column for column in SEEN if column in controls]
    grouped = controls.groupby([*seen, "flags"], as_index=False, dropna=False).size()
    grouped = grouped.assign(label=1, kind="wbc")
    history = discounted({pair: n for pair, n in history_of(params).items() if min(pair) > 0}, params.history_worth)
    grid = np.meshgrid(np.arange(1, MOST_COUNTS + 1), np.arange(1, MOST_COUNTS + 1), indexing="ij")
    share, told = false_clusters_of(rates, "her2").rate, {}
    for name, own in rules.items():
        if not isinstance(own.rule, FishRule):
            continue
        decide = decision(rates, own.rule, own.prior)
        amplified = (call(grouped, rates, own)["call"] == "amplified").to_numpy()
        k, n = int(grouped.loc[amplified, "size"].sum()), len(controls)
        before = np.array([weight for _, _, weight in history])
        called = decide(*(np.array([row[axis] for row in history], np.int64) for axis in (0, 1))) if history else before
        past = float(before @ called), float(before.sum())
        draws = passing_rates(fit.draws, decide(*grid))
        draws = (1.0 - share) * draws + share * by_false_cluster(rates, own.rule, own.prior)
        told[name] = _observed(k, n) | _pooled(k, n, past) | _modelled(k, n, draws)
    return told


def _observed(k: int, n: int) -> dict[str, Any]:
    low, high = clopper_pearson(k, n)
    share = k / n if n else float("nan")
    return {"amplified": k, "leukocytes": n, "observed": share, "low": float(low), "high": float(high)}


def _pooled(k: int, n: int, past: tuple[float, float]) -> dict[str, float]:
    a, b = k + past[0] + 0.5, n - k + past[1] - past[0] + 0.5
    low, high = stats.beta.ppf([0.025, 0.975], a, b).tolist()
    return {"pooled": a / (a + b), "pooled_low": low, "pooled_high": high, "history": past[1]}


def _modelled(k: int, n: int, draws: NDArray[np.float64]) -> dict[str, float]:
    low, high = np.quantile(draws, [0.025, 0.975]).tolist()
    excess = float(np.mean(stats.binom.sf(k - 1, n, draws)))
    return {"modelled": float(draws.mean()), "modelled_low": low, "modelled_high": high, "p_excess": excess}
