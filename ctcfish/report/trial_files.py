"""What a trial leaves on disk: report, pictures, endpoints, and tables in other people's shapes."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from ctcfish.report.qc_page import NOTICE, to_pdf
from ctcfish.report.trial import plots_of, to_html, trial_page
from ctcfish.report.trial_checklists import filled
from ctcfish.report.trial_export import exports
from ctcfish.store.atomic import atomic_folder, to_json, write_text
from ctcfish.trial.analysis import Analysis
from ctcfish.trial.characteristics import characteristics
from ctcfish.trial.endpoints import ENDPOINTS


def write_trial(analysis: Analysis, out: Path) -> None:
    """Write everything in one rename.

    Parameters
    ----------
    analysis : Analysis
    out : Path
        Folder to make.
    """
    pictures = plots_of(analysis)
    page = trial_page(analysis, pictures)
    svgs = {id(plot): plot.svg() for section in page.sections for plot in section.plots}
    with atomic_folder(out) as work:
        write_text(work / "report.html", to_html(page, lambda plot: svgs[id(plot)]))
        (work / "report.pdf").write_bytes(to_pdf(page))
        write_text(work / "endpoints.json", to_json(endpoints(analysis)))
        frames = {"endpoints": pd.DataFrame([f.as_row() for f in analysis.findings])}
        frames |= {"operating": analysis.operating, "sensitivity": analysis.sensitivity}
        frames["characteristics"] = characteristics(analysis.study)
        for name, rows in filled(analysis).items():
            frames[name.lower()] = pd.DataFrame(rows, columns=["item", "asks_for", "answer"])
        for name, frame in (frames | exports(analysis)).items():
            write_text(work / f"{name}.csv", frame.to_csv(index=False, lineterminator="\n"))
        for name, plots in pictures.items():
            for number, plot in enumerate(plots, start=1):
                write_text(work / "figures" / f"{name}{'' if number == 1 else f'_{number}'}.svg", svgs[id(plot)])


def endpoints(analysis: Analysis) -> dict[str, Any]:
    """Return everything the report says as plain values: one entry an endpoint, a figure each row."""
    protocol = analysis.study.protocol
    rows = [f.as_row() for f in analysis.findings]
    return {
        "notice": NOTICE,
        "protocol": protocol.model_dump(mode="json"),
        "flow": [_step(step) for step in analysis.steps],
        "published": [
            {"claim": c.claim.model_dump(), "agrees": c.agrees, "matches": list(c.matches), "said": str(c)}
            for c in analysis.claims
        ],
        "deviations": list(analysis.deviations),
        "endpoints": {
            key: asdict(about) | {"figures": [row for row in rows if row["endpoint"] == key]}
            for key, about in ENDPOINTS.items()
        },
        "designs": [_decision(d) for d in analysis.decisions],
        "operating": analysis.operating.to_dict("records"),
        "sensitivity": _plain(analysis.sensitivity),
    }


def _step(step: Any) -> dict[str, Any]:
    share = None if step.share is None else asdict(step.share) | {"value": step.share.value}
    return {"name": step.name, "n": step.n, "share": share, "left": dict(step.left)}


def _decision(decision: Any) -> dict[str, Any]:
    told = asdict(decision)
    told["design"] = decision.design.model_dump()
    return told


def _plain(table: pd.DataFrame) -> list[dict[str, Any]]:
    return list(table.astype(object).where(table.notna(), None).to_dict("records"))
