"""Units, numbers and names as files write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ctcfish.errors import UsageError
from ctcfish.io.names import check_id, stem, suffixes
from ctcfish.io.units import plausible_pixel, to_number, to_um


@pytest.mark.parametrize(
    ("unit", "um"),
    [
        ("nm", 0.002),
        ("um", 2.0),
        ("\u00b5m", 2.0),
        ("\u03bcm", 2.0),
        ("\\u00B5m", 2.0),
        ("\\u00b5m", 2.0),
        ("Micron", 2.0),
        ("microns", 2.0),
        (" micrometer ", 2.0),
        ("mm", 2000.0),
        ("cm", 20000.0),
        ("inch", 50800.0),
        ("m", 2e6),
    ],
)
def test_every_unit(unit: str, um: float) -> None:
    assert to_um(2.0, unit) == pytest.approx(um)
    assert to_um("2", unit) == pytest.approx(um)


@pytest.mark.parametrize("unit", [None, "", "pixel", "pixels", "reference frame", "Angstrom", "sec"])
def test_units_of_no_length(unit: str | None) -> None:
    assert to_um(2.0, unit) is None


@pytest.mark.parametrize("value", [None, "", "two", 0, -1.0, "nan", float("inf"), "-inf", [2]])
def test_values_that_are_no_length(value: object) -> None:
    assert to_um(value, "um") is None  # type: ignore[arg-type]


@pytest.mark.parametrize(("value", "number"), [("1e-3", 0.001), (" 7 ", 7.0), (3, 3.0), ("-2", -2.0), ("0x1", None)])
def test_numbers(value: object, number: float | None) -> None:
    assert to_number(value) == number  # type: ignore[arg-type]


@pytest.mark.parametrize(("um", "yes"), [(0.01, False), (0.0100001, True), (5.0, True), (5.0001, False), (-1.0, False)])
def test_range_of_pixels(um: float, yes: bool) -> None:
    assert plausible_pixel(um) is yes


@pytest.mark.parametrize(
    ("name", "base", "suffix"),
    [
        ("a.tif", "a", ".tif"),
        ("a.TIFF", "a", ".tiff"),
        ("a.ome.tif", "a", ".ome.tif"),
        ("A.OME.TIFF", "A", ".ome.tiff"),
        ("P1.v2.ome.tif", "P1.v2", ".ome.tif"),
        ("a.ome.zarr", "a", ".ome.zarr"),
        ("a.zarr", "a", ".zarr"),
        ("a.b.png", "a.b", ".png"),
        ("a.jpeg", "a", ".jpeg"),
        ("a.ome.btf", "a", ".ome.btf"),
        ("a.nd2", "a", ".nd2"),
        ("slide 1.5", "slide 1.5", ""),
        ("folder", "folder", ""),
        (".tif", ".tif", ""),
    ],
)
def test_stems_and_suffixes(name: str, base: str, suffix: str) -> None:
    assert suffixes(Path("x") / name) == (base, suffix)
    assert stem(Path(name)) == base


@pytest.mark.parametrize("name", ["P1", "P 1", "P-1_a.b", "\u00c9t\u00e9", "1"])
def test_names_of_slides(name: str) -> None:
    assert check_id(name) == name


@pytest.mark.parametrize("name", ["", " ", ".", "..", "a/b", "a\\b", "a:b", "a\nb", "a\0b", 'a"', "a|b", "a?"])
def test_names_that_no_slide_may_have(name: str) -> None:
    with pytest.raises(UsageError, match="cannot name a folder; use letters, digits"):
        check_id(name)
