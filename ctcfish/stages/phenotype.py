"""What each IF nucleus is: CTC, leukocyte, something else, or not decided. The model is in ``design/phenotype.md``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ctcfish.flags import CellFlag, from_text, to_text
from ctcfish.parameters import Gate, GateSet, Phenotype
from ctcfish.stages.immuno.kinds import densities
from ctcfish.stages.immuno.leukocytes import LeukocyteModel, leukocyte_model
from ctcfish.tables import IF_CELLS

Floats = NDArray[np.float64]

_KINDS = np.array(["wbc", "ctc", "other"], dtype=object)


@dataclass(frozen=True)
class Phenotyped:
    """The IF nuclei of a slide and the leukocytes they were judged by.

    Attributes
    ----------
    cells : pandas.DataFrame
        As :data:`ctcfish.tables.IF_CELLS` without ``slide_id``, and intensities ``if_<role>_...``.
    model : LeukocyteModel
    """

    cells: pd.DataFrame
    model: LeukocyteModel


def phenotype(measured: Mapping[str, pd.DataFrame], params: Phenotype, gates: GateSet) -> Phenotyped:
    """Classify the IF nuclei of a slide.

    The leukocytes of all fields are pooled, and every nucleus is judged by them, so that thresholds follow the slide
    and not the image.

    Parameters
    ----------
    measured : mapping of IF scene to pandas.DataFrame
        From :func:`ctcfish.stages.immuno.markers.measure`, as :func:`ctcfish.stages.correct.correct` returned it.
    params : Phenotype
    gates : GateSet
    """
    fields = [cells.assign(if_scene=name) for name, cells in sorted(measured.items())]
    model = leukocyte_model(fields, params.min_leukocytes)
    cells = pd.concat(fields, ignore_index=True) if fields else IF_CELLS.empty().drop(columns="slide_id")
    return Phenotyped(classify(cells, model, gates, params), model)


def classify(cells: pd.DataFrame, model: LeukocyteModel, gates: GateSet, params: Phenotype) -> pd.DataFrame:
    """Kind, probability and HER2 protein class of measured nuclei.

    A nucleus is a CTC if its markers make it one with ``params.min_probability`` and it passes every gate; a gate on a
    value that was not measured is not passed. What no kind explains well enough is ``unknown``, ``UNSURE_KIND``.

    Parameters
    ----------
    cells : pandas.DataFrame
        From :func:`measure`.
    model : LeukocyteModel
    gates : GateSet
    params : Phenotype
    """
    chances = densities(cells, model.markers) * np.asarray(model.shares)
    chances /= chances.sum(1, keepdims=True)
    passed = np.ones(len(cells), bool)
    for gate in gates.gates:
        passed &= _passes(_feature(cells, model, gate), gate)
    best = np.argmax(chances[:, :3], axis=1) if len(cells) else np.zeros(0, np.int64)
    probability = chances[np.arange(len(cells)), best]
    kind = _KINDS[best]
    decided = (probability >= params.min_probability) & ((kind != "ctc") | passed)
    kind = np.where(decided, kind, "unknown")
    bits = from_text(cells["flags"].to_numpy(object), CellFlag) | np.where(decided, 0, int(CellFlag.UNSURE_KIND))
    protein = _protein(cells, model)
    return cells.assign(
        kind=kind,
        kind_probability=probability,
        chosen=False,
        her2_protein=protein,
        her2_protein_class=_protein_class(protein, params),
        flags=to_text(bits, CellFlag),
    )


def _feature(cells: pd.DataFrame, model: LeukocyteModel, gate: Gate) -> Floats:
    if gate.unit == "leukocyte_sd":
        role = gate.feature.removesuffix("_sds")
        if role == "area":
            return model.area.sds(np.asarray(cells["area_um2"], np.float64))
        if role not in model.markers:
            return np.full(len(cells), np.nan)
        return model.markers[role].sds(np.asarray(cells[f"if_{role}_cell"], np.float64))
    if gate.feature not in cells.columns:
        return np.full(len(cells), np.nan)
    return np.asarray(cells[gate.feature], np.float64)


def _passes(value: Floats, gate: Gate) -> NDArray[np.bool_]:
    passed = np.isfinite(value)
    if gate.min is not None:
        passed &= value >= gate.min
    if gate.max is not None:
        passed &= value <= gate.max
    return passed


def _protein(cells: pd.DataFrame, model: LeukocyteModel) -> Floats:
    marker = model.markers.get("her2_protein")
    if marker is None or model.origin != "slide":
        return np.full(len(cells), np.nan)
    return np.asarray((cells["if_her2_protein_cell"].to_numpy(np.float64) - marker.level) / marker.spread)


def _protein_class(protein: Floats, params: Phenotype) -> NDArray[np.object_]:
    classes: NDArray[np.object_] = np.select(
        [protein >= params.her2_high_sd, protein >= params.her2_medium_sd, np.isfinite(protein)],
        ["high", "medium", "negative"],
        default="",
    ).astype(object)
    classes[classes == ""] = None
    return classes
