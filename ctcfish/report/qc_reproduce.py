"""The page of a reproducibility study, from its tables."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ctcfish.report.qc_page import Grid, Page, Plot, Section
from ctcfish.report.qc_plots import agreement_forest, ratio_differences, readings_in_order
from ctcfish.report.words import number

Frames = Mapping[str, pd.DataFrame]

SHOWN = (
    "percent agreement",
    "positive agreement",
    "negative agreement",
    "Cohen kappa",
    "Gwet AC1",
    "Krippendorff alpha",
    "weighted kappa, quadratic",
    "ICC(2,1)",
    "Lin concordance",
)
"""Figures of agreement drawn in the forest."""
RATIO = "sum HER2 / sum CEP17"


def reproduce_page(frames: Frames, title: str, origin: str) -> Page:
    """Sections of a study.

    Parameters
    ----------
    frames : mapping of str to pandas.DataFrame
        ``readings, matching, unmatched, statistics, slide_values, precision``.
    title, origin : str
    """
    return Page(title, origin, reproduce_sections(frames))


def reproduce_sections(frames: Frames) -> tuple[Section, ...]:
    """What was repeated, how slides spread, how cells and patients agree."""
    parts = [_in_short(frames), _matching(frames), _precision(frames), *_agreement(frames), _patients(frames)]
    return tuple(part for part in parts if part is not None)


def _in_short(frames: Frames) -> Section:
    """The few figures a laboratory files."""
    rows, tones = [], []
    told = frames["precision"]
    for row in told[told["limit_percent"].notna() & (told["population"] == "all nuclei")].to_dict("records"):
        said = f"CV {row['cv_percent']:.2f} % of {row['limit_percent']:.2f} % accepted"
        rows.append((f"{RATIO}, {row['component']}, {row['group']}, {row['layout']}", said))
        tones.append("green" if row["passed"] else "red")
    same = frames["matching"]["identical"].dropna()
    if len(same):
        rows.append(("equal images, tables equal to the byte", f"{int(same.sum())} of {len(same)}"))
        tones.append("green" if bool(same.all()) else "red")
    cells = frames["statistics"]
    for (level, relation, population), own in cells[cells["stratum"] == "all"].groupby(
        ["level", "relation", "population"], sort=False
    ):
        indexed = own.set_index(["quantity", "statistic"])
        for statistic in ("percent agreement", "positive agreement", "Gwet AC1"):
            what = "call" if level == "cell" else "eligible"
            rows.append((f"{what}, {statistic}, {relation}, {population}", _figure(indexed, (what, statistic))))
            tones.append("")
    return Section("In short", "", (Grid(("figure", "value (95 %)"), tuple(rows), tuple(tones)),))


def _matching(frames: Frames) -> Section:
    table = frames["matching"]
    rows, tones = [], []
    for row in table.to_dict("records"):
        same = {True: "equal to the byte", False: "DIFFER"}.get(row["identical"], "")
        numbers = [number(row[name]) for name in ("n_first", "n_here", "n_matched")]
        about = [
            row["reading"],
            row["relation"].replace("_", " "),
            *(row[f] or "" for f in ("site", "day", "probe_lot")),
        ]
        rows.append((*about, *numbers, same))
        tones.append("red" if row["identical"] is False else "")
    header = ("reading", "relation", "site", "day", "lot", "nuclei of first", "nuclei here", "found again", "tables")
    text = (
        "Equal images are told by their checksums; a re-scan by the constellation of its nuclei, in which cells are "
        f"found again; what does not agree is another slide of the sample. Not found again: {len(frames['unmatched'])} "
        "(unmatched.csv)."
    )
    return Section("What was repeated", text, (Grid(header, tuple(rows), tuple(tones)),))


def _precision(frames: Frames) -> Section | None:
    table = frames["precision"]
    if not len(table):
        return None
    rows, tones = [], []
    for row in _ordered(table).to_dict("records"):
        verdict = {True: "within", False: "above"}.get(row["passed"], "")
        rows.append(
            (
                *(
                    str(row[name]).replace("_", " ")
                    for name in ("group", "population", "quantity", "component", "layout")
                ),
                number(row["mean"], 3),
                f"{number(row['cv_percent'])} (to {number(row['cv_high_percent'])})",
                f"{number(row['limit_percent'])} {verdict}".strip("– "),
                number(row["verification_percent"]).strip("–"),
            )
        )
        tones.append({"within": "green", "above": "red"}.get(verdict, ""))
    header = (
        "slide",
        "nuclei",
        "quantity",
        "component",
        "layout",
        "mean",
        "CV % (upper 95 %)",
        "limit %",
        "agrees up to %",
    )
    values = frames["slide_values"]
    own = values[(values["quantity"] == RATIO) & (values["population"] == "all nuclei")]
    plots = []
    for group, part in own.groupby("group", sort=True):
        limit = table.loc[table["limit_percent"].notna(), "limit_percent"]
        draw = readings_in_order(part, float(limit.iloc[0]) if len(limit) else 4.74)
        plots.append(Plot(f"{group}: {RATIO}, all evaluable nuclei; band: twice the accepted CV", draw))
    text = (
        "Components of variance of what whole slides say, balanced levels only (CLSI EP05 and EP15 layouts). "
        "A CV above the limit and no larger than the last column still agrees with it by chance (EP15, 5 %)."
    )
    return Section("Spread between readings", text, (Grid(header, tuple(rows), tuple(tones)),), tuple(plots[:6]))


def _ordered(table: pd.DataFrame) -> pd.DataFrame:
    """The quantities a laboratory asks for, the ratio of all nuclei first."""
    order = {RATIO: 0, "mean HER2": 1, "mean CEP17": 2}
    own = table[table["quantity"].isin(order)]
    keys = own.assign(_first=own["population"] != "all nuclei", _order=own["quantity"].map(order))
    return keys.sort_values(["group", "_first", "population", "_order"], kind="stable")


def _agreement(frames: Frames) -> list[Section]:
    cells = frames["statistics"]
    cells = cells[cells["level"] == "cell"]
    found = []
    for (relation, population), own in cells.groupby(["relation", "population"], sort=False):
        rows = []
        strata = {stratum: part.set_index(["quantity", "statistic"]) for stratum, part in own.groupby("stratum")}
        for quantity, statistic in own[["quantity", "statistic"]].drop_duplicates().itertuples(index=False):
            told = [_figure(strata.get(s), (quantity, statistic)) for s in ("all", "near", "far")]
            rows.append((quantity, statistic, *told))
        header = ("quantity", "figure", "all cells (95 %)", "near the threshold", "far from it")
        everyone = own[own["stratum"] == "all"]
        units = f"{everyone['n_units'].max()} {everyone['unit'].iloc[0]}s" if len(everyone) else ""
        text = (
            f"Later readings against the first. Intervals resample {units}. Near: one signal more or less of a colour "
            "moves the call over the threshold."
        )
        title = f"Cells, {str(relation).replace('_', ' ')}: {population}"
        found.append(Section(title, text, (Grid(header, tuple(rows)),), _plots(frames, everyone, relation, population)))
    return found


def _figure(stratum: pd.DataFrame | None, key: tuple[str, str]) -> str:
    if stratum is None or key not in stratum.index:
        return "–"
    row = stratum.loc[key]
    share = f"{row['numerator']}/{row['n_items']} = " if pd.notna(row["numerator"]) else ""
    ends = f" ({row['low']:.3f} to {row['high']:.3f})" if np.isfinite(row["low"]) else ""
    return f"{share}{number(float(row['value']), 3)}{ends}" + ("" if share else f", n {row['n_items']}")


def _plots(frames: Frames, everyone: pd.DataFrame, relation: str, population: str) -> tuple[Plot, ...]:
    told = everyone[everyone["statistic"].str.removesuffix(", log scale").isin(SHOWN) & everyone["value"].notna()]
    lines = [
        {"label": f"{row['quantity']}: {row['statistic']}"} | {n: row[n] for n in ("value", "low", "high")}
        for row in told.to_dict("records")
    ]
    plots = [Plot("Agreement of readings", agreement_forest(lines), 0.9 + 0.17 * len(lines), 2.2)] if lines else []
    first, later = _ratio_pairs(frames["readings"], relation, population)
    if len(first) >= 3:
        plots.append(Plot("Ratio of a cell in two readings", ratio_differences(first, later), 2.6))
    return tuple(plots)


def _ratio_pairs(readings: pd.DataFrame, relation: str, population: str) -> tuple[np.ndarray, np.ndarray]:
    own = readings[readings["kind"] == "ctc"] if population == "CTC" else readings
    keys = ["group", "item"]
    base = own[(own["relation"] == "first") & (own["ratio"] > 0)][[*keys, "ratio"]]
    wanted = "reader" if relation == "program and readers" else relation
    again = own[(own["relation"] == wanted) & (own["ratio"] > 0)][[*keys, "ratio"]]
    both = base.merge(again, on=keys, suffixes=("_first", "_later"))
    return both["ratio_first"].to_numpy(float), both["ratio_later"].to_numpy(float)


def _patients(frames: Frames) -> Section | None:
    table = frames["statistics"]
    own = table[table["level"] == "patient"]
    if not len(own):
        return None
    rows = []
    for relation, part in own.groupby("relation", sort=False):
        indexed = part.set_index(["quantity", "statistic"])
        rows += [(str(relation).replace("_", " "), s, _figure(indexed, ("eligible", s))) for s in part["statistic"]]
    text = "Eligibility by the run's rule, every reading by its own CTC; patients are the items."
    return Section("Patients", text, (Grid(("relation", "figure", "value (95 %)"), tuple(rows)),))
