"""Patterns of copies: every definition at its edge, and who is left without one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from ctcfish import tables
from ctcfish.parameters import Call, Count
from ctcfish.stages.call import call
from ctcfish.stages.count import count
from ctcfish.stages.patterns import PATTERNS, count_patterns, patterns
from tests import make


def one(her2: int, cep17: int, **columns: Any) -> str | None:
    """Pattern of a single cell."""
    cells = make.cells((her2, cep17), **columns)
    found: str | None = patterns(cells, np.ones(1, bool))[0]
    return found


def clustered(her2: int, compact: bool | None, cep17: int = 0) -> dict[str, Any]:
    return {"her2_in_clusters": her2, "cep17_in_clusters": cep17, "her2_compact": compact}


@pytest.mark.parametrize(
    ("her2", "cep17", "expected"),
    [
        (2, 2, ""),
        (3, 2, ""),
        (4, 2, ""),
        (5, 2, "dispersed_amplification"),
        (2, 3, "polysomy"),
        (3, 3, "polysomy"),
        (4, 4, "polysomy"),
        (5, 5, "polysomy"),
        (5, 6, "polysomy"),
        (6, 5, "polysomy"),
        (6, 6, "co_amplification"),
        (20, 6, "co_amplification|dispersed_amplification"),
        (7, 3, "polysomy|dispersed_amplification"),
        (6, 3, "polysomy"),
        (1, 1, "monosomy"),
        (2, 1, "monosomy"),
        (3, 1, "monosomy"),
        (4, 1, "monosomy|dispersed_amplification"),
        (11, 5, "polysomy|dispersed_amplification"),
        (10, 5, "polysomy"),
    ],
)
def test_every_definition_at_its_edge(her2: int, cep17: int, expected: str) -> None:
    assert one(her2, cep17) == expected


@pytest.mark.parametrize(
    ("inside", "compact", "expected"),
    [
        (6, True, "compact_amplification"),
        (5, True, "dispersed_amplification"),
        (12, True, "compact_amplification"),
        (6, False, "dispersed_amplification"),
        (12, False, "dispersed_amplification"),
        (0, None, "dispersed_amplification"),
    ],
)
def test_compact_asks_for_half_of_the_signals_in_a_compact_cluster(
    inside: int, compact: bool | None, expected: str
) -> None:
    assert one(12, 2, **clustered(inside, compact)) == expected


@pytest.mark.parametrize(("her2", "cep17", "inside", "expected"), [(6, 4, 3, True), (5, 4, 3, False), (6, 4, 0, False)])
def test_centromeres_in_a_cluster_were_gained_with_the_gene(her2: int, cep17: int, inside: int, expected: bool) -> None:
    found = str(one(her2, cep17, **clustered(0, None, inside)))
    assert ("co_amplification" in found.split("|")) == expected
    assert ("polysomy" in found.split("|")) != expected


def test_a_single_cep17_signal_in_doubt_is_no_monosomy() -> None:
    cells = make.cells((2, 1))
    cells["cep17_high"] = pd.array([2], dtype="Int64")
    assert patterns(cells, np.ones(1, bool))[0] == ""


def test_an_uncountable_cluster_is_judged_by_what_is_certain() -> None:
    cells = make.cells((30, 2), (30, 2), (30, 2), flags="CLUSTER|UNCOUNTABLE_CLUSTER|LOWER_BOUND")
    cells["her2_low"] = pd.array([12, 4, 12], dtype="Int64")
    cells["cep17_high"] = pd.array([2, 2, 9], dtype="Int64")
    cells = cells.assign(**clustered(28, True))
    assert patterns(cells, np.ones(3, bool)).tolist() == ["compact_amplification", "", "co_amplification"]


@pytest.mark.parametrize(
    "cells",
    [
        make.cells((9, 0)),
        make.cells((0, 3)),
        make.cells((9, None)),
        make.cells((None, None), label=pd.array([None], dtype="Int64")),
        make.cells((9, 2), flags="OVERLAP"),
        make.cells((9, 2), flags="TRUNCATED"),
    ],
    ids=["no CEP17", "no HER2", "no channel", "lost", "overlap", "truncated"],
)
def test_what_cannot_be_scored_has_no_pattern(cells: pd.DataFrame) -> None:
    assert call(cells, make.rates(), Call())["patterns"].tolist() == [None]


def test_the_call_names_patterns_and_the_table_holds_them() -> None:
    called = tables.CELLS.check(call(make.cells((2, 2), (12, 3), (1, 1)), make.rates(), Call()))
    assert called["patterns"].tolist() == ["", "polysomy|dispersed_amplification", "monosomy"]
    again = call(called, make.rates(), Call())
    assert again["patterns"].tolist() == called["patterns"].tolist()


def test_patterns_are_counted_each_by_itself() -> None:
    cells = pd.DataFrame({"patterns": ["", "polysomy", None, "polysomy|dispersed_amplification", "monosomy"]})
    expected = {"n_polysomy": 2, "n_monosomy": 1, "n_co_amplification": 0, "n_compact_amplification": 0}
    assert count_patterns(cells) == expected | {"n_dispersed_amplification": 1}
    assert set(count_patterns(cells.head(0)).values()) == {0}
    assert [f"n_{name}" for name in PATTERNS] == list(count_patterns(cells))
    assert set(count_patterns(cells)) <= set(tables.SLIDES.names)


def test_the_largest_cluster_says_whether_a_nucleus_is_compact() -> None:
    group = {"copies_low": 3, "copies_high": 30}
    clusters = [
        {"cluster": 1, "copies": 5, "compact": True, "label": 1} | group,
        {"cluster": 2, "copies": 9, "compact": False, "label": 1} | group,
        {"cluster": 3, "copies": 7, "compact": True, "label": 2} | group,
        {"cluster": 1, "copies": 20, "compact": True, "label": 3, "probe": "CEP17"} | group,
    ]
    cells, _ = count(make.nuclei(3), make.detections([], clusters), make.model(), Count(), ("s", "f"))
    assert cells["her2_compact"].tolist()[:2] == [False, True]
    assert pd.isna(cells["her2_compact"][2])
    assert cells["cep17_in_clusters"].tolist() == [0, 0, 20]
