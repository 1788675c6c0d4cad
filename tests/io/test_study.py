"""Slide folders, the study sheet, ``slide.toml`` and the list of chosen cells."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile

from ctcfish.errors import InputError, UsageError
from ctcfish.flags import SlideFlag
from ctcfish.io import Overrides, SlideRef, describe, open_ref, open_slide, open_study, study_slides

IF_NAMES = ("DAPI", "CK-PE", "CD45-APC", "HER2-FITC")


def write_if(path: Path, pixel_um: float | None = 0.64, names: tuple[str, ...] = IF_NAMES) -> None:
    """An IF scan that says everything, at stage position (y 1000, x 2000) um."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stated = {
        "axes": "CYX",
        "PhysicalSizeX": pixel_um,
        "PhysicalSizeY": pixel_um,
        "Channel": {"Name": list(names)},
        "Plane": {
            "PositionX": [2000.0] * len(names),
            "PositionXUnit": ["\u00b5m"] * len(names),
            "PositionY": [1000.0] * len(names),
            "PositionYUnit": ["\u00b5m"] * len(names),
        },
    }
    kept = {key: value for key, value in stated.items() if value is not None}
    tifffile.imwrite(path, np.ones((len(names), 20, 30), np.uint16), metadata=kept, photometric="minisblack", ome=True)


@pytest.fixture
def study(tmp_path: Path, ome_tiff: Callable[..., Path]) -> Path:
    """Two slides, A1 with both scans and B2 with FISH alone."""
    folder = tmp_path / "STUDY"
    ome_tiff("STUDY/A1/fish/f2.ome.tif")
    ome_tiff("STUDY/A1/fish/f1.ome.tif")
    ome_tiff("STUDY/B2/fish/f1.ome.tif")
    write_if(folder / "A1" / "if" / "scan.ome.tif")
    return folder


