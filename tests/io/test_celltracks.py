"""A CellTracks export made by the tests: frames in a snake, stretched pages, events; against the mosaic behind it."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from ctcfish.errors import InputError
from ctcfish.io import Overrides, describe, open_slide
from ctcfish.io.celltracks import rescale

IF = Overrides(modality="if")
FILTERS = ("DAPI", "CK-PE", "CD45-APC", "FITC")
HEIGHT, WIDTH = 24, 32


@dataclass
class Cartridge:
    """What an analyser would have seen, and how it is written.

    The mosaic has ``rows x columns`` frames. Frames of a 3 x 3 cartridge are numbered::

        1 2 3
        6 5 4
        7 8 9
    """

    rows: int = 3
    columns: int = 3
    first: int = 1
    offset: int = 0
    stretched: bool = True
    events: str = ""
    grid: bool = True
    mosaic: NDArray[np.uint16] = field(init=False)

    def __post_init__(self) -> None:
        size = (len(FILTERS), self.rows * HEIGHT, self.columns * WIDTH)
        self.mosaic = np.random.default_rng(11).integers(100, 3000, size).astype(np.uint16)

    def write(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        number = self.first
        for row in range(self.rows):
            order = range(self.columns) if row % 2 == 0 else range(self.columns - 1, -1, -1)
            for column in order:
                y, x = row * HEIGHT, column * WIDTH
                self._frame(folder / f"P4_frame_{number:03d}.tif", self.mosaic[:, y : y + HEIGHT, x : x + WIDTH])
                number += 1
        grid = f"<rows>{self.rows}</rows><columns>{self.columns}</columns>" if self.grid else ""
        filters = "".join(f"<filter>{name}</filter>" for name in FILTERS)
        (folder / "export.xml").write_text(
            f"<archive><runs>{grid}<filters>{filters}</filters></runs><events>{self.events}</events></archive>"
        )
        return folder

    def _frame(self, path: Path, pixels: NDArray[np.uint16]) -> None:
        with tifffile.TiffWriter(path) as writer:
            for page in pixels:
                low, high = int(page.min()), int(page.max())
                stored, tags = page, []
                if self.stretched:
                    # the darkest pixel becomes 0, the brightest 32767
                    stored = np.rint((page - low) * (32767 / (high - low))).astype(np.uint16)
                    tags = [(65001, "H", 1, low, False), (65002, "H", 1, high, False)]
                writer.write(
                    stored + np.uint16(self.offset),
                    photometric="minisblack",
                    metadata=None,
                    extratags=tags,
                    contiguous=False,
                )


def record(frame: int, box: str, selected: int) -> str:
    return (
        f"<record><framenum>{frame}</framenum><location>{box}</location><numselected>{selected}</numselected></record>"
    )


def read(folder: Path) -> Any:
    (scene,) = open_slide(folder, IF).if_scenes
    return scene


def test_mosaic_is_what_the_analyser_saw(tmp_path: Path) -> None:
    cartridge = Cartridge()
    scene = pickle.loads(pickle.dumps(read(cartridge.write(tmp_path / "P4"))))
    assert scene.name == "P4"
    assert scene.pixels.shape == (4, 1, 3 * HEIGHT, 3 * WIDTH)
    assert scene.voxel_um == (0.0, 0.64, 0.64)
    assert scene.frame_px == (HEIGHT, WIDTH)
    assert scene.frame_um == pytest.approx((0.64 * HEIGHT, 0.64 * WIDTH))
    assert scene.optics.na == 0.45
    assert (scene.origin["pixel_size"], scene.origin["na"]) == ("device", "device")
    assert dict(scene.roles) == {"nucleus": 0, "inclusion": 1, "exclusion": 2, "her2_protein": 3}
    for channel in range(4):
        whole = scene.pixels.read(channel, slice(None), slice(None), slice(None))[0]
        np.testing.assert_array_equal(whole, cartridge.mosaic[channel])


def test_windows_across_frame_borders(tmp_path: Path) -> None:
    cartridge = Cartridge()
    scene = read(cartridge.write(tmp_path / "P4"))
    draw = np.random.default_rng(2)
    for _ in range(30):
        y, x = (np.sort(draw.integers(0, n + 1, 2)) for n in (3 * HEIGHT, 3 * WIDTH))
        rows, columns = slice(*y.tolist()), slice(*x.tolist())
        np.testing.assert_array_equal(scene.read("inclusion", rows, columns)[0], cartridge.mosaic[1, rows, columns])


@pytest.mark.parametrize(
    "options", [{"offset": 32768}, {"stretched": False}, {"first": 0}, {"rows": 1}, {"columns": 1}]
)
def test_other_exports_of_the_same_cells(options: dict[str, Any], tmp_path: Path) -> None:
    cartridge = Cartridge(**options)
    scene = read(cartridge.write(tmp_path / "P4"))
    np.testing.assert_array_equal(scene.read("exclusion")[0], cartridge.mosaic[2])


def test_a_whole_cartridge_has_five_rows_of_35(tmp_path: Path) -> None:
    cartridge = Cartridge(rows=5, columns=35, grid=False, stretched=False)
    scene = read(cartridge.write(tmp_path / "P4"))
    assert scene.pixels.shape == (4, 1, 5 * HEIGHT, 35 * WIDTH)
    rows, columns = slice(20, 60), slice(33 * WIDTH, 35 * WIDTH)
    np.testing.assert_array_equal(scene.read("nucleus", rows, columns)[0], cartridge.mosaic[0, rows, columns])


def test_cells_that_the_operator_chose(tmp_path: Path) -> None:
    events = record(2, "(10, 4)-(20, 8)", 1) + record(4, "0 0 8 8", 0) + record(6, "(30,22)-(32,24)", 1)
    folder = Cartridge(events=events).write(tmp_path / "S1" / "if")
    slide = open_slide(tmp_path / "S1")
    assert slide.chosen_ctc is not None
    assert slide.chosen_ctc["scene"].tolist() == ["if", "if"]
    # frame 2 is the middle of the first row, frame 6 (back in the second row) the left one
    np.testing.assert_allclose(slide.chosen_ctc["y_um"], [6 * 0.64, (HEIGHT + 23) * 0.64])
    np.testing.assert_allclose(slide.chosen_ctc["x_um"], [(WIDTH + 15) * 0.64, 31 * 0.64])
    assert set(slide.chosen_ctc["reader"]) == {"CellTracks export"}
    assert describe(folder, IF)["scenes"][0]["notes"] == ["3 events, 2 chosen by the operator"]
    assert len(slide.files) == 10
    (tmp_path / "S1" / "ctc.csv").write_text("y_px,x_px,reader\n5,6,kh\n")
    again = open_slide(tmp_path / "S1").chosen_ctc
    assert again is not None
    assert again["reader"].tolist() == ["kh"]


def test_no_event_is_a_list_of_no_cells(tmp_path: Path) -> None:
    chosen = open_slide(Cartridge().write(tmp_path / "P4"), IF).chosen_ctc
    assert chosen is not None
    assert chosen.shape == (0, 6)


def test_fields_may_be_attributes(tmp_path: Path) -> None:
    folder = Cartridge(events='<record frame="1" box="2,2,6,10" selected="true"/>').write(tmp_path / "P4")
    chosen = open_slide(folder, IF).chosen_ctc
    assert chosen is not None
    np.testing.assert_allclose(chosen[["y_um", "x_um"]], [[6 * 0.64, 4 * 0.64]])


@pytest.mark.parametrize(
    ("events", "message"),
    [
        (record(99, "1 1 2 2", 1), r"an event at \(1\.5, 1\.5\) of frame 99; needed frames 1 to 9 of 24 x 32"),
        (record(1, "1 1 2 200", 1), "an event at"),
        (record(1, "1 1 2", 1), "event 1: found frame '1' and box '1 1 2'; needed a frame number and a box of four"),
        ("<record/>", "event 1: found frame '' and box ''"),
    ],
)
def test_events_that_cannot_be_placed(events: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        open_slide(Cartridge(events=events).write(tmp_path / "P4"), IF)


def test_missing_frames_are_refused(tmp_path: Path) -> None:
    folder = Cartridge().write(tmp_path / "P4")
    (folder / "P4_frame_005.tif").unlink()
    with pytest.raises(InputError, match=r"P4: found frames 1 to 9 without \[5\]; needed every frame"):
        open_slide(folder, IF)
    (folder / "P4_frame_009.tif").rename(folder / "P4_frame_005.tif")
    with pytest.raises(InputError, match="found 8 frames and 3 rows of 3; needed as many frames as rows times columns"):
        open_slide(folder, IF)


def test_frames_are_numbered_from_0_or_1(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"found frames 2 to 10 without \[\]; needed every frame, numbered from 0 or 1"
    ):
        open_slide(Cartridge(first=2).write(tmp_path / "P4"), IF)


def test_an_unknown_number_of_frames_needs_rows_and_columns(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found 9 frames and no rows and columns"):
        open_slide(Cartridge(grid=False).write(tmp_path / "P4"), IF)


def test_two_frames_of_one_number(tmp_path: Path) -> None:
    folder = Cartridge().write(tmp_path / "P4")
    (folder / "other_001.tif").write_bytes(b"")
    with pytest.raises(InputError, match=r"found two frames of number 0*1 \("):
        open_slide(folder, IF)


def test_two_lists_of_events(tmp_path: Path) -> None:
    folder = Cartridge().write(tmp_path / "P4")
    (folder / "copy.xml").write_text((folder / "export.xml").read_text())
    with pytest.raises(InputError, match=r"found 2 lists of events \(copy\.xml, export\.xml\)"):
        open_slide(folder, IF)


def frame(folder: Path, pixels: NDArray[Any], **options: Any) -> Path:
    tifffile.imwrite(folder / "P4_frame_003.tif", pixels, photometric="minisblack", metadata=None, **options)
    return folder


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.ones((3, HEIGHT, WIDTH), np.uint16), "found 3 pages of uint16; needed one page of 8 or 16 bit for each"),
        (np.ones((4, HEIGHT, WIDTH), np.float32), "found 4 pages of float32"),
        (np.ones((4, HEIGHT, WIDTH + 1), np.uint16), "P4: found frames of different size"),
    ],
)
def test_frames_that_differ(pixels: NDArray[Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        open_slide(frame(Cartridge().write(tmp_path / "P4"), pixels), IF)


def test_cut_frames_are_refused(tmp_path: Path) -> None:
    folder = Cartridge().write(tmp_path / "P4")
    path = folder / "P4_frame_004.tif"
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(InputError, match=r"P4_frame_004\.tif: found"):
        open_slide(folder, IF)


@pytest.mark.parametrize("tags", [[(65001, "H", 1, 5, False)], [(65001, "H", 1, 9, False), (65002, "H", 1, 5, False)]])
def test_private_tags_that_are_no_range(tags: list[Any], tmp_path: Path) -> None:
    folder = frame(Cartridge().write(tmp_path / "P4"), np.ones((4, HEIGHT, WIDTH), np.uint16), extratags=tags)
    scene = read(folder)
    with pytest.raises(InputError, match=r"P4_frame_003\.tif: found private tags .* where a low and a high value"):
        scene.read("nucleus")


def test_other_xml_beside_images_is_no_export(tmp_path: Path) -> None:
    folder = Cartridge().write(tmp_path / "S1" / "fish")
    (folder / "export.xml").write_text("<settings/>")
    (folder / "broken.xml").write_text("<archive>")
    assert describe(tmp_path / "S1")["scenes"][0]["format"] == "TIFF"


@pytest.mark.parametrize(
    ("stored", "limits", "camera"),
    [
        ([[0, 255]], (0, 4095), [[0, 4095]]),
        ([[0, 51, 255]], (100, 1100), [[100, 300, 1100]]),
        ([[7, 9]], None, [[7, 9]]),
        ([[0, 0]], (40, 90), [[40, 40]]),
    ],
)
def test_rescaling_by_hand(stored: list[Any], limits: tuple[float, float] | None, camera: list[Any]) -> None:
    for dtype in (np.uint8, np.uint16):
        assert rescale(np.array(stored, dtype), limits).tolist() == camera


def test_offset_is_taken_off_before_rescaling() -> None:
    assert rescale(np.array([[32767, 32768, 32768 + 9]], np.uint16), None).tolist() == [[32767, 0, 9]]
