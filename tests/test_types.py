"""Values that cross boundaries: masks, painted labels, flags and pixels."""

from __future__ import annotations

import dataclasses
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ctcfish.flags import SlideFlag
from ctcfish.types import PROBES, Nuclei, Scene
from tests import make

SHAPE = (40, 50)
NONE = SlideFlag(0)


def nuclei_of(masks: list[tuple[int, tuple[int, int], NDArray[np.bool_]]]) -> Nuclei:
    """Nuclei from ``(label, first pixel, mask)``, packed here by hand."""
    n = len(masks)
    boxes = [(y, x, y + mask.shape[0], x + mask.shape[1]) for _, (y, x), mask in masks]
    zeros = np.zeros(n)
    return Nuclei(
        label=np.array([label for label, _, _ in masks], np.int32),
        box_px=np.array(boxes, np.int32).reshape(n, 4),
        packed=tuple(np.packbits(mask).tobytes() for _, _, mask in masks),
        pixel_um=(0.1, 0.1),
        centroid_um=np.zeros((n, 2)),
        area_um2=zeros,
        z_um=zeros,
        thickness_um=zeros,
        focus=zeros,
        flags=np.zeros(n, np.int64),
        shape_px=SHAPE,
    )


def drawn(nuclei: list[tuple[int, tuple[int, int], NDArray[np.bool_]]]) -> NDArray[np.int32]:
    """The label image pixel by pixel, later nuclei over earlier ones."""
    image = np.zeros(SHAPE, np.int32)
    for label, (y0, x0), mask in nuclei:
        for y, x in np.argwhere(mask):
            image[y0 + y, x0 + x] = label
    return image


@st.composite
def outlines(draw: st.DrawFn) -> list[tuple[int, tuple[int, int], NDArray[np.bool_]]]:
    found = []
    for label in range(1, draw(st.integers(0, 5)) + 1):
        height, width = draw(st.integers(1, 9)), draw(st.integers(1, 9))
        place = draw(st.integers(0, SHAPE[0] - height)), draw(st.integers(0, SHAPE[1] - width))
        seed = draw(st.integers(0, 1000))
        found.append((label, place, np.random.default_rng(seed).random((height, width)) < 0.7))
    return found


@given(outlines())
def test_masks_come_back_as_they_were_packed(given_masks: list[Any]) -> None:
    nuclei = nuclei_of(given_masks)
    assert len(nuclei) == len(given_masks)
    for row, (_, _, mask) in enumerate(given_masks):
        back = nuclei.mask(row)
        assert back.dtype == bool
        np.testing.assert_array_equal(back, mask)


@given(outlines())
def test_painting_is_drawing_pixel_by_pixel(given_masks: list[Any]) -> None:
    image = nuclei_of(given_masks).paint()
    assert image.dtype == np.int32
    np.testing.assert_array_equal(image, drawn(given_masks))


@given(outlines(), st.tuples(*[st.integers(0, n) for n in (SHAPE[0], SHAPE[0], SHAPE[1], SHAPE[1])]))
def test_a_painted_window_is_the_window_of_the_painting(given_masks: list[Any], ends: tuple[int, ...]) -> None:
    rows, columns = slice(*sorted(ends[:2])), slice(*sorted(ends[2:]))
    window = nuclei_of(given_masks).paint(rows, columns)
    np.testing.assert_array_equal(window, drawn(given_masks)[rows, columns])


def test_a_nucleus_that_ends_where_a_window_begins_is_not_in_it() -> None:
    nuclei = nuclei_of([(7, (10, 20), np.ones((5, 5), bool))])
    assert not nuclei.paint(slice(15, 20)).any()
    assert not nuclei.paint(slice(0, 10)).any()
    assert (nuclei.paint(slice(14, 20), slice(24, 30)) == 7).sum() == 1
    assert (nuclei.paint(slice(9, 11), slice(19, 21)) == 7).sum() == 1


def test_windows_count_from_the_end_and_stop_at_the_border() -> None:
    nuclei = make.nuclei(2)
    whole = nuclei.paint()
    np.testing.assert_array_equal(nuclei.paint(slice(-20, None), slice(-90, -10)), whole[-20:, -90:-10])
    assert nuclei.paint(slice(70, 10_000)).shape == (10, whole.shape[1])
    assert nuclei.paint(slice(500, 600)).shape == (0, whole.shape[1])


