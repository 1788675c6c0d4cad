"""Control slides on charts: what a run says of its controls, which rules are broken, and what may be released."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ctcfish import tables
from ctcfish.errors import QcGateError
from ctcfish.parameters import Qc
from ctcfish.qc import tables as declared
from ctcfish.qc.history import FALSE_CALLS, read_results, read_targets
from ctcfish.qc.replicates import slide_folders
from ctcfish.report.qc_control import Charted, control_page
from ctcfish.report.qc_page import Page
from ctcfish.stats import control as charts
from ctcfish.stats.checks import BoolArray, FloatArray
from ctcfish.stats.proportions import cutoff_count, cutoff_from_normals
from ctcfish.store.results import read_slide_json
from ctcfish.store.tablefiles import read_parquet

LEUKOCYTES = "leukocytes"
CUT_OFF = "cut-off"
"""The rule of shares: more false calls than normals explain."""
AS_RARE = 0.00135
"""Chance of so many false calls that breaks the rule: that of a result above three standard deviations."""
FACTORS = ("probe_lot", "scanner", "operator", "site")

Targets = Mapping[tuple[str, str], tuple[float, float, str]]
Row = dict[str, Any]


@dataclass(frozen=True)
class Chart:
    """One quantity of one material over time.

    Attributes
    ----------
    results : pandas.DataFrame
        :data:`ctcfish.qc.tables.CONTROLS`, oldest first.
    target, spread : float
        NaN while there are too few results.
    origin : str
    z : ndarray of float, (n,)
    broken : dict of str to ndarray of bool, (n,)
        By rule; no rule without target.
    """

    results: pd.DataFrame
    target: float
    spread: float
    origin: str
    z: FloatArray
    broken: dict[str, BoolArray]

    @property
    def name(self) -> tuple[str, str]:
        """Material and quantity."""
        first = self.results.iloc[0]
        return str(first["material"]), str(first["quantity"])

    @property
    def judged(self) -> bool:
        """Whether there is a target to hold results against."""
        return bool(self.broken)


def control_results(run: Path, params: Qc) -> pd.DataFrame:
    """Control results of a run: its control slides, and the leukocytes of every slide that has enough of them.

    Parameters
    ----------
    run : Path
    params : Qc

    Returns
    -------
    pandas.DataFrame
        :data:`ctcfish.qc.tables.CONTROLS`; no rows where no slide has a control.
    """
    rows = [row for folder in slide_folders(run) for row in _of_slide(folder, run.resolve().name, params)]
    return declared.CONTROLS.check(pd.DataFrame(rows)) if rows else declared.CONTROLS.empty()


def _of_slide(folder: Path, run: str, params: Qc) -> Iterator[Row]:
    said = read_slide_json(folder)
    slide = said["slide"]
    cells = read_parquet(folder / "cells.parquet", tables.CELLS)
    found = cells[cells["label"].notna()]
    material = slide.get("control")
    own = found if material else found[found["kind"] == "wbc"]
    evaluable = own[own["call"] != "not_evaluable"]
    if len(evaluable) < params.min_control_cells:
        return
    keys = {"material": material or LEUKOCYTES, "run": run, "slide_id": slide["slide_id"], "day": slide.get("day")}
    keys |= {name: slide.get(name) for name in FACTORS}
    for quantity, value, numerator, denominator in _measured(own, evaluable, said):
        if value is not None and math.isfinite(value):
            yield keys | {"quantity": quantity, "value": value, "numerator": numerator, "denominator": denominator}


def _measured(
    own: pd.DataFrame, evaluable: pd.DataFrame, said: Mapping[str, Any]
) -> Iterator[tuple[str, float | None, int | None, int | None]]:
    her2, cep17 = (float(evaluable[f"{probe}_count"].sum()) for probe in ("her2", "cep17"))
    n, amplified = len(evaluable), int((evaluable["call"] == "amplified").sum())
    yield "ratio", her2 / cep17 if cep17 else None, None, None
    yield "her2_count", her2 / n, None, None
    yield "cep17_count", cep17 / n, None, None
    both = int(((own["her2_count"] > 0) & (own["cep17_count"] > 0)).sum())
    yield "hybridisation_efficiency", both / len(own), both, len(own)
    yield "focus", float(own["focus"].mean()), None, None
    yield FALSE_CALLS, amplified / n, amplified, n
    for probe, model in said["model"]["probes"].items():
        yield f"{probe.lower()}_background", model["background_photons"], None, None
        yield f"{probe.lower()}_brightness", model["photons_median"], None, None


def make_charts(results: pd.DataFrame, targets: Targets, params: Qc) -> list[Chart]:
    """Charts of every material and quantity.

    A target that was set holds. Else the first results make it, and are not judged themselves; a share of false calls
    is held against the exact upper bound from all earlier normal cells.

    Parameters
    ----------
    results : pandas.DataFrame
        :data:`ctcfish.qc.tables.CONTROLS`, oldest first.
    targets : mapping
        Target, standard deviation and origin by material and quantity.
    params : Qc
    """
    return [_chart(own.reset_index(drop=True), targets, params) for _, own in results.groupby(["material", "quantity"])]


def _chart(own: pd.DataFrame, targets: Targets, params: Qc) -> Chart:
    values = own["value"].to_numpy(np.float64)
    key = (str(own["material"][0]), str(own["quantity"][0]))
    if key[1] == FALSE_CALLS and own["denominator"].notna().all():
        return _share_chart(own, params)
    target, spread, origin = targets.get(key, (math.nan, math.nan, ""))
    start = 0
    if not origin and len(values) >= params.baseline_results:
        start = params.baseline_results
        target, spread = float(values[:start].mean()), _spread(own.iloc[:start])
        origin = f"first {start} results"
    if not spread > 0:
        origin = origin or f"{len(values)} of {params.baseline_results} results of the baseline"
        return Chart(own, target, math.nan, origin, np.full(len(values), np.nan), {})
    z = charts.standardise(values, target, spread)
    broken = charts.westgard(z[start:])
    before = np.zeros(start, np.bool_)
    return Chart(
        own, target, spread, origin, z, {rule: np.concatenate([before, where]) for rule, where in broken.items()}
    )


def _spread(first: pd.DataFrame) -> float:
    """Standard deviation of the first results; of a share, even were all of them 100 %, no less than chance gives."""
    spread = float(first["value"].to_numpy(np.float64).std(ddof=1))
    if first["denominator"].isna().any():
        return spread
    n = int(first["denominator"].sum())
    lacking = float(cutoff_from_normals(n - int(first["numerator"].sum()), n))
    return max(spread, math.sqrt(lacking * (1 - lacking) / (n / len(first))))


def _share_chart(own: pd.DataFrame, params: Qc) -> Chart:
    """False calls against the exact bound of the results before; binomial, so no standard deviation is charted."""
    false, n = own["numerator"].to_numpy(np.int64), own["denominator"].to_numpy(np.int64)
    none = np.full(len(n), np.nan)
    start = params.baseline_results
    if len(n) < start:
        return Chart(own, math.nan, math.nan, f"{len(n)} of {start} results of the baseline", none, {})
    rate = float(cutoff_from_normals(int(false[:start].sum()), int(n[:start].sum())))
    least = {int(cells): cutoff_count(rate, int(cells), AS_RARE) for cells in np.unique(n)}
    where = false >= np.array([least[cells] for cells in n.tolist()])
    where[:start] = False
    share = float(false[:start].sum() / n[:start].sum())
    return Chart(own, share, math.nan, f"first {start} results, {int(n[:start].sum())} cells", none, {CUT_OFF: where})


def broken_rules(found: list[Chart]) -> pd.DataFrame:
    """Every broken rule with the runs that took part, the newest last: :data:`ctcfish.qc.tables.BROKEN`."""
    rows: list[tuple[int, Row]] = []
    for chart in found:
        material, quantity = chart.name
        for rule, where in chart.broken.items():
            length = charts.RULE_LENGTHS.get(rule, 1)
            for at in np.flatnonzero(where).tolist():
                own, part = chart.results.iloc[at], chart.results.iloc[max(0, at - length + 1) : at + 1]
                row: Row = {"material": material, "quantity": quantity, "rule": rule}
                row |= {"warning": rule in charts.WARNINGS, "z": chart.z[at]}
                row |= {name: own[name] for name in ("run", "slide_id", "value")}
                rows.append((at, row | {"involved": "|".join(dict.fromkeys(part["run"].astype(str)))}))
    ordered = [row for _, row in sorted(rows, key=lambda pair: pair[0])]
    return declared.BROKEN.check(pd.DataFrame(ordered)) if ordered else declared.BROKEN.empty()


def chart_table(found: list[Chart]) -> pd.DataFrame:
    """One row a chart: :data:`ctcfish.qc.tables.CHARTS`."""
    rows = []
    for chart in found:
        material, quantity = chart.name
        row = {"material": material, "quantity": quantity, "n": len(chart.results), "origin": chart.origin}
        row |= {"target": chart.target, "spread": chart.spread, "last": chart.results["value"].iloc[-1]}
        if chart.judged and np.isfinite(chart.z).all():
            drift = {"cusum": charts.cusum(chart.z), "ewma": charts.ewma(chart.z)}
            row |= {f"{name}_signals": int(own.signals.sum()) for name, own in drift.items()}
            row["last_z"] = chart.z[-1]
        if quantity == FALSE_CALLS and chart.results["denominator"].notna().all():
            sums = chart.results[["numerator", "denominator"]].sum()
            row["cut_off"] = float(cutoff_from_normals(int(sums["numerator"]), int(sums["denominator"])))
        rows.append(row)
    return declared.CHARTS.check(pd.DataFrame(rows)) if rows else declared.CHARTS.empty()


def gate(found: list[Chart], run: str | None, params: Qc) -> None:
    """Hold a run back where a rule is broken by its results.

    Parameters
    ----------
    found : list of Chart
    run : str or None
        Run to be released; None: of each chart the run of its newest result.
    params : Qc

    Raises
    ------
    QcGateError
        A rule is broken, the run has no control result, or a chart has no target yet.
    """
    gated = [chart for chart in found if chart.name[1] in params.gate]
    asked = [chart for chart in gated if run is None or (chart.results["run"] == run).any()]
    if not asked:
        raise QcGateError(f"no control result of {run or 'any run'} to release by: add its controls first.")
    unjudged = [f"{' '.join(chart.name)} ({chart.origin})" for chart in asked if not chart.judged]
    if unjudged:
        raise QcGateError(f"no target yet for {'; '.join(unjudged)}: set one, or add more control results.")
    broken = broken_rules(asked)
    newest = {chart.name: str(chart.results["run"].iloc[-1]) for chart in asked}
    keys = zip(broken["material"], broken["quantity"], strict=True)
    mine = broken["run"].eq([run or newest[key] for key in keys]) & ~broken["warning"].astype(bool)
    if mine.any():
        raise QcGateError("; ".join(_reason(row) for row in broken[mine].to_dict("records")))


def _reason(row: Mapping[str, Any]) -> str:
    off = "" if math.isnan(row["z"]) else f", {row['z']:+.1f} SD"
    runs = row["involved"].replace("|", ", ")
    return f"{row['material']} {row['quantity']} breaks {row['rule']} at {row['value']:.4g}{off} (runs {runs})"


def drawn(found: list[Chart]) -> list[Charted]:
    """Charts as the page draws them; those without target or spread have none."""
    return [_drawn(chart) for chart in found if chart.judged and np.isfinite(chart.z).all()]


def _drawn(chart: Chart) -> Charted:
    marks: dict[int, list[str]] = {}
    for name in ("probe_lot", "scanner"):
        given = chart.results[name].fillna("").astype(str)
        changed = np.flatnonzero(given.ne(given.shift()).to_numpy() & given.ne("").to_numpy())
        for at in changed.tolist():
            marks.setdefault(at, []).append(f"{name.replace('_', ' ')} {given[at]}")
    name = " ".join(chart.name).replace("_", " ")
    told = [(at, ", ".join(names)) for at, names in sorted(marks.items())]
    return Charted(name, chart.z, charts.rejected(chart.broken), told, charts.cusum(chart.z), charts.ewma(chart.z))


def control_study(history: Path, params: Qc, run: str | None = None) -> tuple[Page, dict[str, pd.DataFrame], str]:
    """The page of a history, its tables, and why a run is held back, empty where it is not; no run: the newest."""
    results = read_results(history)
    found = make_charts(results, read_targets(history), params)
    try:
        gate(found, run, params)
        verdict = ""
    except QcGateError as error:
        verdict = str(error)
    frames = {"controls": results, "charts": chart_table(found), "broken_rules": broken_rules(found)}
    asked = (run or "newest results", verdict)
    return control_page(frames["charts"], frames["broken_rules"], drawn(found), asked), frames, verdict
