"""One declaration makes check, SQL and dictionary: they agree, on every table of the program."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from ctcfish import tables
from ctcfish.errors import InputError
from ctcfish.store.results import DECLARED
from ctcfish.tables import CLUSTERS, Column, Table, concatenate

EVERY = (*DECLARED, CLUSTERS)
TYPES = {"text": "VARCHAR", "integer": "BIGINT", "real": "DOUBLE", "boolean": "BOOLEAN"}


def row_of(table: Table) -> dict[str, Any]:
    """A row that holds the least a row must hold."""
    values: dict[str, Any] = {"text": "x", "integer": 1, "real": 0.5, "boolean": True}
    return {c.name: (c.choices[0] if c.choices else values[c.kind]) for c in table.columns if c.required}


@pytest.mark.parametrize("table", EVERY, ids=lambda t: t.name)
def test_every_column_has_its_type_in_files(table: Table) -> None:
    assert list(table.sql_types().items()) == [(c.name, TYPES[c.kind]) for c in table.columns]


@pytest.mark.parametrize("table", EVERY, ids=lambda t: t.name)
def test_keys_are_required_columns(table: Table) -> None:
    assert set(table.key) <= {c.name for c in table.columns if c.required}
    assert len(set(table.names)) == len(table.names)


@pytest.mark.parametrize("table", EVERY, ids=lambda t: t.name)
def test_the_least_row_passes_and_checking_twice_changes_nothing(table: Table) -> None:
    once = table.check(pd.DataFrame([row_of(table)]))
    assert once.columns.tolist() == table.names
    pd.testing.assert_frame_equal(table.check(once), once)


@pytest.mark.parametrize("table", EVERY, ids=lambda t: t.name)
def test_every_required_value_is_asked_for(table: Table) -> None:
    for name in row_of(table):
        lacking = pd.DataFrame([{k: v for k, v in row_of(table).items() if k != name}], index=[0])
        with pytest.raises(InputError, match=f"table {table.name}: found no {name} in 1 rows"):
            table.check(lacking)


@pytest.mark.parametrize("table", [t for t in EVERY if t.key], ids=lambda t: t.name)
def test_a_repeated_key_is_refused(table: Table) -> None:
    twice = pd.DataFrame([row_of(table)] * 2)
    with pytest.raises(InputError, match=r"twice; needed one row per .* Remove the repeated row\."):
        table.check(twice)


@pytest.mark.parametrize("table", EVERY, ids=lambda t: t.name)
def test_a_value_outside_its_choices_is_refused(table: Table) -> None:
    for column in (c for c in table.columns if c.choices):
        wrong = pd.DataFrame([row_of(table) | {column.name: "wrong"}])
        with pytest.raises(InputError, match=rf"found {column.name} \['wrong'\]; needed one of"):
            table.check(wrong)


def test_the_dictionary_tells_choices_only_where_there_are_any() -> None:
    told = {row["column"]: row for row in tables.SPOTS.dictionary()}
    assert told["probe"]["choices"] == ["HER2", "CEP17"]
    assert "choices" not in told["photons"]
    assert (told["photons"]["unit"], told["photons"]["type"]) == ("photons", "real")
    assert told["spot_id"]["required"] is True


def test_stacking_keeps_types_order_and_the_markers_of_either() -> None:
    least = row_of(tables.IF_CELLS)
    a = tables.IF_CELLS.check(pd.DataFrame([least | {"if_label": 2, "if_z": 1.5}]))
    b = tables.IF_CELLS.check(pd.DataFrame([least | {"if_label": 1, "if_a": 2}]))
    both = concatenate([a, tables.IF_CELLS.empty(), b], tables.IF_CELLS)
    assert both["if_label"].tolist() == [2, 1]
    assert both.columns.tolist() == [*tables.IF_CELLS.names, "if_a", "if_z"]
    assert both["if_z"].isna().tolist() == [False, True]
    with pytest.raises(InputError, match="twice"):
        concatenate([a, a], tables.IF_CELLS)


def test_a_table_without_key_may_repeat() -> None:
    free = Table("free", (), (Column("a", "integer", "A number."),))
    assert free.check(pd.DataFrame({"a": [1, 1]}))["a"].tolist() == [1, 1]
