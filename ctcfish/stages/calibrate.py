"""Error rates of the slide from its leukocytes, whose true counts are known: 2/2, or 4/4 in G2.

That the rates of leukocytes hold for larger, cytokeratin-stained CTC is an assumption.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ctcfish import flags
from ctcfish.flags import CellFlag, SlideFlag
from ctcfish.parameters import Calibrate
from ctcfish.stats.error_rates import RateFit, fit_rates
from ctcfish.stats.estimate import Estimate
from ctcfish.stats.false_clusters import FalseClusters, measured_clusters
from ctcfish.stats.rate_priors import BetaPrior, GammaPrior, RatePriors, discounted
from ctcfish.types import ErrorRates

SPOILED = (
    CellFlag.OVERLAP
    | CellFlag.TRUNCATED
    | CellFlag.OUT_OF_FOCUS
    | CellFlag.APOPTOTIC
    | CellFlag.HIGH_BACKGROUND
    | CellFlag.UNCOUNTABLE_CLUSTER
)
"""Doubts that make a nucleus unfit as a control."""


def calibrate(cells: pd.DataFrame, params: Calibrate) -> ErrorRates:
    """Estimate how often signals are missed, split or added.

    Parameters
    ----------
    cells : pandas.DataFrame
        Counted nuclei of the slide with their ``kind``.
    params : Calibrate
        Rates believed beforehand; they decide alone where there are no leukocytes.

    Returns
    -------
    ErrorRates
    """
    intact = intact_leukocytes(cells)
    both = shows_both(intact)
    fit = fit_of(intact[both], params)
    estimates = fit.estimates | _false_clusters(cells, params)
    bits, efficiency = SlideFlag(0), float(np.mean(both)) if len(both) else float("nan")
    if both.sum() < params.min_leukocytes:
        bits |= SlideFlag.UNCONTROLLED
    if len(both) >= max(params.min_leukocytes, 1) and efficiency < params.min_hybridised:
        bits |= SlideFlag.HYBRIDISATION_FAILED
    origin = "slide" if both.any() else "history" if params.history else "default"
    return ErrorRates(fit.errors, estimates, int(both.sum()), efficiency, origin, bits)


def false_clusters_of(rates: ErrorRates, probe: str) -> FalseClusters:
    """False clusters of a probe, ``her2`` or ``cep17``, as the slide's rates tell them."""
    return FalseClusters(
        rates.intervals[f"{probe}_false_cluster"].value, rates.intervals[f"{probe}_false_cluster_copies"].value
    )


def _false_clusters(cells: pd.DataFrame, params: Calibrate) -> dict[str, Estimate]:
    """Rate and size of clusters among leukocytes, uncountable ones included: none of them is true."""
    spoiled = int(SPOILED & ~CellFlag.UNCOUNTABLE_CLUSTER)
    leukocytes = cells[cells["kind"] == "wbc"]
    own = leukocytes[flags.from_text(leukocytes["flags"].to_numpy(), CellFlag) & spoiled == 0]
    before = FalseClusters(params.false_cluster, params.false_cluster_copies)
    told: dict[str, Estimate] = {}
    for probe in ("her2", "cep17"):
        column = f"{probe}_in_clusters"
        copies = own[column].fillna(0).to_numpy(np.int64) if column in own else np.zeros(0, np.int64)
        rate, size = measured_clusters(copies, before, params.worth_nuclei)
        told |= {f"{probe}_false_cluster": rate, f"{probe}_false_cluster_copies": size}
    return told


def intact_leukocytes(cells: pd.DataFrame) -> pd.DataFrame:
    """Leukocytes fit to be controls: none of ``SPOILED`` is said of them."""
    leukocytes = cells[cells["kind"] == "wbc"]
    return leukocytes[flags.from_text(leukocytes["flags"].to_numpy(), CellFlag) & int(SPOILED) == 0]


def shows_both(cells: pd.DataFrame) -> NDArray[np.bool_]:
    """Which cells show both colours."""
    return np.asarray(((cells["her2_count"].fillna(0) > 0) & (cells["cep17_count"].fillna(0) > 0)).to_numpy(bool))


def fit_of(controls: pd.DataFrame, params: Calibrate) -> RateFit:
    """Error rates with their posterior draws from control nuclei that show both colours."""
    her2, cep17 = (controls[f"{probe}_count"].to_numpy(np.int64) for probe in ("her2", "cep17"))
    return fit_rates(her2, cep17, _priors(params))


def history_of(params: Calibrate) -> dict[tuple[int, int], int]:
    """The laboratory's leukocytes as numbers of nuclei by their (HER2, CEP17) counts."""
    return {(int(h), int(c)): n for (h, c), n in ((key.split("/"), n) for key, n in params.history.items())}


def _priors(params: Calibrate) -> RatePriors:
    n = params.worth_signals
    missed = BetaPrior(params.missed * n, (1 - params.missed) * n)
    split = BetaPrior(params.split * n, (1 - params.split) * n)
    extra = GammaPrior(params.extra * params.worth_nuclei, params.worth_nuclei)
    history = discounted(history_of(params), params.history_worth)
    return RatePriors((missed, missed), (split, split), (extra, extra), history=history)
