"""The report of a run: patients, and how much their results hang on the rule."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ctcfish.report.plots import MARKERS, svg_of
from ctcfish.report.words import number, percent
from ctcfish.store.results import read_ctc


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
        rules=list(dict.fromkeys(read["sensitivity"]["rule"])),
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
    row = np.searchsorted(names, own["patient_id"].astype(str))
    # Equal ratios lie on one point; a fixed small shift by row keeps them apart.
    height = row + (own.groupby(row).cumcount().to_numpy() * 0.381966 % 1 - 0.5) * 0.5
    for call, (marker, colour) in (("not_amplified", MARKERS["wbc"]), ("amplified", MARKERS["ctc"])):
        hit = (own["call"] == call).to_numpy()
        axes.scatter(own["ratio"].to_numpy(float)[hit], height[hit], s=14, marker=marker, color=colour)
    axes.axvline(2.2, color="black", linewidth=1)
    axes.set(xscale="log", xlabel="HER2/CEP17 per CTC (line: 2.2)", ylim=(len(names) - 0.4, -0.6))
    ticks = [0.25, 0.5, 1, 2, 4, 8, 16, 32]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_yticks(range(len(names)), names)
    axes.spines[["top", "right"]].set_visible(False)
    return svg_of(figure)


def sensitivity_matrix(table: pd.DataFrame) -> dict[str, list[tuple[str, str]]]:
    """Eligibility and number of amplified CTC of every patient by every rule, in the order of the table's rules.

    Parameters
    ----------
    table : pandas.DataFrame
        :data:`ctcfish.tables.SENSITIVITY`.

    Returns
    -------
    dict of list
        ``(eligible, number)`` by patient, sorted; a dot stands for the number where no CTC was evaluable.
    """
    cells: dict[str, list[tuple[str, str]]] = {name: [] for name in sorted(table["patient_id"].astype(str).unique())}
    for row in table.to_dict("records"):
        none = row["eligible"] == "not_evaluable"
        cells[str(row["patient_id"])].append((row["eligible"], "·" if none else str(row["n_amplified"])))
    return cells
