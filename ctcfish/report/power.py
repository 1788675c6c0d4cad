"""Power of the assay as text and picture."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from ctcfish.report.plots import plain_ticks, svg_of
from ctcfish.report.words import number
from ctcfish.types import ErrorRates

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#000000")
"""Okabe and Ito's palette."""

LINES = ("-", "--", "-.", ":", "-", "--", "-.")


def power_text(table: pd.DataFrame, rates: ErrorRates) -> str:
    """A table a person can read: a block per rule, a row per number of CTC.

    Parameters
    ----------
    table : pandas.DataFrame
        :data:`ctcfish.tables.POWER`.
    rates : ErrorRates
    """
    where = f"{rates.n_leukocytes} leukocytes" if rates.origin == "slide" else "the configured rates (no slide given)"
    lines = [f"error rates from {where}; research use only"]
    for rule, own in table.groupby("rule", sort=False):
        first = own.iloc[0]
        lines.append(
            f"\n{rule} rule: a truly amplified CTC is called with {first['sensitivity_per_cell']:.1%}, "
            f"another with {first['false_call_per_cell']:.3%}; power to find at least one, by true share of "
            f"amplified CTC:"
        )
        wide = own.pivot_table(index="n_ctc", columns="share", values="power")
        wide.columns = [f"{share:.1%}" for share in wide.columns]
        limits = own.drop_duplicates("n_ctc").set_index("n_ctc")[["limit_of_blank", "limit_of_detection"]]
        shown = wide.map(lambda value: f"{value:.3f}").join(limits.map(lambda value: number(value, 3)))
        lines.append(shown.to_string())
    return "\n".join(lines)


def power_plot(table: pd.DataFrame) -> str:
    """SVG: power against the number of CTC, a line per true share, a panel per rule."""
    figure = Figure(figsize=(9.0, 3.8))
    panels = figure.subplots(1, 2, sharey=True)
    for axes, (rule, own) in zip(panels, table.groupby("rule", sort=False), strict=True):
        for k, (share, line) in enumerate(own.groupby("share", sort=True), start=-1):
            label = "none (error alone)" if share == 0 else f"{share:.1%}"
            style: dict[str, Any] = {"color": COLOURS[k % len(COLOURS)], "linestyle": LINES[k % len(LINES)]}
            if share == 0:
                style = {"color": "#999999", "linestyle": (0, (1, 1))}
            axes.plot(line["n_ctc"].astype(float), line["power"], marker="o", markersize=3, label=label, **style)
        axes.set(xscale="log", xlabel="evaluable CTC", title=f"{rule} rule", ylim=(-0.02, 1.02))
        axes.set_xticks(sorted(own["n_ctc"].astype(float).unique()))
        plain_ticks(axes.xaxis)
        axes.axhline(0.05, color="#999999", linewidth=0.8)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("P(at least one called amplified)")
    panels[1].legend(title="true share", fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return svg_of(figure)
