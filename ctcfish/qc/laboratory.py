"""The laboratory's page of one run: failures, slides, repeats, controls and the method card."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd

from ctcfish import tables
from ctcfish.config import Config, build
from ctcfish.errors import UsageError
from ctcfish.qc import tables as declared
from ctcfish.qc.card import card
from ctcfish.qc.control import control_study
from ctcfish.qc.failures import technical_failure
from ctcfish.qc.image import light
from ctcfish.qc.replicates import slide_folders
from ctcfish.qc.reproduce import reproduce
from ctcfish.report.qc_page import Page, Section
from ctcfish.report.qc_reproduce import reproduce_sections
from ctcfish.report.qc_run import failure_sections, run_section, summary_section
from ctcfish.store.results import read_slide_json
from ctcfish.store.tablefiles import read_parquet


def laboratory(run: Path, history: Path | None) -> tuple[Page, dict[str, pd.DataFrame]]:
    """Page and tables of a run.

    Parameters
    ----------
    run : Path
        Folder of a run.
    history : Path or None
        Control results; their charts are added.

    Raises
    ------
    UsageError
        The folder is no run.
    """
    if not (run / "manifest.json").is_file() or not (run / "slides.csv").is_file():
        raise UsageError(f"{run} is no run: give the folder that `ctcfish score` or `ctcfish batch` wrote.")
    manifest: dict[str, Any] = json.loads((run / "manifest.json").read_text(encoding="utf-8"))
    config = build(manifest["configuration"])
    frames = technical_failure(run) | {"checks": run_checks(run, config)}
    sections: list[Section] = [*failure_sections(frames["steps"], frames["reasons"]), run_section(frames["checks"])]
    try:
        study = reproduce([run], None, config)
    except UsageError:
        sections.append(Section("Repeats", "No slide of this run repeats another."))
    else:
        frames |= study.frames()
        sections += reproduce_sections(study.frames())
    verdict = None
    if history is not None:
        page, charts, verdict = control_study(history, config.qc, run.resolve().name)
        frames |= charts
        sections += page.sections
    name, sha = run.resolve().name, str(manifest["configuration_sha256"])
    origin = f"Run {name}, ctcfish {manifest['version']}, configuration {sha[:12]}."
    short = summary_section(frames["steps"], frames["checks"], verdict)
    return Page(f"Laboratory quality control: {name}", origin, (short, *sections, *card(run))), frames


def run_checks(run: Path, config: Config) -> pd.DataFrame:
    """Checks of scored slides from what the run kept: :data:`ctcfish.qc.tables.CHECKS`."""
    rows = []
    for folder in slide_folders(run):
        said = read_slide_json(folder)
        for name, value, about in _kept(said, read_parquet(folder / "cells.parquet", tables.CELLS)):
            green, red = config.qc.limits[name]
            tone = light(name, value, config.qc.limits)
            keys = {"slide_id": str(said["slide"]["slide_id"]), "scene": "all", "check": name, "value": value}
            rows.append(keys | {"light": tone, "green": green, "red": red, "about": about})
    return declared.CHECKS.check(pd.DataFrame(rows)) if rows else declared.CHECKS.empty()


def _kept(said: dict[str, Any], cells: pd.DataFrame) -> list[tuple[str, float, str]]:
    found = cells[cells["label"].notna()]
    if not len(found):
        return [("nuclei", 0.0, "nuclei found")]
    both = (found["her2_count"] > 0) & (found["cep17_count"] > 0)
    model = said["model"]
    figures = [
        ("nuclei", float(len(found)), "nuclei found"),
        ("focus", float(found["focus"].median()), "median focus of the nuclei"),
        ("hybridised_percent", 100 * float(both.mean()), f"of {len(found)} nuclei show both colours"),
        ("chromatic_shift_um", math.hypot(*model["chromatic_shift_um"][1:]), "lateral, between the colours"),
    ]
    return figures + [("crosstalk_percent", 100 * share, pair) for pair, share in sorted(model["crosstalk"].items())]
