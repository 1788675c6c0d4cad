"""The reliability curve as a picture."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from ctcfish.report.plots import plain_ticks, svg_of
from ctcfish.stats.calibration import Reliability

STYLES = (("#0072B2", "o", "-"), ("#D55E00", "s", "--"), ("#009E73", "D", "-."), ("#CC79A7", "^", ":"))
"""Colour, marker and line of each curve: told apart in grey as well."""


def reliability_plot(curves: Mapping[str, Reliability]) -> str:
    """SVG: share that came true against the probability given, with exact 95 % intervals, and how many cells.

    Parameters
    ----------
    curves : mapping of str to Reliability
        At most four, by name, of the same bins.
    """
    figure = Figure(figsize=(5.2, 5.4))
    axes, below = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": (3, 1), "hspace": 0.08})
    axes.plot([0, 1], [0, 1], color="#999999", linewidth=1, label="perfect")
    for k, ((name, curve), (colour, marker, line)) in enumerate(zip(curves.items(), STYLES, strict=False)):
        used = curve.n > 0
        x, y = curve.predicted[used], curve.observed[used]
        ends = np.clip([y - curve.low[used], curve.high[used] - y], 0, None)
        label = f"{name} (ECE {curve.error:.3f})"
        axes.errorbar(x, y, yerr=ends, color=colour, marker=marker, linestyle=line, label=label, **_THIN)
        width = 0.8 * np.diff(curve.edges) / len(curves)
        below.bar(curve.edges[:-1] + (k + 0.6) * width, curve.n, width, color=colour, label=name)
    axes.set(ylabel="share truly amplified", ylim=(-0.03, 1.03), title="Posterior against truth")
    axes.legend(fontsize=8, frameon=False, loc="upper left")
    below.set(xlabel="p_amplified", ylabel="cells", yscale="symlog", xlim=(-0.02, 1.02))
    plain_ticks(below.yaxis)
    for own in (axes, below):
        own.spines[["top", "right"]].set_visible(False)
    return svg_of(figure)


_THIN = {"markersize": 4, "linewidth": 1, "elinewidth": 0.8, "capsize": 2}
