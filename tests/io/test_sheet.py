"""Cells of a sheet, keys of a TOML file, and how the two come together."""

from __future__ import annotations

from pathlib import Path

import pytest

from ctcfish.errors import InputError
from ctcfish.io.image import Overrides
from ctcfish.io.sheet import USED, merge, read_csv, read_toml, sheet_overrides


def written(folder: Path, text: str, name: str = "study.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


def test_columns_that_the_reader_uses() -> None:
    assert set(USED) == {
        "slide_id",
        "patient_id",
        "visit",
        "if",
        "fish",
        "if_pixel_um",
        "fish_pixel_um",
        "if_z_step_um",
        "fish_z_step_um",
        "if_channels",
        "fish_channels",
    }


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("separator", [",", ";"])
def test_rows_with_their_line_numbers(end: str, separator: str, tmp_path: Path) -> None:
    lines = ["slide_id,operator", " A1 , kh ", "", " , ", "B2"]
    path = written(tmp_path, end.join(lines).replace(",", separator))
    assert read_csv(path) == [(2, {"slide_id": "A1", "operator": "kh"}), (5, {"slide_id": "B2"})]


def test_quoted_values_may_hold_separators_and_lines(tmp_path: Path) -> None:
    path = written(tmp_path, 'slide_id,fish_channels,note\nA1,"nucleus=0,her2=1","two\nlines"\n')
    ((_, row),) = read_csv(path)
    assert row["fish_channels"] == "nucleus=0,her2=1"
    assert row["note"] == "two\nlines"


def test_a_table_of_no_rows(tmp_path: Path) -> None:
    assert read_csv(written(tmp_path, "slide_id\n")) == []


def test_a_sheet_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.csv: found a file that cannot be read .*; needed a CSV file in UTF-8"):
        read_csv(tmp_path / "gone.csv")


def test_toml_values_become_texts(tmp_path: Path) -> None:
    text = 'patient_id = "P1"\nblood_ml = 7.5\nrun = 3\nday = 2024-05-01\nlate = true\n[if_channels]\nnucleus = 0\n'
    assert read_toml(written(tmp_path, text, "slide.toml")) == {
        "patient_id": "P1",
        "blood_ml": "7.5",
        "run": "3",
        "day": "2024-05-01",
        "late": "True",
        "if_channels": "nucleus=0",
    }


def test_a_table_in_toml_is_only_for_channels(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"slide\.toml: found scanner = \{'name': 'x'\}; needed a text or a number"):
        read_toml(written(tmp_path, '[scanner]\nname = "x"\n', "slide.toml"))


@pytest.mark.parametrize(
    ("row", "own", "together"),
    [
        ({"a": "1"}, {}, {"a": "1"}),
        ({}, {"a": "1"}, {"a": "1"}),
        ({"a": ""}, {"a": "1"}, {"a": "1"}),
        ({"a": "1"}, {"a": ""}, {"a": "1"}),
        ({"a": "0"}, {"a": "0.0"}, {"a": "0.0"}),
        ({"a": "x"}, {"a": "x", "b": "y"}, {"a": "x", "b": "y"}),
    ],
)
def test_row_and_toml_together(row: dict[str, str], own: dict[str, str], together: dict[str, str]) -> None:
    assert merge(row, own, "S/slide.toml") == together


@pytest.mark.parametrize(("row", "own"), [("1", "2"), ("x", "y"), ("0", "x"), ("nan", "0")])
def test_row_and_toml_may_not_differ(row: str, own: str) -> None:
    with pytest.raises(InputError, match=f"S/slide.toml: found a '{own}' in slide.toml and '{row}' in the study sheet"):
        merge({"a": row}, {"a": own}, "S/slide.toml")


@pytest.mark.parametrize(
    "text", ["nucleus=0;her2=SpO", "nucleus=0,her2=SpO", " nucleus = 0 | her2 = SpO ", ";nucleus=0;;her2=SpO;"]
)
def test_channels_of_the_sheet(text: str) -> None:
    said = sheet_overrides({"fish_channels": text, "fish_pixel_um": "0,125", "fish_z_step_um": "0.3"}, "fish", "S")
    assert said == Overrides(pixel_um=0.125, z_step_um=0.3, channels={"nucleus": "0", "her2": "SpO"})


def test_each_scan_has_its_own_columns() -> None:
    values = {"fish_pixel_um": "0.1", "if_pixel_um": "0.64", "if_channels": "inclusion=2"}
    assert sheet_overrides(values, "if", "S") == Overrides(pixel_um=0.64, channels={"inclusion": "2"})
    assert sheet_overrides(values, "fish", "S") == Overrides(pixel_um=0.1)


@pytest.mark.parametrize(
    ("modality", "text", "message"),
    [
        ("if", "her2=1", "role 'her2' in if_channels; needed one of nucleus, inclusion, exclusion, her2_protein"),
        ("fish", "inclusion=1", "role 'inclusion' in fish_channels; needed one of nucleus, her2, cep17"),
        ("fish", "her2=", "needed pairs such as"),
        ("fish", "=1", "needed pairs such as"),
        ("fish", "her2", "needed pairs such as"),
    ],
)
def test_channels_that_are_refused(modality: str, text: str, message: str) -> None:
    with pytest.raises(InputError, match=f"^S: found .*{message}"):
        sheet_overrides({f"{modality}_channels": text}, modality, "S")  # type: ignore[arg-type]


@pytest.mark.parametrize("value", ["0", "-0.1", "nan", "inf", "0.1um", "1.000,5"])
@pytest.mark.parametrize("column", ["fish_pixel_um", "fish_z_step_um"])
def test_lengths_that_are_refused(value: str, column: str) -> None:
    with pytest.raises(InputError, match=f"S: found {column} '{value}'; needed a length in um. Correct {column}"):
        sheet_overrides({column: value}, "fish", "S")
