"""Sections on technical failure and on the slides of a run."""

from __future__ import annotations

import pandas as pd

from ctcfish.report.qc_page import Grid, Page, Plot, Section
from ctcfish.report.qc_plots import bars
from ctcfish.report.words import number

KEPT = {"nuclei": 0, "focus": 2, "hybridised_percent": 1, "chromatic_shift_um": 2}
"""Checks shown for every slide of a run, with their digits."""


def failure_sections(steps: pd.DataFrame, reasons: pd.DataFrame) -> list[Section]:
    """The way from samples to evaluable CTC, and why some did not arrive.

    Parameters
    ----------
    steps, reasons : pandas.DataFrame
        :data:`ctcfish.qc.tables.STEPS` and :data:`ctcfish.qc.tables.REASONS`.
    """
    rows = []
    for row in steps.to_dict("records"):
        valid = row["code"] == "S2"
        share = (
            f"{100 * row['share']:.1f} % ({100 * row['low']:.1f} to {100 * row['high']:.1f})" if row["reached"] else "–"
        )
        away = row["reached"] - row["passed"]
        told = f"{away} leave with a valid result" if valid else f"{row['failed']}/{row['reached']} = {share}"
        rows.append((row["step"], row["code"], row["population"], told, str(row["passed"])))
    header = ("step", "code", "denominator", "failed (exact 95 %)", "go on")
    text = (
        "A sample fails at the first step that fails, and is in no later denominator. S2, no CTC, is a valid result. "
        "Replicates and control slides are no samples."
    )
    labels = ["samples", *(str(step) for step in steps["step"])]
    counts = [int(steps["reached"].iloc[0]), *(int(n) for n in steps["passed"])]
    flow = Plot("Samples that passed each step", bars(labels, counts, "samples"), 2.6, 1.2)
    found = [Section("From samples to evaluable CTC", text, (Grid(header, tuple(rows)),), (flow,))]
    return [*found, _pareto(reasons)] if len(reasons) else found


def _pareto(reasons: pd.DataFrame) -> Section:
    everyone = reasons[reasons["factor"] == "all"]
    plots = [
        Plot(
            f"Reasons of failure, {level}s",
            bars([str(r) for r in own["reason"]], [int(n) for n in own["failed"]], f"{level}s failed"),
            1.1 + 0.2 * len(own),
            1.6,
        )
        for level, own in everyone.groupby("level", sort=False)
    ]
    rows = [
        (
            *(str(row[name]).replace("_", " ") for name in ("level", "factor", "value")),
            row["reason"],
            f"{row['failed']}/{row['reached']} {row['population']}",
            f"{100 * row['share']:.1f} %",
            f"{100 * row['cumulative']:.0f} %",
        )
        for row in reasons.to_dict("records")
    ]
    header = ("whose", "by", "value", "reason", "failed of", "share", "cumulative")
    return Section("Why they failed", "The commonest reason first.", (Grid(header, tuple(rows)),), tuple(plots))


def slide_section(checks: pd.DataFrame) -> Section:
    """Traffic lights of slides or images, the worst first."""
    worst = checks["light"].map({"red": 0, "amber": 1, "green": 2}).fillna(3)
    ordered = checks.assign(_worst=worst).sort_values(["_worst", "slide_id"], kind="stable").to_dict("records")
    rows = tuple(
        (
            str(row["slide_id"]),
            str(row["scene"]),
            str(row["check"]).replace("_", " "),
            number(float(row["value"]), 3),
            row["light"] or "–",
            f"{number(row['green'])} / {number(row['red'])}",
            str(row["about"]),
        )
        for row in ordered
    )
    header = ("slide", "scene", "check", "value", "light", "green / red", "of")
    tones = tuple(str(row["light"]) for row in ordered)
    counts = checks["light"].value_counts()
    text = ", ".join(f"{int(counts.get(tone, 0))} {tone}" for tone in ("red", "amber", "green"))
    return Section("Checks of the images", f"Lights by the configured limits: {text}.", (Grid(header, rows, tones),))


def run_section(checks: pd.DataFrame) -> Section:
    """Lights of a run's slides, one row a slide: the worst light and the figures that are not green."""
    rows, tones = [], []
    for slide, own in checks.groupby("slide_id", sort=False):
        tone = next((tone for tone in ("red", "amber") if (own["light"] == tone).any()), "green")
        values = {name: float(part["value"].max()) for name, part in own.groupby("check", sort=False)}
        doubts = [f"{row['check']} {row['value']:.3g}" for row in own[own["light"] != "green"].to_dict("records")]
        shown = (number(values.get(name), digits) for name, digits in KEPT.items())
        rows.append((str(slide), tone, *shown, ", ".join(doubts).replace("_", " ")))
        tones.append(tone)
    order = sorted(range(len(rows)), key=lambda k: (("red", "amber", "green").index(tones[k]), rows[k][0]))
    header = ("slide", "light", *(name.replace("_", " ") for name in KEPT), "not green")
    grid = Grid(header, tuple(rows[k] for k in order), tuple(tones[k] for k in order))
    return Section("Slides", "The worst light of each slide; checks.csv has every check with its limits.", (grid,))


def summary_section(steps: pd.DataFrame, checks: pd.DataFrame, verdict: str | None) -> Section:
    """The few figures of a run that a laboratory files."""
    declared, arrived = int(steps["reached"].iloc[0]), int(steps["passed"].iloc[-1])
    failed = int(steps["failed"].sum())
    worst = checks.assign(rank=checks["light"].map({"red": 2, "amber": 1}).fillna(0)).groupby("slide_id")["rank"].max()
    red, amber = int((worst == 2).sum()), int((worst == 1).sum())
    rows = [
        ("samples with evaluable CTC", f"{arrived} of {declared} declared"),
        ("samples failed", f"{failed} of {declared}"),
    ]
    tones = ["", "red" if failed else "green"]
    rows.append(("slides by their worst light", f"{red} red, {amber} amber, {len(worst) - red - amber} green"))
    tones.append("red" if red else "amber" if amber else "green")
    if verdict is not None:
        rows.append(("release by the controls", verdict or "no gated rule is broken"))
        tones.append("red" if verdict else "green")
    return Section("The run in short", "", (Grid(("figure", "value"), tuple(rows), tuple(tones)),))


def image_page(checks: pd.DataFrame, title: str, origin: str) -> Page:
    """The page of one image."""
    return Page(title, origin, (slide_section(checks),))
