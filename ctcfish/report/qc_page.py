"""A page of the laboratory's quality control: sections of text, tables and plots, as HTML and as PDF."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import jinja2
from matplotlib.axes import Axes
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure

from ctcfish.report.plots import svg_of

NOTICE = "Research use only. Not for diagnosis or treatment decisions."
TONES = {"green": "#2b8a3e", "amber": "#b7791f", "red": "#c2410c"}
A4_INCH = (8.27, 11.69)
MARGIN, LINE = 0.6, 0.155
"""Inches: border of a page, and height of a line of a table."""
CHARACTER = 0.055
"""Width of a letter of 6.5 points, in inches."""
MOST_ROWS = 60
"""Rows of one table in the PDF; the CSV beside it has all."""


@dataclass(frozen=True)
class Grid:
    """A small table as it is printed.

    Attributes
    ----------
    header : tuple of str
    rows : tuple of tuple of str
    tones : tuple of str
        ``green``, ``amber``, ``red`` or nothing for each row; empty for none at all.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    tones: tuple[str, ...] = ()

    def tone(self, row: int) -> str:
        """Tone of a row."""
        return self.tones[row] if self.tones else ""


@dataclass(frozen=True)
class Plot:
    """A plot that draws itself into axes.

    Attributes
    ----------
    title : str
        What is shown, also for those who cannot see it.
    draw : callable
        Takes matplotlib axes.
    height_inch : float
    left_inch : float
        Room for the labels of the lines.
    """

    title: str
    draw: Callable[[Axes], None]
    height_inch: float = 2.4
    left_inch: float = 0.6

    def svg(self) -> str:
        """The plot alone, as SVG."""
        figure = Figure(figsize=(A4_INCH[0] - 2 * MARGIN, self.height_inch))
        self.place(figure, 0.0, 0.0)
        return svg_of(figure, None)

    def place(self, figure: Figure, left: float, bottom: float) -> None:
        """Draw into a figure with the frame's lower left corner there, in inches."""
        width, height = figure.get_size_inches()
        across, up = A4_INCH[0] - 2 * MARGIN - self.left_inch - 0.1, self.height_inch - 0.75
        axes = figure.add_axes(((left + self.left_inch) / width, (bottom + 0.45) / height, across / width, up / height))
        self.draw(axes)
        axes.set_title(self.title, fontsize=8, loc="left")
        axes.tick_params(labelsize=7)
        for label in (axes.xaxis.label, axes.yaxis.label):
            label.set_fontsize(7)


@dataclass(frozen=True)
class Section:
    """One heading with what stands under it."""

    title: str
    text: str = ""
    grids: tuple[Grid, ...] = ()
    plots: tuple[Plot, ...] = ()


@dataclass(frozen=True)
class Page:
    """A report: title, one line about its origin, sections."""

    title: str
    origin: str
    sections: tuple[Section, ...] = field(default_factory=tuple)


