"""The page of the control charts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ctcfish.report.qc_page import Grid, Page, Plot, Section
from ctcfish.report.qc_plots import cumulative_sums, levey_jennings
from ctcfish.report.words import number
from ctcfish.stats.control import Drift

NEWEST = 25
"""Broken rules printed; the CSV has all."""


@dataclass(frozen=True)
class Charted:
    """One chart as it is drawn.

    Attributes
    ----------
    name : str
    z : ndarray, (n,)
    broken : ndarray of bool, (n,)
    marks : sequence of (int, str)
        Where lots and scanners change.
    cusum, ewma : Drift
    """

    name: str
    z: NDArray[np.float64]
    broken: NDArray[np.bool_]
    marks: Sequence[tuple[int, str]]
    cusum: Drift
    ewma: Drift


def control_page(charts: pd.DataFrame, broken: pd.DataFrame, drawn: Sequence[Charted], asked: tuple[str, str]) -> Page:
    """Charts of a history.

    Parameters
    ----------
    charts, broken : pandas.DataFrame
        One row a chart, one row a broken rule.
    drawn : sequence of Charted
    asked : (str, str)
        What is to be released, and why it is held back; empty where it is not.
    """
    of, verdict = asked
    rows = tuple(
        (
            *(str(row[name]) for name in ("material", "quantity", "n")),
            *(number(row[name], 3) for name in ("target", "spread", "last", "last_z", "cut_off")),
            str(row["origin"]),
        )
        for row in charts.to_dict("records")
    )
    header = ("material", "quantity", "results", "target", "SD", "newest", "newest in SD", "cut-off", "target from")
    rejected = broken[~broken["warning"].astype(bool)].tail(NEWEST)
    rules = tuple(
        (*(str(row[n]) for n in ("material", "quantity", "rule", "run", "slide_id")), number(row["z"]), row["involved"])
        for row in rejected.to_dict("records")
    )
    said = (of, "held back" if verdict else "may go")
    release = Grid(("release of", "verdict"), (said,), ("red" if verdict else "green",))
    text = (
        "Rules of Westgard: 1-2s warns; 1-3s, 2-2s, R-4s, 4-1s and 10x reject. Cut-off: inverse beta from normal cells."
    )
    sections = [
        Section("Release", verdict or "No gated rule is broken.", (release,)),
        Section("Charts", text, (Grid(header, rows),)),
        Section(
            "Newest broken rules", "", (Grid(("material", "quantity", "rule", "run", "slide", "SD", "runs"), rules),)
        ),
        *(_section(chart) for chart in drawn),
    ]
    return Page("Control charts", f"{int(charts['n'].sum())} results.", tuple(sections))


def _section(chart: Charted) -> Section:
    title = "Levey-Jennings; squares break a rule; green: EWMA, weight 0.2, with its limits"
    plots = (
        Plot(title, levey_jennings(chart.z, chart.broken, chart.marks, chart.ewma), 2.5),
        Plot("CUSUM, k = 0.5, h = 5", cumulative_sums(chart.cusum), 1.7),
    )
    return Section(chart.name, "", (), plots)
