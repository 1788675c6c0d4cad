"""Cells a reader chose."""

from __future__ import annotations

import pandas as pd
import pytest

from ctcfish.errors import InputError
from ctcfish.parameters import Phenotype
from ctcfish.stages.immuno.chosen import mark_chosen

CELLS = pd.DataFrame(
    {
        "if_scene": ["a", "a", "b"],
        "if_label": [1, 2, 1],
        "if_y_um": [10.0, 50.0, 10.0],
        "if_x_um": [10.0, 10.0, 10.0],
        "kind": ["wbc", "unknown", "wbc"],
        "kind_probability": [0.99, 0.7, 0.98],
        "chosen": [False, False, False],
        "flags": ["", "UNSURE_KIND", ""],
    }
)
BESIDE, INSTEAD = Phenotype(), Phenotype(chosen="instead")


def _choice(scene: str = "a", y: float = 48.0, x: float = 13.0, modality: str = "if") -> pd.DataFrame:
    return pd.DataFrame({"scene": [scene], "modality": [modality], "y_um": [y], "x_um": [x], "reader": ["r"]})


def test_the_nearest_nucleus_becomes_a_ctc() -> None:
    marked = mark_chosen(CELLS, _choice(), BESIDE)
    assert marked["kind"].tolist() == ["wbc", "ctc", "wbc"]
    assert marked["chosen"].tolist() == [False, True, False]
    assert marked["kind_probability"].tolist() == CELLS["kind_probability"].tolist()
    assert not CELLS["chosen"].any()


def test_the_scene_counts() -> None:
    assert mark_chosen(CELLS, _choice("b", 10, 10), BESIDE)["chosen"].tolist() == [False, False, True]


@pytest.mark.parametrize("chosen", [_choice().iloc[:0], _choice(modality="fish")])
def test_nothing_chosen_in_if_changes_nothing(chosen: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(mark_chosen(CELLS, chosen, BESIDE), CELLS)


def test_a_place_without_nucleus_is_refused() -> None:
    with pytest.raises(InputError, match=r"\(80\.0, 10\.0\) um of IF scene 'a', 30 um from the nearest nucleus"):
        mark_chosen(CELLS, _choice(y=80.0, x=10.0), BESIDE)


def test_a_scene_without_nuclei_is_refused() -> None:
    with pytest.raises(InputError, match="'c', which shows no nucleus"):
        mark_chosen(CELLS, _choice("c"), BESIDE)


AUTOMATIC = CELLS.assign(kind=["ctc", "unknown", "ctc"], flags=["TRUNCATED", "UNSURE_KIND", ""])


@pytest.mark.parametrize(
    ("params", "kinds", "flags"),
    [
        (BESIDE, ["ctc", "ctc", "ctc"], ["TRUNCATED", "UNSURE_KIND", ""]),
        (INSTEAD, ["unknown", "ctc", "unknown"], ["TRUNCATED|UNSURE_KIND", "UNSURE_KIND", "UNSURE_KIND"]),
    ],
)
def test_a_readers_list_stands_beside_the_automatic_ctc_or_instead(
    params: Phenotype, kinds: list[str], flags: list[str]
) -> None:
    marked = mark_chosen(AUTOMATIC, _choice(), params)
    assert marked["kind"].tolist() == kinds
    assert [set(text.split("|")) for text in marked["flags"]] == [set(text.split("|")) for text in flags]
    assert marked["chosen"].tolist() == [False, True, False]
    assert marked["kind_probability"].tolist() == CELLS["kind_probability"].tolist()


def test_what_a_reader_and_the_program_agree_on_stays_a_ctc() -> None:
    marked = mark_chosen(AUTOMATIC, _choice(y=10.0, x=10.0), INSTEAD)
    assert marked["kind"].tolist() == ["ctc", "unknown", "unknown"]
    assert marked["flags"].tolist()[0] == "TRUNCATED"


def test_an_empty_list_instead_of_the_automatic_one_leaves_no_ctc() -> None:
    empty = _choice().iloc[:0]
    assert mark_chosen(AUTOMATIC, empty, INSTEAD)["kind"].tolist() == ["unknown"] * 3
    assert mark_chosen(AUTOMATIC, empty, BESIDE)["kind"].tolist() == ["ctc", "unknown", "ctc"]
