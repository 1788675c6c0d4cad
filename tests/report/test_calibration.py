"""The reliability picture: curves with their error, a slide's own cells and leukocytes, the shipped table."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from ctcfish.report.calibration import LEAST_SHARE, STYLES, Own, measured, own_cells, reliability_plot
from ctcfish.stats.calibration import Reliability, reliability
from tests.conftest import REPOSITORY

TOLD: dict[str, dict[str, Any]] = {
    "circe_tdm1": {
        "amplified": 2, "leukocytes": 200, "observed": 0.01, "low": 0.0012, "high": 0.0357,
        "modelled": 0.008, "modelled_low": 0.004, "modelled_high": 0.02,
    },
    "circe_guarded": {
        "amplified": 0, "leukocytes": 200, "observed": 0.0, "low": 0.0, "high": 0.018,
        "modelled": 1e-7, "modelled_low": 1e-8, "modelled_high": 1e-6,
    },
    "meng_2004": {
        "amplified": 0, "leukocytes": 0, "observed": float("nan"), "low": 0.0, "high": 1.0,
        "modelled": 0.01, "modelled_low": 0.0, "modelled_high": 0.1,
    },
}  # fmt: skip


def words(svg: str) -> list[str]:
    return [(e.text or "").strip() for e in ElementTree.fromstring(svg).iter() if (e.text or "").strip()]


def numbers_of(element: ElementTree.Element) -> list[float]:
    return [float(number) for number in re.findall(r"-?\d+\.\d+", element.attrib["d"])]


@pytest.fixture
def curve() -> Reliability:
    rng = np.random.default_rng(1)
    p = rng.random(300)
    return reliability(p, rng.random(300) < p)


@pytest.fixture
def cells() -> pd.DataFrame:
    kind = ["ctc"] * 4 + ["wbc"] * 3 + ["unknown"]
    p = [0.0, 0.55, 1.0, 0.97, 0.001, 0.02, np.nan, 0.5]
    call = ["not_amplified", "not_amplified", "amplified", "not_evaluable", *["not_amplified"] * 4]
    return pd.DataFrame({"kind": kind, "p_amplified": p, "call": call})


def test_every_curve_is_named_with_its_error(curve: Reliability) -> None:
    other = reliability([0.05, 0.95], [True, False])
    said = words(reliability_plot({"images": curve, "counts": other}))
    assert f"images (ECE {curve.error:.3f})" in said
    assert "counts (ECE 0.950)" in said
    assert {"images: 300 cells", "counts: 2 cells"} <= set(said)
    assert {"perfect", "p_amplified", "share truly amplified", "cells"} <= set(said)


def test_the_same_curve_gives_the_same_bytes(curve: Reliability) -> None:
    assert reliability_plot({"a": curve}) == reliability_plot({"a": curve})


def test_empty_bins_and_no_predictions_are_drawn() -> None:
    empty = reliability([], [])
    assert "a (ECE nan)" in words(reliability_plot({"a": empty}))
    ElementTree.fromstring(reliability_plot({}))
    assert "nan" not in reliability_plot({"a": reliability([0.5], [True])})


def test_curves_differ_in_colour_marker_and_line(curve: Reliability) -> None:
    assert all(len(set(column)) == len(STYLES) for column in zip(*STYLES, strict=True))
    svg = reliability_plot(dict.fromkeys("abc", curve))
    assert all(colour in svg for colour, _, _ in STYLES)


def test_points_lie_where_their_numbers_say(curve: Reliability) -> None:
    """Squares stand at predicted and observed of the frame, 300 by 300 from (54, 26)."""
    root = ElementTree.fromstring(reliability_plot({"a": reliability([], []), "b": curve}))
    filled = [e for e in root if e.attrib.get("fill") == STYLES[1][0] and "h7.2" in e.attrib.get("d", "")]
    squares = [numbers_of(e)[:2] for e in filled]
    wanted = [(54 + 300 * p, 26 + 300 * (1 - o)) for p, o in zip(curve.predicted, curve.observed, strict=True)]
    found = [(x + 3.6, y + 3.6) for x, y in squares]
    assert np.allclose(found[: len(wanted)], wanted, atol=0.11)


def test_own_cells_are_counted_by_tenths(cells: pd.DataFrame) -> None:
    own = own_cells(cells, TOLD, ("circe_tdm1", "circe_guarded", "circe_tdm1", "meng_2004", "nobody"))
    assert own.bins["ctc"].tolist() == [1, 0, 0, 0, 0, 1, 0, 0, 0, 1]
    assert own.bins["wbc"].tolist() == [2, *[0] * 9]
    assert [check.rule for check in own.checks] == ["circe_tdm1", "circe_guarded"]
    assert own.checks[0].observed == (0.01, 0.0012, 0.0357)


def test_a_slide_shows_its_cells_and_its_leukocytes(curve: Reliability, cells: pd.DataFrame) -> None:
    svg = reliability_plot({"a": curve}, own_cells(cells, TOLD, ("circe_tdm1", "circe_guarded")))
    said = words(svg)
    assert {"CTC: 3 cells", "leukocytes: 2 cells", "circe_tdm1: 2 of 200", "circe_guarded: 0 of 200"} <= set(said)
    assert {"seen", "predicted by the slide's error rates", "0", "0.1 %", "10 %"} <= set(said)
    assert "a: 300 cells" not in said
    bars = [e for e in ElementTree.fromstring(svg) if e.tag.endswith("rect") and len(e)]
    assert sum(int((bar[0].text or "").split(": ")[1]) for bar in bars) == 5


def test_shares_of_leukocytes_lie_on_a_logarithmic_line(curve: Reliability, cells: pd.DataFrame) -> None:
    svg = reliability_plot({"a": curve}, own_cells(cells, TOLD, ("circe_tdm1", "circe_guarded")))
    seen = [numbers_of(e) for e in ElementTree.fromstring(svg) if e.attrib.get("fill") == "#000000"]
    left, width = 430, 250
    decades = np.log10(0.01 / LEAST_SHARE) / 5
    assert seen[0][0] + 3.6 == pytest.approx(left + decades * width, abs=0.11)
    assert seen[1][0] + 3.6 == pytest.approx(left, abs=0.11)  # none seen: at 0, with an interval that reaches 1.8 %


def test_a_slide_without_leukocytes_says_so(curve: Reliability, cells: pd.DataFrame) -> None:
    svg = reliability_plot({"a": curve}, own_cells(cells[:0], {}, ("circe_tdm1",)))
    assert "no leukocyte that shows both colours: not controlled" in words(svg)


def test_names_are_text_and_no_markup() -> None:
    svg = reliability_plot({"<b>": reliability([0.5], [True])}, Own({}, ()))
    assert "<b> (ECE 0.500)" in words(svg)


def test_the_table_that_travels_along_is_what_it_says() -> None:
    own = measured()
    assert {curve.name for curve in own} == {"simulated slides", "CTC err as leukocytes", "CTC err twice as often"}
    for found in own:
        assert found.about
        assert re.fullmatch("[0-9a-f]{64}", found.configuration_sha256)
        assert found.curve.n.size == 10
        assert found.curve.n.sum() > 3000
        used = found.curve.n > 0
        assert (found.curve.predicted >= found.curve.edges[:-1] - 1e-9)[used].all()
        assert (found.curve.predicted <= found.curve.edges[1:] + 1e-9)[used].all()
    images = next(curve for curve in own if curve.name == "simulated slides")
    assert images.curve.error <= 0.03
    assert images is measured()[own.index(images)]


def test_the_table_lies_with_the_shipped_models() -> None:
    assert (Path(REPOSITORY) / "models" / "calibration" / "p_amplified.toml").is_file()
