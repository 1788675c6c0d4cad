"""Agreement of readings of the same cells: calls, counts and ratios, with intervals that resample patients.

Items are cells, columns are readings, the first one first. Figures of two readings take every later reading against
the first; figures of several take all columns at once. Where all cells are of one patient the cells themselves are
resampled, and the table says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ctcfish.errors import StatisticsError
from ctcfish.stats import agreement as agree
from ctcfish.stats import moments
from ctcfish.stats.bootstrap import (
    FISHER,
    IDENTITY,
    LOG,
    BootstrapPlan,
    Scale,
    bootstrap_interval,
    cluster_interval,
    near_one,
)
from ctcfish.stats.checks import BoolArray, FloatArray, IntArray
from ctcfish.stats.estimate import Estimate, undefined
from ctcfish.stats.jackknife import jackknife_interval, limit_interval
from ctcfish.stats.method_comparison import Line, passing_bablok
from ctcfish.stats.proportions import clopper_pearson
from ctcfish.stats.ratio_rule import reaches

CALLS = ("not_amplified", "amplified")
RATIO_EDGES = (1.8, 2.2)
"""Borders of the ordered classes negative, equivocal, positive (ASCO/CAP 2007)."""
MOST_PAIRS_FOR_RANKS = 120
"""Passing-Bablok takes every pair of pairs; more would take minutes to resample."""

LEAST_AGREED = 5
"""Units that agree on a category before a figure that hangs on it has an interval: of fewer, most samples hold none."""

LOG_SCALE = ", log scale"
"""Of ratios: biases, limits and coefficients are taken back to ratios; spreads and lines are of logarithms."""

STEEPEST = 1e6
"""A steeper line stands upright: ties in the first reading leave it no slope."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Wide:
    """Cells in rows, readings in columns.

    Attributes
    ----------
    patient : ndarray of str, (N,)
    call : ndarray of int, (N, K)
        0 not amplified, 1 amplified, 2 not evaluable, -1 not read.
    her2, cep17, ratio : ndarray of float, (N, K)
        NaN where not read.
    """

    patient: NDArray[np.object_]
    call: IntArray
    her2: FloatArray
    cep17: FloatArray
    ratio: FloatArray

    def rows(self, keep: BoolArray) -> Wide:
        """Some of the cells."""
        return Wide(*(getattr(self, name)[keep] for name in ("patient", "call", "her2", "cep17", "ratio")))


def widen(readings: pd.DataFrame) -> Wide:
    """Cells by readings, from :data:`ctcfish.qc.tables.READINGS`; readings of a group in the table's order."""
    order = readings.drop_duplicates(["group", "reading"]).groupby("group").cumcount()
    column = (
        readings[["group", "reading"]]
        .merge(
            readings.drop_duplicates(["group", "reading"])[["group", "reading"]].assign(k=order),
            on=["group", "reading"],
        )["k"]
        .to_numpy()
    )
    keys, item = np.unique((readings["group"] + "\n" + readings["item"]).to_numpy(str), return_inverse=True)
    shape = (len(keys), int(column.max(initial=-1)) + 1)
    codes = readings["call"].map({name: code for code, name in enumerate((*CALLS, "not_evaluable"))}).to_numpy(np.int64)
    call, patient = np.full(shape, agree.MISSING), np.full(len(keys), "", dtype=object)
    call[item, column], patient[item] = codes, readings["patient_id"].to_numpy()
    values = []
    for name in ("her2", "cep17", "ratio"):
        table = np.full(shape, np.nan)
        table[item, column] = readings[name].to_numpy(float, na_value=np.nan)
        values.append(table)
    return Wide(patient, call, *values)


def near_cut(wide: Wide, cut: Fraction) -> BoolArray:
    """Cells whose call hangs on one signal, in any reading: one more or less of either colour moves it over the cut."""
    counted = np.isfinite(wide.her2) & np.isfinite(wide.cep17)
    her2, cep17 = (np.where(counted, table, 0).astype(np.int64) for table in (wide.her2, wide.cep17))
    now, moved = reaches(her2, cep17, cut), np.zeros(her2.shape, np.bool_)
    for more_her2, more_cep17 in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        h, c = np.maximum(her2 + more_her2, 0), np.maximum(cep17 + more_cep17, 0)
        moved |= (reaches(h, c, cut) != now) & (c > 0)
    return np.asarray((moved & counted & (cep17 > 0)).any(axis=1))


