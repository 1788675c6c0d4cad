from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ctcfish import tables
from ctcfish.errors import InputError
from ctcfish.tables import Column, Table

SMALL = Table(
    "small",
    ("name",),
    (
        Column("name", "text", "A name.", required=True),
        Column("n", "integer", "A number.", "um"),
        Column("x", "real", "Another."),
        Column("kind", "text", "One of two.", choices=("a", "b")),
        Column("ok", "boolean", "Yes or no."),
    ),
)


def frame(**columns: object) -> pd.DataFrame:
    return pd.DataFrame({"name": ["p", "q"]} | columns)


def test_columns_come_out_in_order_and_type() -> None:
    checked = SMALL.check(
        frame(x=[1, None], n=[1.0, np.nan], kind=["a", None], ok=[True, None])[["ok", "x", "n", "kind", "name"]]
    )
    assert checked.columns.tolist() == SMALL.names
    assert [str(t) for t in checked.dtypes] == ["object", "Int64", "float64", "object", "boolean"]
    assert checked["n"].isna().tolist() == [False, True]
    assert checked["kind"].tolist() == ["a", None]


def test_absent_columns_are_missing_values() -> None:
    checked = SMALL.check(frame())
    assert len(checked) == 2
    assert checked[["n", "x", "kind", "ok"]].isna().all(axis=None)


def test_marker_intensities_are_kept_at_the_end() -> None:
    checked = SMALL.check(frame(if_inclusion_cell=[1, 2]))
    assert checked.columns.tolist() == [*SMALL.names, "if_inclusion_cell"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (frame(colour=[1, 2]), r"table small: found columns \['colour'\]; needed only"),
        (pd.DataFrame({"name": ["p", None]}), "found no name in 1 rows; needed one in every row"),
        (pd.DataFrame({"name": ["p", "p"]}), r"found key \['p'\] twice"),
        (frame(kind=["a", "c"]), r"found kind \['c'\]; needed one of \['a', 'b'\]"),
    ],
)
def test_what_does_not_fit_is_refused(given: pd.DataFrame, message: str) -> None:
    with pytest.raises(InputError, match=message):
        SMALL.check(given)


def test_no_rows_have_every_column_in_its_type() -> None:
    for table in (tables.CELLS, tables.SPOTS, tables.IF_CELLS, tables.SLIDES, tables.PATIENTS, SMALL):
        empty = table.empty()
        assert len(empty) == 0
        assert table.check(empty).dtypes.tolist() == empty.dtypes.tolist()


def test_tables_stack() -> None:
    assert len(tables.concatenate([frame(), SMALL.empty(), frame(name=["r", "s"])], SMALL)) == 4
    assert len(tables.concatenate([], SMALL)) == 0


def test_the_dictionary_explains_every_column() -> None:
    for table in (tables.CELLS, tables.SPOTS, tables.IF_CELLS, tables.SLIDES, tables.PATIENTS, tables.FAILURES):
        rows = table.dictionary()
        assert [row["column"] for row in rows] == table.names
        assert all(str(row["meaning"]).endswith(".") for row in rows)


def test_units_stand_in_the_names() -> None:
    endings = {"um": "_um", "um2": "_um2"}
    for table in (tables.CELLS, tables.SPOTS, tables.IF_CELLS):
        for column in table.columns:
            if column.unit in endings:
                assert column.name.endswith(endings[column.unit])


CONTRACT = {
    "cells": "cell_id slide_id scene label kind kind_probability z_um y_um x_um area_um2 her2_count her2_low her2_high "
    "cep17_count cep17_low cep17_high ratio call call_guarded p_amplified reason flags if_scene if_label "
    "if_y_um if_x_um relocation_residual_um relocation_probability",
    "spots": "slide_id scene spot_id cell_id label probe z_um y_um x_um photons background sigma_um snr probability "
    "cluster status flags",
}


@pytest.mark.parametrize("table", [tables.CELLS, tables.SPOTS], ids=lambda t: t.name)
def test_the_published_columns_are_there(table: Table) -> None:
    assert set(CONTRACT[table.name].split()) <= set(table.names)


def test_the_trial_reads_agreement_as_quality_control_writes_it() -> None:
    """Two rooms that do not know each other name the same columns of one file, of the same kind."""
    from ctcfish.qc.tables import STATISTICS
    from ctcfish.trial.tables import REPRODUCIBILITY

    written = {column.name: column.kind for column in STATISTICS.columns}
    read = {column.name: column.kind for column in REPRODUCIBILITY.columns}
    assert REPRODUCIBILITY.name == STATISTICS.name
    assert read == {name: written.get(name) for name in read}
