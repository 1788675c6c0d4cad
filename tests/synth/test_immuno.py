"""The IF scan: the same cells, moved by the stage, with the stains of their kind."""

from __future__ import annotations

import numpy as np
import pytest

from ctcfish import tables
from ctcfish.synth import Field, IfField, SlideSpec, field, if_field
from ctcfish.synth.immuno import geometry, inverse, warp
from ctcfish.synth.population import populate
from ctcfish.synth.spec import FishScan, IfScan, Nuisance, Population, Stage
from ctcfish.synth.stains import protein_class


def light(seen: IfField, channel: int) -> np.ndarray:
    return (seen.pixels[channel, 0].astype(float) - 100) / 2


def test_shapes_types_and_columns(small_if: IfField) -> None:
    assert small_if.pixels.shape == (4, 1, *small_if.labels.shape)
    assert small_if.pixels.dtype == np.uint16
    assert small_if.voxel_um == (0.0, 0.64, 0.64)
    assert small_if.channels == ("DAPI", "CK", "CD45", "HER2")
    tables.IF_CELLS.check(small_if.cells[tables.IF_CELLS.names])
    assert sorted(small_if.cells["if_label"]) == list(range(1, len(small_if.cells) + 1))


def test_labels_lie_where_rows_say(small_if: IfField) -> None:
    for row in small_if.cells.itertuples():
        y, x = np.nonzero(small_if.labels == row.if_label)
        if len(y) > 30:
            assert abs(y.mean() * 0.64 - row.if_y_um) < 1.5
            assert abs(x.mean() * 0.64 - row.if_x_um) < 1.5


def test_transform_brings_if_cells_onto_fish_cells(small_if: IfField, small_field: Field) -> None:
    both = small_if.cells.merge(small_field.cells, on="cell", suffixes=("_if", ""))
    assert len(both) >= 15
    moved = both[["if_y_um_if", "if_x_um_if"]].to_numpy() @ small_if.to_fish[:, :2].T + small_if.to_fish[:, 2]
    away = np.hypot(*(moved - both[["y_um", "x_um"]].to_numpy()).T)
    # what is left is the cells' own jitter of 0.25 um per axis
    assert np.median(away) < 0.6
    assert away.max() < 1.2


@pytest.mark.parametrize(
    "stage",
    [
        Stage(shift_um=(0, 0), rotation_deg=0),
        Stage(rotation_deg=90),
        Stage(rotation_deg=37, mirrored=True, scale=1.03, shift_um=(12, -30)),
        Stage(rotation_deg=180, mirrored=True),
    ],
)
def test_geometry_of_any_stage(stage: Stage) -> None:
    spec = SlideSpec(stage=stage)
    (height, width), matrix = geometry(spec)
    world = np.array([[0, 0], [102.4, 0], [0, 102.4], [102.4, 102.4]])
    corners = world @ matrix[:, :2].T + matrix[:, 2] - np.array(stage.shift_um)
    size = np.array([height, width]) * 0.64
    assert (corners >= spec.immuno.margin_um - 1e-6).all()
    assert (corners <= size - spec.immuno.margin_um + 1e-6).all()
    assert np.linalg.det(matrix[:, :2]) == pytest.approx(stage.scale**2 * (-1 if stage.mirrored else 1))
    identity = np.vstack([matrix, [0, 0, 1]]) @ np.vstack([inverse(matrix), [0, 0, 1]])
    np.testing.assert_allclose(identity, np.eye(3), atol=1e-12)


def test_rotation_turns_as_stated() -> None:
    """90 degrees: what lay along +x in FISH lies along +y in IF."""
    _, matrix = geometry(SlideSpec(stage=Stage(rotation_deg=90, shift_um=(0, 0))))
    np.testing.assert_allclose(matrix[:, :2] @ np.array([0.0, 1.0]), [1.0, 0.0], atol=1e-12)


def test_warp_is_smooth_and_of_its_size() -> None:
    spec = SlideSpec(stage=Stage(warp_um=3.0))
    moved = np.array([warp(spec, (y, x)) for y in range(0, 400, 20) for x in range(0, 400, 20)])
    assert np.abs(moved).max() <= 3.0 * np.sqrt(2) + 1e-9
    assert 1.0 < moved.std() < 3.0
    step = warp(spec, (100.0, 100.0)) - warp(spec, (101.0, 100.0))
    assert np.hypot(*step) < 2 * np.pi / 200 * 3.0 * 2
    assert (warp(SlideSpec(), (50.0, 60.0)) == 0).all()


def test_warped_cells_lie_off_the_plain_transform() -> None:
    straight, bent = if_field(SlideSpec()), if_field(SlideSpec(stage=Stage(warp_um=3.0)))
    away = (straight.cells[["if_y_um", "if_x_um"]] - bent.cells[["if_y_um", "if_x_um"]]).to_numpy()
    assert 0.5 < np.abs(away).mean() < 3.0


def ring(seen: IfField, label: int) -> np.ndarray:
    from scipy.ndimage import binary_dilation

    inside = seen.labels == label
    return np.asarray(binary_dilation(inside, iterations=3) & (seen.labels == 0))


