"""Spread of what whole slides say, by its origin: repeatability, days, operators, sites."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ctcfish.qc import tables as declared
from ctcfish.qc.replicates import FACTORS, Scored
from ctcfish.stats.checks import FloatArray
from ctcfish.stats.estimate import Estimate
from ctcfish.stats.precision import chi_square_spread, nested_components, verification_limit

POPULATIONS = {"CTC": "ctc", "leukocytes": "wbc", "all nuclei": ""}
"""Named populations and the kind of cell each takes; empty takes every nucleus."""

RATIO = "sum HER2 / sum CEP17"
MEASURED = (RATIO, "mean HER2", "mean CEP17", "evaluable share")
Row = dict[str, Any]


def slide_values(cells: pd.DataFrame) -> list[Row]:
    """What a slide says of each population, over its evaluable nuclei.

    Parameters
    ----------
    cells : pandas.DataFrame
        :data:`ctcfish.tables.CELLS`.

    Returns
    -------
    list of dict
        ``population, quantity, value, n_cells``.
    """
    rows: list[Row] = []
    found = cells[cells["label"].notna()]
    for population, kind in POPULATIONS.items():
        own = found[found["kind"] == kind] if kind else found
        counted = own[own["call"] != "not_evaluable"]
        n, her2, cep17 = len(counted), float(counted["her2_count"].sum()), float(counted["cep17_count"].sum())
        values = (
            her2 / cep17 if cep17 else math.nan,
            her2 / n if n else math.nan,
            cep17 / n if n else math.nan,
            n / len(own) if len(own) else math.nan,
        )
        sizes = (n, n, n, len(own))
        about = zip(MEASURED, values, sizes, strict=True)
        rows += [{"population": population, "quantity": q, "value": v, "n_cells": size} for q, v, size in about]
    return rows


def values_table(scanned: Sequence[tuple[Scored, Row]]) -> pd.DataFrame:
    """:data:`ctcfish.qc.tables.SLIDE_VALUES` of readings, each with its row of the matching table."""
    names = ("group", "patient_id", "reading", "relation", *FACTORS)
    rows = [
        {name: about.get(name) for name in names} | value
        for scored, about in scanned
        for value in slide_values(scored.cells)
    ]
    return declared.SLIDE_VALUES.check(pd.DataFrame(rows)) if rows else declared.SLIDE_VALUES.empty()


def layout(readings: pd.DataFrame) -> tuple[tuple[str, ...], list[int]]:
    """Levels by which readings are nested in a balanced way, outermost first, and the order of the readings.

    Parameters
    ----------
    readings : pandas.DataFrame
        One row a reading, with the columns of :data:`ctcfish.qc.replicates.FACTORS`; rows in the order they were made.

    Returns
    -------
    levels : tuple of str
        Without replicates; empty where nothing varies in balance.
    order : list of int
        Rows sorted by these levels.

    Notes
    -----
    A factor is taken where every unit above it holds equally many of its levels and, at the end, equally many
    replicates; one that varies together with a factor already taken adds nothing and is left out.
    """
    chosen: tuple[str, ...] = ()
    given = readings.reset_index(drop=True)
    for name in FACTORS:
        if given[name].notna().all() and given[name].nunique() > 1 and _balanced(given, (*chosen, name)):
            chosen = (*chosen, name)
    order = given.sort_values(list(chosen), kind="stable").index.tolist() if chosen else given.index.tolist()
    return chosen, order


def _balanced(given: pd.DataFrame, levels: tuple[str, ...]) -> bool:
    """Whether units hold equally many sub-units, two of them at least, and two replicates at the end."""
    replicates = given.groupby(list(levels)).size()
    if replicates.nunique() > 1 or replicates.iloc[0] < 2:
        return False
    for depth in range(1, len(levels)):
        parts = given.drop_duplicates(list(levels[: depth + 1])).groupby(list(levels[:depth])).size()
        if parts.nunique() > 1 or parts.iloc[0] < 2:
            return False
    return True


def precision(values: pd.DataFrame, limits: dict[str, float]) -> pd.DataFrame:
    """Components of variance of every group, population and quantity.

    Re-scans show the repeatability of scan and program; other slides of a sample add that of preparation.

    Parameters
    ----------
    values : pandas.DataFrame
        :data:`ctcfish.qc.tables.SLIDE_VALUES`.
    limits : dict of str to float
        Largest coefficient of variation in per cent, by ``within`` one site and ``between`` sites.

    Returns
    -------
    pandas.DataFrame
        :data:`ctcfish.qc.tables.PRECISION`.
    """
    rows: list[Row] = []
    for relation in ("rescan", "other_slide"):
        own = values[values["relation"].isin(["first", relation])]
        for (group, population, quantity), part in own.groupby(["group", "population", "quantity"], sort=True):
            told = part[part["value"].notna()]
            if len(told) < 2 or not (told["relation"] == relation).any():
                continue
            keys = {"group": group, "relation": relation, "population": population, "quantity": quantity}
            rows += [keys | row for row in _components(told, limits if quantity == RATIO else {})]
    return declared.PRECISION.check(pd.DataFrame(rows)) if rows else declared.PRECISION.empty()


def _components(told: pd.DataFrame, limits: dict[str, float]) -> list[Row]:
    levels, order = layout(told)
    numbers = told["value"].to_numpy(float)[order]
    if not levels:
        return _plain(numbers, limits)
    shape: list[int] = []
    for depth in range(1, len(levels) + 1):
        shape.append(told.drop_duplicates(list(levels[:depth])).shape[0] // math.prod(shape))
    shape.append(len(numbers) // math.prod(shape))
    study = nested_components(numbers.reshape(shape), (*levels, "replicate"))
    said = " x ".join(f"{size} {name}" for name, size in zip(study.levels, shape, strict=True))
    outer = limits.get("between" if "site" in levels else "within")
    parts = [
        _Part("repeatability", study.repeatability, study.repeatability_freedom, limits.get("within")),
        _Part("total", study.total, study.total_freedom, outer),
    ]
    for name, variance in zip(levels, study.variances[:-1], strict=True):
        parts.append(_Part(name, Estimate(math.sqrt(variance), math.nan, math.nan, "variance component")))
    return [_row(part, study.mean, len(numbers), said) for part in parts]


def _plain(numbers: FloatArray, limits: dict[str, float]) -> list[Row]:
    """One group of replicates without balanced levels: its standard deviation is the total."""
    n, sd = len(numbers), float(numbers.std(ddof=1))
    low, high = chi_square_spread(sd**2, n - 1, 0.95)
    figure = Estimate(sd, low, high, "SD, chi square")
    part = _Part("total", figure, n - 1.0, limits.get("within"))
    return [_row(part, float(numbers.mean()), n, f"{n} replicate")]


@dataclass(frozen=True)
class _Part:
    """A component: its standard deviation, the degrees of freedom behind it, and the accepted CV in per cent."""

    name: str
    figure: Estimate
    freedom: float = math.nan
    limit: float | None = None


def _row(part: _Part, mean: float, n: int, said: str) -> Row:
    scale = 100.0 / mean if mean > 0 else math.nan
    figure, limit = part.figure, part.limit
    cv = scale * figure.value
    return {
        "component": part.name,
        "mean": mean,
        "sd": figure.value,
        "low": figure.low,
        "high": figure.high,
        "cv_percent": cv,
        "cv_high_percent": scale * figure.high,
        "limit_percent": limit,
        "verification_percent": None if limit is None else verification_limit(limit, part.freedom),
        "passed": None if limit is None or math.isnan(cv) else cv <= limit,
        "n_readings": n,
        "layout": said,
        "method": figure.method,
    }
