"""Windows and views are cut where the cells are, whatever the border, and averaged where a scene is large."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from ctcfish import tables
from ctcfish.config import load, preset_names
from ctcfish.parameters import Call, Report
from ctcfish.report.windows import gallery, take_pictures
from ctcfish.stages.call import call
from ctcfish.types import Scene, SlideResult
from tests import make

CROP_UM = 2.0
HALF_PX = 10
"""Half of a window of :data:`CROP_UM` at 0.1 um, less its centre."""


def ramp(dtype: Any = np.uint16, shape: tuple[int, int] = (60, 80)) -> NDArray[Any]:
    """Two channels, two planes; the upper plane of channel c holds ``100 c + 1 + y`` and the lower one nothing."""
    y = np.arange(shape[0])[:, None] + np.zeros(shape[1], int)
    return np.stack([np.stack([np.zeros_like(y), 100 * c + 1 + y]) for c in range(2)]).astype(dtype)


def scene(pixels: NDArray[Any], modality: Any = "fish", name: str = "f", pixel_um: float = 0.1) -> Scene:
    return Scene(name, modality, make.ArraySource(pixels), (0.4, pixel_um, pixel_um), {"nucleus": 0, "her2": 1})


def result(*places: tuple[float, float], **columns: Any) -> SlideResult:
    """Cells of the scene ``f`` at places in micrometres."""
    cells = make.cells(*[(2, 2)] * len(places)).assign(
        y_um=[y for y, _ in places], x_um=[x for _, x in places], **columns
    )
    called = tables.CELLS.check(call(cells, make.rates(), Call()))
    return SlideResult("s", "p", "", called, tables.SPOTS.empty(), tables.IF_CELLS.empty(), {}, {})


def pictures(of: Scene, found: SlideResult, most: int = 60) -> dict[str, Any]:
    return dict(take_pictures(make.slide(fish_scenes=(of,)), found, Report(crop_um=CROP_UM, max_gallery_cells=most)))


def test_a_window_is_the_projection_around_the_cell() -> None:
    taken = pictures(scene(ramp()), result((3.0, 4.0)))
    assert list(taken) == ["view/fish/f", "cell/s/f/1/fish", "cell/s/f/1/plane/0", "cell/s/f/1/plane/1"]
    window = taken["cell/s/f/1/fish"]
    assert (window.roles, window.pixel_um, window.scene) == (("nucleus", "her2"), 0.1, "f")
    assert window.origin_um == pytest.approx((2.0, 3.0))
    expected = ramp().max(axis=1)[:, 30 - HALF_PX : 30 + HALF_PX + 1, 40 - HALF_PX : 40 + HALF_PX + 1]
    np.testing.assert_array_equal(window.pixels, expected)


def stack(planes: int) -> Scene:
    """Plane k of channel c holds ``100 c + k``; steps of 0.4 um."""
    values = 100 * np.arange(2)[:, None] + np.arange(planes)
    return scene(np.broadcast_to(values[..., None, None], (2, planes, 60, 80)).astype(np.uint16))


@pytest.mark.parametrize(
    ("planes", "z_um", "thickness_um", "shown"),
    [
        (15, 2.8, 3.2, [3, 4, 6, 7, 8, 10, 11]),  # 1.2 to 4.4 um
        (15, 0.4, 1.6, [0, 1, 2, 3]),  # cut by the glass
        (4, np.nan, np.nan, [0, 1, 2, 3]),
        (15, 2.8, np.nan, [0, 2, 5, 7, 9, 12, 14]),
        (1, 0.0, np.nan, []),
    ],
)
def test_planes_run_through_the_nucleus(planes: int, z_um: float, thickness_um: float, shown: list[int]) -> None:
    taken = pictures(stack(planes), result((3.0, 4.0), z_um=z_um, thickness_um=thickness_um))
    found = [taken[key] for key in taken if "/plane/" in key]
    assert [p.z_um for p in found] == pytest.approx([0.4 * k for k in shown])
    assert [np.unique(p.pixels).tolist() for p in found] == [[100 + k] for k in shown]
    window = taken["cell/s/f/1/fish"]
    for plane in found:
        assert (plane.roles, plane.scene, plane.pixels.shape) == (("her2",), "f", (1, 15, 15))
        assert plane.origin_um == pytest.approx([o + 0.3 for o in window.origin_um])
    assert window.pixels.shape == (2, 21, 21)
    assert window.z_um is None


@pytest.mark.parametrize(
    ("kind", "counts", "n"), [("ctc", (2, 2), 3), ("unknown", (9, 2), 3), ("unknown", (2, 2), 0), ("wbc", (9, 2), 0)]
)
def test_only_ctc_and_amplified_cells_have_planes(kind: str, counts: tuple[int, int], n: int) -> None:
    cells = make.cells(counts).assign(y_um=3.0, x_um=4.0, kind=kind)
    called = tables.CELLS.check(call(cells, make.rates(), Call()))
    found = SlideResult("s", "p", "", called, tables.SPOTS.empty(), tables.IF_CELLS.empty(), {}, {})
    assert sum("/plane/" in key for key in pictures(stack(3), found)) == n


def test_a_scene_of_nuclei_alone_has_no_planes_of_signals() -> None:
    bare = Scene("f", "fish", make.ArraySource(ramp()), (0.4, 0.1, 0.1), {"nucleus": 0})
    assert list(pictures(bare, result((3.0, 4.0)))) == ["view/fish/f", "cell/s/f/1/fish"]


@pytest.mark.parametrize("place", [(0.0, 0.0), (5.9, 7.9), (0.2, 7.0), (5.5, 0.3)], ids=str)
def test_a_window_over_the_border_keeps_its_size_and_is_dark_outside(place: tuple[float, float]) -> None:
    window = pictures(scene(ramp()), result(place))["cell/s/f/1/fish"]
    assert window.pixels.shape == (2, 2 * HALF_PX + 1, 2 * HALF_PX + 1)
    top, left = (round(p / 0.1) - HALF_PX for p in place)
    assert window.origin_um == pytest.approx((top * 0.1, left * 0.1))
    framed = np.pad(ramp().max(axis=1), [(0, 0), (100, 100), (100, 100)])
    size = 2 * HALF_PX + 1
    np.testing.assert_array_equal(
        window.pixels, framed[:, top + 100 : top + 100 + size, left + 100 : left + 100 + size]
    )
    assert (window.pixels == 0).any()
    assert (window.pixels > 0).any()


def test_a_scene_smaller_than_the_window_lies_whole_inside_it() -> None:
    small = ramp(shape=(5, 4))
    window = pictures(scene(small), result((0.2, 0.2)))["cell/s/f/1/fish"]
    assert window.pixels.shape == (2, 21, 21)
    assert window.pixels.sum() == small.max(axis=1).sum()


def test_a_crop_below_a_pixel_is_three_pixels() -> None:
    taken = take_pictures(make.slide(fish_scenes=(scene(ramp()),)), result((3.0, 4.0)), Report(crop_um=0.01))
    assert taken["cell/s/f/1/fish"].pixels.shape == (2, 3, 3)


def test_a_cell_of_both_scans_has_both_windows_and_a_lost_one_only_that_of_if() -> None:
    both = {"if_scene": ["scan", "scan"], "if_label": [1, 2], "if_y_um": [20.0, 10.0], "if_x_um": [30.0, 12.8]}
    lost = {"scene": ["f", None], "label": pd.array([1, None], dtype="Int64")}
    found = result((3.0, 4.0), (np.nan, np.nan), **both, **lost)
    slide = make.slide(fish_scenes=(scene(ramp()),), if_scenes=(scene(ramp(), "if", "scan", 0.64),))
    taken = take_pictures(slide, found, Report(crop_um=6.4))
    assert [key for key in taken if key.startswith("view/")] == ["view/if/scan", "view/fish/f"]
    whole = {key for key in taken if key.startswith("cell/") and "/plane/" not in key}
    assert whole == {"cell/s/f/1/if", "cell/s/f/1/fish", "cell/s/f/2/if"}
    seen = taken["cell/s/f/2/if"]
    assert seen.pixels.shape == (2, 11, 11)
    assert seen.pixel_um == 0.64
    # 10.0 um are 15.6 pixels, so row 16 is the centre and the ramp there is 17.
    assert int(seen.pixels[0, 5, 5]) == 17


def test_no_gallery_leaves_the_views() -> None:
    assert list(pictures(scene(ramp()), result((3.0, 4.0)), most=0)) == ["view/fish/f"]


def test_a_small_scene_is_viewed_as_it_is() -> None:
    view = pictures(scene(ramp()), result((3.0, 4.0)))["view/fish/f"]
    np.testing.assert_array_equal(view.pixels[0], ramp().max(axis=1)[0])
    assert (view.roles, view.pixel_um, view.origin_um) == (("nucleus",), 0.1, (0.0, 0.0))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.int32, np.float32, np.float64])
def test_a_large_scene_is_averaged_over_blocks(monkeypatch: pytest.MonkeyPatch, dtype: type) -> None:
    monkeypatch.setattr("ctcfish.report.windows.VIEW_PX", 40)
    pixels = ramp(np.float64)
    pixels[0, 1] = 3 * np.arange(60)[:, None] + np.arange(80)
    pixels[0, 1] %= 200
    view = pictures(scene(pixels.astype(dtype)), result((3.0, 4.0)))["view/fish/f"]
    blocks = pixels[0, 1].reshape(30, 2, 40, 2).mean(axis=(1, 3))
    assert view.pixels.shape == (1, 30, 40)
    np.testing.assert_allclose(view.pixels[0].astype(float), blocks, atol=0 if dtype in (np.float32, np.float64) else 1)
    assert view.pixel_um == pytest.approx(0.2)
    # The centre of a block of two pixels lies half a pixel behind the first one's.
    assert view.origin_um == pytest.approx((0.05, 0.05))


def test_strips_of_a_view_make_one_image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctcfish.report.windows.VIEW_PX", 40)
    whole = pictures(scene(ramp()), result((3.0, 4.0)))["view/fish/f"]
    monkeypatch.setattr("ctcfish.report.windows.STRIP_ROWS", 7)
    np.testing.assert_array_equal(pictures(scene(ramp()), result((3.0, 4.0)))["view/fish/f"].pixels, whole.pixels)


def test_a_view_is_read_by_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    class Counting(make.ArraySource):
        def read(self, channel: int, planes: slice, rows: slice, columns: slice) -> NDArray[Any]:
            if planes.start == 0:
                asked.append(len(range(*rows.indices(self.shape[2]))))
            return super().read(channel, planes, rows, columns)

    monkeypatch.setattr("ctcfish.report.windows.STRIP_ROWS", 16)
    counted = Scene("f", "fish", Counting(ramp()), (0.4, 0.1, 0.1), {"nucleus": 0, "her2": 1})
    pictures(counted, result((3.0, 4.0)), most=0)
    assert asked == [16, 16, 16, 12]


def test_the_gallery_puts_amplified_before_unknown_and_keeps_the_order_of_ids() -> None:
    cells = tables.CELLS.check(
        call(
            make.cells((2, 2), (9, 2), (2, 2), (9, 2), kind=["unknown", "wbc", "ctc", "ctc"]), make.rates(), Call()
        ).assign(cell_id=["s/f/4", "s/f/3", "s/f/2", "s/f/1"])
    )
    shown = gallery(cells, 10)
    assert shown["cell_id"].tolist() == ["s/f/1", "s/f/2", "s/f/3", "s/f/4"]
    assert shown["kind"].tolist() == ["ctc", "ctc", "wbc", "unknown"]
    assert "_rank" not in shown
    assert gallery(cells.iloc[::-1], 10)["cell_id"].tolist() == shown["cell_id"].tolist()


@pytest.mark.parametrize("preset", preset_names())
def test_no_rule_of_the_run_chooses_the_pictures(preset: str) -> None:
    """Cells that any preset calls amplified come before the rest, in the same order by every preset."""
    counts = [(2, 2), (4, 2), (9, 2), (6, 5), (2, 1), (6, 6), (3, 2), (1, 0)]
    kinds = ["wbc", "wbc", "ctc", "wbc", "unknown", "other", "unknown", "wbc"]
    cells = make.cells(*counts, kind=kinds)
    shown, usual = (
        gallery(tables.CELLS.check(call(cells, make.rates(), load(name).call)), 60) for name in (preset, "circe_tdm1")
    )
    assert shown["label"].tolist() == usual["label"].tolist() == [3, 2, 4, 5, 6, 7]
