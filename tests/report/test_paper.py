"""Tables and headings on paper: nothing is cut, no heading stands alone, every page says what its columns are."""

from __future__ import annotations

import itertools

import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ctcfish.report.qc_page import A4_INCH, LETTERS, MARGIN, Grid, Page, Plot, Section, _widths, to_pdf

Written = list[tuple[int, float, float, str]]


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Written:
    """Page number, inches from the bottom, inches from the left and text of everything written on a page."""
    pages: list[Figure] = []
    found: Written = []
    original = Figure.text

    def text(self: Figure, x: float, y: float, s: str, *args: object, **kwargs: object) -> object:
        if self not in pages:
            pages.append(self)
        found.append((pages.index(self) + 1, y * A4_INCH[1], x * A4_INCH[0], s))
        return original(self, x, y, s, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(Figure, "text", text)
    return found


def printed(written: Written, *sections: Section) -> Written:
    written.clear()
    to_pdf(Page("title", "origin", sections))
    return written


LONG = "patients with amplified CTC and two evaluable CTC or more, of whom the characteristic is known to the trial"


def test_long_cells_are_wrapped_and_nothing_is_lost(written: Written) -> None:
    grid = Grid(("figure", "n", "population"), ((LONG, "11", LONG[::-1]), ("short", "3", "few")))
    found = printed(written, Section("s", "", (grid,)))
    said = " ".join(text for *_, text in found)
    assert "…" not in said
    for word in LONG.split():
        assert word in said
        assert word[::-1] in said


def test_rows_do_not_lie_on_each_other(written: Written) -> None:
    grid = Grid(("figure", "population"), tuple((f"row {k}", LONG * (1 + k % 3)) for k in range(12)))
    found = printed(written, Section("s", "", (grid,)))
    for page in {page for page, *_ in found}:
        heights = sorted(y for p, y, x, _ in found if p == page and x == pytest.approx(MARGIN))
        assert min((b - a for a, b in itertools.pairwise(heights)), default=1.0) >= 0.1
    lowest_of: dict[str, float] = {}
    for _, y, _, text in found:
        if text.startswith("row "):
            lowest_of[text] = y
    assert len(lowest_of) == 12


@pytest.mark.parametrize("rows", [1, 20, 59])
def test_every_page_of_a_table_has_its_header(written: Written, rows: int) -> None:
    grid = Grid(("item", "asks for"), tuple((f"number {k}", LONG * 2) for k in range(rows)))
    found = printed(written, Section("s", "", (grid,)))
    with_rows = {page for page, _, _, text in found if text.startswith("number ")}
    headers = [page for page, _, _, text in found if text == "asks for"]
    assert sorted(headers) == sorted(with_rows)
    if rows == 59:
        assert len(with_rows) >= 2


def test_an_empty_table_is_its_header(written: Written) -> None:
    found = printed(written, Section("s", "", (Grid(("alone", "here"), ()),)))
    assert {"alone", "here"} <= {text for *_, text in found}


def square(axes: Axes) -> None:
    axes.plot([0, 1], [0, 1])


@pytest.mark.parametrize("filled", range(30, 60, 3))
@pytest.mark.parametrize("second", ["table", "plot"])
def test_no_heading_stands_alone(written: Written, filled: int, second: str) -> None:
    before = Section("first", "", (Grid(("h",), tuple((str(k),) for k in range(filled))),))
    text = "A sentence that goes on for a while. " * 12
    grids = (Grid(("column", "other"), (("value", "more"),)),) if second == "table" else ()
    plots = () if second == "table" else (Plot("plot", square, 2.4),)
    found = printed(written, before, Section("heading", text, grids, plots))
    (page,) = (page for page, _, _, told in found if told == "heading")
    (last,) = {p for p, _, _, told in found if "goes on" in told}
    assert page == last
    if second == "table":
        assert page == next(p for p, _, _, told in found if told == "value")


WIDTHS = [
    # header, row, whether all stands on one line
    (("a", "b"), ("short", "short"), True),
    (("a rather long header of a column",) * 5, ("12.5 %",) * 5, False),
    (("figure", "population"), (LONG, LONG), False),
]


@pytest.mark.parametrize(("header", "row", "one_line"), WIDTHS)
def test_columns_fit_the_page(header: tuple[str, ...], row: tuple[str, ...], one_line: bool) -> None:
    widths = _widths(Grid(header, (row,)))
    assert sum(widths) <= LETTERS
    for width, name, cell in zip(widths, header, row, strict=True):
        assert width - 2 >= max(len(word) for text in (name, cell) for word in text.split())
        assert (width - 2 >= max(len(name), len(cell))) is one_line


def test_headers_are_wrapped_before_cells() -> None:
    header, row = ("a header of many words indeed",) * 6, ("12.5 to 99.9 %",) * 6
    widths = _widths(Grid(header, (row,)))
    assert all(width - 2 >= len(row[0]) for width in widths)
    assert all(width - 2 < len(header[0]) for width in widths)
