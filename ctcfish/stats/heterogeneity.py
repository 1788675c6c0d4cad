"""Heterogeneity between the cells of one patient, with intervals, withheld where there are too few cells."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
from numpy.typing import ArrayLike

from ctcfish.errors import StatisticsError
from ctcfish.stats.bootstrap import LOG, BootstrapPlan, bootstrap_interval
from ctcfish.stats.checks import FloatArray, IntArray, as_counts
from ctcfish.stats.dispersion import geometric_variation, gini, rao, robust_variation, variation
from ctcfish.stats.diversity import abundances, kinds_seen, pielou, shannon, simpson_interval
from ctcfish.stats.estimate import Estimate, undefined
from ctcfish.stats.jackknife import value_interval
from ctcfish.stats.mixture import two_components

CELLS_FOR_SPREAD = 100
"""Cells from which measures of spread have an interval: a few cells of many copies carry the spread, and of 30 cells
most samples hold none or too many of them. Of 30 cells with 5 % at 20 copies intervals promised at 95 % covered 78 %
(CV), 90 % (Gini) and 95 % (Rao), of 50 cells 89, 90 and 92 %, of 100 cells 95 to 97 %."""

CELLS_FOR_ENTROPY = 50
"""Cells from which the entropy has an interval: of 30 cells with four kinds seen it covered down to 90 %."""

KINDS_FOR_INTERVAL = 4
"""Different values from which entropy and spreads have an interval. Two kinds in like numbers lie near the largest
value that these measures can have, where they hardly move with the shares: of two kinds 2:1 the intervals of 100 cells
covered 81 to 91 %."""

_ENDS = 0.9
"""Share of its largest value, half the range, from which a mean difference says that cells stand at two ends: there
spreads hardly move with the shares, however many other kinds were seen (Rao covered 86 % of 45:5:5:45)."""


class CapCategory(Enum):
    """Genetic heterogeneity by the CAP definition of 2009 (Vance, Arch Pathol Lab Med 133:611)."""

    NOT_AMPLIFIED = "less than 5 % of cells above the cut"
    HETEROGENEOUS = "5 % to less than 50 % of cells above the cut"
    AMPLIFIED = "50 % of cells or more above the cut"


@dataclass(frozen=True, slots=True)
class HeterogeneityPlan:
    """What is withheld, and how intervals are drawn.

    Attributes
    ----------
    minimum_cells : int
        Fewest evaluable cells for which a metric is given; the mixture needs three times as many.
    bootstrap : BootstrapPlan
    """

    minimum_cells: int = 10
    bootstrap: BootstrapPlan = field(default_factory=BootstrapPlan)


def cap_2009(above: int, evaluable: int) -> CapCategory | None:
    """Return the CAP 2009 category from the cells with a ratio above 2.2 (or copies above 6); None without cells.

    Raises
    ------
    StatisticsError
        More cells above than evaluable.
    """
    k, n = (int(value) for value in as_counts([above, evaluable], "cells"))
    if k > n:
        raise StatisticsError(f"{k} cells above the cut among {n} evaluable: check the population")
    if n == 0:
        return None
    if 20 * k < n:
        return CapCategory.NOT_AMPLIFIED
    return CapCategory.HETEROGENEOUS if 2 * k < n else CapCategory.AMPLIFIED


def is_heterogeneous(amplified: int, evaluable: int) -> bool:
    """Return whether a patient has cells of both kinds, ``0 < f < 1``; one cell is never heterogeneous."""
    return 0 < amplified < evaluable


def heterogeneity(her2: ArrayLike, cep17: ArrayLike, plan: HeterogeneityPlan | None = None) -> dict[str, Estimate]:
    """Return every heterogeneity metric of one patient's evaluable cells.

    Diversity takes the HER2 copy number of a cell as its kind: ``her2_shannon`` (nats, Miller-Madow), ``her2_pielou``,
    ``her2_simpson`` (unbiased) and the Hill numbers that follow from them (Hill 1973): ``her2_hill_0``, the kinds seen,
    ``her2_hill_1 = exp(shannon)``, ``her2_hill_2 = 1 / (1 - simpson)``. Spread: ``her2_rao`` (copies), ``her2_gini``,
    ``her2_cv``, ``her2_robust_cv``, ``ratio_cv``, ``ratio_geometric_cv``, ``ratio_robust_cv``.
    Two populations on the logarithm of the ratio:
    ``ratio_ashman_d``, ``ratio_bimodality_index``, ``ratio_bic_gain`` (BIC of one less BIC of two components; above 0
    two are preferred). Formulas and sources stand with the functions of `diversity`, `dispersion` and `mixture`.

    Simpson's interval is a score one. That of the entropy comes from the bootstrap over cells, from
    `CELLS_FOR_ENTROPY` cells on; measures of spread have one from `CELLS_FOR_SPREAD` cells on, by leaving out one cell
    at a time. Both need `KINDS_FOR_INTERVAL` different values, and spreads cells that do not all stand at two ends:
    with fewer the interval is withheld and the method says why. The number of kinds has none, nor has
    Pielou's evenness, which hangs on kinds not seen (with 20 kinds its bootstrap interval covered 33 %), nor the
    mixture, nor have robust coefficients (a median of whole numbers moves in steps), nor ``ratio_cv``: ratios are so
    skewed that its bootstrap interval covered 86 % where 95 % was promised; ``ratio_geometric_cv`` stands for it.

    Parameters
    ----------
    her2, cep17 : array_like of int, shape (n,)
        Counts of the patient's evaluable cells, each at least 1.
    plan : HeterogeneityPlan, optional

    Returns
    -------
    dict of str to Estimate
        Every name is always there; NaN where withheld or undefined, the method saying which.

    Raises
    ------
    StatisticsError
        Lengths differ, or a cell lacks a colour.
    """
    setting = plan or HeterogeneityPlan()
    h, c = as_counts(her2, "HER2 counts"), as_counts(cep17, "CEP17 counts")
    if h.shape != c.shape or h.ndim != 1 or (h.size and min(h.min(), c.min()) < 1):
        raise StatisticsError("heterogeneity needs one HER2 and one CEP17 count of 1 or more a cell: leave others out")
    if h.size < setting.minimum_cells:
        text = f"withheld: {h.size} cells, {setting.minimum_cells} needed"
        return dict.fromkeys(METRICS, undefined(text, setting.bootstrap.confidence))
    ratio = h / c
    made = _diversity(h, setting.bootstrap) | _spread(h.astype(np.float64), ratio, setting.bootstrap.confidence)
    return made | _mixture(np.log(ratio), least_cells(_OF_MIXTURE[0], setting))


def least_cells(metric: str, plan: HeterogeneityPlan) -> int:
    """Return the fewest cells for which a metric of `heterogeneity` is given; the mixture needs three times as many."""
    return plan.minimum_cells * (3 if metric in _OF_MIXTURE else 1)


_OF_MIXTURE = ("ratio_ashman_d", "ratio_bimodality_index", "ratio_bic_gain")
METRICS = (
    *("her2_shannon", "her2_pielou", "her2_simpson", "her2_hill_0", "her2_hill_1", "her2_hill_2"),
    *("her2_rao", "her2_gini", "her2_cv", "her2_robust_cv", "ratio_cv", "ratio_geometric_cv", "ratio_robust_cv"),
    *_OF_MIXTURE,
)
"""Names of every metric."""


def _diversity(her2: IntArray, plan: BootstrapPlan) -> dict[str, Estimate]:
    seen = abundances(her2)
    lacking = _lacking(her2, CELLS_FOR_ENTROPY)
    if lacking:
        entropy = _bare(float(shannon(seen)), lacking)
    else:
        entropy = bootstrap_interval(lambda index: shannon(abundances(her2[index])), her2.size, LOG, plan)
    unlike = simpson_interval(seen, plan.confidence)
    return {
        "her2_shannon": entropy,
        "her2_pielou": _bare(float(pielou(seen)), "sample value: kinds not seen count"),
        "her2_simpson": unlike,
        "her2_hill_0": _bare(float(kinds_seen(seen)), "number of kinds seen"),
        "her2_hill_1": _mapped(entropy, math.exp),
        "her2_hill_2": _mapped(unlike, _effective) if unlike.value < 1 else undefined("no two cells are alike"),
    }


def _effective(unlike: float) -> float:
    """Hill number of order 2 of a Simpson diversity."""
    return 1.0 / (1.0 - unlike)


def _spread(her2: FloatArray, ratio: FloatArray, confidence: float) -> dict[str, Estimate]:
    sources: dict[str, tuple[FloatArray, Callable[[FloatArray], FloatArray]]] = {
        "her2_rao": (her2, rao),
        "her2_gini": (her2, gini),
        "her2_cv": (her2, variation),
        "ratio_geometric_cv": (ratio, geometric_variation),
    }
    made = {}
    for name, (values, metric) in sources.items():
        lacking = _lacking(values, CELLS_FOR_SPREAD) or _at_two_ends(values)
        interval = _bare(float(metric(values)), lacking) if lacking else value_interval(values, metric, LOG, confidence)
        made[name] = interval
    for name, values in (("her2_robust_cv", her2), ("ratio_robust_cv", ratio)):
        made[name] = _bare(float(robust_variation(values)), "sample value: a median of counts moves in steps")
    return made | {"ratio_cv": _bare(float(variation(ratio)), "sample value")}


def _lacking(values: IntArray | FloatArray, cells: int) -> str:
    """Why a sample is too small or too uniform for an interval; nothing where it is not."""
    if values.size < cells:
        return f"interval withheld: {values.size} cells, {cells} needed"
    kinds = np.unique(values).size
    if kinds < KINDS_FOR_INTERVAL:
        return f"interval withheld: {kinds} kinds of cells, {KINDS_FOR_INTERVAL} needed"
    return ""


def _at_two_ends(values: FloatArray) -> str:
    """Why no spread of cells at two ends has an interval; nothing where they are spread otherwise."""
    largest = float(np.ptp(values)) / 2
    return "interval withheld: cells stand at two ends" if float(rao(values)) > _ENDS * largest else ""


def _mixture(log_ratio: FloatArray, minimum: int) -> dict[str, Estimate]:
    if log_ratio.size < minimum or log_ratio.min() == log_ratio.max():
        text = f"withheld: {log_ratio.size} cells, {minimum} with different ratios needed"
        return {name: undefined(text) for name in _OF_MIXTURE}
    fit = two_components(log_ratio)
    values = (fit.ashman_d, fit.bimodality_index, fit.bic_one - fit.bic_two)
    return {name: _bare(value, "two Gaussians by EM") for name, value in zip(_OF_MIXTURE, values, strict=True)}


def _bare(value: float, method: str) -> Estimate:
    return Estimate(value, math.nan, math.nan, method)


def _mapped(made: Estimate, forward: Callable[[float], float]) -> Estimate:
    """A figure that rises with another one, and its interval with it."""
    value, low, high = (forward(figure) for figure in (made.value, made.low, made.high))
    return Estimate(value, low, high, made.method, made.confidence)
