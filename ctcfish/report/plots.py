"""Plots as SVG: legible in print, colour-blind safe, the same bytes each time."""

from __future__ import annotations

import io
from collections.abc import Sequence
from fractions import Fraction

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

mpl.rcParams["text.parse_math"] = False  # a patient called $a$ is no formula

MARKERS = {"ctc": ("o", "#D55E00"), "wbc": ("s", "#999999"), "unknown": ("D", "#0072B2"), "other": ("x", "#CC79A7")}
"""Shape and colour of each kind of cell (Okabe and Ito's palette)."""


def svg_of(figure: Figure, bbox: str | None = "tight") -> str:
    """SVG text of a figure, without date and with stable identifiers; ``bbox`` None keeps the figure's own frame."""
    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "ctcfish", "svg.fonttype": "none", "font.family": "sans-serif"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None}, bbox_inches=bbox)
    return buffer.getvalue().partition("<svg")[1] + buffer.getvalue().partition("<svg")[2]


def counts_plot(cells: pd.DataFrame, cuts: Sequence[tuple[str, Fraction]]) -> str:
    """HER2 against CEP17 per cell, with the rules' lines and the 95 % intervals of CTC.

    Parameters
    ----------
    cells : pandas.DataFrame
    cuts : sequence of (str, Fraction)
        Name and ratio of each line.
    """
    figure = Figure(figsize=(5.2, 4.2))
    axes = figure.add_subplot()
    counted = cells[cells["her2_count"].notna() & cells["cep17_count"].notna()]
    for kind in ("wbc", "other", "unknown", "ctc"):
        _points(axes, counted[counted["kind"] == kind], kind)
    most = max([4, *counted["cep17_count"].tolist()])
    line = np.array([0, most + 1.0])
    for (name, cut), style in zip(cuts, ("-", "--", ":"), strict=False):
        axes.plot(line, line * float(cut), style, color="black", linewidth=1, label=name)
    axes.set(xlabel="CEP17 signals", ylabel="HER2 signals", xlim=(-0.5, most + 1), title="Signals per cell")
    axes.set_ylim(-0.5, max([6, *counted["her2_count"].tolist()]) + 1.5)
    axes.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    axes.spines[["top", "right"]].set_visible(False)
    return svg_of(figure)


def _points(axes: Axes, cells: pd.DataFrame, kind: str) -> None:
    if not len(cells):
        return
    marker, colour = MARKERS[kind]
    # Equal counts lie on one point; a fixed small shift by row keeps them apart.
    shift = (np.arange(len(cells)) * 0.381966 % 1 - 0.5) * 0.5
    x, y = (cells[f"{p}_count"].to_numpy(float) + s for p, s in (("cep17", shift), ("her2", shift[::-1])))
    if kind == "ctc":
        ends = [
            np.clip(np.abs(cells[f"her2_{end}"].to_numpy(float) - cells["her2_count"].to_numpy(float)), 0, None)
            for end in ("low", "high")
        ]
        axes.errorbar(x, y, yerr=ends, fmt="none", ecolor=colour, elinewidth=0.8, alpha=0.6)
    axes.scatter(x, y, s=16, marker=marker, color=colour, label=f"{kind} ({len(cells)})", linewidths=0.8)
