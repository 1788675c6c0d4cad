from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ctcfish.flags import SlideFlag
from ctcfish.parameters import Calibrate, Count
from ctcfish.stages.calibrate import calibrate, false_clusters_of
from ctcfish.stages.count import count
from tests import make


def leukocytes(n: int, missed: float, split: float, extra: float, seed: int) -> list[tuple[int, int]]:
    """Counts of true 2/2 nuclei, signal by signal."""
    rng = np.random.default_rng(seed)
    counts = []
    for _ in range(2):
        lost, doubled = rng.random((n, 2)) < missed, rng.random((n, 2)) < split
        counts.append((~lost * (1 + doubled)).sum(axis=1) + rng.poisson(extra, n))
    return [(int(a), int(b)) for a, b in zip(*counts, strict=True)]


def test_rates_of_a_large_slide_are_recovered() -> None:
    cells = make.cells(*leukocytes(4000, 0.08, 0.02, 0.04, 1), kind="wbc")
    rates = calibrate(cells, Calibrate())
    for name, truth in (("missed", 0.08), ("split", 0.02), ("extra", 0.04)):
        for probe in ("her2", "cep17"):
            found = rates.intervals[f"{probe}_{name}"]
            assert found.low - 0.01 <= truth <= found.high + 0.01, (probe, name, found)
    assert rates.errors.her2.missed == pytest.approx(0.08, abs=0.015)
    assert rates.origin == "slide"
    assert rates.flags == SlideFlag(0)


def test_without_leukocytes_the_configured_rates_stand() -> None:
    rates = calibrate(make.cells((9, 2), kind="ctc"), Calibrate(missed=0.07))
    assert rates.errors.her2.missed == pytest.approx(0.07, abs=0.01)
    assert (rates.origin, rates.n_leukocytes) == ("default", 0)
    assert SlideFlag.UNCONTROLLED in rates.flags
    assert np.isnan(rates.hybridisation_efficiency)


@pytest.mark.parametrize(("n", "controlled"), [(19, False), (20, True)])
def test_how_many_leukocytes_control_a_slide(n: int, controlled: bool) -> None:
    rates = calibrate(make.cells(*[(2, 2)] * n, kind="wbc"), Calibrate())
    assert (SlideFlag.UNCONTROLLED not in rates.flags) == controlled


def test_few_leukocytes_move_the_rates_little() -> None:
    bad = [(1, 1)] * 5
    few, many = (calibrate(make.cells(*bad * k, kind="wbc"), Calibrate()).errors.her2.missed for k in (1, 40))
    assert 0.05 < few < many
    assert many > 0.3


def test_spoiled_leukocytes_are_no_controls() -> None:
    cells = make.cells(*[(2, 2)] * 30, *[(1, 1)] * 30, kind="wbc")
    cells.loc[30:, "flags"] = "OVERLAP"
    assert calibrate(cells, Calibrate()).n_leukocytes == 30


def test_leukocytes_without_signals_say_that_the_hybridisation_failed() -> None:
    cells = make.cells(*[(0, 0)] * 30, *[(2, 2)] * 10, kind="wbc")
    rates = calibrate(cells, Calibrate())
    assert rates.hybridisation_efficiency == 0.25
    assert SlideFlag.HYBRIDISATION_FAILED in rates.flags
    good = calibrate(make.cells(*[(0, 0)] * 10, *[(2, 2)] * 30, kind="wbc"), Calibrate())
    assert SlideFlag.HYBRIDISATION_FAILED not in good.flags


def test_an_absent_channel_leaves_the_default() -> None:
    cells, _ = count(make.nuclei(), make.detections([]), make.model("HER2"), Count(), ("s", "f"))
    rates = calibrate(cells.assign(kind="wbc"), Calibrate())
    assert rates.origin == "default"


def test_the_same_cells_give_the_same_bytes() -> None:
    cells = make.cells(*leukocytes(50, 0.05, 0.05, 0.03, 2), kind="wbc")
    first, second = (calibrate(cells, Calibrate()) for _ in range(2))
    assert first == second


def test_clusters_of_leukocytes_are_false_and_spoiled_ones_are_not_asked() -> None:
    cells = make.cells(*[(2, 2)] * 90, *[(8, 2)] * 10, kind="wbc").assign(cep17_in_clusters=0)
    cells["her2_in_clusters"] = pd.array([0] * 90 + [8] * 9 + [None], dtype="Int64")
    cells.loc[90:92, "flags"] = "CLUSTER|UNCOUNTABLE_CLUSTER|LOWER_BOUND"
    cells.loc[93:94, "flags"] = "CLUSTER|OVERLAP"
    rates = calibrate(cells, Calibrate())
    found = false_clusters_of(rates, "her2")
    assert found.rate == pytest.approx((7 + 0.3) / (98 + 30))
    assert found.copies == pytest.approx(3 + (4 * 3 + 7 * 5) / (3 + 7))
    assert false_clusters_of(rates, "cep17").rate == pytest.approx(0.3 / 128)
    assert rates.intervals["her2_false_cluster"].low < found.rate < rates.intervals["her2_false_cluster"].high


def test_without_leukocytes_false_clusters_are_as_configured() -> None:
    rates = calibrate(make.cells((9, 2), kind="ctc"), Calibrate(false_cluster=0.2, false_cluster_copies=9.0))
    found = false_clusters_of(rates, "cep17")
    assert (found.rate, found.copies) == pytest.approx((0.2, 9.0))
