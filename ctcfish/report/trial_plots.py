"""Pictures of the trial: each draws itself into axes; shapes tell apart what colours do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ctcfish.stats.proportions import clopper_pearson
from ctcfish.stats.survival import IntervalCurve, KaplanMeier
from ctcfish.trial.decision import Decision
from ctcfish.trial.finding import Finding
from ctcfish.trial.flow import Step

BLUE, ORANGE, GREEN, GREY, PINK = "#0072B2", "#D55E00", "#009E73", "#999999", "#CC79A7"
"""Okabe and Ito's palette."""

BEST = {"CR": GREEN, "PR": GREEN, "SD": BLUE, "NON_CR_NON_PD": BLUE, "PD": ORANGE, "NE": GREY}
GRADES = ("#fee5d9", "#fcae91", "#fb6a4a", "#cb181d", "#4a0006")
"""Grades 1 to 5: dark is severe, so that grey prints read the same."""

MOST_LABELS = 45


def flow(axes: Axes, steps: Sequence[Step]) -> None:
    """Boxes from screened to response-evaluable, who left at the side."""
    axes.set_axis_off()
    axes.set(xlim=(0, 10), ylim=(-len(steps) + 0.4, 0.6))
    box = {"boxstyle": "square,pad=0.35", "facecolor": "white", "edgecolor": "black", "linewidth": 0.8}
    arrow = {"arrowstyle": "-|>", "color": "black", "linewidth": 0.8}
    for row, step in enumerate(steps):
        share = "" if step.share is None else f" ({100 * step.share.value:.1f} % of those {step.share.population})"
        if step.share is not None and not step.share.denominator:
            share = f" (of 0 {step.share.population})"
        axes.text(2.8, -row, f"{step.name}\nn = {step.n}{share}", ha="center", va="center", fontsize=8, bbox=box)
        if row:
            axes.annotate("", (2.8, -row + 0.3), (2.8, -row + 0.7), arrowprops=arrow)
        if step.left:
            axes.annotate("", (6.0, -row + 0.5), (2.8, -row + 0.5), arrowprops=arrow)
            told = "\n".join(f"{reason}: {n}" for reason, n in step.left)
            axes.text(6.1, -row + 0.5, told, ha="left", va="center", fontsize=7.5, bbox=box | {"edgecolor": GREY})


def kaplan_meier(axes: Axes, curve: KaplanMeier, beside: IntervalCurve | None = None) -> None:
    """Survival with its log(-log) band, censoring marks and numbers at risk; the interval-censored curve dashed."""
    end = float(curve.durations[-1]) if curve.durations.size else 1.0
    time = np.concatenate([[0.0], curve.time, [end]])
    for values, style in ((curve.survival, "-"), (curve.low, ":"), (curve.high, ":")):
        drawn = np.concatenate([[1.0], values, values[-1:] if values.size else [1.0]])
        axes.step(time, drawn, where="post", color=BLUE, linestyle=style, linewidth=1.4 if style == "-" else 0.8)
    seen = np.concatenate([[1.0], curve.survival])
    for moment, n in zip(*np.unique(curve.durations, return_counts=True), strict=True):
        died = int(curve.events[curve.time == moment].sum())
        if n > died:
            axes.plot(moment, seen[np.searchsorted(curve.time, moment, side="right")], "|", color="black", markersize=7)
    if beside is not None and beside.mass.size:
        left = 1 - np.concatenate([[0.0], np.cumsum(beside.mass)[:-1]])
        for start, stop, before, mass in zip(beside.left, beside.right, left, beside.mass, strict=True):
            stop = min(float(stop), end)
            axes.plot([start, stop], [before, before - mass], color=ORANGE, linestyle="--", linewidth=1)
    step = next((s for s in (1, 2, 3, 6, 12, 24) if end / s <= 9), max(end / 6, 1e-9))
    ticks = np.arange(0, end + 1e-9, step)
    axes.text(-0.02 * end, -0.12, "at risk", ha="left", va="center", fontsize=7, color="#555555")
    for tick, n in zip(ticks, curve.number_at_risk(ticks), strict=True):
        axes.text(tick, -0.22, str(n), ha="center", va="center", fontsize=7)
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set(xlabel="months from the first dose", ylabel="share", ylim=(-0.3, 1.05), xlim=(-0.03 * end, 1.03 * end))
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1])
    _plain(axes)


