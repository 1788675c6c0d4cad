"""Pages of quality control from tables written by hand."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from ctcfish.qc import tables as declared
from ctcfish.report.qc_control import NEWEST, Charted, control_page
from ctcfish.report.qc_page import Grid, Page, Section, to_html, to_pdf
from ctcfish.report.qc_reproduce import reproduce_page
from ctcfish.report.qc_run import failure_sections, image_page, run_section, slide_section, summary_section
from ctcfish.stats.control import cusum, ewma

RATIO = "sum HER2 / sum CEP17"
KEYS = {"group": "s", "patient_id": "P"}


def statistic(quantity: str, name: str, value: float, **other: object) -> dict[str, object]:
    row: dict[str, object] = {"level": "cell", "relation": "rescan", "population": "CTC", "stratum": "all"}
    row |= {"quantity": quantity, "statistic": name, "value": value, "low": value - 0.1, "high": value + 0.05}
    return row | {"method": "m", "n_items": 20, "n_units": 5, "unit": "patient", "numerator": None} | other


def frames(identical: object = None, **precision: object) -> dict[str, pd.DataFrame]:
    about = {"n_first": 9, "n_here": 8, "n_matched": 7, "evidence": "e"}
    matching = [
        KEYS | about | {"reading": "r/s", "relation": "first", "identical": None},
        KEYS | about | {"reading": "r/t", "relation": "rescan", "identical": identical, "day": "2", "probe_lot": "L2"},
    ]
    readings = [
        KEYS | {"reading": name, "relation": relation, "item": f"s/f/{k}", "cell_id": f"x/f/{k}", "kind": "ctc"}
        | {"her2": 2 + k, "cep17": 2, "ratio": (2 + k) / 2, "call": "not_amplified"}
        for name, relation in (("r/s", "first"), ("r/t", "rescan"))
        for k in range(4)
    ]  # fmt: skip
    values = [
        KEYS | {"reading": name, "relation": relation, "population": "all nuclei", "quantity": RATIO}
        | {"value": value, "n_cells": 60, "day": "1"}
        for name, relation, value in (("r/s", "first", 1.6), ("r/t", "rescan", 1.7))
    ]  # fmt: skip
    row = {"group": "s", "relation": "rescan", "population": "all nuclei", "quantity": RATIO, "component": "total"}
    row |= {"mean": 1.65, "sd": 0.05, "low": 0.02, "high": 0.5, "cv_percent": 3.0, "cv_high_percent": 30.0}
    row |= {
        "limit_percent": 4.74,
        "verification_percent": 6.1,
        "passed": True,
        "n_readings": 2,
        "layout": "2 replicate",
        "method": "m",
    }
    figures = [
        statistic("call", "percent agreement", 0.9, numerator=18),
        statistic("call", "Cohen kappa", 0.7),
        statistic("call", "Cohen kappa", 0.5, stratum="near", low=np.nan, high=np.nan, n_items=4),
        statistic("eligible", "percent agreement", 1.0, level="patient", population="patients", numerator=20),
    ]
    return {
        "matching": declared.MATCHING.check(pd.DataFrame(matching)),
        "readings": declared.READINGS.check(pd.DataFrame(readings)),
        "unmatched": pd.DataFrame({"group": ["s"], "item": ["s/f/9"], "kind": ["ctc"], "reading": ["r/t"]}),
        "slide_values": declared.SLIDE_VALUES.check(pd.DataFrame(values)),
        "precision": declared.PRECISION.check(pd.DataFrame([row | precision])),
        "statistics": declared.STATISTICS.check(pd.DataFrame(figures)),
    }


def rows_of(page: Page, title: str) -> list[tuple[str, ...]]:
    (section,) = [section for section in page.sections if section.title == title]
    return [row for grid in section.grids for row in grid.rows]


def test_the_figures_a_laboratory_files_stand_first() -> None:
    page = reproduce_page(frames(identical=True), "Reproducibility", "two runs")
    assert page.sections[0].title == "In short"
    short = dict(rows_of(page, "In short"))
    assert short[f"{RATIO}, total, s, 2 replicate"] == "CV 3.00 % of 4.74 % accepted"
    assert short["equal images, tables equal to the byte"] == "1 of 1"
    assert short["call, percent agreement, rescan, CTC"] == "18/20 = 0.900 (0.800 to 0.950)"
    assert short["eligible, percent agreement, rescan, patients"] == "20/20 = 1.000 (0.900 to 1.050)"
    assert page.sections[0].grids[0].tones[:2] == ("green", "green")


def test_what_is_beyond_its_limit_is_red() -> None:
    page = reproduce_page(frames(identical=False, cv_percent=6.0, passed=False), "t", "o")
    assert page.sections[0].grids[0].tones[:2] == ("red", "red")
    assert rows_of(page, "What was repeated")[1][-1] == "DIFFER"
    (spread,) = rows_of(page, "Spread between readings")
    assert spread[-2:] == ("4.74 above", "6.10")


def test_strata_stand_side_by_side_and_what_is_missing_is_a_dash() -> None:
    rows = {row[:2]: row[2:] for row in rows_of(reproduce_page(frames(), "t", "o"), "Cells, rescan: CTC")}
    assert rows["call", "Cohen kappa"] == ("0.700 (0.600 to 0.750), n 20", "0.500, n 4", "–")
    assert rows["call", "percent agreement"][1:] == ("–", "–")


def test_matching_shows_what_differs_between_readings() -> None:
    rows = rows_of(reproduce_page(frames(), "t", "o"), "What was repeated")
    assert rows[0] == ("r/s", "first", "", "", "", "9", "8", "7", "")
    assert rows[1] == ("r/t", "rescan", "", "2", "L2", "9", "8", "7", "")


def test_a_study_of_readings_that_share_no_cell() -> None:
    own = frames()
    own |= {"precision": declared.PRECISION.empty(), "statistics": declared.STATISTICS.empty()}
    page = reproduce_page(own, "t", "o")
    assert [section.title for section in page.sections] == ["In short", "What was repeated"]
    assert to_pdf(page).startswith(b"%PDF")


def charted(name: str, n: int = 30) -> Charted:
    z = np.sin(np.arange(n))
    return Charted(name, z, np.abs(z) > 2, [(0, "lot A")], cusum(z), ewma(z))


def broken_table(n: int) -> pd.DataFrame:
    rows = [
        {"material": "line", "quantity": "ratio", "rule": "1-3s", "warning": False, "run": f"run{k}", "slide_id": "c"}
        | {"value": 2.0, "z": 3.5, "involved": f"run{k}"}
        for k in range(n)
    ]
    return declared.BROKEN.check(pd.DataFrame(rows)) if rows else declared.BROKEN.empty()


def chart_row(**other: object) -> pd.DataFrame:
    row = {"material": "line", "quantity": "ratio", "n": 30, "origin": "set by hand", "target": 1.0, "spread": 0.1}
    return declared.CHARTS.check(pd.DataFrame([row | {"last": 1.05, "last_z": 0.5} | other]))


def test_charts_say_whether_a_run_may_go() -> None:
    free = control_page(chart_row(), broken_table(0), [charted("line ratio")], ("newest results", ""))
    assert rows_of(free, "Release") == [("newest results", "may go")]
    assert free.sections[0].grids[0].tones == ("green",)
    held = control_page(chart_row(), broken_table(2), [], ("run7", "line ratio breaks 1-3s"))
    assert rows_of(held, "Release") == [("run7", "held back")]
    assert held.sections[0].text == "line ratio breaks 1-3s"
    assert held.sections[0].grids[0].tones == ("red",)
    assert "30 results." in held.origin


def test_only_the_newest_broken_rules_are_printed() -> None:
    page = control_page(chart_row(), broken_table(NEWEST + 5), [], ("newest results", ""))
    rows = rows_of(page, "Newest broken rules")
    assert len(rows) == NEWEST
    assert rows[-1][3] == f"run{NEWEST + 4}"


def test_warnings_are_no_broken_rules() -> None:
    warned = broken_table(3).assign(warning=True)
    assert rows_of(control_page(chart_row(), warned, [], ("newest results", "")), "Newest broken rules") == []


def test_every_chart_has_two_plots() -> None:
    page = control_page(chart_row(), broken_table(0), [charted("one"), charted("two")], ("newest results", ""))
    assert [len(section.plots) for section in page.sections[-2:]] == [2, 2]
    html = to_html(page)
    assert html.count("<svg") == 4
    assert "Levey-Jennings" in html


def checks(*lights: str) -> pd.DataFrame:
    rows = [
        {"slide_id": f"s{k}", "scene": "f", "check": "focus", "value": 0.5, "light": tone, "about": "a"}
        for k, tone in enumerate(lights)
    ]
    return declared.CHECKS.check(pd.DataFrame(rows)) if rows else declared.CHECKS.empty()


def test_the_worst_light_stands_first() -> None:
    section = slide_section(checks("green", "red", "", "amber"))
    assert [row[0] for row in section.grids[0].rows] == ["s1", "s3", "s0", "s2"]
    assert section.grids[0].tones == ("red", "amber", "green", "")
    assert "1 red, 1 amber, 1 green" in section.text


def test_a_slide_of_a_run_is_one_row_with_its_worst_light() -> None:
    rows = [
        {"slide_id": slide, "scene": "all", "check": check, "value": value, "light": tone, "about": check}
        for slide, check, value, tone in (
            ("a", "nuclei", 60.0, "green"),
            ("a", "focus", 0.5, "amber"),
            ("b", "nuclei", 0.0, "red"),
            ("c", "nuclei", 50.0, "green"),
            ("c", "focus", 0.9, "green"),
        )
    ]
    (grid,) = run_section(declared.CHECKS.check(pd.DataFrame(rows))).grids
    assert grid.rows == (
        ("b", "red", "0", "–", "–", "–", "nuclei 0"),
        ("a", "amber", "60", "0.50", "–", "–", "focus 0.5"),
        ("c", "green", "50", "0.90", "–", "–", ""),
    )
    assert grid.tones == ("red", "amber", "green")


@pytest.mark.parametrize(
    ("verdict", "tones"),
    [(None, ("red", "red")), ("", ("red", "red", "green")), ("breaks 1-3s", ("red", "red", "red"))],
)
def test_a_run_in_short(verdict: str | None, tones: tuple[str, ...]) -> None:
    steps = [
        {"step": "FISH done", "code": "S3", "population": "p", "reached": 9, "failed": 2, "passed": 7},
        {"step": "evaluable CTC", "code": "S5", "population": "p", "reached": 7, "failed": 1, "passed": 6},
    ]
    section = summary_section(declared.STEPS.check(pd.DataFrame(steps)), checks("red", "green", "amber"), verdict)
    (grid,) = section.grids
    assert grid.rows[0] == ("samples with evaluable CTC", "6 of 9 declared")
    assert grid.rows[1] == ("samples failed", "3 of 9")
    assert grid.rows[2] == ("slides by their worst light", "1 red, 1 amber, 1 green")
    assert grid.tones == ("", *tones)


def test_no_check_is_a_page_all_the_same() -> None:
    page = image_page(checks(), "Image x", "Before scoring.")
    assert "0 red, 0 amber, 0 green" in to_html(page)
    assert to_pdf(page).startswith(b"%PDF")


def test_no_failure_has_no_pareto() -> None:
    rows = [
        {"step": "blood tube", "code": "S0", "population": "samples declared", "reached": 0, "failed": 0, "passed": 0}
    ]
    (only,) = failure_sections(declared.STEPS.check(pd.DataFrame(rows)), declared.REASONS.empty())
    assert only.grids[0].rows == (("blood tube", "S0", "samples declared", "0/0 = –", "0"),)


@pytest.mark.parametrize("kind", ["html", "pdf"])
def test_every_page_carries_the_notice(kind: str) -> None:
    sections = tuple(Section(f"s{k}", "text", (Grid(("h",), tuple((str(n),) for n in range(40))),)) for k in range(4))
    page = Page("t", "o", sections)
    if kind == "html":
        assert to_html(page).count("Research use only. Not for diagnosis or treatment decisions.") == 2
    else:
        pages = len(re.findall(rb"/Type /Page\b(?!s)", to_pdf(page)))
        assert pages >= 3
