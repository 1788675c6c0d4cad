"""Nuclei of a scene: what is found, what is refused, and what must not matter."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

from ctcfish.errors import ConfigError, InputError
from ctcfish.flags import CellFlag
from ctcfish.parameters import ClassicalNuclei, Custom, Segment
from ctcfish.stages import segment as stage
from ctcfish.stages.nuclei.classical import classical_labels
from ctcfish.stages.nuclei.measure import Traits
from ctcfish.stages.nuclei.outlines import from_labels, shifted
from ctcfish.stages.nuclei.scale import NUCLEUS_UM, estimate_pixel_um
from ctcfish.stages.nuclei.tiles import Tile, tiles
from ctcfish.stages.segment import segment, segment_nuclei

CLASSICAL = Segment(nuclei=ClassicalNuclei())


def _find(image, pixel_um, params=CLASSICAL):
    return segment(image[None], (0.0, pixel_um, pixel_um), params, "cpu")


def _matched(found, true, least=0.5):
    """Number of true nuclei that a label overlaps by the given share of their union."""
    hits = 0
    for number in range(1, true.max() + 1):
        inside = true == number
        if not inside.any():
            continue
        label = np.bincount(found[inside]).argmax()
        hits += bool(label) and (inside & (found == label)).sum() / (inside | (found == label)).sum() >= least
    return hits


def halves(image, pixel_um):
    """A stranger's method: two labels, whatever the image shows."""
    labels = np.ones(image.shape, np.int64)
    labels[:, image.shape[1] // 2 :] = 5
    return labels


def wrong_shape(image, pixel_um):
    return np.zeros((3, 3), int)


def wrong_type(image, pixel_um):
    return image


@pytest.mark.parametrize("pixel_um", [0.1, 0.2, 0.33, 0.64])
def test_round_nuclei_are_found_with_their_outlines(draw, grid, pixel_um):
    drawn = draw(grid(4, 4), side_um=60.0, pixel_um=pixel_um)
    nuclei = _find(drawn.image, pixel_um)
    assert len(nuclei) == 16
    assert _matched(nuclei.paint(), drawn.labels, 0.88) == 16
    np.testing.assert_allclose(nuclei.area_um2, np.pi * 16, rtol=0.12)
    assert not nuclei.flags.any()


def test_touching_nuclei_are_parted(draw, disc):
    pairs = [disc(12 + 18 * k, 12, 4.0) for k in range(3)] + [disc(12 + 18 * k, 19.8, 4.0, 330.0) for k in range(3)]
    drawn = draw(pairs)
    nuclei = _find(drawn.image, 0.2)
    assert len(nuclei) == 6
    assert _matched(nuclei.paint(), drawn.labels, 0.85) == 6


def test_a_faint_nucleus_beside_bright_ones_is_found(draw, disc):
    drawn = draw([disc(15, 15, brightness=2000), disc(15, 30, brightness=500), disc(40, 30, brightness=2000)])
    assert _matched(_find(drawn.image, 0.2).paint(), drawn.labels, 0.8) == 3


def test_bright_and_faint_nuclei_get_outlines_of_one_size(draw, disc):
    drawn = draw([disc(15, 15, brightness=1500), disc(40, 40, brightness=600)], noise=2.0)
    area = _find(drawn.image, 0.2).area_um2
    assert area[0] == pytest.approx(area[1], rel=0.05)


@pytest.mark.parametrize("value", [0, 7, 65535])
def test_an_even_image_holds_no_nucleus(value):
    nuclei = segment(np.full((2, 90, 80), value, np.uint16), (0.4, 0.1, 0.1), CLASSICAL, "cpu")
    assert len(nuclei) == 0
    assert nuclei.shape_px == (90, 80)


@pytest.mark.parametrize("seed", range(3))
def test_noise_holds_no_nucleus(seed):
    noise = np.random.default_rng(seed).poisson(100, (512, 512)).astype(np.uint16)
    assert len(_find(noise, 0.2)) == 0


@pytest.mark.parametrize("shape", [(1, 0, 0), (0, 5, 5), (1, 1, 1), (3, 1, 1), (1, 1, 50), (1, 50, 1), (2, 3, 3)])
def test_tiny_stacks_hold_no_nucleus(shape):
    nuclei = segment(np.ones(shape, np.uint16), (0.4, 0.1, 0.1), CLASSICAL, "cpu")
    assert len(nuclei) == 0
    assert nuclei.paint().shape == shape[1:]


def test_debris_is_left_out_and_small_nuclei_are_flagged(draw, disc):
    drawn = draw([disc(15, 15, 1.5), disc(15, 40, 2.3), disc(40, 25, 4.0)])
    nuclei = _find(drawn.image, 0.2)
    assert len(nuclei) == 2
    assert nuclei.flags.tolist() == [CellFlag.TOO_SMALL, 0]


def test_a_very_large_nucleus_is_flagged(draw, disc):
    nuclei = _find(draw([disc(30, 30, 11.0)]).image, 0.2)
    assert nuclei.flags.tolist() == [CellFlag.TOO_LARGE]


@pytest.mark.parametrize(("y", "x"), [(1, 30), (30, 1), (59, 30), (30, 59)])
def test_a_nucleus_cut_by_the_border_is_flagged(draw, disc, y, x):
    nuclei = _find(draw([disc(y, x)]).image, 0.2)
    assert nuclei.flags.tolist() == [CellFlag.TRUNCATED]


@pytest.mark.parametrize("turn", [np.flipud, np.fliplr, np.transpose])
def test_turning_the_image_turns_the_nuclei(draw, grid, turn):
    drawn = draw(grid(4, 4), side_um=60.0)
    one, two = _find(turn(drawn.image), 0.2).paint(), turn(_find(drawn.image, 0.2).paint())
    assert one.max() == two.max()
    assert ((one > 0) != (two > 0)).sum() < 0.02 * (two > 0).sum()


@pytest.mark.parametrize(("gain", "offset"), [(7.0, 0.0), (1.0, 900.0), (0.01, 0.0)])
def test_gain_and_offset_do_not_matter(draw, grid, gain, offset):
    image = draw(grid(4, 4), side_um=60.0).image
    one, two = _find(image, 0.2).paint(), _find(gain * image + offset, 0.2).paint()
    assert (one != two).sum() <= 0.001 * (one > 0).sum()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.int32, np.float32, np.float64])