def statistics(wide: Wide, plan: BootstrapPlan) -> list[Row]:
    """Every figure of agreement, as rows of :data:`ctcfish.qc.tables.STATISTICS` less level, relation, population.

    Parameters
    ----------
    wide : Wide
        At least one cell and two readings.
    plan : BootstrapPlan
    """
    several = len(set(wide.patient)) > 1
    units = _codes(wide.patient) if several else np.arange(len(wide.patient))
    unit = "patient" if several else "cell"
    study = _Study(wide, units, unit, plan)
    return [*_calls(study), *_evaluable(study), *_classes(study), *_measures(study)]


@dataclass(frozen=True)
class _Study:
    wide: Wide
    units: IntArray
    unit: str
    plan: BootstrapPlan

    def pairs(self, table: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any], IntArray]:
        """First and later reading of every cell, and the unit of each pair."""
        later = table.shape[1] - 1
        return np.repeat(table[:, 0], later), table[:, 1:].ravel(), np.repeat(self.units, later)

    def row(self, quantity: str, statistic: str, figure: Estimate, kept: IntArray, numerator: int | None = None) -> Row:
        """One row; ``kept`` are the units of the items behind it."""
        about = {"quantity": quantity, "statistic": statistic, "value": figure.value, "low": figure.low}
        about |= {"high": figure.high, "method": figure.method, "numerator": numerator}
        return about | {"n_items": len(kept), "n_units": len(np.unique(kept)), "unit": self.unit}

    def of_tables(
        self,
        codes: IntArray,
        categories: int,
        statistic: Callable[[IntArray], FloatArray],
        hangs_on: tuple[int, ...] = (),
    ) -> tuple[Estimate, IntArray, IntArray]:
        """A figure of two readings, its table and the units of its pairs; ``hangs_on`` as in `_withheld`."""
        first, later, units = self.pairs(codes)
        both = (first >= 0) & (later >= 0)
        first, later, units = first[both], later[both], units[both]
        names, own = np.unique(units, return_inverse=True)
        parts = np.zeros((max(len(names), 1), categories, categories), np.int64)
        np.add.at(parts, (own, first, later), 1)
        agreed = np.diagonal(parts > 0, axis1=1, axis2=2).sum(axis=0)
        figure = _withheld(agree.clustered(parts, statistic, self.plan), agreed, hangs_on)
        return figure, parts.sum(axis=0), units


def _withheld(figure: Estimate, agreed: IntArray, hangs_on: tuple[int, ...]) -> Estimate:
    """A figure without interval where its categories are too rare: one of one category, two of several are needed.

    Parameters
    ----------
    figure : Estimate
    agreed : ndarray of int, (categories,)
        Units whose readings agree on each category.
    hangs_on : tuple of int
        Categories whose agreement the figure rests on.
    """
    enough = int((agreed[list(hangs_on)] >= LEAST_AGREED).sum())
    if enough >= min(len(hangs_on), 2) or math.isnan(figure.low):
        return figure
    why = f"interval withheld: fewer than {LEAST_AGREED} units agree on a category"
    return Estimate(figure.value, math.nan, math.nan, why, figure.confidence)


def _codes(labels: NDArray[np.object_]) -> IntArray:
    return np.unique(labels.astype(str), return_inverse=True)[1].ravel().astype(np.int64)


def _percent(found: tuple[Estimate, IntArray, IntArray]) -> Estimate:
    """Percent agreement; where nothing disagrees the exact bound counts units, the bootstrap having no spread."""
    figure, _, units = found
    n = len(np.unique(units))
    if math.isfinite(figure.low):
        return Estimate(figure.value, max(figure.low, 0.0), figure.high, figure.method, figure.confidence)
    if not n or figure.value not in (0.0, 1.0):
        return figure
    low, high = clopper_pearson(int(figure.value) * n, n, figure.confidence)
    return Estimate(figure.value, float(low), float(high), "Clopper-Pearson of the units", figure.confidence)


