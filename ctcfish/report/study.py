"""The report of a run: patients, and how much their results hang on the rule."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from ctcfish.report.plots import MARKERS, svg_of
from ctcfish.report.words import number, percent
from ctcfish.store.results import read_ctc

VERDICTS = ("not_evaluable", "no", "yes")


def render_study(out: Path) -> str:
    """HTML of a run's report, self-contained, from the run's tables.

    Parameters
    ----------
    out : Path
        Folder of a run.
    """
    read = {
        name: _table(out / f"{name}.csv")
        for name in ("slides", "patients", "sensitivity", "study_measures", "failures")
    }
    folders = [out / str(slide) for slide in read["slides"]["slide_id"]]
    owner = dict(zip(read["slides"]["slide_id"].astype(str), read["slides"]["patient_id"].astype(str), strict=True))
    ctc = read_ctc(folders)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("ctcfish.report"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"number": number, "percent": percent}
    return environment.get_template("study.html.j2").render(
        patients=read["patients"].astype(object).where(read["patients"].notna(), None).to_dict("records"),
        slides=read["slides"].astype(object).where(read["slides"].notna(), None).to_dict("records"),
        failures=read["failures"].to_dict("records"),
        strip=ratio_strip(ctc.assign(patient_id=ctc["slide_id"].map(owner))),
        matrix=sensitivity_matrix(read["sensitivity"]),
        measures=_measures(read["study_measures"]),
    )


def _measures(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Figures between patients, missing ones as None."""
    return [{str(k): None if pd.isna(v) else v for k, v in row.items()} for row in table.to_dict("records")]


def _table(file: Path) -> pd.DataFrame:
    """A table whose names stay text: ``007`` is no 7, and a patient may be called ``NA``."""
    names = {"slide_id": str, "patient_id": str}
    return pd.read_csv(file, dtype=names, keep_default_na=False, na_values=[""])


def ratio_strip(ctc: pd.DataFrame) -> str:
    """SVG: the ratio of every evaluable CTC, a row per patient, with the cut at 2.2.

    Parameters
    ----------
    ctc : pandas.DataFrame
        CTC with ``patient_id``, ``ratio`` and ``call``.
    """
    own = ctc[(ctc["call"] != "not_evaluable") & ctc["ratio"].notna()]
    names = sorted(own["patient_id"].astype(str).unique())
    figure = Figure(figsize=(7.5, 1.2 + 0.28 * max(len(names), 1)))
    axes = figure.add_subplot()
    for row, name in enumerate(names):
        mine = own[own["patient_id"].astype(str) == name]
        # Equal ratios lie on one point; a fixed small shift by row keeps them apart.
        shift = (np.arange(len(mine)) * 0.381966 % 1 - 0.5) * 0.5
        for call, (marker, colour) in (("not_amplified", MARKERS["wbc"]), ("amplified", MARKERS["ctc"])):
            hit = (mine["call"] == call).to_numpy()
            axes.scatter(mine["ratio"].to_numpy(float)[hit], row + shift[hit], s=14, marker=marker, color=colour)
    axes.axvline(2.2, color="black", linewidth=1)
    axes.set(xscale="log", xlabel="HER2/CEP17 per CTC (line: 2.2)", ylim=(len(names) - 0.4, -0.6))
    ticks = [0.25, 0.5, 1, 2, 4, 8, 16, 32]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_yticks(range(len(names)), names)
    axes.spines[["top", "right"]].set_visible(False)
    return svg_of(figure)


def sensitivity_matrix(table: pd.DataFrame) -> str:
    """SVG: eligibility of every patient (row) by every rule (column), with the number of amplified CTC.

    Parameters
    ----------
    table : pandas.DataFrame
        :data:`ctcfish.tables.SENSITIVITY`.
    """
    rules = list(dict.fromkeys(table["rule"]))
    names = sorted(table["patient_id"].astype(str).unique())
    figure = Figure(figsize=(1.5 + 0.62 * max(len(rules), 1), 1.6 + 0.28 * max(len(names), 1)))
    axes = figure.add_subplot()
    grid = np.zeros((max(len(names), 1), max(len(rules), 1)))
    for row in table.to_dict("records"):
        y, x = names.index(str(row["patient_id"])), rules.index(row["rule"])
        grid[y, x] = VERDICTS.index(row["eligible"])
        text = "·" if row["eligible"] == "not_evaluable" else str(row["n_amplified"])
        axes.text(x, y, text, ha="center", va="center", fontsize=8, color="white" if grid[y, x] == 2 else "black")
    axes.imshow(grid, cmap=ListedColormap(["#eeeeee", "#9ecae1", "#D55E00"]), vmin=0, vmax=2, aspect="auto")
    axes.set_xticks(range(len(rules)), rules, rotation=40, ha="right", fontsize=8)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    return svg_of(figure)
