"""The XML file of a CellTracks export: filters, layout of frames, events and the operator's selection.

Names of elements are compared without case and namespace, and a field may be an element or an attribute:

- ``filter`` elements in page order, named by their text or a ``name``;
- ``rows`` and ``columns`` of frames (also ``numrows, numcols, cols``), 5 x 35 where 175 frames say nothing else;
- ``record`` elements inside ``events``, each with a frame (``framenum, frame``), a box of four numbers in pixels of the
  frame (``location, box``: x0, y0, x1, y1) and the operator's selection (``numselected, selected``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree.ElementTree import ParseError  # only the exception; parsing is defusedxml's

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from ctcfish.errors import InputError
from ctcfish.io.units import to_number

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

USUAL_FRAMES = {175: (5, 35)}
"""Rows and columns of a whole cartridge."""
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_YES = ("true", "yes")


@dataclass(frozen=True)
class Event:
    """One object that the analyser showed to the operator.

    Attributes
    ----------
    frame : int
        Number of the frame, as its file is named.
    centre_px : tuple of float
        Middle ``(y, x)`` of its box in the frame.
    selected : bool
        Whether the operator called it a CTC.
    """

    frame: int
    centre_px: tuple[float, float]
    selected: bool


@dataclass(frozen=True)
class Export:
    """What the XML file says."""

    filters: tuple[str, ...]
    grid: tuple[int, int] | None
    events: tuple[Event, ...]


def find_export(folder: Path) -> tuple[Path, Export] | None:
    """The XML file of a folder that lists filters and events, and its contents; ``None`` where there is none.

    Raises
    ------
    InputError
        Several such files, or one whose events are broken.
    """
    found = []
    for path in sorted(folder.glob("*.[xX][mM][lL]")):
        root = _root(path)
        names = {_name(element) for element in root.iter()} if root is not None else set()
        if root is not None and {"filter", "events"} <= names:
            found.append((path, root))
    if len(found) > 1:
        raise InputError(
            folder.name,
            f"{len(found)} lists of events ({', '.join(p.name for p, _ in found)})",
            "one cartridge in one folder",
            "Give each cartridge a folder of its own.",
        )
    return (found[0][0], _export(*found[0])) if found else None


def _root(path: Path) -> Element | None:
    try:
        root: Element = fromstring(path.read_bytes(), forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, OSError):
        return None  # some other program's file
    return root


def _export(path: Path, root: Element) -> Export:
    filters = tuple(_text_of(e, "name") or (e.text or "").strip() for e in root.iter() if _name(e) == "filter")
    rows, columns = (_first_number(root, names) for names in (("rows", "numrows"), ("columns", "cols", "numcols")))
    events = [_event(path, number, record) for number, record in enumerate(_records(root), start=1)]
    grid = (int(rows), int(columns)) if rows and columns else None
    return Export(filters, grid, tuple(events))


def _records(root: Element) -> Iterator[Element]:
    for events in root.iter():
        if _name(events) == "events":
            yield from (child for child in events if _name(child) == "record")


def _event(path: Path, number: int, record: Element) -> Event:
    frame = to_number(_text_of(record, "framenum", "frame"))
    box = [float(text) for text in _NUMBER.findall(_text_of(record, "location", "box"))]
    if frame is None or len(box) != 4:
        raise InputError(
            f"{path.name}, event {number}",
            f"frame {_text_of(record, 'framenum', 'frame')!r} and box {_text_of(record, 'location', 'box')!r}",
            "a frame number and a box of four numbers",
            "Export the cartridge again.",
        )
    x0, y0, x1, y1 = box
    selected = _text_of(record, "numselected", "selected").lower()
    return Event(int(frame), ((y0 + y1) / 2, (x0 + x1) / 2), selected in _YES or (to_number(selected) or 0) > 0)


def _name(element: Element) -> str:
    return str(element.tag).rpartition("}")[2].lower()


def _text_of(element: Element, *names: str) -> str:
    """Text of the first child element or attribute of one of the names."""
    fields = {key.lower(): value for key, value in element.attrib.items()}
    fields |= {_name(child): (child.text or "") for child in element}
    return next((fields[name].strip() for name in names if name in fields), "")


def _first_number(root: Element, names: tuple[str, ...]) -> float | None:
    for element in root.iter():
        number = to_number(_text_of(element, *names))
        if number is not None and number >= 1:
            return number
    return None
