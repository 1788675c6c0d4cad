"""Plots as SVG: legible in print, colour-blind safe, the same bytes each time."""

from __future__ import annotations

import io
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, StrMethodFormatter
from numpy.typing import NDArray

mpl.rcParams["text.parse_math"] = False  # a patient called $a$ is no formula

MARKERS = {"ctc": ("o", "#D55E00"), "wbc": ("s", "#999999"), "unknown": ("D", "#0072B2"), "other": ("x", "#CC79A7")}
"""Shape and colour of each kind of cell (Okabe and Ito's palette)."""

COUNT_TICKS = (0, 1, 2, 4, 6, 10, 15, 20, 30, 40, 60, 80, 100, 150, 200, 300)

FAR = 1000.0
"""Longest interval drawn: an open end leaves the picture."""


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
    top = {probe: max([6, *counted[f"{probe}_count"].tolist()]) * 1.15 for probe in ("her2", "cep17")}
    line = np.linspace(0, top["cep17"], 400)
    for (name, cut), style in zip(cuts, ("-", "--", ":"), strict=False):
        axes.plot(line, line * float(cut), style, color="black", linewidth=1, label=name)
    axes.set(xlabel="CEP17 signals", ylabel="HER2 signals", title="Signals per cell")
    count_axis(axes, "x", top["cep17"])
    count_axis(axes, "y", top["her2"])
    axes.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    axes.spines[["top", "right"]].set_visible(False)
    return svg_of(figure)


def count_axis(axes: Axes, which: Literal["x", "y"], top: float) -> None:
    """Counts on a square-root scale: few signals have room, many fit, and a ratio is a straight line."""
    ticks = [tick for tick in COUNT_TICKS if tick <= top]
    if which == "x":
        axes.set_xscale("function", functions=(_root, _square))
        axes.set_xlim(-0.1, top)
        axes.set_xticks(ticks)
    else:
        axes.set_yscale("function", functions=(_root, _square))
        axes.set_ylim(-0.1, top)
        axes.set_yticks(ticks)
    plain_ticks(axes.xaxis if which == "x" else axes.yaxis)


def _root(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.sign(values) * np.sqrt(np.abs(values)))


def _square(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.sign(values) * np.square(values))


def plain_ticks(axis: Axis) -> None:
    """Ticks as plain numbers: formulas are not typeset, so that a power of ten would be."""
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())


def _points(axes: Axes, cells: pd.DataFrame, kind: str) -> None:
    if not len(cells):
        return
    marker, colour = MARKERS[kind]
    # Equal counts lie on one point; a fixed small shift by row keeps them apart.
    shift = (np.arange(len(cells)) * 0.381966 % 1 - 0.5) * 0.36
    x, y = (np.abs(cells[f"{p}_count"].to_numpy(float) + s) for p, s in (("cep17", shift), ("her2", shift[::-1])))
    if kind == "ctc":
        ends = {
            probe: [
                np.abs(cells[f"{probe}_{end}"] - cells[f"{probe}_count"]).to_numpy(float) for end in ("low", "high")
            ]
            for probe in ("her2", "cep17")
        }
        style: dict[str, Any] = {"fmt": "none", "ecolor": colour, "elinewidth": 0.8, "alpha": 0.6}
        axes.errorbar(x, y, xerr=np.minimum(ends["cep17"], FAR), yerr=np.minimum(ends["her2"], FAR), **style)
    axes.scatter(x, y, s=16, marker=marker, color=colour, label=f"{kind} ({len(cells)})", linewidths=0.8)
