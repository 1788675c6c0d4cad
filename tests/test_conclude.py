"""The end of the route alone: calls made anew from cells, with the rates and the row that belong to them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ctcfish import tables
from ctcfish.conclude import conclude, rates_of
from ctcfish.config import Config, load, preset_names
from ctcfish.flags import SlideFlag
from ctcfish.stages.calibrate import calibrate
from ctcfish.stages.call import false_amplified
from ctcfish.store.atomic import to_json
from ctcfish.store.tablefiles import read_parquet, write_parquet
from tests import make

COUNTS = [(2, 2), (9, 2), (5, 2), (4, 2), (0, 2), (3, 1)]


@pytest.fixture
def cells() -> pd.DataFrame:
    leukocytes = make.cells(*[(2, 2)] * 30, kind="wbc", cell_id=[f"s/f/{n}" for n in range(100, 130)])
    counted = pd.concat([make.cells(*COUNTS), leukocytes], ignore_index=True)
    points = {f"{probe}_points": counted[f"{probe}_count"] for probe in ("her2", "cep17")}
    return counted.assign(her2_in_clusters=0, cep17_in_clusters=0, **points)


@pytest.mark.parametrize("preset", preset_names())
def test_called_cells_are_called_anew_as_if_for_the_first_time(cells: pd.DataFrame, preset: str) -> None:
    """Through any other rule's calls, and through a file, the same calls come out."""
    at_once = conclude(make.subject(), cells, load(preset))
    before = conclude(make.subject(), cells, load("meng_2004")).cells
    again = conclude(make.subject(), before, load(preset))
    pd.testing.assert_frame_equal(again.cells, at_once.cells)
    assert to_json(again.told) == to_json(at_once.told)


def told(*arguments: object) -> dict[str, Any]:
    """What is concluded, as a file gives it back."""
    return dict(json.loads(to_json(conclude(*arguments).told)))  # type: ignore[arg-type]


@pytest.mark.parametrize("preset", preset_names())
def test_what_hangs_on_no_rule_is_taken_over_and_is_what_would_be_found_again(cells: pd.DataFrame, preset: str) -> None:
    """Rates, controls and counts by every rule hang on the cells alone."""
    before = told(make.subject(), cells, Config())
    assert told(make.subject(), cells, load(preset), before) == told(make.subject(), cells, load(preset))


def test_the_runs_own_rule_is_controlled_anew(cells: pd.DataFrame) -> None:
    before = told(make.subject(), cells, Config())
    own = load("asco_cap_2018", None, ["call.rule.cut=3"])
    marked = before | {
        "false_amplified": {name: {"amplified": -1} for name in [*before["false_amplified"], own.preset.name]},
        "by_rule": {"known": 1},
    }
    again = told(make.subject(), cells, own, marked)
    assert again["by_rule"] == {"known": 1}
    known = {name for name, said in again["false_amplified"].items() if said["amplified"] == -1}
    assert known == set(before["false_amplified"])
    assert again["false_amplified"][own.preset.name]["amplified"] == 0


def test_a_stored_table_is_called_like_the_one_in_memory(cells: pd.DataFrame, tmp_path: Path) -> None:
    first = conclude(make.subject(), cells, Config())
    write_parquet(first.cells, tables.CELLS, tmp_path / "cells.parquet")
    stored = read_parquet(tmp_path / "cells.parquet", tables.CELLS)
    for preset in ("circe_guarded", "asco_cap_2018"):
        fresh, again = (conclude(make.subject(), frame, load(preset)) for frame in (cells, stored))
        pd.testing.assert_frame_equal(again.cells, fresh.cells)
        assert to_json(again.told) == to_json(fresh.told)


def test_the_row_and_the_rates_are_those_of_the_cells(cells: pd.DataFrame) -> None:
    said = conclude(make.subject(flags=SlideFlag.SINGLE_PLANE), cells, Config()).told
    assert said["slide"]["n_ctc"] == len(COUNTS)
    assert said["slide"]["n_amplified"] == 3
    assert said["slide"]["flags"] == "SINGLE_PLANE"
    assert said["slide"]["preset"] == Config().preset.name
    assert said["error_rates"]["n_leukocytes"] == 30
    rates = rates_of(json.loads(to_json(said)))
    assert said["slide"]["false_amplified_per_cell"] == pytest.approx(false_amplified(rates, Config().call))


def test_a_slide_out_of_range_trusts_no_posterior(cells: pd.DataFrame) -> None:
    sure, doubted = (
        conclude(make.subject(flags=bits), cells, Config()) for bits in (SlideFlag(0), SlideFlag.OUT_OF_RANGE)
    )
    assert "amplified" in set(sure.cells["call_guarded"])
    assert "amplified" not in set(doubted.cells["call_guarded"])
    assert "UNCERTAIN" in set(doubted.cells["reason_guarded"].dropna())
    assert doubted.told["error_rates"]["flags"] == "OUT_OF_RANGE"
    np.testing.assert_array_equal(sure.cells["call"].to_numpy(), doubted.cells["call"].to_numpy())


def test_no_cell_at_all_is_a_row_of_a_slide() -> None:
    said = conclude(make.subject(scanned=False, relocated=None), tables.CELLS.empty(), Config())
    assert len(said.cells) == 0
    assert said.told["slide"]["technical_code"] == "S3"
    assert said.told["slide"]["slide_id"] == "s"


@pytest.mark.parametrize("n", [0, 40], ids=["default rates", "measured rates"])
def test_rates_come_back_from_json(n: int) -> None:
    """To the last bit, so that what was told once need not be estimated again."""
    own = make.cells(*[(2, 2)] * n, kind=["wbc"] * n) if n else make.cells()
    rates = calibrate(own, Config().calibrate)
    back = rates_of(json.loads(to_json(conclude(make.subject(), own, Config()).told)))
    assert back.errors == rates.errors
    assert dict(back.intervals) == dict(rates.intervals)
    assert (back.n_leukocytes, back.origin, back.flags) == (rates.n_leukocytes, rates.origin, rates.flags)
    np.testing.assert_equal(back.hybridisation_efficiency, rates.hybridisation_efficiency)
    assert (rates.n_leukocytes, rates.origin) == ((40, "slide") if n else (0, "default"))
