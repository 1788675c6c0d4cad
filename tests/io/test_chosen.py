"""Cells that a reader chose."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ctcfish.errors import InputError
from ctcfish.io.chosen import read_chosen
from ctcfish.io.picture import PicturePixels
from ctcfish.types import Scene


def scene(name: str, stage_um: tuple[float, float] | None = None) -> Scene:
    """A scene of 100 rows and 200 columns, 0.5 um a pixel."""
    pixels = PicturePixels(Path("none.png"), (1, 1, 100, 200), np.dtype(np.uint8))
    return Scene(name, "if", pixels, (0.0, 0.5, 0.5), {"nucleus": 0}, stage_um=stage_um)


def table(folder: Path, *lines: str) -> Path:
    path = folder / "ctc.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("header", "line"),
    [("y_px,x_px", "40,60"), ("y_um,x_um", "20,30"), ("y_stage_um,x_stage_um", "120,-170")],
)
def test_three_units_name_the_same_cell(header: str, line: str, tmp_path: Path) -> None:
    frame = read_chosen(table(tmp_path, f"{header},reader", f"{line},kh"), (scene("scan", (100.0, -200.0)),))
    assert frame.columns.tolist() == ["scene", "modality", "y_um", "x_um", "reader", "note"]
    assert frame.iloc[0].tolist() == ["scan", "if", 20.0, 30.0, "kh", ""]


def test_no_cell_is_a_table_of_no_rows(tmp_path: Path) -> None:
    frame = read_chosen(table(tmp_path, "y_px,x_px"), (scene("scan"),))
    assert len(frame) == 0
    assert frame["y_um"].dtype == np.float64


def test_scene_by_name(tmp_path: Path) -> None:
    both = (scene("a"), scene("b"))
    frame = read_chosen(table(tmp_path, "scene,y_px,x_px", "b,1,2", "", "a,0,0"), both)
    assert frame["scene"].tolist() == ["b", "a"]


def test_borders_are_inside(tmp_path: Path) -> None:
    assert len(read_chosen(table(tmp_path, "y_px,x_px", "-0.5,-0.5", "99.5,199.5"), (scene("scan"),))) == 2


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("y_px,x_px", "1,a"), r"line 2: found coordinates \['1', 'a'\]"),
        (("y_px,x_px", "", "1,"), "line 3: found coordinates"),
        (("y_px", "1"), r"found coordinates \['1', ''\]"),
        (("y,x", "1,2"), "found columns y, x; needed y_px,x_px or y_um,x_um or y_stage_um,x_stage_um"),
        (("y_px,x_px,y_um,x_um", "1,2,3,4"), "found columns y_px, x_px, y_um, x_um; needed"),
        (("y_px,x_px,colour", "1,2,red"), "and optionally scene, reader, note"),
        (("scene,y_px,x_px", "c,1,2"), "found scene 'c'; needed one of a, b"),
        (("y_px,x_px", "1,2"), ""),
    ],
)
def test_lists_that_are_refused(lines: tuple[str, ...], message: str, tmp_path: Path) -> None:
    scenes = (scene("a"), scene("b")) if "scene" in (lines[0] + message) else (scene("a"),)
    path = table(tmp_path, *lines)
    if not message:
        assert len(read_chosen(path, scenes)) == 1
        return
    with pytest.raises(InputError, match=message):
        read_chosen(path, scenes)


@pytest.mark.parametrize("line", ["100,0", "0,200", "-1,0"])
def test_a_cell_outside_its_image_is_refused(line: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="outside image scan; needed coordinates up to"):
        read_chosen(table(tmp_path, "y_px,x_px", line), (scene("scan"),))


def test_stage_coordinates_need_a_stage_position(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="whose stage position is not known; needed an image with stage position"):
        read_chosen(table(tmp_path, "y_stage_um,x_stage_um", "1,2"), (scene("scan"),))
