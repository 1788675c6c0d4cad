"""Every picture of the trial draws few, many and no patients, and says in words what it shows."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ctcfish.report import trial_plots as draw
from ctcfish.report.plots import svg_of
from ctcfish.stats.estimate import Estimate
from ctcfish.stats.proportions import proportion
from ctcfish.stats.survival import kaplan_meier, turnbull
from ctcfish.trial.finding import Finding, Label, of_proportion
from ctcfish.trial.flow import Step


def words(drawing: Callable[[Axes], None]) -> list[str]:
    figure = Figure()
    drawing(figure.add_subplot())
    return [(e.text or "").strip() for e in ElementTree.fromstring(svg_of(figure)).iter() if (e.text or "").strip()]


def drawn(drawing: Callable[[Axes], None]) -> Axes:
    axes = Figure().add_subplot()
    drawing(axes)
    return axes


def treated(n: int) -> pd.DataFrame:
    rng = np.random.default_rng(n)
    return pd.DataFrame(
        {
            "patient_id": [f"P{i:03d}" for i in range(n)],
            "best": [("PR", "SD", "PD", "NE", "CR")[i % 5] for i in range(n)],
            "best_change": np.where(np.arange(n) % 7 == 3, np.nan, rng.uniform(-1, 0.6, n)),
            "fraction": rng.uniform(0.001, 0.4, n),
            "n_amplified": rng.integers(1, 20, n).astype(float),
            "n_evaluable": rng.integers(20, 200, n).astype(float),
            "cohort": [("LOW", "HIGH")[i % 2] for i in range(n)],
            "pfs_days": rng.integers(1, 400, n),
        }
    )


SIZES = [0, 1, 11, 120]


@pytest.mark.parametrize("n", SIZES)
def test_the_waterfall_has_a_bar_per_measured_patient(n: int) -> None:
    table = treated(n)
    axes = drawn(lambda a: draw.waterfall(a, table))
    measured = int(table["best_change"].notna().sum())
    assert sum(len(container) for container in axes.containers) == measured
    assert f"{measured} of {n} treated" in axes.get_xlabel()
    heights = [patch.get_height() for container in axes.containers for patch in container]  # type: ignore[attr-defined]
    assert sorted(heights) == pytest.approx(sorted(100 * table["best_change"].dropna()))


def test_the_waterfall_tells_responses_apart_without_colour() -> None:
    axes = drawn(lambda a: draw.waterfall(a, treated(20)))
    hatches = {container.get_label(): container[0].get_hatch() for container in axes.containers}  # type: ignore[index]
    assert len({hatches[code] for code in ("PD", "CR", "PR", "SD")}) == 4


@pytest.mark.parametrize("n", SIZES)
def test_the_spider_has_a_line_per_patient(n: int) -> None:
    rows = [(f"P{i}", day, 0.1 * i if day > 42 else np.nan) for i in range(n) for day in (42, 84, 126)]
    table = pd.DataFrame(rows, columns=["patient_id", "day", "change"])
    axes = drawn(lambda a: draw.spider(a, table, ["P0"]))
    lines = [line for line in axes.lines if len(np.atleast_1d(line.get_xdata())) == 3]
    assert len(lines) == n
    assert all(line.get_xdata()[0] == 0 and line.get_ydata()[0] == 0 for line in lines)
    assert [line.get_marker() for line in lines[:1]] == ["o"][:n]
    assert all(line.get_marker() == "x" for line in lines[1:])


def curve(n: int, events: bool) -> Any:
    rng = np.random.default_rng(5)
    return kaplan_meier(rng.exponential(6, n), rng.random(n) < (0.7 if events else 0.0))


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("events", [True, False])
def test_the_survival_curve_starts_at_one_and_counts_who_is_at_risk(n: int, events: bool) -> None:
    own = curve(n, events)
    axes = drawn(lambda a: draw.kaplan_meier(a, own))
    steps = axes.lines[0]
    assert steps.get_ydata()[0] == 1.0
    assert [text.get_text() for text in axes.texts[:2]] == ["at risk", str(n)]
    assert axes.texts[0].get_position()[1] > axes.texts[1].get_position()[1]  # the heading stands above the numbers
    marks = [line for line in axes.lines if line.get_marker() == "|"]
    censored = n - int(own.events.sum())
    assert len(marks) == censored  # times are all different here


def test_the_interval_censored_curve_lies_beside() -> None:
    left, right = np.array([0.0, 1.4, 1.4, 2.8]), np.array([1.4, 2.8, np.inf, 4.1])
    own, between = kaplan_meier([1.4, 2.8, 3.0, 4.1], [1, 1, 0, 1]), turnbull(left, right)
    axes = drawn(lambda a: draw.kaplan_meier(a, own, between))
    dashed = [line for line in axes.lines if line.get_linestyle() == "--"]
    assert len(dashed) == between.mass.size
    assert all(np.isfinite(line.get_xdata()).all() for line in dashed)


STEPS = [
    Step("screened", 154, None, ()),
    Step("enumerated", 150, proportion(150, 154, "screened"), (("S1", 4),)),
    Step("treated", 0, proportion(0, 150, "enumerated"), (("no amplified CTC", 120), ("S4", 30))),
    Step("response-evaluable", 0, proportion(0, 0, "treated"), ()),
]


def test_the_flow_says_every_number_and_reason() -> None:
    said = " ".join(words(lambda a: draw.flow(a, STEPS)))
    for text in ("n = 154", "n = 150 (97.4 % of those screened)", "S1: 4", "no amplified CTC: 120", "(of 0 treated)"):
        assert text in said
    assert "S4: 30" in said


def finding(key: str, value: float, low: float, high: float, numerator: int | None = None) -> Finding:
    return Finding(Label("os", key, f"figure {key}"), Estimate(value, low, high, "m"), "patients", 11, "", numerator)


def test_the_forest_leaves_out_what_is_unknown_and_counts_the_rest() -> None:
    figures = [
        finding("a", 0.5, 0.2, 0.8, 5),
        finding("b", math.nan, math.nan, math.nan),
        finding("c", 0.5, 0.2, math.inf),
    ]
    said = words(lambda a: draw.forest(a, figures))
    assert {"figure a", "figure c", "5/11", "n = 11"} <= set(said)
    assert "figure b" not in said


def test_the_forest_is_in_per_cent() -> None:
    share = of_proportion(Label("os", "a", "a"), proportion(1, 11, "patients"))
    axes = drawn(lambda a: draw.forest(a, [share]))
    assert axes.lines[-1].get_xdata()[0] == pytest.approx(100 / 11)
    assert axes.get_xlabel() == "%"


@pytest.mark.parametrize("n", SIZES)
def test_shares_stand_in_order_with_exact_intervals(n: int) -> None:
    table = treated(n)
    table["fraction"] = table["n_amplified"] / table["n_evaluable"]
    axes = drawn(lambda a: draw.shares(a, table))
    points = [(x, y) for c in axes.containers for x, y in zip(*c[0].get_data(), strict=True)]  # type: ignore[index]
    assert len(points) == n
    heights = [y for _, y in sorted(points)]
    assert heights == sorted(heights)
    assert axes.get_yscale() == "log"


@pytest.mark.parametrize("n", [1, 11, 120])
def test_efficacy_has_a_mark_per_patient(n: int) -> None:
    axes = drawn(lambda a: draw.efficacy(a, treated(n)))
    assert sum(len(collection.get_offsets()) for collection in axes.collections) == n


def pairs(n: int) -> pd.DataFrame:
    before = np.arange(n, dtype=float)
    table = pd.DataFrame({"patient_id": [f"P{i}" for i in range(n)], "before": before, "during": before / 2})
    return table.assign(change=np.where(before > 0, -0.5, np.nan))


@pytest.mark.parametrize("n", SIZES)
def test_pairs_are_lines(n: int) -> None:
    axes = drawn(lambda a: draw.pairs(a, pairs(n), "CTC", ["P0"]))
    assert len(axes.lines) == n
    assert axes.get_ylabel() == "CTC"


@pytest.mark.parametrize("n", SIZES)
def test_the_course_is_a_line_per_patient(n: int) -> None:
    rows = [(f"P{i}", day, float(i + 1)) for i in range(n) for day in (-20, 21, 42)]
    rows += [("P0", np.nan, 3.0), ("P0", 63, np.nan)]  # a count without a day, a day without a count
    table = pd.DataFrame(rows, columns=["patient_id", "day", "ctc"])
    axes = drawn(lambda a: draw.course(a, table, ["P0"]))
    assert len(axes.lines) == n
    assert all(len(line.get_xdata()) == 3 for line in axes.lines)
    assert [line.get_marker() for line in axes.lines] == (["o"] + ["x"] * (n - 1))[:n]


@pytest.mark.parametrize(("most", "scale"), [(8, "linear"), (20, "linear"), (21, "symlog"), (3000, "symlog")])
def test_few_counts_need_no_logarithm(most: int, scale: str) -> None:
    table = pd.DataFrame({"patient_id": ["a", "b"], "before": [1, most], "during": [0, 2]})
    axes = drawn(lambda a: draw.pairs(a, table, "CTC", []))
    assert axes.get_yscale() == scale
    assert -0.05 * most <= axes.get_ylim()[0] <= 0
    assert axes.get_ylim()[0] > -1


def ratio(key: str, value: float, low: float, high: float) -> Finding:
    return Finding(Label("efficacy", key, f"figure {key}"), Estimate(value, low, high, "m"), "p", 6, "odds ratio")


def test_ratios_are_drawn_around_one_on_a_logarithmic_axis() -> None:
    figures = [ratio("a", 2.0, 0.5, 8.0), ratio("b", 10.0, 1.1, 2e5), finding("c", 0.4, 0.1, 0.7)]
    axes = drawn(lambda a: draw.ratios(a, figures))
    assert axes.get_xscale() == "log"
    assert axes.get_xlim()[1] == 1000
    assert [line for line in axes.lines if list(line.get_xdata()) == [1, 1]]
    names = [text.get_text() for text in axes.texts]
    assert "figure a" in names
    assert "figure c" not in names  # a probability is no ratio


def test_the_line_of_no_effect_runs_behind_the_names() -> None:
    axes = drawn(lambda a: draw.ratios(a, [ratio("a", 2.0, 0.5, 8.0)]))
    (line,) = (line for line in axes.lines if list(line.get_xdata()) == [1, 1])
    for text in axes.texts:
        paper = text.get_bbox_patch()
        assert paper is not None
        assert paper.get_facecolor() == (1.0, 1.0, 1.0, 1.0)
        assert text.get_zorder() > line.get_zorder()


def test_a_narrow_logarithmic_axis_has_numbers() -> None:
    table = treated(5).assign(fraction=[0.11, 0.2, 0.3, 0.4, 0.44])
    axes = drawn(lambda a: draw.efficacy(a, table))
    low, high = axes.get_xlim()
    assert len([tick for tick in axes.get_xticks() if low <= tick <= high]) >= 3


SPANS = [(0.9, 1.12), (0.4, 3.0), (0.1, 50.0), (1e-3, 1e3)]


@pytest.mark.parametrize(("low", "high"), SPANS)
def test_every_logarithmic_axis_has_at_least_three_numbers_and_not_too_many(low: float, high: float) -> None:
    axes = drawn(lambda a: draw.ratios(a, [ratio("a", 1.0, low, high)]))
    first, last = axes.get_xlim()
    ticks = [tick for tick in axes.get_xticks() if first <= tick <= last]
    assert 3 <= len(ticks) <= 10
    assert {f"{tick:g}" for tick in ticks} <= set(words(lambda a: draw.ratios(a, [ratio("a", 1.0, low, high)])))


def test_many_bars_are_not_hidden_by_their_edges() -> None:
    few, many = (drawn(lambda a, n=n: draw.waterfall(a, treated(n))) for n in (20, 500))  # type: ignore[misc]
    assert {patch.get_linewidth() for patch in many.patches} == {0.0}
    assert min(patch.get_linewidth() for patch in few.patches) > 0


def test_legends_lie_above_the_marks() -> None:
    axes = drawn(lambda a: draw.efficacy(a, treated(11)))
    legend = axes.get_legend()
    assert legend is not None
    assert legend.get_bbox_to_anchor().transformed(axes.transAxes.inverted()).y0 == pytest.approx(1.0)


@pytest.mark.parametrize("n", SIZES)
def test_changes_are_bars_cut_above(n: int) -> None:
    table = pairs(n)
    if n > 1:
        table.loc[1, "change"] = 9.0
    axes = drawn(lambda a: draw.changes(a, table, 50.0))
    heights = [patch.get_height() for patch in axes.patches]
    assert len(heights) == max(n - 1, 0)
    assert max(heights, default=0) <= 200
    assert axes.get_ylim()[1] > max(heights, default=0)


def test_falls_alone_leave_no_room_for_rises() -> None:
    table = pairs(3).assign(change=[-0.8, -0.4, 0.1])
    axes = drawn(lambda a: draw.changes(a, table, 50.0))
    assert axes.get_ylim()[1] < 60
    assert axes.get_xlabel() == "3 treated patients counted at both visits (green: a fall of 50 % or more)"


def test_toxicity_stacks_grades() -> None:
    worst = pd.DataFrame([[1, 2, 0, 0, 1], [0, 0, 3, 0, 0]], index=["Nausea", "Anemia"], columns=range(1, 6))
    axes = drawn(lambda a: draw.toxicity(a, worst))
    assert sum(patch.get_width() for patch in axes.patches) == 7
    assert {"Nausea", "Anemia"} <= set(words(lambda a: draw.toxicity(a, worst)))


def test_no_event_draws_nothing() -> None:
    worst = pd.DataFrame(columns=range(1, 6))
    assert not drawn(lambda a: draw.toxicity(a, worst)).patches


@pytest.mark.parametrize("unit", ["share", "months"])
def test_sensitivity_has_a_row_per_choice(unit: str) -> None:
    table = pd.DataFrame(
        {
            "kind": ["threshold", "preset"],
            "setting": ["ratio >= 2", "meng_2004"],
            "numerator": [3, None],
            "n": [11, 12],
            "value": [0.27, 0.5],
            "low": [0.06, math.nan],
            "high": [0.61, math.inf],
            "unit": unit,
        }
    )
    said = words(lambda a: draw.sensitivity(a, table))
    assert {"threshold: ratio >= 2", "preset: meng_2004", "3/11", "n = 12"} <= set(said)
    assert ("%" in said) is (unit == "share")


def test_operating_shows_power_and_error() -> None:
    rows = [(e, c, p, f) for e, p, f in ((0.0, 0.9, 0.0), (0.01, 0.1, 0.7)) for c in ("LOW", "HIGH")]
    table = pd.DataFrame(rows, columns=["cell_error", "cohort", "success", "false_share"])
    axes = drawn(lambda a: draw.operating(a, table))
    assert len(axes.lines) == 4
    assert axes.lines[0].get_ydata().tolist() == [90.0, 10.0]
    assert axes.lines[1].get_ydata().tolist() == [0.0, 70.0]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["0 %", "1 %"]


def test_many_names_are_not_crammed() -> None:
    few = drawn(lambda a: draw.waterfall(a, treated(20)))
    many = drawn(lambda a: draw.waterfall(a, treated(200)))
    assert len(few.get_xticks()) > 0
    assert len(many.get_xticks()) == 0


def test_pictures_are_the_same_bytes_each_time() -> None:
    def svg() -> str:
        figure = Figure()
        draw.waterfall(figure.add_subplot(), treated(11))
        return svg_of(figure)

    assert svg() == svg()


def test_logarithms_are_printed_as_plain_numbers() -> None:
    assert not any("mathdefault" in word for word in words(lambda a: draw.efficacy(a, treated(11))))
