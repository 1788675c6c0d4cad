"""Which nucleus is which cell: the IF scan's kinds carried to the FISH scan's nuclei."""

from __future__ import annotations

import pandas as pd

from ctcfish import flags, tables
from ctcfish.flags import CellFlag
from ctcfish.types import Relocation

SURE_MATCH = 0.95
"""Probability below which a match is flagged ``UNSURE_MATCH``."""

CARRIED = ["kind", "kind_probability", "if_y_um", "if_x_um", "her2_protein", "her2_protein_class"]


def identify(cells: pd.DataFrame, if_cells: pd.DataFrame, relocation: Relocation | None) -> pd.DataFrame:
    """Give each nucleus its kind, and each lost CTC a row of its own.

    Parameters
    ----------
    cells : pandas.DataFrame
        Counted nuclei of the slide.
    if_cells : pandas.DataFrame
        :data:`ctcfish.tables.IF_CELLS` with marker intensities ``if_<role>...``.
    relocation : Relocation or None
        None without an IF scan. An untrusted one gives no kinds and no lost cells.

    Returns
    -------
    pandas.DataFrame
        The nuclei in their order, then the lost CTC.
    """
    if relocation is None or not relocation.trusted:
        return cells.assign(kind="unknown")
    markers = [name for name in if_cells.columns if name.startswith("if_") and name not in tables.IF_CELLS.names]
    carried = if_cells[["if_scene", "if_label", "flags", *CARRIED, *markers]].rename(columns={"flags": "if_flags"})
    pairs = relocation.matches.merge(carried, on=["if_scene", "if_label"], how="left", validate="one_to_one")
    found = pairs[pairs["label"].notna()].rename(
        columns={"residual_um": "relocation_residual_um", "probability": "relocation_probability"}
    )
    keys = {"scene": "object", "label": "int64"}
    joined = cells.astype(keys).merge(found.astype(keys), on=["scene", "label"], how="left", validate="one_to_one")
    joined["kind"] = joined["kind"].fillna("unknown")
    bits = flags.from_text(joined["flags"].to_numpy(), CellFlag)
    bits |= (joined["relocation_probability"] < SURE_MATCH).to_numpy() * int(CellFlag.UNSURE_MATCH)
    unsure = flags.from_text(joined["if_flags"].to_numpy(), CellFlag) & int(CellFlag.UNSURE_KIND)
    joined["flags"] = flags.to_text(bits | unsure, CellFlag) if len(joined) else []
    lost = pairs[pairs["label"].isna() & (pairs["kind"] == "ctc")]
    return pd.concat([joined.drop(columns="if_flags"), _lost_rows(lost, if_cells)], ignore_index=True)


def _lost_rows(lost: pd.DataFrame, if_cells: pd.DataFrame) -> pd.DataFrame:
    slide_id = if_cells["slide_id"].iloc[0] if len(if_cells) else ""
    names = [f"{slide_id}/{scene}/if:{label}" for scene, label in zip(lost["if_scene"], lost["if_label"], strict=True)]
    rows = lost.drop(columns=["scene", "label", "residual_um", "probability", "if_flags"])
    return rows.assign(cell_id=names, slide_id=slide_id, flags="")