def test_the_pieces_of_a_scene_make_the_scene() -> None:
    nuclei = make.nuclei(3)
    pieces = [
        np.hstack([nuclei.paint(slice(y, y + 33), slice(x, x + 47)) for x in range(0, nuclei.shape_px[1], 47)])
        for y in range(0, nuclei.shape_px[0], 33)
    ]
    np.testing.assert_array_equal(np.vstack(pieces), nuclei.paint())


def test_the_squares_of_the_tests_are_what_they_say() -> None:
    nuclei = make.nuclei(2, pixel_um=0.1)
    assert nuclei.area_um2 == pytest.approx([36.0, 36.0])
    assert nuclei.centroid_um.tolist() == [pytest.approx([3.95, 3.95]), pytest.approx([3.95, 11.95])]
    assert [int(nuclei.mask(row).sum()) for row in range(2)] == [3600, 3600]
    assert np.unique(nuclei.paint()).tolist() == [0, 1, 2]


def test_no_nuclei_paint_nothing() -> None:
    nothing = nuclei_of([])
    assert len(nothing) == 0
    assert nothing.paint().shape == SHAPE
    assert not nothing.paint().any()


def a_scene(flags: SlideFlag = NONE, **other: Any) -> Scene:
    return dataclasses.replace(make.SCENE, flags=flags, **other)


def test_a_scene_reads_the_channel_of_a_role() -> None:
    array = np.arange(3 * 2 * 4 * 5).reshape(3, 2, 4, 5).astype(np.uint16)
    scene = a_scene(pixels=make.ArraySource(array), roles={"nucleus": 2, "her2": 0})
    np.testing.assert_array_equal(scene.read("nucleus"), array[2])
    np.testing.assert_array_equal(scene.read("her2", slice(1, 3), slice(4, None)), array[0, :, 1:3, 4:])
    assert scene.read("nucleus").dtype == np.uint16
    with pytest.raises(KeyError, match="cep17"):
        scene.read("cep17")


def test_a_slide_unites_the_doubts_of_its_scenes() -> None:
    fish = a_scene(SlideFlag.COMPOSITE), a_scene(SlideFlag.LOSSY)
    seen = (a_scene(SlideFlag.COARSE_PIXELS),)
    assert make.slide(fish_scenes=fish, if_scenes=seen).flags == (
        SlideFlag.COMPOSITE | SlideFlag.LOSSY | SlideFlag.COARSE_PIXELS
    )
    assert make.slide(fish_scenes=(a_scene(),), if_scenes=(a_scene(),)).flags == SlideFlag(0)


def test_a_slide_without_if_says_so() -> None:
    assert make.slide(fish_scenes=(a_scene(SlideFlag.LOSSY),)).flags == SlideFlag.NO_IF | SlideFlag.LOSSY
    assert make.slide(fish_scenes=()).flags == SlideFlag.NO_IF


@pytest.mark.parametrize(
    ("value", "name"),
    [(make.slide(), "slide_id"), (make.SCENE, "name"), (make.nuclei(1), "label"), (make.model(), "offset_adu")],
    ids=["slide", "scene", "nuclei", "model"],
)
def test_values_are_frozen(value: Any, name: str) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError, match=name):
        setattr(value, name, None)


def test_values_travel_between_processes() -> None:
    back = pickle.loads(pickle.dumps(make.nuclei(3)))
    np.testing.assert_array_equal(back.paint(), make.nuclei(3).paint())
    slide = pickle.loads(pickle.dumps(make.slide()))
    np.testing.assert_array_equal(slide.fish_scenes[0].read("nucleus"), make.SCENE.read("nucleus"))
    assert pickle.loads(pickle.dumps(make.model())) == make.model()


def test_probes_stand_in_table_order() -> None:
    assert PROBES == ("HER2", "CEP17")


@pytest.mark.parametrize("keep", [[2, 0], np.array([True, False, True]), slice(1, None)])
def test_nuclei_are_picked_by_index_or_mask(keep: Any) -> None:
    nuclei = make.nuclei(3)
    picked = nuclei.rows(keep)
    np.testing.assert_array_equal(picked.label, nuclei.label[keep])
    np.testing.assert_array_equal(picked.box_px, nuclei.box_px[keep])
    for row, label in enumerate(picked.label.tolist()):
        np.testing.assert_array_equal(picked.mask(row), nuclei.mask(label - 1))
    assert picked.shape_px == nuclei.shape_px
