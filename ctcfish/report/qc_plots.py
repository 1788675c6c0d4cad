"""Plots of the laboratory's quality control; each draws into given axes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from ctcfish.stats.control import Drift

BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#999999"
"""Okabe and Ito's palette."""

MOST_DOTS, MOST_MARKS = 300, 40
"""Results up to which each is a dot, and changes of lot or scanner that are named."""

Draw = Callable[[Axes], None]


def _bare(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)


def ratio_differences(first: NDArray[np.float64], later: NDArray[np.float64]) -> Draw:
    """Bland-Altman on the log scale: later over first reading against their geometric mean."""

    def draw(axes: Axes) -> None:
        shift = (np.arange(len(first)) * 0.381966 % 1 - 0.5) * 0.04  # equal cells lie on one point
        logs = np.log(later / first) if len(first) else np.array([])
        axes.scatter(np.sqrt(first * later) * np.exp(shift), np.exp(logs + shift / 2), s=6, color=BLUE, alpha=0.5)
        if len(logs) > 1:
            for reach, style in ((0.0, "-"), (-1.96, "--"), (1.96, "--")):
                axes.axhline(float(np.exp(logs.mean() + reach * logs.std(ddof=1))), color="black", lw=0.8, ls=style)
        axes.axvline(2.2, color=ORANGE, lw=0.8)
        axes.set(
            xscale="log", yscale="log", xlabel="HER2/CEP17, mean of two readings (line: 2.2)", ylabel="later / first"
        )
        ticks = [0.25, 0.5, 1, 2, 4, 8]
        axes.set_xticks(ticks, [f"{t:g}" for t in ticks])
        axes.set_yticks([0.25, 0.5, 1, 2, 4], ["0.25", "0.5", "1", "2", "4"])
        axes.minorticks_off()
        _bare(axes)

    return draw


def readings_in_order(values: pd.DataFrame, limit_percent: float) -> Draw:
    """One value per reading in their order, days as bands, with the mean and the accepted spread around it.

    Parameters
    ----------
    values : pandas.DataFrame
        ``value`` and ``day``, a row a reading.
    limit_percent : float
        Accepted coefficient of variation; the band is twice as wide on either side.
    """

    def draw(axes: Axes) -> None:
        numbers, days = values["value"].to_numpy(float), values["day"].fillna("").astype(str).tolist()
        mean = float(np.nanmean(numbers))
        half = 2 * limit_percent / 100 * mean
        axes.axhspan(mean - half, mean + half, color="#e8f3ea")
        axes.axhline(mean, color="black", lw=0.8)
        for start in range(1, len(days)):
            if days[start] != days[start - 1]:
                axes.axvline(start - 0.5, color=GREY, lw=0.6)
        axes.plot(numbers, "o-", color=BLUE, markersize=3.5, lw=0.8)
        axes.set(
            xlabel="reading, days divided by lines", ylabel="sum HER2 / sum CEP17", xlim=(-0.6, len(numbers) - 0.4)
        )
        _bare(axes)

    return draw


def agreement_forest(rows: Sequence[Mapping[str, object]]) -> Draw:
    """Figures of agreement with their intervals, one a line."""

    def draw(axes: Axes) -> None:
        for line, row in enumerate(rows):
            value, low, high = (float(str(row[name])) for name in ("value", "low", "high"))
            axes.plot([low, high], [line, line], color=GREY, lw=1.5)
            axes.plot([value], [line], "o", color=BLUE, markersize=4)
        axes.set_yticks(range(len(rows)), [str(row["label"]) for row in rows])
        axes.set(ylim=(len(rows) - 0.4, -0.6), xlim=(-0.05, 1.05), xlabel="agreement, 95 % interval")
        _bare(axes)

    return draw


def bars(labels: Sequence[str], counts: Sequence[int], xlabel: str) -> Draw:
    """Horizontal bars with their numbers, the first on top."""

    def draw(axes: Axes) -> None:
        axes.barh(range(len(labels)), counts, color=BLUE, height=0.65)
        for line, count in enumerate(counts):
            axes.text(count, line, f" {count}", va="center", fontsize=7)
        axes.set_yticks(range(len(labels)), labels)
        axes.set(ylim=(len(labels) - 0.4, -0.6), xlabel=xlabel, xlim=(0, max([1, *counts]) * 1.12))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        _bare(axes)

    return draw


def levey_jennings(
    z: NDArray[np.float64], broken: NDArray[np.bool_], marks: Sequence[tuple[int, str]], average: Drift
) -> Draw:
    """Results in standard deviations from the target, broken rules marked, lots and scanners where they change.

    Parameters
    ----------
    z : ndarray, (n,)
    broken : ndarray of bool, (n,)
        Results that break a rule that rejects.
    marks : sequence of (int, str)
        First result of a lot or scanner, and its name.
    average : Drift
        Exponentially weighted moving average, drawn over the results with its own limits.
    """

    def draw(axes: Axes) -> None:
        axes.axhspan(-2, 2, color="#e8f3ea")
        for level, style in ((0.0, "-"), (-3.0, "--"), (3.0, "--")):
            axes.axhline(level, color="black", lw=0.7, ls=style)
        axes.plot(np.clip(z, -6, 6), "o-" if len(z) <= MOST_DOTS else "-", color=BLUE, lw=0.7, markersize=2.5)
        axes.plot(np.clip(average.high, -6, 6), color=GREEN, lw=1.2)
        for side in (-1, 1):
            axes.plot(side * average.limit, color=GREEN, lw=0.6, ls=":")
        at = np.flatnonzero(broken)
        axes.plot(at, np.clip(z[at], -6, 6), "s", color=ORANGE, markersize=4, ls="none")
        for place, name in marks[-MOST_MARKS:]:
            axes.axvline(place - 0.5, color=GREY, lw=0.6, ls=":")
            axes.text(place, 5.6, name, fontsize=5.5, rotation=90, va="top", color="#555555")
        axes.set(ylim=(-6, 6), xlim=(-1, len(z)), xlabel="result", ylabel="SD from target")
        _bare(axes)

    return draw


def cumulative_sums(sums: Drift) -> Draw:
    """Cumulative sums of deviations upwards and downwards, with their limit on both sides."""

    def draw(axes: Axes) -> None:
        axes.plot(sums.high, color=BLUE, lw=0.8)
        axes.plot(-sums.low, color=BLUE, lw=0.8)
        for side in (-1, 1):
            axes.plot(side * sums.limit, color="black", lw=0.7, ls="--")
        axes.set(xlim=(-1, len(sums.high)), xlabel="result", ylabel="cumulative sum")
        _bare(axes)

    return draw