def test_any_type_of_pixel_will_do(draw, grid, dtype):
    drawn = draw(grid(3, 3), side_um=45.0, noise=2.0)
    image = (drawn.image / drawn.image.max() * 250).astype(dtype)
    assert _matched(_find(image, 0.2).paint(), drawn.labels, 0.85) == 9


def test_an_empty_border_changes_nothing(draw, grid):
    image = draw(grid(3, 3), side_um=45.0, noise=1.0).image
    wide = np.pad(image, 80, mode="reflect")
    assert len(_find(wide[80:-80, 80:-80], 0.2)) == len(_find(image, 0.2)) == 9


def test_the_same_stack_gives_the_same_bytes(draw, grid):
    image = draw(grid(4, 4)).image
    one, two = _find(image, 0.2), _find(image.copy(), 0.2)
    assert one.packed == two.packed
    assert one.focus.tobytes() == two.focus.tobytes()


# --- what is refused -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(5,), (4, 4), (1, 1, 4, 4)])
def test_a_stack_has_three_axes(shape):
    with pytest.raises(InputError, match=rf"found {len(shape)} axes; needed three axes \(Z, Y, X\)"):
        segment(np.ones(shape), (0.4, 0.1, 0.1), CLASSICAL, "cpu")


@pytest.mark.parametrize("dtype", [bool, complex, object])
def test_pixels_are_real_numbers(dtype):
    with pytest.raises(InputError, match=re.escape("needed integers or floats")):
        segment(np.ones((1, 4, 4), dtype), (0.4, 0.1, 0.1), CLASSICAL, "cpu")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_pixels_are_finite(value):
    image = np.ones((1, 40, 40), np.float32)
    image[0, 7, 9] = value
    with pytest.raises(InputError, match="found 1 pixels that are no finite numbers"):
        segment(image, (0.4, 0.1, 0.1), CLASSICAL, "cpu")


