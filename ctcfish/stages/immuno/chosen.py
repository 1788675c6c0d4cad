"""Cells a reader chose (``ctc.csv``): each names the nucleus nearest to it."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from ctcfish.errors import InputError

_REACH_UM = 10.0


def mark_chosen(cells: pd.DataFrame, chosen: pd.DataFrame) -> pd.DataFrame:
    """Make the nuclei a reader pointed at CTC: ``chosen`` true, ``kind`` ctc, with the automatic probability kept.

    Parameters
    ----------
    cells : pandas.DataFrame
        Classified nuclei with ``if_scene, if_y_um, if_x_um, kind, chosen``.
    chosen : pandas.DataFrame
        ``scene, modality, y_um, x_um``; only rows of the IF scan count here.

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
