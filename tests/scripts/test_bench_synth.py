"""The bench of simulated slides: its own arithmetic, on tables and on one small slide."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

import bench_synth


def table(true: list[int], found: list[int]) -> pd.DataFrame:
    columns = {"countable": true, "count": found}
    names = {"her2": "{}_her2", "cep17": "{}_cep17"}
    frame = pd.DataFrame(
        {(names[p].format(k) if k == "countable" else f"{p}_{k}"): v for p in names for k, v in columns.items()}
    )
    for probe in names:
        frame[f"{probe}_false"], frame[f"{probe}_missed"], frame[f"{probe}_loci"] = 1, 1, 4
    return frame


def test_figures_by_hand() -> None:
    """Exact among at most six, bias among at most ten; large clusters are in neither."""
    own = bench_synth.figures(table([2, 2, 8, 30], [2, 3, 6, 5]))
    assert own["nuclei"] == 4
    assert own["her2_exact"] == pytest.approx(0.5)
    assert own["her2_bias"] == pytest.approx(-1 / 12, abs=1e-3)
    assert own["cep17_false"] == 1.0
    assert own["cep17_recall"] == pytest.approx(0.75)


def test_a_signal_is_false_where_no_locus_is_near() -> None:
    seen, true = np.array([[1.0, 1.0], [5.0, 5.0]]), np.array([[1.0, 1.3]])
    assert bench_synth._far(seen, true).tolist() == [False, True]
    assert bench_synth._far(seen, true[:0]).tolist() == [True, True]


def test_settings_are_valid_and_differ() -> None:
    specs = [bench_synth.spec(1, changes) for _, changes in bench_synth.settings()]
    assert len({own.model_dump_json() for own in specs}) == len(specs)
    assert specs[-1].signals.her2_in_cep17 == 0.08
    assert specs[-1].nuisance.granules_per_nucleus == 0.5


def test_one_slide_is_measured() -> None:
    small = {"population.ctc": 1, "population.leukocytes": 7, "population.touching_pairs": 0}
    cells, model = bench_synth.measured(1, small | {"fish.shape_px": [420, 420], "signals.photons": 3000.0})
    own = bench_synth.figures(cells)
    assert own["nuclei"] >= 3
    assert own["her2_recall"] > 0.8
    assert set(model.probes) == {"HER2", "CEP17"}
