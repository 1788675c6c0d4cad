"""Prevalence corrected for false calls: the apparent share of positive cells is not the true one."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from ctcfish.errors import StatisticsError
from ctcfish.stats.checks import as_counts, as_rates, check_confidence
from ctcfish.stats.estimate import Estimate
from ctcfish.stats.proportions import clopper_pearson


@dataclass(frozen=True, slots=True)
class RateStudy:
    """Counts behind estimated error rates.

    Attributes
    ----------
    false_positives, negatives : int
        False calls among cells known to be negative.
    true_positives, positives : int
        Calls among cells known to be positive.
    """

    false_positives: int
    negatives: int
    true_positives: int
    positives: int


def corrected_prevalence(
    calls: int, cells: int, false_positive: float, sensitivity: float, confidence: float = 0.95
) -> Estimate:
    """Return the true share of positive cells where the error rates are known (Rogan and Gladen 1978).

    ``(q - a) / (se - a)`` with q the share called, clipped to 0 to 1; the exact limits of q go through the same
    monotone map, so that the interval keeps the coverage of Clopper and Pearson.

    Parameters
    ----------
    calls, cells : int
        Cells called positive and cells evaluable; no cells give NaN with 0 to 1.
    false_positive, sensitivity : float
        Per-cell rates; the sensitivity must exceed the false-positive rate.
    confidence : float
        Nominal level.

    Returns
    -------
    Estimate

    Raises
    ------
    StatisticsError
        Counts or rates that cannot be, or a test no better than chance.
    """
    a, se = float(as_rates(false_positive, "false-positive rate")), float(as_rates(sensitivity, "sensitivity"))
    _check_informative(a, se)
    low, high = (float(limit) for limit in clopper_pearson(calls, cells, confidence))
    value = _clip((calls / cells - a) / (se - a)) if cells else math.nan
    method = "Rogan-Gladen, exact limits, rates known"
    return Estimate(value, _clip((low - a) / (se - a)), _clip((high - a) / (se - a)), method, confidence)


def corrected_prevalence_estimated(calls: int, cells: int, rates: RateStudy, confidence: float = 0.95) -> Estimate:
    """Return the true share of positive cells where the error rates were estimated too (Lang and Reiczigel 2014).

    The Agresti-Coull-like adjustment of Lang and Reiczigel (Prev Vet Med 113:13-22) adds z^2 cells to the sample and
    two to each rate study; a large-sample interval.

    Raises
    ------
    StatisticsError
        Counts that cannot be, an empty rate study, or a test no better than chance.
    """
    check_confidence(confidence)
    as_counts([calls, cells - calls, rates.negatives - rates.false_positives], "counts")
    as_counts([rates.false_positives, rates.true_positives, rates.positives - rates.true_positives], "rate counts")
    if min(cells, rates.negatives, rates.positives) == 0:
        raise StatisticsError(
            f"found {cells} cells, {rates.negatives} known negatives and {rates.positives} known positives: "
            "each must be at least 1, or use rates that are known"
        )
    raw_se, raw_a = rates.true_positives / rates.positives, rates.false_positives / rates.negatives
    _check_informative(raw_a, raw_se)
    z = float(stats.norm.ppf((1.0 + confidence) / 2.0))
    size, size_se, size_sp = cells + z * z, rates.positives + 2.0, rates.negatives + 2.0
    share = (calls + z * z / 2.0) / size
    se, sp = (rates.true_positives + 1.0) / size_se, 1.0 - (rates.false_positives + 1.0) / size_sp
    youden = se + sp - 1.0
    _check_informative(1.0 - sp, se)
    middle = (share + sp - 1.0) / youden
    spread_se, spread_sp = se * (1 - se) / size_se, sp * (1 - sp) / size_sp
    shift = 2 * z * z * (middle * spread_se - (1 - middle) * spread_sp)
    half = z / youden * math.sqrt(share * (1 - share) / size + middle**2 * spread_se + (1 - middle) ** 2 * spread_sp)
    value = _clip((calls / cells - raw_a) / (raw_se - raw_a))
    low, high = _clip(middle + shift - half), _clip(middle + shift + half)
    return Estimate(value, min(low, value), max(high, value), "Lang-Reiczigel", confidence)


def _check_informative(false_positive: float, sensitivity: float) -> None:
    if sensitivity <= false_positive:
        raise StatisticsError(
            f"sensitivity {sensitivity:g} does not exceed the false-positive rate {false_positive:g}: "
            "such a call says nothing about prevalence"
        )


def _clip(value: float) -> float:
    return float(np.clip(value, 0.0, 1.0))