def _calls(study: _Study) -> Iterator[Row]:
    """Amplified or not, among cells that both readings could evaluate."""
    codes = np.where(study.wide.call == 2, agree.MISSING, study.wide.call)
    found = study.of_tables(codes, 2, agree.percent_agreement)
    yield study.row("call", "percent agreement", _percent(found), found[2], int(np.trace(found[1])))
    figures: dict[str, tuple[Callable[[IntArray], FloatArray], tuple[int, ...]]] = {
        "positive agreement": (lambda tables: agree.specific_agreement(tables, 1), (1,)),
        "negative agreement": (lambda tables: agree.specific_agreement(tables, 0), (0,)),
        "Cohen kappa": (agree.cohen_kappa, (0, 1)),
    }
    for name, (statistic, hangs_on) in figures.items():
        figure, _, units = study.of_tables(codes, 2, statistic, hangs_on)
        yield study.row("call", name, figure, units)
    counts = agree.rating_counts(codes, 2)
    read = counts.sum(axis=1) >= 2
    if read.any():
        sums, units = moments.rating_sums(counts[read]), study.units[read]
        agreed = np.array([len(np.unique(units[counts[read][:, k] >= 2])) for k in (0, 1)])
        for name, of_sums, hangs_on in (
            ("Fleiss kappa", moments.fleiss_kappa, (0, 1)),
            ("Gwet AC1", moments.gwet_ac1, ()),
            ("Krippendorff alpha", moments.krippendorff_alpha, (0, 1)),
        ):
            figure = _clustered(study, sums, units, of_sums, near_one(len(units)))
            yield study.row("call", name, _withheld(figure, agreed, hangs_on), units)


def _evaluable(study: _Study) -> Iterator[Row]:
    """Whether a cell could be evaluated at all."""
    codes = np.where(study.wide.call < 0, agree.MISSING, (study.wide.call < 2).astype(np.int64))
    found = study.of_tables(codes, 2, agree.percent_agreement)
    yield study.row("evaluable", "percent agreement", _percent(found), found[2], int(np.trace(found[1])))
    figure, _, units = study.of_tables(codes, 2, agree.cohen_kappa, (0, 1))
    yield study.row("evaluable", "Cohen kappa", figure, units)


def _classes(study: _Study) -> Iterator[Row]:
    """The ratio in three ordered classes: below 1.8, up to 2.2, above."""
    ratio = study.wide.ratio
    codes = np.where(np.isfinite(ratio), np.digitize(ratio, RATIO_EDGES), agree.MISSING)
    for name, weights in (("linear", agree.linear_weights(3)), ("quadratic", agree.quadratic_weights(3))):
        figure, _, units = study.of_tables(codes, 3, _weighted(weights), (0, 1, 2))
        yield study.row("ratio class", f"weighted kappa, {name}", figure, units)


def _weighted(weights: FloatArray) -> Callable[[IntArray], FloatArray]:
    return lambda tables: agree.cohen_kappa(tables, weights)


def _measures(study: _Study) -> Iterator[Row]:
    """Counts as they are, ratios as logarithms: a few high ratios would carry every spread and slope."""
    for quantity in ("her2", "cep17", "ratio"):
        table = getattr(study.wide, quantity)
        first, later, units = study.pairs(table)
        told = np.isfinite(first) & np.isfinite(later)
        if quantity == "ratio":
            told &= (first > 0) & (later > 0)
        if told.sum() >= 3:
            yield from _of_pairs(study, quantity, (first[told], later[told], units[told]))
        yield from _of_several(study, quantity, table)


def _of_pairs(study: _Study, quantity: str, pairs: tuple[FloatArray, FloatArray, IntArray]) -> Iterator[Row]:
    first, later, units = pairs
    if quantity != "ratio":
        same = (first == later).astype(np.int64)
        parts = np.stack([np.ones(len(same)), same.astype(float)], axis=1)
        found = _clustered(study, parts, units, lambda s: s[:, 1] / s[:, 0], near_one(len(same)))
        yield study.row(quantity, "percent equal", _percent((found, same, units)), units, int(same.sum()))
    logs = quantity == "ratio"
    x, y = (np.log(first), np.log(later)) if logs else (first, later)
    sums = _by_unit(moments.pair_sums(x, y), units)
    level = study.plan.confidence
    differences = {
        "bias": jackknife_interval(sums, moments.bias, IDENTITY, level),
        "lower limit": limit_interval(sums, (moments.bias, moments.spread), -moments.REACH, level),
        "upper limit": limit_interval(sums, (moments.bias, moments.spread), moments.REACH, level),
    }
    figures = {f"Bland-Altman {name}": _back(made) if logs else made for name, made in differences.items()}
    figures |= {
        "Lin concordance": jackknife_interval(sums, moments.concordance, FISHER, level),
        "Deming slope": jackknife_interval(sums, moments.deming_slope, IDENTITY, level),
        "Deming intercept": jackknife_interval(sums, moments.deming_intercept, IDENTITY, level),
    }
    for name, figure in figures.items():
        yield study.row(quantity, name + LOG_SCALE * logs, figure, units)
    line = _rank_line(study, pairs)
    yield study.row(quantity, "Passing-Bablok slope", line.slope, units)
    yield study.row(quantity, "Passing-Bablok intercept", line.intercept, units)


