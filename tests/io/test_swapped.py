"""IF and FISH in each other's folders are refused; scans that only look odd are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from ctcfish.errors import InputError
from ctcfish.io import describe, open_slide, open_study
from tests.make import run

IF_NAMES = ("DAPI", "CK", "CD45", "HER2")
FISH_NAMES = ("DAPI", "HER2", "CEP17")
PLAIN = ("a", "b", "c", "d")


def write(path: Path, names: tuple[str, ...], pixel_um: float, planes: int = 1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    stated = {
        "axes": "CZYX",
        "PhysicalSizeX": pixel_um,
        "PhysicalSizeY": pixel_um,
        "PhysicalSizeZ": 0.4,
        "Channel": {"Name": list(names)},
    }
    pixels = np.full((len(names), planes, 24, 24), 100, np.uint16)
    tifffile.imwrite(path, pixels, metadata=stated, photometric="minisblack", ome=True)


def slide(
    folder: Path,
    if_scan: tuple[tuple[str, ...], float, int],
    fish: tuple[tuple[str, ...], float, int],
    sheet: str = "",
) -> Path:
    write(folder / "A1" / "if" / "scan.ome.tif", *if_scan)
    write(folder / "A1" / "fish" / "f1.ome.tif", *fish)
    (folder / "A1" / "slide.toml").write_text(sheet, encoding="utf-8")
    return folder / "A1"


SHEET = 'if_channels = "nucleus=0;inclusion=1;exclusion=2"\nfish_channels = "nucleus=0;her2=1;cep17=2"\n'


@pytest.mark.parametrize(
    ("if_scan", "fish", "sheet"),
    [
        ((FISH_NAMES, 0.1, 9), (IF_NAMES, 0.64, 1), ""),
        ((FISH_NAMES, 0.64, 1), (IF_NAMES, 0.64, 1), ""),  # by names alone
        ((FISH_NAMES, 0.1, 1), (PLAIN, 0.64, 1), SHEET),  # one scan's names and the sizes
        ((PLAIN, 0.1, 9), (PLAIN, 0.64, 1), SHEET),  # sizes and planes
    ],
    ids=["plain", "names", "size and names", "size and planes"],
)
def test_swapped_scans_are_refused(
    if_scan: tuple[tuple[str, ...], float, int], fish: tuple[tuple[str, ...], float, int], sheet: str, tmp_path: Path
) -> None:
    folder = slide(tmp_path, if_scan, fish, sheet)
    with pytest.raises(
        InputError, match=r"slide A1: found pixels of .* as the IF scan, and .* as the FISH scan; needed"
    ):
        open_slide(folder)
    with pytest.raises(InputError, match=r"Exchange the two folders, or the columns `if` and `fish`"):
        open_study(tmp_path)


def test_the_command_line_refuses_with_the_remedy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = slide(tmp_path, (FISH_NAMES, 0.1, 9), (IF_NAMES, 0.64, 1))
    assert run("score", folder, "--out", tmp_path / "out") == 3
    said = " ".join(capsys.readouterr().err.split())
    assert "pixels of 0.1 um, 9 planes and DAPI, HER2, CEP17 as the IF scan" in said
    assert "pixels of 0.64 um, 1 plane and DAPI, CK, CD45, HER2 as the FISH scan" in said
    assert "Exchange the two folders" in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("if_scan", "fish", "sheet"),
    [
        ((IF_NAMES, 0.64, 1), (FISH_NAMES, 0.1, 9), ""),
        ((IF_NAMES, 0.64, 3), (FISH_NAMES, 0.1, 1), ""),  # an IF stack beside a flat FISH scan
        ((PLAIN, 0.1, 9), (PLAIN, 0.14, 1), SHEET),  # hardly finer
        ((PLAIN, 0.1, 1), (PLAIN, 0.64, 1), SHEET),  # finer, and nothing else is odd
        ((IF_NAMES, 0.64, 1), (("DAPI", "HER2", "CEP17", "CK"), 0.1, 9), ""),  # cytokeratin looked at once more
    ],
    ids=["in order", "stack", "hardly", "finer alone", "more dyes"],
)
def test_scans_in_their_places_are_read(
    if_scan: tuple[tuple[str, ...], float, int], fish: tuple[tuple[str, ...], float, int], sheet: str, tmp_path: Path
) -> None:
    found = open_slide(slide(tmp_path, if_scan, fish, sheet))
    assert (len(found.if_scenes), len(found.fish_scenes)) == (1, 1)


@pytest.mark.parametrize("missing", ["if", "fish"])
def test_one_scan_alone_is_not_compared(missing: str, tmp_path: Path) -> None:
    folder = slide(tmp_path, (IF_NAMES, 0.64, 1), (FISH_NAMES, 0.1, 9))
    for file in (folder / missing).iterdir():
        file.unlink()
    found = open_slide(folder)
    assert len(found.if_scenes + found.fish_scenes) == 1


def test_an_unknown_pixel_size_is_told_as_such(tmp_path: Path) -> None:
    folder = slide(tmp_path, (FISH_NAMES, 0.1, 9), (IF_NAMES, 0.64, 1))
    pixels = np.zeros((4, 24, 24), np.uint16)
    names = {"axes": "CYX", "Channel": {"Name": list(IF_NAMES)}}
    tifffile.imwrite(folder / "fish" / "f1.ome.tif", pixels, metadata=names, photometric="minisblack", ome=True)
    with pytest.raises(
        InputError, match="and pixels of unknown size, 1 plane and DAPI, CK, CD45, HER2 as the FISH scan"
    ):
        describe(folder)