def sheet(folder: Path, *lines: str) -> None:
    (folder / "study.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_slide_folder_gives_scenes_of_both_scans_by_name(study: Path) -> None:
    (study / "A1" / "fish" / "notes.txt").write_text("ignored")
    slide = open_slide(study / "A1")
    assert slide.slide_id == slide.patient_id == "A1"
    assert [s.name for s in slide.fish_scenes] == ["f1", "f2"]
    (scan,) = slide.if_scenes
    assert scan.modality == "if"
    assert dict(scan.roles) == {"nucleus": 0, "inclusion": 1, "exclusion": 2, "her2_protein": 3}
    assert scan.voxel_um == (0.0, 0.64, 0.64)
    assert scan.stage_um == (1000.0, 2000.0)
    assert [f.name for f in slide.files] == ["scan.ome.tif", "f1.ome.tif", "f2.ome.tif"]
    assert not slide.flags & SlideFlag.NO_IF


def test_study_without_sheet_is_its_slide_folders(study: Path) -> None:
    (study / "results").mkdir()
    assert [r.slide_id for r in study_slides(study)] == ["A1", "B2"]
    assert [len(s.if_scenes) for s in open_study(study)] == [1, 0]
    assert [r.slide_id for r in study_slides(study / "A1")] == ["A1"]


def test_sheet_gives_order_patients_and_other_columns(study: Path) -> None:
    sheet(study, "slide_id,patient_id,visit,blood_ml,operator", "B2,P7,V1,7.5,kh", "A1,P3,,,", "")
    slides = open_study(study)
    assert [(s.slide_id, s.patient_id, s.visit) for s in slides] == [("B2", "P7", "V1"), ("A1", "P3", "")]
    assert dict(slides[0].sheet) == {"blood_ml": "7.5", "operator": "kh"}
    assert dict(slides[1].sheet) == {}


def test_sheet_of_a_spreadsheet_program_with_semicolons_and_byte_order_mark(study: Path) -> None:
    (study / "study.csv").write_bytes("\ufeffslide_id;patient_id;fish_pixel_um\r\nA1;P3;0,1\r\n".encode())
    assert open_study(study)[0].patient_id == "P3"


def test_sheet_names_the_images(study: Path) -> None:
    sheet(study, "slide_id,if,fish", "X9,A1/if/scan.ome.tif,A1/fish/f1.ome.tif; B2/fish")
    with pytest.raises(InputError, match="found two images named f1; needed a name of its own"):
        open_study(study)
    sheet(study, "slide_id,if,fish", "X9,A1/if/scan.ome.tif,A1/fish")
    (slide,) = open_study(study)
    assert (slide.slide_id, len(slide.if_scenes), len(slide.fish_scenes)) == ("X9", 1, 2)


def test_missing_image_of_the_sheet_is_named(study: Path) -> None:
    sheet(study, "slide_id,fish", "X9,A1/fish/gone.tif")
    with pytest.raises(InputError, match=r"slide X9: found no A1/fish/gone\.tif in STUDY"):
        open_ref(study_slides(study)[0])


def test_sheet_supplies_what_the_file_lacks(study: Path, ome_tiff: Callable[..., Path]) -> None:
    ome_tiff("STUDY/C3/fish/f.ome.tif", PhysicalSizeX=None, PhysicalSizeY=None, PhysicalSizeZ=None, Channel=None)
    sheet(study, "slide_id,fish_pixel_um,fish_z_step_um,fish_channels", 'C3,0.11,0.5,"nucleus=2;her2=0,cep17=1"')
    (scene,) = open_study(study)[0].fish_scenes
    assert scene.voxel_um == (0.5, 0.11, 0.11)
    assert dict(scene.roles) == {"nucleus": 2, "her2": 0, "cep17": 1}
    assert {scene.origin[k] for k in ("pixel_size", "z_step", "role:cep17")} == {"sheet"}


def test_file_and_sheet_may_differ_by_one_percent(study: Path) -> None:
    sheet(study, "slide_id,fish_pixel_um", "B2,0.1009")
    assert open_study(study)[0].fish_scenes[0].voxel_um[1] == 0.1


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("fish_pixel_um", "0.102", "a pixel size of 0.1 um in the file and of 0.102 um in the study sheet"),
        ("fish_z_step_um", "0.3", "a z step of 0.4 um in the file and of 0.3 um in the study sheet"),
        ("fish_channels", "her2=2", "her2 as channel 2 in the study sheet and as channel 1 by its name"),
    ],
)
def test_contradictions_are_refused_unless_an_option_decides(
    column: str, value: str, message: str, study: Path
) -> None:
    sheet(study, f"slide_id,{column}", f"B2,{value}")
    (ref,) = study_slides(study)
    with pytest.raises(InputError, match=message):
        open_ref(ref)
    decided = Overrides(pixel_um=0.102, z_step_um=0.3, channels={"her2": "2", "cep17": "1"})
    (scene,) = open_ref(ref, overrides=decided).fish_scenes
    assert scene.voxel_um == (0.3, 0.102, 0.102)
    assert scene.roles["her2"] == 2


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("A1,abc,", "fish_pixel_um 'abc'; needed a length in um"),
        ("A1,-1,", "fish_pixel_um '-1'; needed a length in um"),
        ("A1,,nucleus", "fish_channels 'nucleus'; needed pairs such as"),
        ("A1,,nucleus=0;her3=1", "role 'her3' in fish_channels; needed one of nucleus, her2, cep17"),
        ("A1,,her2=0;her2=1", "needed pairs such as nucleus=0;her2=SpO, each role once"),
    ],
)
def test_values_of_the_sheet_are_checked(line: str, message: str, study: Path) -> None:
    sheet(study, "slide_id,fish_pixel_um,fish_channels", line)
    with pytest.raises(InputError, match=f"slide A1: found .*{message}"):
        open_study(study)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "found an empty file; needed one header line"),
        ("slide_id,operator,operator\nA1,a,b\n", r"columns \['operator'\] without a name of their own"),
        ("slide_id,\nA1,a\n", "without a name of their own"),
        ("slide_id\nA1,7,8\n", "line 2: found 3 values; needed 1 as in the header"),
        ('slide_id\n"A1\n', "found broken CSV"),
        ("slide_id,visit\n,V1\n", "line 2: found no slide_id"),
        ("slide_id\n", "found no slide"),
        ("slide_id\n\xe9".encode("latin-1"), "needed a CSV file in UTF-8"),
    ],
)
def test_broken_sheets_are_refused(text: str | bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "study.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=message):
        study_slides(tmp_path)


@pytest.mark.parametrize("second", ["A1", "a1"])
def test_equal_names_are_a_usage_error(second: str, study: Path) -> None:
    sheet(study, "slide_id", "A1", "B2", second)
    with pytest.raises(UsageError, match="stands more than once in STUDY") as caught:
        study_slides(study)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("name", ["../x", "a/b", "..", "a:b", "tab\tname"])
def test_names_that_cannot_be_folders_are_refused(name: str, study: Path) -> None:
    sheet(study, "slide_id", f'"{name}"')
    with pytest.raises(UsageError, match="cannot name a folder"):
        study_slides(study)


def test_no_slide_and_no_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"found no slide; needed study\.csv, or a folder for each slide"):
        study_slides(tmp_path)
    with pytest.raises(InputError, match="found no such folder"):
        study_slides(tmp_path / "gone")


