"""What a QC command leaves: tables as CSV, plots as SVG, and one page as HTML and PDF."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from ctcfish.report.qc_page import Page, to_html, to_pdf
from ctcfish.store.atomic import atomic_folder, write_text


def write_page(page: Page, frames: Mapping[str, pd.DataFrame], out: Path) -> None:
    """Write everything in one rename; a folder that is there is replaced.

    Parameters
    ----------
    page : Page
    frames : mapping of str to pandas.DataFrame
        One CSV each.
    out : Path
    """
    with atomic_folder(out) as work:
        for name, frame in frames.items():
            write_text(work / f"{name}.csv", frame.to_csv(index=False, lineterminator="\n"))
        plots = [plot for section in page.sections for plot in section.plots]
        for count, plot in enumerate(plots, start=1):
            name = re.sub(r"[^a-z0-9]+", "_", plot.title.lower()).strip("_")[:60]
            write_text(work / f"{count:02d}_{name}.svg", plot.svg())
        write_text(work / "report.html", to_html(page))
        (work / "report.pdf").write_bytes(to_pdf(page))