def waterfall(axes: Axes, treated: pd.DataFrame) -> None:
    """Best change of the sum of diameters, a bar a patient, coloured and hatched by best overall response."""
    own = treated[treated["best_change"].notna()].sort_values("best_change", ascending=False, kind="stable")
    place = np.arange(len(own))
    for best in own["best"].unique():
        hit = (own["best"] == best).to_numpy()
        hatch = {"PD": "//", "CR": "xx", "PR": ".."}.get(best, "")
        change = 100 * own["best_change"].to_numpy(float)[hit]
        look = {"width": 0.8, "edgecolor": "white"} if len(own) <= MOST_LABELS else {"width": 1.0, "linewidth": 0.0}
        axes.bar(place[hit], change, color=BEST[best], hatch=hatch, label=shown(best), **look)
    for limit in (-30, 20):
        axes.axhline(limit, color="black", linewidth=0.7, linestyle="--")
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set(ylabel="best change, %", xlabel=f"{len(own)} of {len(treated)} treated patients with a measured change")
    _names(axes.set_xticks, own["patient_id"].tolist(), rotation=90)
    _legend(axes)


def spider(axes: Axes, assessments: pd.DataFrame, responders: Sequence[str]) -> None:
    """Change of the sum of diameters over time, a line a patient; responders with filled marks."""
    for patient, own in assessments[assessments["change"].notna()].groupby("patient_id", sort=True):
        weeks = np.concatenate([[0.0], own["day"].to_numpy(float)]) / 7
        change = 100 * np.concatenate([[0.0], own["change"].to_numpy(float)])
        axes.plot(weeks, change, **_look(patient in responders))
    for limit in (-30, 20):
        axes.axhline(limit, color="black", linewidth=0.7, linestyle="--")
    axes.set(xlabel="weeks from the first dose (green, filled: responders)", ylabel="change, %")
    _plain(axes)


def forest(axes: Axes, findings: Sequence[Finding], percent: bool = True) -> None:
    """Values with their intervals, a row a figure; k/n at the side."""
    shown = [f for f in findings if f.estimate.is_defined]
    scale = 100.0 if percent else 1.0
    for row, f in enumerate(shown):
        e = f.estimate
        ends = [scale * (e.value - e.low), scale * (e.high - e.value)]
        if all(math.isfinite(end) for end in ends):
            axes.errorbar(scale * e.value, row, xerr=[[ends[0]], [ends[1]]], color=BLUE, capsize=2, linewidth=1)
        axes.plot(scale * e.value, row, "s", color=BLUE, markersize=4)
        count = f"{f.numerator}/{f.n}" if f.numerator is not None else f"n = {f.n}"
        axes.text(0.995, row - 0.32, count, transform=axes.get_yaxis_transform(), fontsize=6.5, va="center", ha="right")
    _rows(axes, [f.label.title for f in shown])
    axes.set(xlabel="%" if percent else "value")


def ratios(axes: Axes, findings: Sequence[Finding]) -> None:
    """Odds and hazard ratios with their intervals on a logarithmic axis, cut at 1:1,000; no effect at the line."""
    forest(axes, [f for f in findings if "ratio" in f.unit], percent=False)
    axes.axvline(1, color="black", linewidth=0.7, linestyle="--", zorder=0)
    for text in axes.texts:  # the line does not run through the names
        text.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 0.5})
    _log(axes, "x")
    low, high = axes.get_xlim()
    axes.set(xlim=(max(low, 1e-3), min(high, 1e3)), xlabel="ratio (log scale; over 1: more with the larger value)")


def shares(axes: Axes, positive: pd.DataFrame) -> None:
    """Amplified share of every positive patient with its exact interval, LOW and HIGH by shape."""
    own = positive[positive["n_evaluable"] > 0].sort_values("fraction", kind="stable")
    k, n = (own[c].to_numpy(float).astype(np.int64) for c in ("n_amplified", "n_evaluable"))
    low, high = clopper_pearson(k, n)
    place = np.arange(len(own))
    cohorts = sorted(own["cohort"].dropna().unique(), reverse=True)
    for cohort, marker, colour in zip(cohorts, "os^D", (BLUE, ORANGE, GREEN, PINK), strict=False):
        hit = (own["cohort"] == cohort).to_numpy()
        value = (k / np.maximum(n, 1))[hit]
        ends = np.clip(np.array([value - low[hit], high[hit] - value]), 0, None)
        axes.errorbar(
            place[hit], 100 * value, 100 * ends, fmt=marker, color=colour, markersize=4, linewidth=0.8, label=cohort
        )
    _log(axes, "y")
    axes.set(ylabel="amplified share, %", xlabel="patients with amplified CTC, by their share")
    _names(axes.set_xticks, own["patient_id"].tolist(), rotation=90)
    _legend(axes)


