"""The report of one slide, made from what the run stored: tables, labels, pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from ctcfish import flags, tables
from ctcfish.report.calibration import measured, own_cells, reliability_plot
from ctcfish.report.constellation import MOST_PANELS, constellations
from ctcfish.report.overlay import overlays
from ctcfish.report.plots import counts_plot
from ctcfish.report.strips import strips
from ctcfish.report.windows import gallery
from ctcfish.report.words import number, percent, sentences
from ctcfish.store.labels import read_labels
from ctcfish.store.pictures import read_pictures
from ctcfish.store.tablefiles import read_parquet

MOST_STRIPS = 10_000
MEASURED_CUT = Fraction(11, 5)
"""Cut of the probabilities whose reliability was measured."""


Drawings = Mapping[str, Any]
"""Everything drawn for a page, as text: tiles by cell, panels, overlays, plots by their lines. No call changes them."""


def render(folder: Path) -> str:
    """HTML of a slide's report, self-contained.

    Parameters
    ----------
    folder : Path
        ``OUT/<slide_id>`` with tables, ``slide.json``, labels and pictures.
    """
    summary = json.loads((folder / "slide.json").read_text(encoding="utf-8"))
    return page(read_parquet(folder / "cells.parquet", tables.CELLS), summary, draw(folder))


def draw(folder: Path) -> Drawings:
    """Draw what a page shows; drawing takes nearly all the time of a page, and other calls need none of it again."""
    cells = read_parquet(folder / "cells.parquet", tables.CELLS)
    spots = read_parquet(folder / "spots.parquet", tables.SPOTS)
    if_cells = read_parquet(folder / "if_cells.parquet", tables.IF_CELLS)
    summary = json.loads((folder / "slide.json").read_text(encoding="utf-8"))
    pictures, labels = read_pictures(folder / "pictures.zarr"), read_labels(folder / "labels.ome.zarr")
    shown = strips(gallery(cells, MOST_STRIPS), spots, pictures, labels)
    lines = _cuts(summary)
    return {
        "tiles": {strip["cell"]["cell_id"]: strip["tiles"] for strip in shown},
        "planes": {strip["cell"]["cell_id"]: strip["planes"] for strip in shown},
        "constellations": constellations(
            cells, if_cells, pictures, (summary["relocation"] or {}).get("transforms", [])
        ),
        "overlays": overlays(cells, if_cells, pictures, labels),
        "plots": {str(lines): counts_plot(cells, lines)},
    }


def page(cells: pd.DataFrame, summary: Mapping[str, Any], drawings: Drawings) -> str:
    """HTML of a slide's report from its cells as they are called now and from drawings made before.

    Parameters
    ----------
    cells : pandas.DataFrame
        :data:`ctcfish.tables.CELLS`.
    summary : mapping
        What ``slide.json`` says.
    drawings : mapping
        Of :func:`draw`, by whatever calls the cells had then.
    """
    tiles, lines = drawings["tiles"], _cuts(summary)
    shown = gallery(cells[tables.CELLS.names], MOST_STRIPS)
    return template().render(
        summary=summary,
        row=summary["slide"],
        doubts=sentences(str(summary["slide"]["flags"]), flags.SlideFlag),
        strips=[
            {"cell": cell, "tiles": tiles[cell["cell_id"]], "planes": drawings["planes"][cell["cell_id"]]}
            for cell in shown[shown["cell_id"].isin(list(tiles))].to_dict("records")
        ],
        constellations=drawings["constellations"],
        most_panels=MOST_PANELS,
        overlays=drawings["overlays"],
        plot=drawings["plots"].get(str(lines)) or counts_plot(cells, lines),
        reasons=_reasons(cells),
        reliability=_reliability(cells, summary),
        measured=measured(),
        same_cut=Fraction(summary["rule"].get("cut", "2.2")) == MEASURED_CUT,
        cell_doubts={f.name: flags.sentence(f) for f in flags.CellFlag},
    )


@cache
def template() -> jinja2.Template:
    """The page's template, read once by a process."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("ctcfish.report"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"number": number, "percent": percent}
    return environment.get_template("slide.html.j2")


def _cuts(summary: Mapping[str, Any]) -> list[tuple[str, Fraction]]:
    """Lines of the plot: the usual ones, and another rule's own in the place of 2."""
    rule = summary["rule"]
    own = Fraction(rule["cut"]) if rule.get("kind") == "fish" else Fraction(2)
    other = Fraction(2) if own == Fraction(11, 5) else own
    return [(f"ratio {float(cut):g}", cut) for cut in (Fraction(11, 5), other, Fraction(1))]


def _reliability(cells: pd.DataFrame, summary: Mapping[str, Any]) -> str:
    """Curves of simulated slides with this slide's own cells and leukocytes."""
    rules = (str(summary["slide"]["preset"]), "circe_guarded")
    return reliability_plot(
        {own.name: own.curve for own in measured()}, own_cells(cells, summary["false_amplified"], rules)
    )


def _reasons(cells: pd.DataFrame) -> list[tuple[str, int, int]]:
    """Reason, CTC and all nuclei not evaluable for it."""
    counts = cells["reason"].value_counts().sort_index()
    of_ctc = cells.loc[cells["kind"] == "ctc", "reason"].value_counts()
    return [(str(reason), int(of_ctc.get(reason, 0)), int(n)) for reason, n in counts.items()]
