"""Plots of quality control: what is drawn is what was measured, and nothing breaks where there is nothing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ctcfish.report.qc_page import Plot
from ctcfish.report.qc_plots import (
    MOST_DOTS,
    MOST_MARKS,
    agreement_forest,
    bars,
    cumulative_sums,
    levey_jennings,
    ratio_differences,
    readings_in_order,
)
from ctcfish.stats.control import cusum, ewma


def drawn(draw) -> Axes:
    axes = Figure(figsize=(6, 2)).add_subplot()
    draw(axes)
    return axes


def points(axes: Axes, line: int = 0) -> np.ndarray:
    return np.asarray(axes.lines[line].get_ydata(), dtype=float)


def test_results_are_drawn_in_their_order_and_broken_rules_marked() -> None:
    z = np.array([0.1, -0.4, 3.5, 0.2])
    axes = drawn(levey_jennings(z, np.array([False, False, True, False]), [(0, "lot A"), (2, "lot B")], ewma(z)))
    heights = [points(axes, k) for k in range(len(axes.lines))]
    np.testing.assert_allclose(next(h for h in heights if len(h) == 4), z)
    assert any(np.array_equal(h, ewma(z).high) for h in heights)
    assert any(np.array_equal(h, -ewma(z).limit) for h in heights)
    marked = next(line for line in axes.lines if line.get_marker() == "s")
    assert marked.get_xdata().tolist() == [2]
    assert [text.get_text() for text in axes.texts] == ["lot A", "lot B"]
    assert axes.get_ylim() == (-6, 6)


def test_results_far_out_stay_on_the_chart() -> None:
    z = np.array([0.0, 80.0, -80.0])
    axes = drawn(levey_jennings(z, np.array([False, True, True]), [], ewma(z)))
    assert max(points(axes, k).max() for k in range(len(axes.lines))) <= 6
    assert min(points(axes, k).min() for k in range(len(axes.lines))) >= -6


@pytest.mark.parametrize(("n", "marker"), [(MOST_DOTS, "o"), (MOST_DOTS + 1, "None")])
def test_many_results_are_a_line_without_dots(n: int, marker: str) -> None:
    axes = drawn(levey_jennings(np.zeros(n), np.zeros(n, bool), [], ewma(np.zeros(n))))
    whole = next(line for line in axes.lines if len(line.get_xdata()) == n)
    assert whole.get_marker() == marker


def test_only_the_newest_changes_of_lot_are_named() -> None:
    marks = [(k, f"L{k}") for k in range(MOST_MARKS + 10)]
    axes = drawn(levey_jennings(np.zeros(100), np.zeros(100, bool), marks, ewma(np.zeros(100))))
    assert len(axes.texts) == MOST_MARKS
    assert axes.texts[-1].get_text() == f"L{MOST_MARKS + 9}"


def test_cumulative_sums_have_their_limit_on_both_sides() -> None:
    z = np.array([1.0, 2.0, -3.0])
    axes = drawn(cumulative_sums(cusum(z)))
    assert [points(axes, k).tolist() for k in range(4)] == [[0.5, 2.0, 0.0], [0, 0, -2.5], [-5.0] * 3, [5.0] * 3]


def test_differences_of_ratios_lie_about_their_mean() -> None:
    first = np.array([1.0, 2.0, 4.0, 2.0])
    later = first * np.array([1.1, 1.0, 0.9, 1.2])
    axes = drawn(ratio_differences(first, later))
    logs = np.log(later / first)
    lines = sorted(float(points(axes, k)[0]) for k in range(3))
    expected = np.exp(logs.mean() + np.array([-1.96, 0, 1.96]) * logs.std(ddof=1))
    np.testing.assert_allclose(lines, expected)
    assert len(axes.collections[0].get_offsets()) == 4
    assert axes.get_xscale() == axes.get_yscale() == "log"


@pytest.mark.parametrize("n", [0, 1])
def test_no_pair_or_one_has_no_limits(n: int) -> None:
    axes = drawn(ratio_differences(np.ones(n), np.ones(n)))
    assert len(axes.lines) == 1  # the threshold alone


def test_readings_are_divided_by_days() -> None:
    values = pd.DataFrame({"value": [1.0, 1.1, 0.9, 1.0, 1.05], "day": ["1", "1", "2", "2", "3"]})
    axes = drawn(readings_in_order(values, 5.0))
    borders = [line.get_xdata()[0] for line in axes.lines if len(set(line.get_xdata())) == 1]
    assert borders == [1.5, 3.5]
    np.testing.assert_allclose(points(axes, len(axes.lines) - 1), values["value"])
    band = axes.patches[0].get_extents().transformed(axes.transData.inverted())
    assert (band.y0, band.y1) == pytest.approx((1.01 - 0.101, 1.01 + 0.101))


def test_readings_without_days_have_no_borders() -> None:
    axes = drawn(readings_in_order(pd.DataFrame({"value": [1.0, 2.0], "day": [None, None]}), 5.0))
    assert len(axes.lines) == 2


def test_a_forest_of_figures() -> None:
    rows = [
        {"label": "call: Cohen kappa", "value": 0.8, "low": 0.6, "high": 0.9},
        {"label": "call: Gwet AC1", "value": 1.0, "low": float("nan"), "high": float("nan")},
    ]
    axes = drawn(agreement_forest(rows))
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["call: Cohen kappa", "call: Gwet AC1"]
    assert [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "o"] == [0.8, 1.0]
    assert axes.lines[0].get_xdata().tolist() == [0.6, 0.9]


@pytest.mark.parametrize("counts", [[5, 2, 0], [0, 0], []])
def test_bars_carry_their_numbers(counts: list[int]) -> None:
    axes = drawn(bars([f"r{k}" for k in range(len(counts))], counts, "samples"))
    assert [patch.get_width() for patch in axes.patches] == counts
    assert [text.get_text() for text in axes.texts] == [f" {count}" for count in counts]
    assert axes.get_xlim()[1] > max([1, *counts])


def test_a_plot_is_the_same_bytes_each_time_and_escapes_its_title() -> None:
    def plot() -> Plot:
        return Plot("S1 <amplified> & more", bars(["a"], [1], "x"), 1.5)

    assert plot().svg() == plot().svg()
    assert "&lt;amplified&gt; &amp; more" in plot().svg()
    assert plot().svg().startswith("<svg")
