"""A page of the laboratory's quality control: sections of text, tables and plots, as HTML and as PDF."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field

import jinja2
from matplotlib.axes import Axes
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure

from ctcfish.report.plots import svg_of

NOTICE = "Research use only. Not for diagnosis or treatment decisions."
TONES = {"green": "#2b8a3e", "amber": "#b7791f", "red": "#c2410c"}
A4_INCH = (8.27, 11.69)
MARGIN, LINE, NEXT_LINE = 0.6, 0.155, 0.115
"""Inches: border of a page, height of a row of a table, and of each further line of it."""
CHARACTER = 0.049
"""Width of a letter of 6.5 points, in inches."""
LETTERS = int((A4_INCH[0] - 2 * MARGIN) / CHARACTER)
"""Letters of 6.5 points on a line."""
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
    most : int or None
        Rows that the PDF prints before it points to the CSV; None: all, for what stands in no CSV.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    tones: tuple[str, ...] = ()
    most: int | None = MOST_ROWS

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
    below_inch : float
        Room for what stands below the axis.
    """

    title: str
    draw: Callable[[Axes], None]
    height_inch: float = 2.4
    left_inch: float = 0.6
    below_inch: float = 0.45

    def svg(self) -> str:
        """The plot alone, as SVG."""
        figure = Figure(figsize=(A4_INCH[0] - 2 * MARGIN, self.height_inch))
        self.place(figure, 0.0, 0.0)
        return svg_of(figure, None)

    def place(self, figure: Figure, left: float, bottom: float) -> None:
        """Draw into a figure with the frame's lower left corner there, in inches."""
        width, height = figure.get_size_inches()
        across, up = A4_INCH[0] - 2 * MARGIN - self.left_inch - 0.15, self.height_inch - self.below_inch - 0.3
        corner = ((left + self.left_inch) / width, (bottom + self.below_inch) / height)
        axes = figure.add_axes((*corner, across / width, up / height))
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
        text = textwrap.wrap(section.text, 125)
        first = 4 * LINE if section.grids else max((plot.height_inch for plot in section.plots[:1]), default=0.0)
        sheets.lines([section.title], size=11, weight="bold", keep=len(text) * LINE + first)
        sheets.lines(text, size=7.5)
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

    def fits(self, inches: float) -> bool:
        """Whether that much is left on the current page."""
        return self.figure is not None and self.top - inches >= MARGIN + 0.25

    def room(self, inches: float) -> Figure:
        """The current page, or a new one where that much does not fit."""
        if self.figure is None or not self.fits(inches):
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

    def lines(self, lines: list[str], size: float, weight: str = "normal", keep: float = 0.0) -> None:
        """Write lines; ``keep`` more inches must fit below, so that no heading stands alone."""
        for text in lines:
            self.room(size / 72 * 1.5 + keep)
            self._write(text, size, weight)
            self.top -= size / 72 * 1.5
        self.top -= 0.04

    def row(self, cells: list[list[str]], places: list[float], size: float, look: tuple[str, str]) -> None:
        """Write one row of a table, cells of some lines each; ``look`` is its colour and weight."""
        self.room(_height(cells))
        top = self.top
        for lines, left in zip(cells, places, strict=True):
            for number, text in enumerate(lines):
                self.top = top - number * NEXT_LINE
                self._write(text, size, look[1], look[0], left)
        self.top = top - _height(cells)

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
    """Write a table; long cells are wrapped, and its header stands again on every page it reaches."""
    widths = _widths(grid)
    scale = min((A4_INCH[0] - 2 * MARGIN) / sum(widths), CHARACTER * 1.15)
    size = 6.5 * min(scale / CHARACTER, 1.0)
    places = [MARGIN + scale * sum(widths[:k]) for k in range(len(widths))]
    header = _wrapped(grid.header, widths)
    head = ("#1c2430", "bold")
    for number, cells in enumerate(grid.rows[: grid.most]):
        lines = _wrapped(cells, widths)
        if number == 0 or not sheets.fits(_height(lines)):
            sheets.room(_height(header) + _height(lines))
            sheets.row(header, places, size, head)
        sheets.row(lines, places, size, (TONES.get(grid.tone(number), "#1c2430"), "normal"))
    if not grid.rows:
        sheets.row(header, places, size, head)
        sheets.lines(["none"], size=6.5)
    if grid.most is not None and len(grid.rows) > grid.most:
        sheets.lines([f"{len(grid.rows) - grid.most} more rows: see the CSV."], size=6.5)
    sheets.top -= 0.08


def _widths(grid: Grid) -> list[int]:
    """Letters of each column: those of its longest cell.

    Where that is too much for a line, first the header is wrapped, then the widest columns are drawn in until all fit,
    none below its longest word.
    """
    cells = [tuple(row[k] for row in grid.rows) for k in range(len(grid.header))]
    body = [max(map(len, column), default=0) for column in cells]
    words = [_longest_word((name, *column)) for name, column in zip(grid.header, cells, strict=True)]
    wanted = [max(len(name), width) for name, width in zip(grid.header, body, strict=True)]
    room = LETTERS - 2 * len(wanted)
    if sum(wanted) > room:
        wanted = [max(_longest_word((name,)), width) for name, width in zip(grid.header, body, strict=True)]
    cap = max(wanted, default=0)
    while cap > max(words, default=0) and sum(min(width, cap) for width in wanted) > room:
        cap -= 1
    return [max(min(width, cap), word) + 2 for width, word in zip(wanted, words, strict=True)]


def _longest_word(texts: tuple[str, ...]) -> int:
    return max((len(word) for text in texts for word in text.split()), default=0)


def _wrapped(cells: tuple[str, ...], widths: list[int]) -> list[list[str]]:
    return [textwrap.wrap(text, width - 2) or [""] for text, width in zip(cells, widths, strict=True)]


def _height(cells: list[list[str]]) -> float:
    """Inches of a row by its tallest cell."""
    return LINE + (max(map(len, cells)) - 1) * NEXT_LINE
