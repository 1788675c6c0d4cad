"""Focus, overlap and flags: a simulated stack of nuclei at known heights, and pictures drawn to one doubt each."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from ctcfish.flags import CellFlag, to_text
from ctcfish.parameters import ClassicalNuclei, Segment
from ctcfish.stages.nuclei.contact import contacts, highest, lobe_light
from ctcfish.stages.nuclei.focus import project, sharpest_plane, sharpness, smoothing_um, view
from ctcfish.stages.nuclei.fragments import gather
from ctcfish.stages.nuclei.measure import IN_FOCUS, join, measure
from ctcfish.stages.nuclei.regions import surroundings
from ctcfish.stages.segment import segment
from ctcfish.synth import SlideSpec, field
from ctcfish.synth.spec import FishScan, Nuisance, Population

CLASSICAL = Segment(nuclei=ClassicalNuclei())
PIXEL_UM = 0.4


@pytest.fixture(scope="module")
def shot():
    """A simulated field: ordinary and touching nuclei, three pairs that overlap, cells out of focus and dying ones."""
    spec = SlideSpec(
        seed=43,
        with_if=False,
        population=Population(ctc=3, leukocytes=17, touching_pairs=3, overlap_pairs=3),
        fish=FishScan(shape_px=(600, 600), planes=9, z_step_um=0.6),
        nuisance=Nuisance(out_of_focus=2, apoptotic=2),
    )
    return field(spec)


@pytest.fixture(scope="module")
def found(shot):
    """Nuclei of the field, and for every true cell the row that covers most of it, -1 for none."""
    nuclei = segment(shot.pixels[0], shot.voxel_um, Segment(), "cpu")
    painted = nuclei.paint()
    rows = []
    for label in shot.cells["label"]:
        votes = np.bincount(painted[shot.labels == label], minlength=1)
        votes[0] = 0
        rows.append(int(votes.argmax()) - 1 if votes.any() else -1)
    return nuclei, np.array(rows)


def _kind(shot, name):
    flags = shot.cells["flags"].fillna("").to_numpy()
    return np.array([f == name for f in flags])


def _text(nuclei, rows):
    return [str(t) for t in to_text(nuclei.flags[rows], CellFlag)]


def test_every_ordinary_nucleus_is_found_once(shot, found):
    _, rows = found
    ordinary = rows[_kind(shot, "")]
    assert (ordinary >= 0).all()
    assert len(set(ordinary.tolist())) == len(ordinary)


def test_ordinary_and_touching_nuclei_carry_no_flag(shot, found):
    nuclei, rows = found
    doubted = [text for text in _text(nuclei, rows[_kind(shot, "")]) if text]
    assert len(doubted) <= 1


def test_nuclei_that_overlap_are_flagged(shot, found):
    nuclei, rows = found
    assert _kind(shot, "OVERLAP").sum() >= 3
    assert all("OVERLAP" in text for text in _text(nuclei, rows[_kind(shot, "OVERLAP")]))


def test_nuclei_out_of_focus_are_flagged_and_score_low(shot, found):
    nuclei, rows = found
    blurred = rows[_kind(shot, "OUT_OF_FOCUS")]
    blurred = blurred[blurred >= 0]
    assert len(blurred)
    assert all("OUT_OF_FOCUS" in text for text in _text(nuclei, blurred))
    assert nuclei.focus[blurred].max() < IN_FOCUS < nuclei.focus[rows[_kind(shot, "")]].min()


def test_dying_nuclei_are_rows_of_their_own(shot, found):
    nuclei, rows = found
    dying = rows[_kind(shot, "APOPTOTIC")]
    assert (dying >= 0).all()
    assert all("APOPTOTIC" in text for text in _text(nuclei, dying))


def test_cut_nuclei_are_flagged(shot, found):
    nuclei, rows = found
    cut = rows[_kind(shot, "TRUNCATED")]
    cut = cut[cut >= 0]
    assert all("TRUNCATED" in text for text in _text(nuclei, cut))


def test_focal_planes_lie_in_the_nuclei(shot, found):
    nuclei, rows = found
    ordinary = _kind(shot, "")
    np.testing.assert_allclose(
        nuclei.z_um[rows[ordinary]], shot.cells["z_um"].to_numpy(dtype=float)[ordinary], atol=0.35
    )


def test_thickness_is_of_the_right_size(shot, found):
    nuclei, rows = found
    ordinary = _kind(shot, "")
    true = shot.cells["thickness_um"].to_numpy(dtype=float)[ordinary]
    measured = nuclei.thickness_um[rows[ordinary]]
    assert np.median(measured / true) == pytest.approx(1.0, abs=0.35)


def test_areas_lack_only_the_thin_rim(shot, found):
    nuclei, rows = found
    ordinary = _kind(shot, "")
    ratio = nuclei.area_um2[rows[ordinary]] / shot.cells["area_um2"].to_numpy(dtype=float)[ordinary]
    # A simulated nucleus thins out to nothing at its outline; about 0.15 um of the rim are too faint to see.
    assert np.median(ratio) == pytest.approx(0.92, abs=0.07)


def test_one_plane_has_no_thickness(shot):
    nuclei = segment(shot.pixels[0][5:6], shot.voxel_um, CLASSICAL, "cpu")
    assert len(nuclei)
    assert not nuclei.z_um.any()
    assert np.isnan(nuclei.thickness_um).all()
    assert ((nuclei.focus > 0) & (nuclei.focus <= 1)).all()


def test_the_network_in_tiles_finds_what_the_whole_has(shot, monkeypatch):
    from ctcfish.stages import segment as stage

    whole = segment(shot.pixels[0][5:6], shot.voxel_um, Segment(), "cpu")
    monkeypatch.setattr(stage, "_CORE_PX", 80)
    monkeypatch.setattr(stage, "_MARGIN_PX", 40)
    parts = segment(shot.pixels[0][5:6], shot.voxel_um, Segment(), "cpu")
    painted = parts.paint()
    for row in np.flatnonzero(whole.flags & int(CellFlag.OUT_OF_FOCUS) == 0):
        y0, x0, y1, x1 = whole.box_px[row].tolist()
        mask = whole.mask(int(row))
        label = np.bincount(painted[y0:y1, x0:x1][mask]).argmax()
        assert label > 0
        shared = (mask & (painted[y0:y1, x0:x1] == label)).sum()
        assert shared / (mask.sum() + (painted == label).sum() - shared) > 0.9


# --- focus -----------------------------------------------------------------------------------------------------


def _stack(depths, planes=9, side=60):
    """Squares side by side, each sharp in its own plane and blurred in proportion to the distance from it."""
    scene = np.full((planes, side, side * len(depths)), 10.0, np.float32)
    for k, sharp in enumerate(depths):
        for z in range(planes):
            picture = np.zeros((side, side))
            picture[20:40, 20:40] = 100
            scene[z, :, k * side : (k + 1) * side] += gaussian_filter(picture, 0.5 + 1.5 * abs(z - sharp))
    return scene


def test_the_sharpest_plane_is_found_place_by_place():
    scene = _stack([2, 6])
    plane = sharpest_plane(sharpness(scene, PIXEL_UM), PIXEL_UM)
    assert (plane[20:40, 20:40] == 2).all()
    assert (plane[20:40, 80:100] == 6).all()


def test_the_projection_shows_each_place_in_its_own_plane():
    scene = _stack([2, 6])
    image = project(scene, sharpest_plane(sharpness(scene, PIXEL_UM), PIXEL_UM), PIXEL_UM, 1.0)
    for k, z in enumerate((2, 6)):
        middle = np.s_[25:35, 60 * k + 25 : 60 * k + 35]
        steep = np.abs(np.diff(image[:, 60 * k : 60 * k + 60], axis=1)).max()
        wrong = np.abs(np.diff(scene[8 - z][:, 60 * k : 60 * k + 60], axis=1)).max()
        assert image[middle].mean() == pytest.approx(scene[z][middle].mean(), rel=0.1)
        assert steep > 2 * wrong


def test_one_plane_is_its_own_projection():
    scene = _stack([0], planes=1)
    seen = view(scene, 1, PIXEL_UM, 0.0)
    np.testing.assert_array_equal(seen.image, scene[0])
    assert not seen.plane.any()


def test_sharpness_of_a_ramp_is_its_squared_slope():
    ramp = np.tile(np.arange(40, dtype=np.float32) * 3, (30, 1))[None]
    np.testing.assert_allclose(sharpness(ramp, PIXEL_UM)[0, 8:-8, 8:-8], 9.0, rtol=1e-4)


def test_slopes_are_taken_under_a_known_blur():
    assert smoothing_um(0.1) == 0.5
    assert smoothing_um(4.0) == 2.0


@pytest.mark.parametrize("sharp", [2.0, 3.3, 4.5, 6.0])
def test_the_focal_plane_is_found_between_planes(sharp):
    scene = _stack([sharp])
    labels = np.zeros((60, 60), np.int32)
    labels[20:40, 20:40] = 1
    traits = measure(view(scene, 1, PIXEL_UM, 0.5), labels)
    assert traits.z_um[0] == pytest.approx(0.5 * sharp, abs=0.1)


def test_blur_lowers_the_focus_score():
    scores = []
    for blur in (0.5, 2.0, 4.0, 8.0):
        picture = np.zeros((1, 90, 90), np.float32)
        picture[0, 30:60, 30:60] = 100
        picture[0] = gaussian_filter(picture[0], blur) + 10
        labels = np.zeros((90, 90), np.int32)
        labels[30:60, 30:60] = 1
        scores.append(float(measure(view(picture, 1, 0.2, 0.0), labels).focus[0]))
    assert scores == sorted(scores, reverse=True)
    assert scores[0] == 1.0
    assert scores[-1] < IN_FOCUS


def test_neighbours_in_two_planes_rise_above_each_other():
    side = 40
    scene = np.full((9, side, 2 * side), 10.0, np.float32)
    for k, sharp in enumerate((2, 6)):
        for z in range(9):
            picture = np.zeros((side, 2 * side))
            picture[10:30, 20 + 20 * k : 40 + 20 * k] = 100
            scene[z] += gaussian_filter(picture, 0.5 + 1.5 * abs(z - sharp))
    labels = np.zeros((side, 2 * side), np.int32)
    labels[10:30, 20:40], labels[10:30, 40:60] = 1, 2
    traits = measure(view(scene, 1, PIXEL_UM, 0.8), labels)
    np.testing.assert_allclose(traits.rise_um, 3.2, atol=0.5)
    alone = measure(view(scene, 1, PIXEL_UM, 0.8), np.where(labels == 1, 1, 0).astype(np.int32))
    assert alone.rise_um.tolist() == [0.0]


def test_two_storeys_in_one_outline_spread_the_sharpest_plane():
    scene = _stack([2, 2])
    scene[:, :, 60:] = _stack([6])
    labels = np.zeros((60, 120), np.int32)
    labels[20:40, 20:100] = 1
    traits = measure(view(scene, 1, PIXEL_UM, 0.5), labels)
    assert traits.spread_um[0] == pytest.approx(2.0, abs=0.5)


def test_traits_of_tiles_are_joined_in_order():
    scene = _stack([2, 6])
    labels = np.zeros((60, 120), np.int32)
    labels[20:40, 20:40], labels[20:40, 80:100] = 1, 2
    traits = measure(view(scene, 1, PIXEL_UM, 0.5), labels)
    again = join([traits.rows(np.array([0])), traits.rows(np.array([1]))])
    np.testing.assert_array_equal(again.z_um, traits.z_um)
    np.testing.assert_array_equal(again.focus, traits.focus)


def test_nothing_is_measured_of_nothing():
    traits = measure(view(np.zeros((3, 20, 20), np.float32), 1, PIXEL_UM, 0.5), np.zeros((20, 20), np.int32))
    assert len(traits.z_um) == len(traits.rise_um) == len(traits.solidity) == 0


# --- contact ---------------------------------------------------------------------------------------------------


def _pair(distance_um):
    """Two domes of 4 um radius whose light adds up; labels meet half-way."""
    axis = np.arange(100) * PIXEL_UM
    image = np.zeros((100, 100))
    for x in (20.0 - distance_um / 2, 20.0 + distance_um / 2):
        away = (axis[:, None] - 20.0) ** 2 + (axis - x) ** 2
        image += 400 * np.sqrt(np.clip(1 - (away / 16.0) ** 1.25, 0, None))
    union = image > 20
    labels = np.where(union, 1 + (axis > 20.0)[None], 0).astype(np.int32)
    return gaussian_filter(image, 0.6).astype(np.float32), labels


def _contacts(image, labels):
    return contacts(image, labels, surroundings(labels), PIXEL_UM)


def test_light_adds_up_where_nuclei_overlap_and_not_where_they_touch():
    ratio = {d: _contacts(*_pair(d))[1][0] for d in (4.0, 5.0, 6.0, 8.0)}
    assert ratio[4.0] > ratio[5.0] > ratio[6.0] > 0.9
    assert ratio[8.0] < 0.75


def test_contacts_name_both_labels():
    pairs, _ = _contacts(*_pair(6.0))
    assert pairs.tolist() == [[1, 2]]


def test_nuclei_apart_have_no_contact():
    image, labels = _pair(11.0)
    pairs, light = _contacts(image, labels)
    assert pairs.shape == (0, 2)
    assert highest(pairs, light, 2).tolist() == [0.0, 0.0]


def test_the_highest_of_a_labels_pairs_counts():
    pairs = np.array([[1, 2], [2, 3]])
    assert highest(pairs, np.array([0.5, 0.9]), 4).tolist() == [0.5, 0.9, 0.9, 0.0]


def test_an_outline_round_two_overlapping_nuclei_shows_its_lobes():
    image, labels = _pair(6.0)
    whole = (labels > 0).astype(np.int32)
    assert lobe_light(image, whole, np.array([True]), PIXEL_UM)[0] > 0.95
    assert lobe_light(image, whole, np.array([False]), PIXEL_UM)[0] == 0.0


def test_an_outline_round_two_touching_nuclei_has_a_dark_neck():
    image, labels = _pair(7.6)
    assert 0 < lobe_light(image, (labels > 0).astype(np.int32), np.array([True]), PIXEL_UM)[0] < 0.85


# --- fragments -------------------------------------------------------------------------------------------------


def _pieces(draw, disc, pieces, brightness=700):
    drawn = draw(
        [disc(12, 12), disc(12, 40), disc(40, 12), *(disc(y, x, r, brightness) for y, x, r in pieces)],
        pixel_um=PIXEL_UM,
    )
    return drawn.image, np.where(drawn.labels > 3, 0, drawn.labels).astype(np.int32)


def test_pieces_close_to_each_other_become_one_label(draw, disc):
    image, labels = _pieces(draw, disc, [(40, 40, 1.0), (42.5, 40.5, 1.0), (41, 43, 0.9)])
    gathered = gather(image, labels, PIXEL_UM)
    assert gathered.max() == 4
    np.testing.assert_array_equal(np.where(gathered == 4, 0, gathered), labels)
    rows, columns = np.nonzero(gathered == 4)
    assert abs(rows.mean() * PIXEL_UM - 41) < 1
    assert abs(columns.mean() * PIXEL_UM - 41) < 1


def test_pieces_far_apart_are_two_labels(draw, disc):
    image, labels = _pieces(draw, disc, [(35, 35, 1.2), (37, 35, 1.0), (50, 50, 1.2), (52, 50, 1.0)])
    assert gather(image, labels, PIXEL_UM).max() == 5


def test_dim_scraps_and_large_bright_ground_are_no_pieces(draw, disc):
    image, labels = _pieces(draw, disc, [(40, 40, 1.0), (42.5, 40.5, 1.0)], brightness=150)
    np.testing.assert_array_equal(gather(image, labels, PIXEL_UM), labels)
    image, labels = _pieces(draw, disc, [(40, 40, 8.0)])
    np.testing.assert_array_equal(gather(image, labels, PIXEL_UM), labels)


def test_without_nuclei_nothing_is_gathered(draw, disc):
    image, labels = _pieces(draw, disc, [(40, 40, 1.0), (42.5, 40.5, 1.0)])
    assert not gather(image, np.zeros_like(labels), PIXEL_UM).any()