def test_toml_holds_for_one_slide(study: Path) -> None:
    (study / "B2" / "slide.toml").write_text(
        'patient_id = "P9"\nblood_ml = 7.5\nfish_pixel_um = 0.1\n[fish_channels]\nnucleus = 0\nher2 = 1\n'
    )
    slide = open_slide(study / "B2")
    assert slide.patient_id == "P9"
    assert dict(slide.sheet) == {"blood_ml": "7.5"}
    assert slide.fish_scenes[0].origin["role:her2"] == "sheet"
    assert slide.files[-1].name == "slide.toml"


def test_toml_may_name_images_beside_it(study: Path) -> None:
    (study / "C3").mkdir()
    (study / "C3" / "slide.toml").write_text('fish = "../A1/fish/f2.ome.tif"\n')
    assert [s.name for s in open_slide(study / "C3").fish_scenes] == ["f2"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("blood_ml = 7.50\n", ""),
        ("blood_ml = 5\n", "blood_ml '5' in slide.toml and '7.5' in the study sheet; needed one value"),
        ("blood_ml = \n", "slide.toml: found no valid TOML"),
        ("blood_ml = [1]\n", r"found blood_ml = \[1\]; needed a text or a number"),
        ('slide_id = "other"\n', "slide_id 'other' in slide.toml and 'B2' in the study sheet"),
    ],
)
def test_toml_beside_a_sheet(text: str, message: str, study: Path) -> None:
    sheet(study, "slide_id,blood_ml", "B2,7.5")
    (study / "B2" / "slide.toml").write_text(text)
    if message:
        with pytest.raises(InputError, match=message):
            open_study(study)
    else:
        assert open_study(study)[0].sheet["blood_ml"] in {"7.5", "7.50"}


def test_options_of_length_need_a_scan_where_there_are_two(study: Path) -> None:
    with pytest.raises(UsageError, match="cannot hold for both scans of a slide; say which with --modality"):
        open_slide(study / "A1", Overrides(pixel_um=0.12))
    slide = open_slide(study / "A1", Overrides(modality="fish", pixel_um=0.12))
    assert slide.fish_scenes[0].voxel_um[1] == 0.12
    assert slide.if_scenes[0].voxel_um[1] == 0.64


def test_a_file_that_is_no_image_is_not_passed_over(study: Path) -> None:
    (study / "B2" / "fish" / "scan.xyz").write_bytes(b"1")
    with pytest.raises(InputError, match=r"fish/scan\.xyz: found no known image; needed only images"):
        open_slide(study / "B2")


def test_vendor_file_in_a_folder_is_named(study: Path) -> None:
    (study / "B2" / "fish" / "scan.czi").write_bytes(b"1")
    with pytest.raises(InputError, match=r"scan\.czi: found a Zeiss file.*bioformats2raw"):
        open_slide(study / "B2")


def test_empty_slide_folder(tmp_path: Path) -> None:
    (tmp_path / "S" / "fish").mkdir(parents=True)
    with pytest.raises(InputError, match="slide S: found no image; needed images in its folders if/ and fish/"):
        open_slide(tmp_path / "S")


def test_describe_a_folder(study: Path) -> None:
    told = describe(study / "A1")
    assert told["ready"]
    assert [(s["name"], s["modality"]) for s in told["scenes"]] == [("scan", "if"), ("f1", "fish"), ("f2", "fish")]


def test_reference_without_sheet_opens(study: Path) -> None:
    assert open_ref(SlideRef("A1", study / "A1")).slide_id == "A1"