def _rank_line(study: _Study, pairs: tuple[FloatArray, FloatArray, IntArray]) -> Line:
    """Passing and Bablok's line; its interval by ranks for independent pairs, resampled for a few dependent ones."""
    first, later, units = pairs
    none = undefined("Passing-Bablok, no slope", study.plan.confidence)
    if not math.isfinite(_slope_and_intercept(first, later)[0]):
        return Line(none, none)
    whole = passing_bablok(first, later)
    if len(np.unique(units)) == len(units):
        return whole
    if len(units) > MOST_PAIRS_FOR_RANKS:
        return Line(_bare(whole.slope), _bare(whole.intercept))
    drawn: dict[bytes, tuple[float, float]] = {}

    def of_rows(rows: IntArray, part: int) -> float:
        key = rows.tobytes()
        if key not in drawn:
            drawn[key] = _slope_and_intercept(first[rows], later[rows])
        return drawn[key][part]

    plan = replace(study.plan, resamples=200)
    slope = cluster_interval(lambda rows: of_rows(rows, 0), units, plan=plan)
    return Line(slope, cluster_interval(lambda rows: of_rows(rows, 1), units, plan=plan))


def _slope_and_intercept(first: FloatArray, later: FloatArray) -> tuple[float, float]:
    """NaN where there is no line: no spread, as a resample of few units may have none, or a steep one."""
    if first.std() == 0 or later.std() == 0:
        return math.nan, math.nan
    try:
        line = passing_bablok(first, later)
    except StatisticsError:
        return math.nan, math.nan
    steep = abs(line.slope.value) > STEEPEST
    return (math.nan, math.nan) if steep else (line.slope.value, line.intercept.value)


def _bare(figure: Estimate) -> Estimate:
    return Estimate(figure.value, math.nan, math.nan, "Passing-Bablok, too many pairs to resample", figure.confidence)


def _of_several(study: _Study, quantity: str, table: FloatArray) -> Iterator[Row]:
    logs = quantity == "ratio"
    whole = (np.isfinite(table) & (table > 0) if logs else np.isfinite(table)).all(axis=1)
    if whole.sum() < 3 or table.shape[1] < 2:
        return
    values, units = table[whole], study.units[whole]
    sums = _by_unit(moments.item_sums(np.log(values) if logs else values), units)
    for name, statistic, scale in (
        ("ICC(2,1)", moments.icc_agreement, FISHER),
        ("ICC(3,1)", moments.icc_consistency, FISHER),
        ("repeatability SD", moments.within_sd, LOG),
        ("repeatability coefficient", moments.repeatability_coefficient, LOG),
    ):
        figure = jackknife_interval(sums, statistic, scale, study.plan.confidence)
        figure = _back(figure) if logs and name == "repeatability coefficient" else figure
        yield study.row(quantity, name + LOG_SCALE * logs, figure, units)


def _by_unit(parts: FloatArray, units: IntArray) -> FloatArray:
    names, own = np.unique(units, return_inverse=True)
    sums = np.zeros((len(names), parts.shape[1]))
    np.add.at(sums, own, parts)
    return sums


def _clustered(
    study: _Study,
    parts: FloatArray,
    units: IntArray,
    statistic: Callable[[FloatArray], FloatArray],
    scale: Scale,
) -> Estimate:
    """A share or kappa of sums with an interval that resamples units."""
    sums = _by_unit(parts, units)
    return bootstrap_interval(lambda index: statistic(sums[index].sum(axis=1)), len(sums), scale, study.plan)


def _back(logs: Estimate) -> Estimate:
    """From logarithms to ratios; ends that no number can hold say nothing."""
    with np.errstate(over="ignore"):
        value, low, high = np.exp([logs.value, logs.low, logs.high]).tolist()
    low, high = (low, high) if math.isfinite(high) else (math.nan, math.nan)
    return Estimate(value, low, high, logs.method, logs.confidence)


def eligibility(codes: IntArray, plan: BootstrapPlan) -> list[Row]:
    """Agreement on eligibility, patients as items.

    Parameters
    ----------
    codes : ndarray of int, (P, K)
        0 no, 1 yes, 2 not evaluable, -1 not read.
    plan : BootstrapPlan
    """
    missing = np.full(codes.shape, np.nan)
    names = np.array([str(number) for number in range(len(codes))], dtype=object)
    study = _Study(Wide(names, codes, missing, missing, missing), np.arange(len(codes)), "patient", plan)
    return [row | {"quantity": "eligible"} for row in _calls(study)]
