"""Sections on technical failure and on the slides of a run."""

from __future__ import annotations

import pandas as pd

from ctcfish.report.qc_page import Grid, Page, Plot, Section
from ctcfish.report.qc_plots import bars
from ctcfish.report.words import number

FACTORS = ("operator", "scanner", "probe_lot")


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
    flow = Plot("Samples that passed each step", bars(labels, counts, "samples"), 2.6)
    found = [Section("From samples to evaluable CTC", text, (Grid(header, tuple(rows)),), (flow,))]
    return [*found, _pareto(reasons)] if len(reasons) else found


def _pareto(reasons: pd.DataFrame) -> Section:
    everyone = reasons[reasons["factor"] == "all"]
    plots = [
        Plot(
            f"Reasons of failure, {level}s",
            bars([str(r) for r in own["reason"]], [int(n) for n in own["failed"]], f"{level}s failed"),
            1.1 + 0.2 * len(own),
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


def image_page(checks: pd.DataFrame, title: str, origin: str) -> Page:
    """The page of one image."""
    return Page(title, origin, (slide_section(checks),))
