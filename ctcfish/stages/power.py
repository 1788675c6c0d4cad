"""What the whole assay can find: patients with a true share of amplified CTC, by number of CTC and rule.

Each CTC is called with probability ``f se + (1 - f) a`` for a true share f; sensitivity se and false-call rate a of a
cell follow from the error rates, false clusters among them, and the prior over true states by enumeration of all
counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pandas as pd

from ctcfish import tables
from ctcfish.errors import ConfigError
from ctcfish.parameters import Call, FishRule, Guard
from ctcfish.stages.calibrate import false_clusters_of
from ctcfish.stages.call import passes, passes_guard, states_of
from ctcfish.stats.assay_power import detection_power, limit_of_blank, limit_of_detection
from ctcfish.stats.patient_posterior import operating_points
from ctcfish.stats.proportions import patient_by_error
from ctcfish.types import ErrorRates

N_CTC = (1, 3, 5, 10, 20, 50, 100, 200)
SHARES = (0.0, 0.003, 0.016, 0.05, 0.1, 0.2, 0.353, 1.0)


def assay_power(
    rates: ErrorRates, rule: Call, n_ctc: Sequence[int] = N_CTC, shares: Sequence[float] = SHARES
) -> pd.DataFrame:
    """Power of the run's rule and of its guarded form.

    Parameters
    ----------
    rates : ErrorRates
    rule : Call
        A rule on FISH counts.
    n_ctc : sequence of int
        Evaluable CTC of a patient.
    shares : sequence of float
        True amplified share; 0 gives the patients positive by error alone.

    Returns
    -------
    pandas.DataFrame
        :data:`ctcfish.tables.POWER`: a row per rule, number of CTC and share.

    Raises
    ------
    ConfigError
        The rule reads HER2 protein and has no counts to enumerate.
    """
    if not isinstance(rule.rule, FishRule):
        raise ConfigError(
            "power needs a rule on FISH counts; found a protein rule. Give --preset circe_tdm1, for example."
        )
    hard = rule.rule.model_copy(update={"guard": None})
    guarded = rule.rule.model_copy(update={"guard": rule.rule.guard or Guard()})
    rows = [
        row | {"rule": name}
        for name, own in (("hard", hard), ("guarded", guarded))
        for row in _rows(*cell_rates(rates, rule, own), n_ctc, shares)
    ]
    return tables.POWER.check(pd.DataFrame(rows))


def cell_rates(rates: ErrorRates, rule: Call, own: FishRule) -> tuple[float, float]:
    """Sensitivity and false-call rate of one cell that shows both colours, false clusters of HER2 among its errors."""
    cut = Fraction(own.cut)
    points = operating_points(
        states_of(rule.prior, cut),
        rates.errors,
        cut,
        lambda h, c: passes(h, c, own) & passes_guard(h, c, own),
        false=false_clusters_of(rates, "her2"),
    )
    bar = own.guard.min_posterior if own.guard is not None else 0.0
    kept = np.flatnonzero(points.posterior >= bar)
    if not kept.size:
        return 0.0, 0.0
    return float(points.sensitivity[kept[-1]]), float(points.false_call[kept[-1]])


def _rows(
    sensitivity: float, false_call: float, n_ctc: Sequence[int], shares: Sequence[float]
) -> list[dict[str, float]]:
    rows: list[dict[str, float]] = []
    for n in n_ctc:
        detectable = limit_of_detection(n, sensitivity, false_call) if sensitivity > false_call else float("nan")
        fixed = {
            "n_ctc": n,
            "sensitivity_per_cell": sensitivity,
            "false_call_per_cell": false_call,
            "positive_by_error": float(patient_by_error(false_call, n)),
            "limit_of_blank": limit_of_blank(n, false_call),
            "limit_of_detection": detectable,
        }
        power = detection_power(np.array(shares), n, sensitivity, false_call)
        rows += [fixed | {"share": s, "power": float(p)} for s, p in zip(shares, power.tolist(), strict=True)]
    return rows
