"""The report of one slide, made from what the run stored: tables, labels, pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from ctcfish import flags, tables
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


def render(folder: Path) -> str:
    """HTML of a slide's report, self-contained.

    Parameters
    ----------
    folder : Path
        ``OUT/<slide_id>`` with tables, ``slide.json``, labels and pictures.
    """
    cells = read_parquet(folder / "cells.parquet", tables.CELLS)
    spots = read_parquet(folder / "spots.parquet", tables.SPOTS)
    if_cells = read_parquet(folder / "if_cells.parquet", tables.IF_CELLS)
    summary = json.loads((folder / "slide.json").read_text(encoding="utf-8"))
    pictures, labels = read_pictures(folder / "pictures.zarr"), read_labels(folder / "labels.ome.zarr")
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("ctcfish.report"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"number": number, "percent": percent}
    return environment.get_template("slide.html.j2").render(
        summary=summary,
        row=summary["slide"],
        doubts=sentences(str(summary["slide"]["flags"]), flags.SlideFlag),
        strips=strips(gallery(cells, MOST_STRIPS), spots, pictures, labels),
        constellations=constellations(cells, if_cells, pictures, (summary["relocation"] or {}).get("transforms", [])),
        most_panels=MOST_PANELS,
        overlays=overlays(cells, if_cells, pictures, labels),
        plot=counts_plot(cells, _cuts(summary)),
        reasons=_reasons(cells),
        cell_doubts={f.name: flags.sentence(f) for f in flags.CellFlag},
    )


def _cuts(summary: Mapping[str, Any]) -> list[tuple[str, Fraction]]:
    rule = summary["rule"]
    lines = [("ratio 2.2", Fraction(11, 5)), ("ratio 1", Fraction(1))]
    if rule.get("kind") == "fish" and Fraction(rule["cut"]) != Fraction(11, 5):
        lines.insert(0, (f"ratio {float(Fraction(rule['cut'])):g}", Fraction(rule["cut"])))
    return lines


def _reasons(cells: pd.DataFrame) -> list[tuple[str, int, int]]:
    """Reason, CTC and all nuclei not evaluable for it."""
    counts = cells["reason"].value_counts().sort_index()
    of_ctc = cells.loc[cells["kind"] == "ctc", "reason"].value_counts()
    return [(str(reason), int(of_ctc.get(reason, 0)), int(n)) for reason, n in counts.items()]
