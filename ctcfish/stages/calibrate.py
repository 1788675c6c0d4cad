"""Error rates of the slide from its leukocytes, whose true counts are known: 2/2, or 4/4 in G2.

That the rates of leukocytes hold for larger, cytokeratin-stained CTC is an assumption.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from ctcfish import flags
from ctcfish.flags import CellFlag, SlideFlag
from ctcfish.parameters import Calibrate
from ctcfish.stats.error_rates import fit_rates
from ctcfish.stats.rate_priors import BetaPrior, GammaPrior, RatePriors
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
    leukocytes = cells[cells["kind"] == "wbc"]
    spoiled = flags.from_text(leukocytes["flags"].to_numpy(), CellFlag) & int(SPOILED) != 0
    intact = leukocytes[~spoiled]
    her2, cep17 = (intact[f"{probe}_count"].fillna(0).to_numpy(np.int64) for probe in ("her2", "cep17"))
    both = (her2 > 0) & (cep17 > 0)
    fit = fit_rates(her2[both], cep17[both], _priors(params))
    bits, efficiency = SlideFlag(0), float(np.mean(both)) if len(both) else float("nan")
    if both.sum() < params.min_leukocytes:
        bits |= SlideFlag.UNCONTROLLED
    if len(both) >= max(params.min_leukocytes, 1) and efficiency < params.min_hybridised:
        bits |= SlideFlag.HYBRIDISATION_FAILED
    origin = "slide" if both.any() else "default"
    return ErrorRates(fit.errors, fit.estimates, int(both.sum()), efficiency, origin, bits)


def _priors(params: Calibrate) -> RatePriors:
    n = params.worth_signals
    missed = BetaPrior(params.missed * n, (1 - params.missed) * n)
    split = BetaPrior(params.split * n, (1 - params.split) * n)
    extra = GammaPrior(params.extra * params.worth_nuclei, params.worth_nuclei)
    return RatePriors((missed, missed), (split, split), (extra, extra))
