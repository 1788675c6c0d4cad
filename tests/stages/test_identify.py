from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from ctcfish import tables
from ctcfish.stages.count import no_cells
from ctcfish.stages.identify import identify
from ctcfish.types import Relocation
from tests import make


def if_cells(*kinds: str, flags: str = "") -> pd.DataFrame:
    n = len(kinds)
    frame = pd.DataFrame(
        {
            "slide_id": "s",
            "if_scene": "scan",
            "if_label": range(1, n + 1),
            "if_y_um": np.arange(n) * 10.0,
            "if_x_um": 5.0,
            "area_um2": 50.0,
            "kind": list(kinds),
            "kind_probability": 0.99,
            "flags": flags,
            "if_inclusion_cell": np.arange(n) + 0.5,
        }
    )
    return tables.IF_CELLS.check(frame)


def relocation(*labels: int | None, probability: float = 0.99, trusted: bool = True) -> Relocation:
    found = [label is not None for label in labels]
    matches = pd.DataFrame(
        {
            "if_scene": "scan",
            "if_label": range(1, len(labels) + 1),
            "scene": ["f" if f else None for f in found],
            "label": pd.array(list(labels), dtype="Int64"),
            "residual_um": [0.5 if f else np.nan for f in found],
            "probability": [probability if f else np.nan for f in found],
        }
    )
    return Relocation(matches, (), trusted, "")


def test_kinds_go_to_their_nuclei() -> None:
    cells = identify(make.cells((2, 2), (9, 2), (2, 2)).drop(columns="kind"), if_cells("wbc", "ctc"), relocation(3, 1))
    assert cells["cell_id"].tolist() == ["s/f/1", "s/f/2", "s/f/3"]
    assert cells["kind"].tolist() == ["ctc", "unknown", "wbc"]
    assert cells["if_label"].fillna(0).tolist() == [2, 0, 1]
    assert cells["if_inclusion_cell"].fillna(-1).tolist() == [1.5, -1, 0.5]
    assert cells["relocation_residual_um"].fillna(-1).tolist() == [0.5, -1, 0.5]
    assert len(tables.CELLS.check(cells.assign(call="not_amplified", call_guarded="not_amplified"))) == 3


def test_a_lost_ctc_is_a_row_and_a_lost_leukocyte_is_not() -> None:
    cells = identify(make.cells((2, 2)).drop(columns="kind"), if_cells("ctc", "wbc", "wbc"), relocation(None, None, 1))
    assert cells["cell_id"].tolist() == ["s/f/1", "s/scan/if:1"]
    lost = cells.iloc[1]
    assert lost["kind"] == "ctc"
    assert (lost["if_y_um"], lost["if_x_um"]) == (0.0, 5.0)
    assert pd.isna(lost["label"])
    assert pd.isna(lost["her2_count"])
    assert pd.isna(lost["scene"])


@pytest.mark.parametrize("given", [None, relocation(1, trusted=False)], ids=["no IF scan", "untrusted"])
def test_without_trust_every_kind_is_unknown(given: Relocation | None) -> None:
    cells = identify(make.cells((2, 2)).drop(columns="kind"), if_cells("ctc"), given)
    assert cells["kind"].tolist() == ["unknown"]
    assert len(cells) == 1


@pytest.mark.parametrize(("probability", "flag"), [(0.94, "UNSURE_MATCH"), (0.96, "")])
def test_doubtful_matches_are_flagged(probability: float, flag: str) -> None:
    cells = identify(make.cells((2, 2)).drop(columns="kind"), if_cells("ctc"), relocation(1, probability=probability))
    assert cells["flags"].tolist() == [flag]


def test_doubts_about_the_kind_are_carried_over_and_others_are_not() -> None:
    cells = make.cells((2, 2), flags="OVERLAP").drop(columns="kind")
    marked = identify(cells, if_cells("unknown", flags="UNSURE_KIND|TRUNCATED"), relocation(1))
    assert marked["flags"].tolist() == ["OVERLAP|UNSURE_KIND"]


def test_two_if_cells_on_one_nucleus_are_an_error() -> None:
    with pytest.raises(pd.errors.MergeError):
        identify(make.cells((2, 2)).drop(columns="kind"), if_cells("ctc", "wbc"), relocation(1, 1))


def test_no_nuclei_at_all() -> None:
    empty: Any = make.cells().drop(columns="kind")
    cells = identify(empty, if_cells("ctc"), relocation(None))
    assert cells["cell_id"].tolist() == ["s/scan/if:1"]
    assert len(identify(empty, if_cells(), relocation())) == 0
    assert len(identify(no_cells(), if_cells("ctc", "wbc"), relocation(None, None))) == 1
