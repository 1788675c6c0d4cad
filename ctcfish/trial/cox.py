"""Cox regression by statsmodels, an optional part of the installation (``pip install ctcfish[trial]``)."""

from __future__ import annotations

import math

import numpy as np

from ctcfish.errors import StatisticsError
from ctcfish.stats.checks import FloatArray
from ctcfish.stats.estimate import Estimate


def cox(covariate: FloatArray, durations: FloatArray, events: FloatArray, confidence: float) -> tuple[Estimate, float]:
    """Return hazard ratio and p-value of one covariate by Cox's partial likelihood (Efron's ties, Wald interval).

    Raises
    ------
    StatisticsError
        statsmodels is not installed, there is no event, or the likelihood has no maximum: the covariate separates the
        events.
    """
    if not events.any():
        raise StatisticsError("a Cox regression needs at least one event, found none")
    try:
        from statsmodels.duration.hazard_regression import PHReg
    except ImportError:
        raise StatisticsError(
            "an ordinary Cox regression needs the extra `trial`: pip install 'ctcfish[trial]'"
        ) from None

    fit = PHReg(durations, covariate[:, None], status=events, ties="efron").fit(disp=0)
    if not np.isfinite(fit.bse).all() or fit.bse[0] > 100 or not np.isfinite(fit.params).all():
        raise StatisticsError("Cox regression: the covariate separates the events, no maximum exists; see Firth's")
    low, high = fit.conf_int(1 - confidence)[0]
    value, low, high = (math.exp(v) for v in (fit.params[0], low, high))
    return Estimate(value, low, high, "Cox, Efron ties, Wald", confidence), float(fit.pvalues[0])
