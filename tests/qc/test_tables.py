"""The tables of quality control and their page say the same."""

from __future__ import annotations

import re

import pandas as pd
import pytest

from ctcfish.errors import InputError
from ctcfish.parameters import Qc
from ctcfish.qc import tables as declared
from ctcfish.qc.image import light
from ctcfish.schema import Table
from tests.conftest import REPOSITORY

TABLES = [value for value in vars(declared).values() if isinstance(value, Table)]
PAGE = (REPOSITORY / "docs" / "qc.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("table", TABLES, ids=lambda t: t.name)
def test_every_column_is_documented_as_declared(table: Table) -> None:
    section = PAGE.split(f"### {table.name}\n")[1].split("\n### ")[0]
    documented = dict(re.findall(r"^\| `(\w+)` \| (\w+) \|", section, re.MULTILINE))
    assert documented == {c.name: c.kind for c in table.columns}
    for column in table.columns:
        assert column.meaning.replace("|", "\\|") in section


@pytest.mark.parametrize("table", TABLES, ids=lambda t: t.name)
def test_a_table_of_no_rows_is_one(table: Table) -> None:
    assert table.check(table.empty()).columns.tolist() == table.names
    assert set(table.key) <= set(table.names)
    assert len(set(table.names)) == len(table.names)


def test_names_of_tables_are_their_own() -> None:
    names = [table.name for table in TABLES]
    assert len(set(names)) == len(names) == 11
    assert set(re.findall(r"^### (\w+)$", PAGE, re.MULTILINE)) == set(names)


def test_a_reading_of_a_cell_stands_once() -> None:
    row = {"group": "g", "patient_id": "p", "reading": "r", "relation": "first", "item": "i", "cell_id": "i"}
    frame = pd.DataFrame([row | {"kind": "ctc", "call": "amplified"}] * 2)
    with pytest.raises(InputError, match=r"table readings: found key \['g', 'i', 'r'\] twice"):
        declared.READINGS.check(frame)
    with pytest.raises(InputError, match="relation"):
        declared.READINGS.check(frame.head(1).assign(relation="guess"))


@pytest.mark.parametrize("name", Qc().limits)
def test_every_shipped_limit_has_its_light_and_its_word(name: str) -> None:
    green, red = Qc().limits[name]
    assert green != red
    assert light(name, green, Qc().limits) == "green"
    assert light(name, red, Qc().limits) == "red"
    assert light(name, (green + red) / 2, Qc().limits) == "amber"


def test_the_page_names_every_command_and_what_ends_with_which_code() -> None:
    for command in ("qc reproduce", "control add", "control target", "control chart", "control gate", "qc image"):
        assert f"ctcfish {command}" in PAGE or f"ctcfish qc {command}" in PAGE
    assert "Research use only" in PAGE
    assert "exit 5" in PAGE
    assert "exit 6" in PAGE
