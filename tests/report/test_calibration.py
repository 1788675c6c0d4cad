"""The reliability picture: every curve named with its error, points where the curve has them."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest

from ctcfish.report.calibration import STYLES, reliability_plot
from ctcfish.stats.calibration import Reliability, reliability


def words(svg: str) -> list[str]:
    return [(e.text or "").strip() for e in ElementTree.fromstring(svg).iter() if (e.text or "").strip()]


@pytest.fixture
def curve() -> Reliability:
    rng = np.random.default_rng(1)
    p = rng.random(300)
    return reliability(p, rng.random(300) < p)


def test_every_curve_is_named_with_its_error(curve: Reliability) -> None:
    other = reliability([0.05, 0.95], [True, False])
    said = words(reliability_plot({"images": curve, "counts": other}))
    assert f"images (ECE {curve.error:.3f})" in said
    assert "counts (ECE 0.950)" in said
    assert {"perfect", "p_amplified", "share truly amplified", "cells"} <= set(said)


def test_the_same_curve_gives_the_same_bytes(curve: Reliability) -> None:
    assert reliability_plot({"a": curve}) == reliability_plot({"a": curve})


def test_empty_bins_and_no_predictions_are_drawn() -> None:
    empty = reliability([], [])
    assert "a (ECE nan)" in words(reliability_plot({"a": empty}))
    ElementTree.fromstring(reliability_plot({}))


def test_curves_differ_in_colour_marker_and_line(curve: Reliability) -> None:
    assert all(len(set(column)) == len(STYLES) for column in zip(*STYLES, strict=True))
    svg = reliability_plot(dict.fromkeys("abcd", curve))
    assert all(colour.lower() in svg for colour, _, _ in STYLES)


def test_counts_of_cells_are_plain_numbers(curve: Reliability) -> None:
    """Formulas are not typeset: a power of ten would stand there as its source."""
    said = words(reliability_plot({"a": curve}))
    assert "10" in said
    assert not any("mathdefault" in word for word in said)
