"""The parts of the phenotype one by one: grouped statistics, backgrounds, bands, classes and what must not matter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from ctcfish.flags import CellFlag
from ctcfish.gates import load_gates
from ctcfish.parameters import Gate, Phenotype
from ctcfish.stages.immuno.kinds import Marker
from ctcfish.stages.immuno.leukocytes import Area, LeukocyteModel, leukocyte_model
from ctcfish.stages.immuno.markers import (
    _background,
    _cells,
    _filled,
    _grouped_mean,
    _grouped_quantile,
    _windows,
    measure,
)
from ctcfish.stages.phenotype import _passes, _protein, _protein_class, classify, phenotype
from ctcfish.synth.stained import StainedScan, Staining, stain

PARAMS, GATES = Phenotype(), load_gates("gates_cellsearch")


@pytest.fixture(scope="module")
def scan() -> StainedScan:
    return stain(Staining(leukocytes=200, ctc=8, debris=12, doublets=2, bare=3), seed=6)


@pytest.fixture(scope="module")
def measured(scan: StainedScan) -> pd.DataFrame:
    return measure(scan.pixels, scan.nuclei, PARAMS)


# Grouped statistics ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.0, 0.5, 0.9, 1.0])
def test_grouped_quantile_is_numpys_nearest_rank(share: float) -> None:
    rng = np.random.default_rng(1)
    group, value = rng.integers(0, 7, 300), rng.normal(size=300)
    found = _grouped_quantile(value, group, 9, share)
    for g in range(7):
        ordered = np.sort(value[group == g])
        assert found[g] == ordered[round(share * (len(ordered) - 1))]
    assert np.isnan(found[7:]).all()


def test_grouped_mean_of_an_empty_group_is_missing() -> None:
    found = _grouped_mean(np.array([1.0, 3.0, 5.0]), np.array([0, 0, 2]), 4)
    np.testing.assert_array_equal(found, [2.0, np.nan, 5.0, np.nan])


def test_no_value_at_all_is_missing_everywhere() -> None:
    none = np.zeros(0)
    assert np.isnan(_grouped_mean(none, none.astype(int), 3)).all()
    assert np.isnan(_grouped_quantile(none, none.astype(int), 3, 0.5)).all()


# Background -----------------------------------------------------------------------------------------------------------


def test_background_of_noise_is_its_median_and_spread() -> None:
    image = np.random.default_rng(2).normal(200, 9, (200, 240))
    level, noise = _background(image, np.ones(image.shape, bool), 40)
    assert level.shape == noise.shape == image.shape
    assert np.median(level) == pytest.approx(200, abs=1)
    assert np.median(noise) == pytest.approx(9, rel=0.1)


def test_background_is_not_drawn_up_by_cells() -> None:
    image = np.full((160, 160), 100.0)
    free = np.ones(image.shape, bool)
    image[40:120, 40:120], free[40:120, 40:120] = 5000.0, False
    level, _ = _background(image, free, 40)
    np.testing.assert_allclose(level, 100.0)


def test_blocks_without_value_take_the_nearest() -> None:
    grid = np.full((5, 5), np.nan)
    grid[0, 0], grid[4, 4] = 10.0, 20.0
    filled = _filled(grid)
    assert np.isfinite(filled).all()
    assert filled[0, 1] == 10.0
    assert filled[4, 3] == 20.0


# Cells and bands ------------------------------------------------------------------------------------------------------


def test_every_pixel_near_nuclei_belongs_to_the_nearest() -> None:
    labels = np.zeros((60, 60), np.int32)
    labels[20:30, 10:20], labels[20:30, 24:34] = 1, 2
    cells = _cells(labels, np.array([1, 2], np.int32), 1.0, 3.0)
    owner = np.zeros(labels.size, int)
    owner[cells.pixel] = cells.cell + 1
    owner = owner.reshape(labels.shape)
    assert owner[25, 21] == 1
    assert owner[25, 22] == 2
    assert owner[25, 36] == 2
    assert owner[25, 38] == 0
    assert cells.inside.sum() == 200
    assert not cells.free[25, 38]
    assert cells.free[50, 50]
    assert (np.diff(cells.cell) >= 0).all()


def test_cells_of_other_windows_are_not_measured_here() -> None:
    labels = np.zeros((40, 40), np.int32)
    labels[5:12, 5:12], labels[25:32, 25:32] = 3, 7
    cells = _cells(labels, np.array([7], np.int32), 1.0, 2.0)
    assert cells.count == 1
    assert set(np.unique(labels.ravel()[cells.pixel])) == {0, 7}


def test_windows_own_each_nucleus_once(scan: StainedScan) -> None:
    owned = np.concatenate([window.owned for window in _windows(scan.nuclei, PARAMS)])
    assert sorted(owned.tolist()) == list(range(len(scan.nuclei)))


def test_measuring_part_of_the_nuclei_changes_only_what_their_neighbours_hid(
    scan: StainedScan, measured: pd.DataFrame
) -> None:
    """A nucleus far from every other is measured the same whether or not the others are known."""
    place = scan.nuclei.centroid_um
    gap = np.sort(np.hypot(*(place[:, None] - place[None]).transpose(2, 0, 1)), axis=1)[:, 1]
    lonely = int(np.argmax(gap))
    alone = scan.nuclei.rows(np.array([lonely]))
    single = measure(scan.pixels, alone, PARAMS)
    assert single["if_label"].tolist() == [scan.nuclei.label[lonely]]
    for role in ("inclusion", "exclusion"):
        assert single[f"if_{role}_cell"][0] == pytest.approx(measured[f"if_{role}_cell"][lonely], abs=8)


def test_flags_of_the_nuclei_are_kept(scan: StainedScan) -> None:
    flagged = replace(scan.nuclei, flags=np.full(len(scan.nuclei), int(CellFlag.TRUNCATED)))
    assert measure(scan.pixels, flagged, PARAMS)["flags"].str.contains("TRUNCATED").all()


# Classes --------------------------------------------------------------------------------------------------------------


def test_marker_is_a_logarithm_above_and_a_line_below_the_noise() -> None:
    marker = Marker(10.0, 0.0, 1.0, 0.0, 1.0)
    high = marker.transform(np.array([1000.0, 2000.0]))
    assert high[1] - high[0] == pytest.approx(np.log(2), abs=1e-4)
    assert marker.transform(np.array([0.5]))[0] == pytest.approx(0.05, rel=1e-2)
    assert marker.transform(np.array([-30.0]))[0] == pytest.approx(-marker.transform(np.array([30.0]))[0])


def test_area_in_leukocyte_deviations() -> None:
    area = Area(float(np.log(40.0)), 0.2)
    np.testing.assert_allclose(area.sds(np.array([40.0, 40 * np.exp(0.4), 40 * np.exp(-0.6)])), [0, 2, -3], atol=1e-12)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(-5.0, "negative"), (39.99, "negative"), (40.0, "medium"), (94.99, "medium"), (95.0, "high"), (np.nan, None)],
)
def test_protein_classes_at_under_and_over_their_cuts(value: float, expected: str | None) -> None:
    assert _protein_class(np.array([value]), PARAMS).tolist() == [expected]


def test_leukocytes_are_the_zero_of_her2_protein(measured: pd.DataFrame) -> None:
    model = leukocyte_model([measured])
    protein = _protein(measured, model)
    wbc = classify(measured, model, GATES, PARAMS)["kind"].to_numpy() == "wbc"
    assert np.median(protein[wbc]) == pytest.approx(0, abs=0.15)
    assert 1.4826 * np.median(np.abs(protein[wbc] - np.median(protein[wbc]))) == pytest.approx(1, rel=0.15)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(None, None, [True, True, False]), (2.0, None, [False, True, False]), (None, 2.0, [True, True, False])],
)
def test_gates_with_one_bound_or_none(low: float | None, high: float | None, expected: list[bool]) -> None:
    gate = Gate(feature="x", unit="um2", min=low, max=high)
    assert _passes(np.array([1.0, 2.0, np.nan]), gate).tolist() == expected


def test_summary_is_plain_and_complete(measured: pd.DataFrame) -> None:
    summary = leukocyte_model([measured]).summary()
    assert set(summary) == {"n_leukocytes", "origin", "shares", "markers", "area_um2"}
    assert sum(summary["shares"]) == pytest.approx(1)
    assert set(summary["markers"]) == {"inclusion", "exclusion", "her2_protein"}


def test_model_of_nothing_is_the_default() -> None:
    model = leukocyte_model([])
    assert isinstance(model, LeukocyteModel)
    assert (model.origin, model.n_leukocytes, dict(model.markers)) == ("default", 0, {})


def test_same_input_same_bytes(scan: StainedScan) -> None:
    one, two = (phenotype({"a": measure(scan.pixels, scan.nuclei, PARAMS)}, PARAMS, GATES).cells for _ in range(2))
    pd.testing.assert_frame_equal(one, two, check_exact=True)


def test_a_stricter_probability_makes_more_cells_unsure(measured: pd.DataFrame) -> None:
    model = leukocyte_model([measured])
    unsure = [
        (classify(measured, model, GATES, Phenotype(min_probability=p))["kind"] == "unknown").sum()
        for p in (0.6, 0.9, 0.999)
    ]
    assert unsure == sorted(unsure)