def test_stains_follow_kind(small_if: IfField) -> None:
    level = {
        (kind, channel): np.median([light(small_if, channel)[ring(small_if, i)].mean() for i in rows["if_label"]])
        for kind, rows in small_if.cells.groupby("kind")
        for channel in (1, 2)
    }
    assert level["ctc", 1] > 3 * level["wbc", 1]
    assert level["wbc", 2] > 1.8 * level["ctc", 2]


def test_nuclei_shine(small_if: IfField) -> None:
    dapi = light(small_if, 0)
    assert np.median(dapi[small_if.labels > 0]) > 5 * np.median(dapi[small_if.labels == 0])


def test_protein_follows_amplification() -> None:
    spec = SlideSpec(
        population=Population(ctc=30, leukocytes=5, touching_pairs=0, ctc_mix={"diploid": 2, "amplified_low": 1})
    )
    cells = if_field(spec).cells
    assert set(cells.loc[cells["copy_class"] == "amplified_low", "her2_protein_class"]) == {"high"}
    plain = cells[(cells["kind"] == "ctc") & (cells["copy_class"] == "diploid")]
    assert set(plain["her2_protein_class"]) == {"negative", "medium"}
    assert set(cells.loc[cells["kind"] == "wbc", "her2_protein_class"]) == {"negative"}
    median = cells[cells["kind"] == "ctc"].groupby("her2_protein_class")["her2_photons"].median()
    assert median["high"] > median["medium"] > median["negative"]


@pytest.mark.parametrize(("share", "expected"), [(0.0, "negative"), (1.0, "medium")])
def test_share_of_medium_cells(share: float, expected: str) -> None:
    spec = SlideSpec(population=Population(ctc=1, leukocytes=0, touching_pairs=0, ctc_mix={"g2": 1}))
    cell = populate(spec)[0]
    assert protein_class(cell, IfScan(medium_her2_share=share), np.random.default_rng(0)) == expected


def test_lost_and_extra_cells_are_absent_on_one_side() -> None:
    spec = SlideSpec(nuisance=Nuisance(lost_share=0.3, extra_share=0.3))
    seen, cells = if_field(spec), populate(spec)
    shown = set(seen.cells["cell"])
    assert shown == {c.number for c in cells if c.in_if}
    lost = set(seen.cells.loc[~seen.cells["in_fish"], "cell"])
    assert lost == {c.number for c in cells if not c.in_fish}


def test_debris_adds_light_and_no_rows() -> None:
    base = SlideSpec(population=Population(ctc=2, leukocytes=5, touching_pairs=0))
    dirty = base.model_copy(update={"nuisance": Nuisance(debris=40)})
    a, b = if_field(base), if_field(dirty)
    assert len(a.cells) == len(b.cells)
    assert (light(b, 1) > 120).sum() > (light(a, 1) > 120).sum() + 100


def test_fish_only_changes_leave_the_if_scan_alone() -> None:
    base = SlideSpec()
    dim = base.model_copy(update={"signals": base.signals.model_copy(update={"photons": 300.0})})
    np.testing.assert_array_equal(if_field(base).pixels, if_field(dim).pixels)


def test_finer_pixels() -> None:
    spec = SlideSpec(immuno=IfScan(pixel_um=0.32, na=0.6), population=Population(ctc=1, leukocytes=9, touching_pairs=0))
    fine, coarse = if_field(spec), if_field(spec.model_copy(update={"immuno": IfScan()}))
    assert fine.labels.shape[0] == pytest.approx(2 * coarse.labels.shape[0], abs=2)
    np.testing.assert_allclose(fine.cells["area_um2"], coarse.cells["area_um2"], rtol=0.12)


def test_no_cells() -> None:
    seen = if_field(SlideSpec(population=Population(ctc=0, leukocytes=0, touching_pairs=0)))
    assert len(seen.cells) == 0
    assert not seen.labels.any()


@pytest.mark.parametrize("stage", [Stage(rotation_deg=40), Stage(rotation_deg=25, mirrored=True, scale=1.02)])
def test_nuclei_are_turned_with_the_slide(stage: Stage) -> None:
    """Second moments of each outline in IF are those in FISH, moved by the transform and shrunk by the swelling."""
    spec = SlideSpec(
        stage=stage,
        immuno=IfScan(pixel_um=0.32, na=0.6),
        fish=FishScan(shape_px=(560, 560), planes=1),
        population=Population(ctc=3, leukocytes=9, touching_pairs=0),
    )
    seen, shot = if_field(spec), field(spec)
    linear = np.linalg.inv(seen.to_fish[:, :2]) / stage.swelling
    both = seen.cells.merge(shot.cells[shot.cells["flags"] == ""], on="cell")
    assert len(both) >= 5
    off_diagonal = []
    for row in both.itertuples():
        here = np.cov(np.argwhere(seen.labels == row.if_label_x).T * 0.32)
        there = linear @ np.cov(np.argwhere(shot.labels == row.label).T * 0.1) @ linear.T
        np.testing.assert_allclose(here, there, atol=0.08 * np.trace(there))
        off_diagonal.append(abs(there[0, 1]) / np.trace(there))
    assert max(off_diagonal) > 0.04