# --- a stranger's method ---------------------------------------------------------------------------------------


def _custom(name, monkeypatch):
    import sys
    import types

    module = types.ModuleType("stranger")
    module.halves, module.wrong_shape, module.wrong_type = halves, wrong_shape, wrong_type
    monkeypatch.setitem(sys.modules, "stranger", module)
    return Segment(nuclei=Custom(function=name), large_area_um2=1e6)


def test_a_strangers_method_is_used(monkeypatch):
    nuclei = _find(np.ones((80, 100), np.uint16), 0.4, _custom("stranger:halves", monkeypatch))
    np.testing.assert_array_equal(nuclei.paint()[:, :50], 1)
    np.testing.assert_array_equal(nuclei.paint()[:, 50:], 2)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("stranger:wrong_shape", "returned int64 of shape (3, 3); integers of the image's shape (80, 100) are needed"),
        ("stranger:wrong_type", "returned float32 of shape (80, 100)"),
        ("stranger:missing", "cannot be imported"),
        ("no_such_package:f", "cannot be imported (No module named 'no_such_package')"),
    ],
)
def test_a_strangers_mistake_is_named(monkeypatch, name, says):
    with pytest.raises(ConfigError, match=re.escape(says)):
        _find(np.ones((80, 100), np.uint16), 0.4, _custom(name, monkeypatch))


# --- tiles -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 1), (100, 100), (64, 301), (517, 230)])
def test_cores_cover_the_scene_once(shape):
    seen = np.zeros(shape, int)
    for tile in tiles(shape, 64, 16):
        y0, x0, y1, x1 = tile.core
        seen[y0:y1, x0:x1] += 1
        v0, u0, v1, u1 = tile.window
        assert 0 <= v0 <= y0 < y1 <= v1 <= shape[0]
        assert 0 <= u0 <= x0 < x1 <= u1 <= shape[1]
        assert v0 % 4 == u0 % 4 == 0
        assert y0 - v0 in (0, 16)
        assert v1 - y1 in (0, *range(1, 17))
    assert (seen == 1).all()


def test_a_scene_in_tiles_holds_the_nuclei_of_the_whole(draw, grid, monkeypatch):
    drawn = draw(grid(9, 9, pitch_um=12.3), side_um=115.0, noise=3.0)
    whole = _find(drawn.image, 0.2)
    monkeypatch.setattr(stage, "_CORE_PX", 96)
    monkeypatch.setattr(stage, "_MARGIN_PX", 32)
    parts = _find(drawn.image, 0.2)
    assert len(parts) == len(whole) == 81
    assert _matched(parts.paint(), whole.paint(), 0.95) == 81
    assert (parts.label == np.arange(1, 82)).all()
    order = np.argsort(parts.centroid_um @ (1000, 1)), np.argsort(whole.centroid_um @ (1000, 1))
    np.testing.assert_array_equal(parts.flags[order[0]], whole.flags[order[1]])


def test_no_pixel_belongs_to_two_nuclei_of_different_tiles(draw, grid, monkeypatch):
    drawn = draw(grid(9, 9, pitch_um=8.2), side_um=78.0, noise=3.0)
    monkeypatch.setattr(stage, "_CORE_PX", 60)
    monkeypatch.setattr(stage, "_MARGIN_PX", 30)
    nuclei = _find(drawn.image, 0.2)
    painted = nuclei.paint()
    pixels = sum(int(nuclei.mask(row).sum()) for row in range(len(nuclei)))
    assert pixels == (painted > 0).sum()