def efficacy(axes: Axes, treated: pd.DataFrame) -> None:
    """Time to progression against amplified share; the mark grows with the number of amplified CTC."""
    months = treated["pfs_days"].to_numpy(float) / 30.4375
    size = 12 + 12 * np.log2(1 + treated["n_amplified"].fillna(0).to_numpy(float))
    for best in treated["best"].unique():
        hit = (treated["best"] == best).to_numpy()
        marker = {"CR": "*", "PR": "*", "PD": "X", "NE": "d"}.get(best, "o")
        share = 100 * treated["fraction"].to_numpy(float)[hit]
        axes.scatter(share, months[hit], s=size[hit], c=BEST[best], marker=marker, label=shown(best))
    _log(axes, "x")
    axes.set(xlabel="amplified share of CTC, % (size: number)", ylabel="progression-free, months")
    _legend(axes)


def course(axes: Axes, table: pd.DataFrame, responders: Sequence[str]) -> None:
    """CTC number over time, a line a patient; responders with filled marks."""
    for patient, own in table[table["ctc"].notna() & table["day"].notna()].groupby("patient_id", sort=True):
        axes.plot(own["day"].to_numpy(float) / 7, own["ctc"].to_numpy(float), **_look(patient in responders))
    _counts(axes, float(table["ctc"].max()) if len(table) else 0.0)
    axes.set(xlabel="weeks from the first dose (green, filled: responders)", ylabel="CTC per 7.5 mL")
    _plain(axes)


def pairs(axes: Axes, table: pd.DataFrame, unit: str, responders: Sequence[str]) -> None:
    """Before and during treatment, a line a patient; responders with filled marks."""
    for row in table.to_dict("records"):
        axes.plot([0, 1], [row["before"], row["during"]], **_look(row["patient_id"] in responders))
    _counts(axes, float(table[["before", "during"]].max(axis=None)) if len(table) else 0.0)
    axes.set(xlim=(-0.3, 1.3), ylabel=unit)
    axes.set_xticks([0, 1], ["before", "during (green, filled: responders)"])
    _plain(axes)


def changes(axes: Axes, table: pd.DataFrame, fall_percent: float) -> None:
    """Relative change of the CTC number, a bar a patient (rises cut at +200 %)."""
    own = table[table["change"].notna()].sort_values("change", ascending=False, kind="stable")
    value = 100 * own["change"].to_numpy(float)
    axes.bar(np.arange(len(own)), np.minimum(value, 200), color=np.where(value <= -fall_percent, GREEN, GREY))
    axes.axhline(-fall_percent, color="black", linewidth=0.7, linestyle="--")
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set(ylabel="change of CTC, %", ylim=(-105, 55 if value.max(initial=0) <= 50 else 205))
    axes.set_xlabel(f"{len(own)} treated patients counted at both visits (green: a fall of {fall_percent:g} % or more)")
    _names(axes.set_xticks, own["patient_id"].tolist(), rotation=90)
    _plain(axes)


def toxicity(axes: Axes, worst: pd.DataFrame) -> None:
    """Patients by term and worst grade."""
    left = np.zeros(len(worst))
    for grade, colour in zip(worst.columns, GRADES, strict=True):
        values = worst[grade].to_numpy(float)
        axes.barh(
            np.arange(len(worst)),
            values,
            0.4,
            left,
            color=colour,
            edgecolor="black",
            linewidth=0.4,
            label=f"grade {grade}",
        )
        left = left + values
    axes.set(xlabel="treated patients, by worst grade")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _legend(axes)
    _rows(axes, [str(term) for term in worst.index])


def sensitivity(axes: Axes, table: pd.DataFrame) -> None:
    """A conclusion under every other choice."""
    for row, line in enumerate(table.to_dict("records")):
        scale = 100.0 if line["unit"] == "share" else 1.0
        value, low, high = (scale * float(line[name]) for name in ("value", "low", "high"))
        if all(map(math.isfinite, (value, low, high))):
            axes.plot([low, high], [row, row], color=BLUE, linewidth=1)
        axes.plot(value, row, "s", color=BLUE, markersize=4)
        count = f"{int(line['numerator'])}/{line['n']}" if pd.notna(line["numerator"]) else f"n = {line['n']}"
        axes.text(0.995, row - 0.32, count, transform=axes.get_yaxis_transform(), fontsize=6.5, va="center", ha="right")
    _rows(axes, [f"{k}: {s}" for k, s in zip(table["kind"], table["setting"], strict=True)])
    axes.set(xlabel="%" if (table["unit"] == "share").all() else "months")


