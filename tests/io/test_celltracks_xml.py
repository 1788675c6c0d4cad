"""The XML file of a CellTracks export in the ways it may be written."""

from __future__ import annotations

from pathlib import Path

import pytest

from ctcfish.errors import InputError
from ctcfish.io.celltracks_xml import Event, find_export

FILTERS = "<filters><filter>DAPI</filter><filter>CK-PE</filter></filters>"


def found(folder: Path, body: str, name: str = "export.xml") -> tuple[tuple[str, ...], object, tuple[Event, ...]]:
    (folder / name).write_text(f"<archive>{body}</archive>", encoding="utf-8")
    hit = find_export(folder)
    assert hit is not None
    path, export = hit
    assert path.name == name
    return export.filters, export.grid, export.events


def record(body: str) -> str:
    return f"<events><record>{body}</record></events>"


@pytest.mark.parametrize(
    "filters",
    [
        FILTERS,
        FILTERS.upper().replace("DAPI", "DAPI"),
        '<filter name="DAPI"/><filter name="CK-PE"/>',
        "<filter><name>DAPI</name></filter><filter><name> CK-PE </name></filter>",
        '<f:list xmlns:f="urn:f"><f:filter>DAPI</f:filter><f:filter>CK-PE</f:filter></f:list>',
    ],
    ids=["texts", "upper case", "attributes", "elements", "namespace"],
)
def test_filters_in_page_order(filters: str, tmp_path: Path) -> None:
    assert found(tmp_path, filters + "<events/>")[0] == ("DAPI", "CK-PE")


@pytest.mark.parametrize(
    ("layout", "grid"),
    [
        ("", None),
        ("<rows>5</rows><columns>35</columns>", (5, 35)),
        ('<run rows="5" cols="35"/>', (5, 35)),
        ("<run><NumRows>5</NumRows><NumCols>35</NumCols></run>", (5, 35)),
        ("<rows>5</rows>", None),
        ("<rows>0</rows><columns>35</columns>", None),
        ("<rows>five</rows><columns>35</columns>", None),
    ],
)
def test_rows_and_columns(layout: str, grid: tuple[int, int] | None, tmp_path: Path) -> None:
    assert found(tmp_path, FILTERS + layout + "<events/>")[1] == grid


@pytest.mark.parametrize(
    "event",
    [
        "<framenum>12</framenum><location>(10,20)-(30,60)</location><numselected>1</numselected>",
        "<frame>12</frame><box>10 20 30 60</box><selected>true</selected>",
        "<FrameNum>12</FrameNum><Location>10;20;30;60</Location><NumSelected>2</NumSelected>",
        "<frame> 12 </frame><box>10.0, 20.0, 30.0, 60.0</box><selected>Yes</selected>",
    ],
)
def test_an_event_in_other_words(event: str, tmp_path: Path) -> None:
    assert found(tmp_path, FILTERS + record(event))[2] == (Event(12, (40.0, 20.0), selected=True),)


@pytest.mark.parametrize("said", ["0", "false", "no", "", "-1"])
def test_what_was_not_selected(said: str, tmp_path: Path) -> None:
    event = f"<frame>1</frame><box>0 0 2 2</box><selected>{said}</selected>"
    assert found(tmp_path, FILTERS + record(event))[2] == (Event(1, (1.0, 1.0), selected=False),)


def test_records_of_other_lists_are_no_events(tmp_path: Path) -> None:
    other = "<runs><record><frame>1</frame></record></runs>"
    assert found(tmp_path, FILTERS + other + "<events/>")[2] == ()


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ("<frame>a</frame><box>0 0 2 2</box>", r"event 1: found frame 'a' and box '0 0 2 2'"),
        ("<frame>1</frame><box>0 0 2</box>", r"found frame '1' and box '0 0 2'; needed a frame number and a box"),
        ("<frame>1</frame>", r"found frame '1' and box ''"),
    ],
)
def test_events_that_are_refused(event: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        found(tmp_path, FILTERS + record(event))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<archive>",
        "<archive/>",
        f"<archive>{FILTERS}</archive>",
        "<archive><events/></archive>",
        '<!DOCTYPE a [<!ENTITY b "c">]><archive><filter>&b;</filter><events/></archive>',
    ],
    ids=["empty", "broken", "bare", "no events", "no filters", "entities"],
)
def test_other_files_are_passed_over(text: str, tmp_path: Path) -> None:
    (tmp_path / "other.xml").write_text(text)
    assert find_export(tmp_path) is None


def test_a_folder_without_xml(tmp_path: Path) -> None:
    assert find_export(tmp_path) is None


def test_suffix_in_capitals(tmp_path: Path) -> None:
    assert found(tmp_path, FILTERS + "<events/>", "EXPORT.XML")[0] == ("DAPI", "CK-PE")