def _seen_twice(corner, factor):
    """Two tiles side by side; the second sees a square at a corner of the scene, and its own far to the right."""
    first = Tile((0, 0, 100, 120), (0, 0, 100, 100))
    second = Tile((0, 80, 100, 200), (0, 100, 100, 200))
    labels = np.zeros((100, 120), np.int32)
    labels[40:60, 85:105] = 1
    held = stage.Found(first, shifted(from_labels(labels, (1.0, 1.0)), (0, 0), (100, 200)), _blank(1))
    seen = np.zeros((100, 120), np.int32)
    y, x = corner
    seen[y : y + 20, x - 80 : x - 60] = 1
    seen[10:30, 90:110] = 2
    scene = stage._Scene((100, 200), (0.0, 1.0, 1.0), factor)
    found = stage.Found(second, shifted(from_labels(seen, (1.0, 1.0)), (0, 80), (100, 200)), _blank(2))
    return stage._owned(found, scene, [held]).nuclei


def _blank(count):
    return Traits(*(np.arange(count, dtype=float) for _ in dataclasses.fields(Traits)))


def test_a_nucleus_seen_by_two_tiles_belongs_to_the_first():
    nuclei = _seen_twice((41, 89), 4)
    assert nuclei.box_px.tolist() == [[10, 170, 30, 190]]


def test_ground_taken_by_an_earlier_tile_is_given_up():
    nuclei = _seen_twice((41, 99), 4)
    assert len(nuclei) == 2
    painted = nuclei.paint()
    assert not painted[40:60, 85:105].any()
    assert (painted[41:61, 105:119] == 1).all()
    assert (painted[60, 99:119] == 1).all()


def test_what_lies_in_the_neighbours_core_is_left_to_it():
    assert _seen_twice((70, 82), 1).box_px.tolist() == [[10, 170, 30, 190]]


# --- the public helper -----------------------------------------------------------------------------------------


def test_the_helper_takes_an_image_or_a_stack(draw, grid):
    drawn = draw(grid(4, 4), side_um=60.0)
    labels = segment_nuclei(drawn.image, 0.2)
    assert labels.dtype == np.int32
    assert _matched(labels, drawn.labels, 0.8) == 16
    np.testing.assert_array_equal(segment_nuclei(drawn.image[None], 0.2), labels)


@pytest.mark.parametrize("shape", [(0, 0), (0, 7), (0, 4, 4), (30, 40), (2, 30, 40)])
def test_the_helper_returns_zeros_where_nothing_is(shape):
    labels = segment_nuclei(np.zeros(shape, np.uint16))
    assert labels.shape == shape[-2:]
    assert labels.dtype == np.int32
    assert not labels.any()


@pytest.mark.parametrize("pixel_um", [0.05, 0.1, 0.2, 0.4, 0.8])
def test_the_scale_is_guessed_from_the_nuclei(draw, grid, pixel_um):
    drawn = draw(grid(5, 5, radius=NUCLEUS_UM / 2), side_um=72.0, pixel_um=pixel_um)
    assert estimate_pixel_um(drawn.image) == pytest.approx(pixel_um, rel=0.15)


def test_the_helper_needs_no_pixel_size(draw, grid):
    drawn = draw(grid(5, 5, radius=4.5), side_um=72.0, pixel_um=0.3)
    assert _matched(segment_nuclei(drawn.image), drawn.labels, 0.8) == 25


def test_no_scale_is_guessed_from_nothing():
    assert estimate_pixel_um(np.zeros((50, 60), np.uint8)) > 0


def test_the_helper_refuses_a_row_of_pixels():
    with pytest.raises(InputError, match="found 1 axes"):
        segment_nuclei(np.ones(5))


# --- the classical method --------------------------------------------------------------------------------------


def test_a_deeper_neck_is_asked_for_before_a_nucleus_is_parted(draw, disc):
    image = draw([disc(28, 26, 4.0), disc(28, 32, 4.0)], pixel_um=0.4).image
    assert classical_labels(image, 0.4, ClassicalNuclei(split_um=0.1)).max() == 2
    assert classical_labels(image, 0.4, ClassicalNuclei(split_um=3.0)).max() == 1


def test_real_fields_are_segmented_into_plausible_nuclei(shared_data):
    import tifffile

    image = tifffile.imread(shared_data / "speckles" / "1-162hrhoe2.tif")
    nuclei = _find(image, 0.13)
    assert 5 < len(nuclei) < 400
