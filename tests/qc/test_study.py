"""A study of precision from images to the report, small: simulate, score, compare, chart, file."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from tests import make

SPEC = """
days = 1
scans = 2
shift_sd_um = 1.0
[slide]
slide_id = "tiny"
patient_id = "P"
seed = 3
with_if = false
[slide.population]
ctc = 2
leukocytes = 14
touching_pairs = 0
ctc_border_um = 6.0
[slide.fish]
shape_px = [420, 420]
pixel_um = 0.12
planes = 7
z_step_um = 0.5
"""


@pytest.mark.slow
def test_from_images_to_the_report(tmp_path: Path) -> None:
    (tmp_path / "spec.toml").write_text(SPEC, encoding="utf-8")
    study, run = tmp_path / "study", tmp_path / "run"
    assert make.run("simulate", "replicates", tmp_path / "spec.toml", "--out", study) == 0
    assert make.run("batch", study, "--out", run) == 0
    slides = pd.read_csv(run / "slides.csv", dtype=str).set_index("slide_id")
    assert slides.loc["tiny-d1-s2", ["replicate_of", "day", "probe_lot"]].tolist() == ["tiny-d1-s1", "1", "L1"]
    assert pd.read_csv(run / "patients.csv")["n_slides"].tolist() == [1]

    assert make.run("qc", "reproduce", run, "--out", tmp_path / "repeats") == 0
    matching = pd.read_csv(tmp_path / "repeats" / "matching.csv")
    assert matching["relation"].tolist() == ["first", "rescan"]
    assert matching["n_matched"].iloc[1] >= 12
    readings = pd.read_csv(tmp_path / "repeats" / "readings.csv")
    truth = pd.read_csv(study / "tiny-d1-s1" / "truth" / "cells.csv")
    assert readings["item"].nunique() == matching["n_first"].iloc[0] <= len(truth)
    both = readings.pivot_table(index="item", columns="reading", values="her2").dropna()
    assert (both.iloc[:, 0] - both.iloc[:, 1]).abs().median() == 0

    history = tmp_path / "lab.sqlite"
    assert (
        make.run("qc", "control", "add", run, "--history", history, "--set", "qc.min_control_cells=5") == 0
    )  # no IF: none
    assert make.run("report", run, "--kind", "qc", "--history", history) == 0
    html = (tmp_path / "run.qc" / "report.html").read_text(encoding="utf-8")
    for text in (
        "1 of 1 declared",
        "Method card: probes and optics",
        "0.5 x 0.12 x 0.12",
        "tiny-d1-s2",
    ):
        assert text in html
    assert (tmp_path / "run.qc" / "report.pdf").stat().st_size > 10_000
