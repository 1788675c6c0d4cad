"""All cells of a run as one annotated matrix (AnnData): cells by numbers, with everything else about them beside."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd

from ctcfish import tables
from ctcfish.errors import UsageError
from ctcfish.store.runfiles import read_manifest, slide_folders
from ctcfish.store.tablefiles import read_parquet

PLACES = ("z_um", "y_um", "x_um", "if_y_um", "if_x_um")
NAMES = ("label", "if_label")
"""Numbers that are no measurement: places, which stand in ``obsm``, and names, which stand in ``obs``."""


def export_anndata(run: Path, out: Path) -> None:
    """Write ``out/cells.h5ad``.

    ``X`` holds the numeric columns of ``cells`` (NaN where missing), ``obs`` the others by ``cell_id``, ``var`` unit
    and meaning of each number, ``obsm["spatial"]`` the place ``(x, y)`` in um in the FISH scene, ``uns["ctcfish"]``
    version and configuration.

    Raises
    ------
    UsageError
        The extra ``anndata`` is not installed.
    """
    if importlib.util.find_spec("anndata") is None:
        raise UsageError("this export needs the extra `anndata`: pip install 'ctcfish[anndata]'.")
    import anndata

    said = read_manifest(run)
    frames = [read_parquet(folder / "cells.parquet", tables.CELLS) for folder in slide_folders(run).values()]
    cells = tables.concatenate(frames, tables.CELLS).set_index("cell_id")
    numeric = [n for n in cells.columns if pd.api.types.is_numeric_dtype(cells[n]) and n not in (*PLACES, *NAMES)]
    others = cells[[n for n in cells.columns if n not in numeric and n not in PLACES]]
    declared = {column.name: column for column in tables.CELLS.columns}
    matrix = anndata.AnnData(
        X=np.column_stack([cells[n].to_numpy(float, na_value=np.nan) for n in numeric]),
        obs=pd.DataFrame({n: others[n].astype(float if n in NAMES else "category") for n in others.columns}),
        var=pd.DataFrame(
            {
                "unit": [declared[n].unit if n in declared else "" for n in numeric],
                "meaning": [declared[n].meaning if n in declared else "Intensity of an IF marker." for n in numeric],
            },
            index=pd.Index(numeric, dtype=object),
        ),
        obsm={"spatial": cells[["x_um", "y_um"]].to_numpy(float)},
        uns={
            "ctcfish": {
                "version": said["version"],
                "configuration_sha256": said["configuration_sha256"],
                "notice": "Research use only.",
            }
        },
    )
    matrix.write_h5ad(out / "cells.h5ad")
