"""The annotated matrix: anndata and h5py read the cells' numbers back, by name."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from ctcfish import tables
from ctcfish.store.tablefiles import read_parquet
from tests import make
from tests.export.conftest import names_no_folder

anndata = pytest.importorskip("anndata", reason="the extra `anndata` is not installed")


@pytest.fixture(scope="module")
def exported(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("anndata") / "out"
    assert make.run("export", run, "--to", "anndata", "--out", out) == 0
    names_no_folder(out, run)
    return out / "cells.h5ad"


@pytest.fixture(scope="module")
def cells(run: Path) -> pd.DataFrame:
    stored = [read_parquet(run / slide / "cells.parquet", tables.CELLS) for slide in "ab"]
    return tables.concatenate(stored, tables.CELLS).set_index("cell_id")


def test_numbers_are_the_cells(exported: Path, cells: pd.DataFrame) -> None:
    found = anndata.read_h5ad(exported)
    assert found.obs_names.tolist() == cells.index.tolist()
    assert found.shape[0] == 6
    for name in found.var_names:
        np.testing.assert_array_equal(found[:, name].X[:, 0], cells[name].to_numpy(float, na_value=np.nan))
    assert {"her2_count", "ratio", "area_um2", "if_inclusion_cell", "if_exclusion_cell"} <= set(found.var_names)


def test_no_column_is_lost(exported: Path, cells: pd.DataFrame) -> None:
    found = anndata.read_h5ad(exported)
    places = {"z_um", "y_um", "x_um", "if_y_um", "if_x_um"}
    assert set(found.var_names) | set(found.obs.columns) | places == set(cells.columns)
    assert not set(found.var_names) & set(found.obs.columns)


def test_words_and_names_are_observations(exported: Path, cells: pd.DataFrame) -> None:
    obs = anndata.read_h5ad(exported).obs
    assert obs["call"].astype(object).tolist() == cells["call"].tolist()
    assert obs["kind"].astype(object).tolist() == ["ctc", "wbc", "ctc"] * 2
    assert obs["label"].tolist()[:2] == [1.0, 2.0]
    assert np.isnan(obs["label"].iloc[2])


def test_places_units_and_version_travel_along(exported: Path) -> None:
    found = anndata.read_h5ad(exported)
    np.testing.assert_array_equal(found.obsm["spatial"][:3], [[3.95, 3.95], [11.95, 3.95], [np.nan, np.nan]])
    assert found.var.loc["area_um2", "unit"] == "um2"
    assert found.var.loc["if_exclusion_cell", "meaning"] == "Intensity of an IF marker."
    assert found.uns["ctcfish"]["notice"] == "Research use only."


def test_another_reader_sees_the_same_matrix(exported: Path) -> None:
    with h5py.File(exported) as file:
        assert file["X"].shape[0] == 6
        names = [name.decode() for name in file["var"][file["var"].attrs["_index"]][:]]
        assert file["X"][0, names.index("her2_count")] == 9.0


def test_without_the_extra_the_remedy_is_said(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "anndata" else found(name))
    assert make.run("export", run, "--to", "anndata", "--out", tmp_path / "out") == 2
    assert "needs the extra `anndata`: pip install 'ctcfish[anndata]'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