def to_html(page: Page) -> str:
    """Self-contained HTML with the plots as SVG."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("ctcfish.report"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("qc.html.j2").render(page=page, notice=NOTICE)


def to_pdf(page: Page) -> bytes:
    """A4 pages with the notice on each; equal pages are equal bytes."""
    sheets = _Sheets(page)
    for section in page.sections:
        sheets.lines([section.title], size=11, weight="bold", keep=4)
        sheets.lines(textwrap.wrap(section.text, 125), size=7.5)
        for grid in section.grids:
            _table(sheets, grid)
        for plot in section.plots:
            sheets.plot(plot)
    return sheets.finish()


class _Sheets:
    """Pages filled from the top."""

    def __init__(self, page: Page) -> None:
        self.page, self.buffer = page, io.BytesIO()
        info = {"Title": page.title, "Creator": "ctcfish", "CreationDate": None, "Producer": None, "ModDate": None}
        self.pdf = PdfPages(self.buffer, metadata=info)
        self.figure: Figure | None = None
        self.number, self.top = 0, 0.0

    def room(self, inches: float) -> Figure:
        """The current page, or a new one where that much does not fit."""
        if self.figure is None or self.top - inches < MARGIN + 0.25:
            self._close()
            self.number += 1
            self.figure = Figure(figsize=A4_INCH)
            self.top = A4_INCH[1] - MARGIN
            self._write(self.page.title, 14 if self.number == 1 else 9, "bold")
            self.top -= 0.24
            self._write(NOTICE, 8, "bold", TONES["red"])
            self.top -= 0.18
            for line in textwrap.wrap(self.page.origin, 125):
                self._write(line, 7, color="#666677")
                self.top -= LINE
            self.top -= 0.12
            self.figure.text(
                MARGIN / A4_INCH[0], 0.3 / A4_INCH[1], f"{NOTICE} Page {self.number}", fontsize=7, color="#666677"
            )
        return self.figure

    def _write(
        self, text: str, size: float, weight: str = "normal", color: str = "#1c2430", left: float = MARGIN
    ) -> None:
        figure = self.figure or self.room(LINE)
        place = (left / A4_INCH[0], (self.top - size / 72) / A4_INCH[1])
        figure.text(*place, text, fontsize=size, fontweight=weight, color=color, va="baseline")

    def lines(self, lines: list[str], size: float, weight: str = "normal", keep: int = 0) -> None:
        """Write lines; ``keep`` more lines must fit below, so that no heading stands alone."""
        for text in lines:
            self.room(size / 72 * 1.5 + keep * LINE)
            self._write(text, size, weight)
            self.top -= size / 72 * 1.5
        self.top -= 0.04

    def row(self, cells: tuple[str, ...], places: list[float], size: float, look: tuple[str, str]) -> None:
        """Write one line of a table; ``look`` is its colour and weight."""
        self.room(LINE)
        for text, left in zip(cells, places, strict=True):
            self._write(text, size, look[1], look[0], left)
        self.top -= LINE

    def plot(self, plot: Plot) -> None:
        """Draw a plot over the page's width."""
        figure = self.room(plot.height_inch + 0.1)
        plot.place(figure, MARGIN, self.top - plot.height_inch)
        self.top -= plot.height_inch + 0.1

    def _close(self) -> None:
        if self.figure is not None:
            self.pdf.savefig(self.figure)  # type: ignore[no-untyped-call]
        self.figure = None

    def finish(self) -> bytes:
        """Close the last page and the file."""
        self.room(LINE)
        self._close()
        self.pdf.close()  # type: ignore[no-untyped-call]
        return self.buffer.getvalue()


def _table(sheets: _Sheets, grid: Grid) -> None:
    lengths = [max(len(row[k]) for row in (grid.header, *grid.rows)) + 2 for k in range(len(grid.header))]
    lengths = [min(length, 78) for length in lengths]
    scale = min((A4_INCH[0] - 2 * MARGIN) / sum(lengths), CHARACTER * 1.15)
    size = 6.5 * min(scale / CHARACTER, 1.0)
    places = [MARGIN + scale * sum(lengths[:k]) for k in range(len(lengths))]
    for kind, cells, tone in _printed(grid):
        shown = tuple(
            text if len(text) <= length else text[: length - 2] + "…"
            for text, length in zip(cells, lengths, strict=True)
        )
        sheets.row(shown, places, size, (TONES.get(tone, "#1c2430"), "bold" if kind == "header" else "normal"))
    if len(grid.rows) > MOST_ROWS:
        sheets.lines([f"{len(grid.rows) - MOST_ROWS} more rows: see the CSV."], size=6.5)
    sheets.top -= 0.08


def _printed(grid: Grid) -> Iterator[tuple[str, tuple[str, ...], str]]:
    yield "header", grid.header, ""
    for number, row in enumerate(grid.rows[:MOST_ROWS]):
        yield "row", row, grid.tone(number)
