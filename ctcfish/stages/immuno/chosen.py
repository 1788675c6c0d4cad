"""Cells a reader chose (``ctc.csv``): each names the nucleus nearest to it."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from ctcfish.errors import InputError
from ctcfish.flags import CellFlag, from_text, to_text
from ctcfish.parameters import Phenotype

_REACH_UM = 10.0


def mark_chosen(cells: pd.DataFrame, chosen: pd.DataFrame, params: Phenotype) -> pd.DataFrame:
    """Make the nuclei a reader pointed at CTC: ``chosen`` true, ``kind`` ctc, with the automatic probability kept.

    Where the reader's list stands instead of the automatic CTC, those that are not on it are ``unknown``,
    ``UNSURE_KIND``; an empty list then says that there is no CTC.

    Parameters
    ----------
    cells : pandas.DataFrame
        Classified nuclei with ``if_scene, if_y_um, if_x_um, kind, chosen, flags``.
    chosen : pandas.DataFrame
        ``scene, modality, y_um, x_um``; only rows of the IF scan count here.
    params : Phenotype

    Returns
    -------
    pandas.DataFrame
        As `cells`.

    Raises
    ------
    InputError
        A place without a nucleus within 10 um.
    """
    places = chosen[chosen["modality"] == "if"]
    marked = cells.copy()
    rows = [_nearest(cells, str(p["scene"]), float(p["y_um"]), float(p["x_um"])) for p in places.to_dict("records")]
    index = marked.index[rows]
    marked.loc[index, "chosen"] = True
    if params.chosen == "instead":
        passed_over = (marked["kind"] == "ctc") & ~marked["chosen"]
        bits = from_text(marked.loc[passed_over, "flags"].to_numpy(object), CellFlag) | int(CellFlag.UNSURE_KIND)
        marked.loc[passed_over, "kind"] = "unknown"
        marked.loc[passed_over, "flags"] = to_text(bits, CellFlag)
    marked.loc[index, "kind"] = "ctc"
    return marked


def _nearest(cells: pd.DataFrame, scene: str, y_um: float, x_um: float) -> int:
    rows = np.flatnonzero((cells["if_scene"] == scene).to_numpy())
    found = f"a cell at ({y_um:.1f}, {x_um:.1f}) um of IF scene {scene!r}"
    if not len(rows):
        raise InputError("ctc.csv", f"{found}, which shows no nucleus", "a nucleus there", "Check the scene.")
    tree = cKDTree(cells.iloc[rows][["if_y_um", "if_x_um"]].to_numpy(np.float64))
    distance, nearest = tree.query([y_um, x_um])
    if distance > _REACH_UM:
        raise InputError(
            "ctc.csv",
            f"{found}, {distance:.0f} um from the nearest nucleus",
            f"a nucleus within {_REACH_UM:.0f} um",
            "Check the units and the order y, x.",
        )
    return int(rows[nearest])
