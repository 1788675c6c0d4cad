"""The cells of one reading found again in another: by their key, or by the constellation of their nuclei."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ctcfish.parameters import Relocate
from ctcfish.qc import tables as declared
from ctcfish.qc.replicates import Scored
from ctcfish.stages.relocate import relocate

_KEYS = ["scene", "label"]


@dataclass(frozen=True)
class Matched:
    """What one reading says of the cells of the first.

    Attributes
    ----------
    readings : pandas.DataFrame
        :data:`ctcfish.qc.tables.READINGS`.
    about : dict
        A row of :data:`ctcfish.qc.tables.MATCHING`.
    """

    readings: pd.DataFrame
    about: dict[str, Any]


def match(first: Scored, other: Scored, params: Relocate) -> Matched:
    """Find the cells of the first reading in another one.

    Equal images are matched by scene and label. Other images are brought together by the constellation of their FISH
    nuclei: where it agrees they show the same slide, else they are another slide of the same sample and no cell is
    matched.

    Parameters
    ----------
    first, other : Scored
    params : Relocate
    """
    here, there = _nuclei(first), _nuclei(other)
    if first.inputs and first.inputs == other.inputs:
        relation, evidence = "same_image", "Every input file is equal to the byte."
        pairs = here[_KEYS].assign(scene_2=here["scene"], label_2=here["label"], residual_um=0.0)
    else:
        places = here[[*_KEYS, "y_um", "x_um", "area_um2"]]
        points = places.rename(columns={"scene": "if_scene", "label": "if_label"})
        found = relocate(points, there, params)
        evidence = found.evidence.replace(" IF ", " first ").replace(" FISH ", " second ")
        relation = "rescan" if found.trusted else "other_slide"
        renamed = {"scene": "scene_2", "label": "label_2", "if_scene": "scene", "if_label": "label"}
        pairs = found.matches.rename(columns=renamed)
    told = pairs[pairs["label_2"].notna()].merge(
        there.rename(columns={"scene": "scene_2", "label": "label_2"}), on=["scene_2", "label_2"]
    )
    joined = told.merge(here[[*_KEYS, "cell_id", "kind"]], on=_KEYS, suffixes=("", "_first"))
    rows = joined.assign(item=joined["cell_id_first"], kind=joined["kind_first"])
    counts = {"n_first": len(here), "n_here": len(there), "n_matched": len(rows)}
    about = _about(first, other, relation) | counts | {"evidence": evidence, "identical": None}
    return Matched(_readings(rows, first, other, relation), about)


def identical(earlier: Sequence[Scored], other: Scored) -> bool | None:
    """Whether a reading's tables equal those of every earlier one of the same images by the same configuration.

    None where there is no such reading.
    """
    same = [
        one.outputs == other.outputs
        for one in earlier
        if one.inputs and one.inputs == other.inputs and one.configuration == other.configuration
    ]
    return all(same) if same else None


def as_first(first: Scored) -> Matched:
    """What the first reading says of its own cells."""
    own = _nuclei(first)
    counts = {"n_first": len(own), "n_here": len(own), "n_matched": len(own)}
    about = _about(first, first, "first") | counts | {"evidence": "The reading that others repeat.", "identical": None}
    return Matched(_readings(own.assign(item=own["cell_id"], residual_um=0.0), first, first, "first"), about)


def _nuclei(scored: Scored) -> pd.DataFrame:
    return scored.cells[scored.cells["label"].notna()].reset_index(drop=True)


def _about(first: Scored, other: Scored, relation: str) -> dict[str, Any]:
    group = {"group": first.slide_id, "patient_id": first.patient_id, "reading": other.name, "relation": relation}
    return group | dict(other.factors)


def _readings(rows: pd.DataFrame, first: Scored, other: Scored, relation: str) -> pd.DataFrame:
    named = rows.rename(columns={"her2_count": "her2", "cep17_count": "cep17"})
    keys = {"group": first.slide_id, "patient_id": first.patient_id, "reading": other.name, "relation": relation}
    wanted = [name for name in declared.READINGS.names if name not in keys]
    return declared.READINGS.check(named[wanted].assign(**keys))