def operating(axes: Axes, table: pd.DataFrame) -> None:
    """Power (filled) and share of treated patients who are positive by error alone (open), by the cells' error."""
    errors = sorted(table["cell_error"].unique())
    for cohort, marker, colour in zip(table["cohort"].unique(), "os^D", (BLUE, ORANGE, GREEN, PINK), strict=False):
        own = table[table["cohort"] == cohort].set_index("cell_error").reindex(errors)
        place = np.arange(len(errors))
        axes.plot(place, 100 * own["success"], marker=marker, color=colour, label=f"{cohort}: active")
        axes.plot(
            place,
            100 * own["false_share"],
            marker,
            ls=":",
            color=colour,
            mfc="white",
            label=f"{cohort}: by error",
        )
    axes.set_xticks(range(len(errors)), [f"{100 * e:g} %" for e in errors])
    axes.set(
        xlabel="probability that a CTC is falsely called amplified",
        ylabel="declared active; treated by error, %",
        ylim=(-3, 103),
    )
    _legend(axes)


def designs(axes: Axes, decision: Decision) -> None:
    """Admissible designs: largest number against expected number under p0."""
    plan = decision.plan
    hull = [(d.design.n, d.expected) for d in plan.admissible]
    axes.plot(*zip(*hull, strict=True), "-o", color=GREY, markersize=4, label="admissible")
    for name, figures, marker, colour in (
        ("optimal", plan.optimal, "s", BLUE),
        ("minimax", plan.minimax, "^", GREEN),
        ("used here", plan.chosen, "*", ORANGE),
    ):
        d = figures.design
        label = f"{name}: {d.r1}/{d.n1}, {d.r}/{d.n}"
        axes.plot(d.n, figures.expected, marker, color=colour, markersize=9, ls="", mfc="none", label=label)
    axes.set(xlabel="largest number of patients", ylabel=f"expected under p0 = {decision.design.p0:g}")
    _legend(axes)


def shown(best: str) -> str:
    """A response as it is written."""
    return best.replace("NON_CR_NON_PD", "non-CR/non-PD")


def _look(responder: bool) -> dict[str, Any]:
    """How the line of a patient is drawn."""
    if responder:
        return {"color": GREEN, "marker": "o", "linewidth": 1.3, "markersize": 4}
    return {"color": GREY, "marker": "x", "linewidth": 0.8, "markersize": 4}


def _names(setter: object, names: list[str], rotation: int = 0) -> None:
    few = names if len(names) <= MOST_LABELS else []
    setter(range(len(few)), few, fontsize=6.5, rotation=rotation)  # type: ignore[operator]


def _rows(axes: Axes, names: Sequence[str]) -> None:
    """Rows from the top, each with its name above its line: names of any length fit on screen and on paper."""
    for row, name in enumerate(names):
        axes.text(0.005, row - 0.32, name, transform=axes.get_yaxis_transform(), fontsize=6.5, va="center")
    axes.set(ylim=(len(names) - 0.4, -0.7))
    axes.set_yticks([])
    _plain(axes)


def _decimal(number: float, _: float) -> str:
    return f"{number:g}"


def _log(axes: Axes, side: str) -> None:
    """A logarithmic axis with plain numbers."""
    axis = axes.yaxis if side == "y" else axes.xaxis
    (axes.set_yscale if side == "y" else axes.set_xscale)("log")
    low, high = axes.get_ylim() if side == "y" else axes.get_xlim()
    powers = 10.0 ** np.arange(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1,), (1, 2, 5), range(1, 10)):
        ticks = np.outer(powers, steps).ravel()
        ticks = ticks[(ticks >= low) & (ticks <= high)]
        if ticks.size >= 3:
            break
    else:
        ticks = np.asarray(MaxNLocator(4).tick_values(low, high))
        ticks = ticks[(ticks >= low) & (ticks <= high)]
    axis.set_ticks(ticks)
    axis.set_major_formatter(_decimal)
    axis.set_minor_formatter("")


def _counts(axes: Axes, most: float) -> None:
    """A vertical axis of numbers from 0 on, logarithmic above 1 where they spread over more than one power of ten."""
    if most > 20:
        axes.set_yscale("symlog", linthresh=1)
        axes.yaxis.set_major_formatter(_decimal)
    axes.set_ylim(bottom=-0.15 if most > 20 else -0.02 * axes.get_ylim()[1])


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)


def _legend(axes: Axes) -> None:
    """Over the plot's right end, where no mark can lie under it."""
    _plain(axes)
    labels = axes.get_legend_handles_labels()[1]
    if labels:
        place: dict[str, Any] = {"loc": "lower right", "bbox_to_anchor": (1.0, 1.0), "ncols": len(labels)}
        axes.legend(fontsize=6.5, frameon=False, borderaxespad=0.2, handletextpad=0.4, columnspacing=1.2, **place)
