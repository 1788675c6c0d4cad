"""Every table's row, declared once: check, Parquet and CSV, SQL and data dictionary come from here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from ctcfish.errors import InputError

Kind = Literal["text", "integer", "real", "boolean"]

_PANDAS: dict[Kind, str] = {"text": "object", "integer": "Int64", "real": "float64", "boolean": "boolean"}
_SQL: dict[Kind, str] = {"text": "VARCHAR", "integer": "BIGINT", "real": "DOUBLE", "boolean": "BOOLEAN"}


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes
    ----------
    name : str
    kind : {"text", "integer", "real", "boolean"}
    meaning : str
        One sentence for the data dictionary.
    unit : str
        Empty where there is none.
    required : bool
        Whether a value must stand in every row.
    choices : tuple of str
        Allowed values of a text column; empty allows any.
    """

    name: str
    kind: Kind
    meaning: str
    unit: str = ""
    required: bool = False
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """A table's name, key and columns."""

    name: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]

    @property
    def names(self) -> list[str]:
        """Column names in order."""
        return [c.name for c in self.columns]

    def empty(self) -> pd.DataFrame:
        """A table of no rows with every column in its type."""
        return pd.DataFrame({c.name: pd.Series([], dtype=_PANDAS[c.kind]) for c in self.columns})

    def check(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the table with its columns in order and in their types.

        Columns of the declaration that are absent and not required are added as missing; columns named
        ``if_<role>`` that are not declared are kept, at the end, as reals.

        Raises
        ------
        InputError
            An undeclared column, a missing required value, a value outside its choices, or a repeated key.
        """
        extra = [c for c in frame.columns if c not in self.names]
        unknown = [c for c in extra if not c.startswith("if_")]
        if unknown:
            raise self._refusal(f"columns {unknown}", f"only {self.names}", "Declare them in ctcfish.tables.")
        typed = {c.name: self._typed(frame, c) for c in self.columns}
        typed |= {name: pd.to_numeric(frame[name]).astype("float64") for name in sorted(extra)}
        checked = pd.DataFrame(typed, index=frame.index).reset_index(drop=True)
        repeated = checked.duplicated(list(self.key)) if self.key else pd.Series(dtype=bool)
        if repeated.any():
            found = checked.loc[repeated, list(self.key)].iloc[0].tolist()
            raise self._refusal(f"key {found} twice", f"one row per {self.key}", "Remove the repeated row.")
        return checked

    def _typed(self, frame: pd.DataFrame, column: Column) -> pd.Series:
        if column.name not in frame.columns:
            values = pd.Series([None] * len(frame), index=frame.index, dtype=_PANDAS[column.kind])
        elif column.kind == "text":
            given = frame[column.name].astype(object)
            values = given.mask(given.isna(), other=None)
        else:
            values = pd.to_numeric(frame[column.name]) if column.kind != "boolean" else frame[column.name]
            values = values.astype(_PANDAS[column.kind])
        if column.required and len(values) and bool(values.isna().any()):
            raise self._refusal(
                f"no {column.name} in {int(values.isna().sum())} rows", "one in every row", "Fill it in."
            )
        if column.choices:
            wrong = sorted(set(values.dropna()) - set(column.choices))
            if wrong:
                raise self._refusal(f"{column.name} {wrong}", f"one of {list(column.choices)}", "Correct the value.")
        return values

    def _refusal(self, found: str, wanted: str, remedy: str) -> InputError:
        return InputError(f"table {self.name}", found, wanted, remedy)

    def sql(self) -> str:
        """``CREATE TABLE`` statement."""
        body = ", ".join(f'"{c.name}" {_SQL[c.kind]}{" NOT NULL" if c.required else ""}' for c in self.columns)
        key = ", ".join(f'"{k}"' for k in self.key)
        return f"CREATE TABLE {self.name} ({body}{f', PRIMARY KEY ({key})' if key else ''})"

    def dictionary(self) -> list[dict[str, object]]:
        """Rows of the data dictionary."""
        return [
            {
                "table": self.name,
                "column": c.name,
                "type": c.kind,
                "unit": c.unit,
                "meaning": c.meaning,
                "required": c.required,
            }
            | ({"choices": list(c.choices)} if c.choices else {})
            for c in self.columns
        ]


def concatenate(frames: Iterable[pd.DataFrame], table: Table) -> pd.DataFrame:
    """Stack tables of one declaration; none at all is a table of no rows."""
    present = [f for f in frames if len(f)]
    return table.check(pd.concat(present, ignore_index=True)) if present else table.empty()


def integers(values: Iterable[float]) -> pd.Series:
    """Nullable integers from numbers in which NaN is missing."""
    array = np.asarray(list(values), dtype=float)
    return pd.Series(pd.array(np.where(np.isfinite(array), array, np.nan), dtype="Int64"))


CALLS = ("amplified", "not_amplified", "not_evaluable")
KINDS = ("ctc", "wbc", "other", "unknown")
STATUSES = ("counted", "doublet", "vetoed", "outside", "ambiguous")

_CELL_KEYS = (
    Column(
        "cell_id",
        "text",
        "The one key of a cell: slide/scene/label, or slide/if_scene/if:LABEL for a CTC not found again.",
        required=True,
    ),
    Column("slide_id", "text", "The slide.", required=True),
)

CELLS = Table(
    "cells",
    ("cell_id",),
    (
        *_CELL_KEYS,
        Column("scene", "text", "FISH scene in which the nucleus lies; missing for a lost CTC."),
        Column("label", "integer", "Label of the nucleus in that scene; missing for a lost CTC."),
        Column("kind", "text", "What the cell is, by its IF markers.", required=True, choices=KINDS),
        Column("kind_probability", "real", "Probability of that kind; missing without IF."),
        Column("z_um", "real", "Focal plane of the nucleus.", "um"),
        Column("y_um", "real", "Nucleus centroid in the FISH scene, from the first pixel centre.", "um"),
        Column("x_um", "real", "Nucleus centroid in the FISH scene, from the first pixel centre.", "um"),
        Column("area_um2", "real", "Projected area of the nucleus.", "um2"),
        Column(
            "her2_count",
            "integer",
            "HER2 signals counted: isolated signals after the doublet rule plus cluster estimates.",
        ),
        Column("her2_low", "integer", "Lower end of the 95 % interval for HER2 copies."),
        Column("her2_high", "integer", "Upper end of the 95 % interval for HER2 copies."),
        Column("cep17_count", "integer", "CEP17 signals counted, by the same rules."),
        Column("cep17_low", "integer", "Lower end of the 95 % interval for CEP17 copies."),
        Column("cep17_high", "integer", "Upper end of the 95 % interval for CEP17 copies."),
        Column("ratio", "real", "HER2 count over CEP17 count, unrounded; missing where CEP17 is 0 or absent."),
        Column("call", "text", "Call by the run's preset.", required=True, choices=CALLS),
        Column("call_guarded", "text", "Call by the guarded rule (circe_guarded).", required=True, choices=CALLS),
        Column(
            "p_amplified", "real", "Probability that the countable ratio reaches the preset's cut, given what was seen."
        ),
        Column("reason", "text", "Why the cell is not evaluable; empty otherwise."),
        Column("reason_guarded", "text", "Why the guarded call is not evaluable; empty otherwise."),
        Column("flags", "text", "Doubts about the cell, joined by |.", required=True),
        Column("her2_points", "integer", "HER2 signals resolved one by one, before cluster estimates."),
        Column("her2_in_clusters", "integer", "HER2 copies estimated in unresolved clusters."),
        Column("cep17_points", "integer", "CEP17 signals resolved one by one."),
        Column("cep17_in_clusters", "integer", "CEP17 copies estimated in unresolved clusters."),
        Column("thickness_um", "real", "Axial extent of the nucleus; missing for a single plane.", "um"),
        Column("focus", "real", "Focus score of the nucleus, 0 to 1."),
        Column("her2_protein", "real", "HER2 protein, in leukocyte standard deviations above the slide's leukocytes."),
        Column("her2_protein_class", "text", "HER2 protein class.", choices=("negative", "medium", "high")),
        Column("if_scene", "text", "IF scene in which the cell was seen."),
        Column("if_label", "integer", "Label of the cell in that IF scene."),
        Column("if_y_um", "real", "Centroid in the IF scene.", "um"),
        Column("if_x_um", "real", "Centroid in the IF scene.", "um"),
        Column(
            "relocation_residual_um",
            "real",
            "Distance between where the IF cell should lie in FISH and where it was found.",
            "um",
        ),
        Column("relocation_probability", "real", "Probability that it is the same cell."),
    ),
)

SPOTS = Table(
    "spots",
    ("slide_id", "scene", "spot_id"),
    (
        Column("slide_id", "text", "The slide.", required=True),
        Column("scene", "text", "FISH scene.", required=True),
        Column("spot_id", "integer", "Number of the signal in its scene.", required=True),
        Column("cell_id", "text", "Cell in which the signal lies; missing outside every nucleus."),
        Column("label", "integer", "Label of that nucleus; 0 outside every nucleus.", required=True),
        Column("probe", "text", "Which probe.", required=True, choices=("HER2", "CEP17")),
        Column("z_um", "real", "Position from the first pixel centre.", "um", required=True),
        Column("y_um", "real", "Position from the first pixel centre.", "um", required=True),
        Column("x_um", "real", "Position from the first pixel centre.", "um", required=True),
        Column("photons", "real", "Fitted brightness of the signal, summed over its image.", "photons"),
        Column("background", "real", "Fitted background under the signal.", "photons per pixel"),
        Column("sigma_um", "real", "Fitted lateral Gaussian width.", "um"),
        Column("snr", "real", "Response of the matched filter over its noise."),
        Column("probability", "real", "Probability that the signal is a real one of this probe."),
        Column("cluster", "integer", "Number of the cluster it lies in; 0 for none.", required=True),
        Column("status", "text", "What became of the signal.", required=True, choices=STATUSES),
        Column("flags", "text", "Doubts about the signal, joined by |.", required=True),
    ),
)

IF_CELLS = Table(
    "if_cells",
    ("slide_id", "if_scene", "if_label"),
    (
        Column("slide_id", "text", "The slide.", required=True),
        Column("if_scene", "text", "IF scene.", required=True),
        Column("if_label", "integer", "Label of the nucleus in that scene.", required=True),
        Column("if_y_um", "real", "Nucleus centroid from the first pixel centre.", "um", required=True),
        Column("if_x_um", "real", "Nucleus centroid from the first pixel centre.", "um", required=True),
        Column("area_um2", "real", "Area of the nucleus.", "um2", required=True),
        Column("kind", "text", "What the cell is, by its markers.", required=True, choices=KINDS),
        Column("kind_probability", "real", "Probability of that kind."),
        Column("chosen", "boolean", "Chosen as CTC by a reader (ctc.csv)."),
        Column("her2_protein", "real", "HER2 protein, in leukocyte standard deviations above the slide's leukocytes."),
        Column("her2_protein_class", "text", "HER2 protein class.", choices=("negative", "medium", "high")),
        Column("flags", "text", "Doubts about the cell, joined by |.", required=True),
    ),
)

SLIDES = Table(
    "slides",
    ("slide_id",),
    (
        Column("slide_id", "text", "The slide.", required=True),
        Column("patient_id", "text", "The patient; the slide itself where none was given.", required=True),
        Column("visit", "text", "The visit, as the sheet names it."),
        Column("preset", "text", "Rule by which cells were called.", required=True),
        Column("n_nuclei", "integer", "Nuclei found in the FISH scan.", required=True),
        Column("n_ctc", "integer", "CTC, lost ones included; missing without a trusted IF scan."),
        Column("n_lost", "integer", "CTC seen in IF and not found again in FISH."),
        Column("n_evaluable", "integer", "CTC called amplified or not amplified."),
        Column("n_amplified", "integer", "Amplified CTC."),
        Column("n_amplified_guarded", "integer", "CTC amplified by the guarded rule."),
        Column("n_uncertain", "integer", "CTC that pass the hard rule and fail the guard."),
        Column("n_leukocytes", "integer", "Leukocytes found again in FISH."),
        Column(
            "n_unknown_amplified", "integer", "Nuclei of unknown kind called amplified; they make no patient eligible."
        ),
        Column("her2_total", "integer", "HER2 signals of all evaluable CTC."),
        Column("cep17_total", "integer", "CEP17 signals of all evaluable CTC."),
        Column("ratio_of_totals", "real", "Total HER2 over total CEP17 of the evaluable CTC."),
        Column("mean_of_ratios", "real", "Mean of the evaluable CTCs' ratios."),
        Column("specimen_class", "text", "Class of the specimen by the preset's scheme; descriptive on CTC."),
        Column(
            "false_amplified_per_cell",
            "real",
            "Probability that a diploid 2/2 cell is called amplified, by this slide's error rates.",
        ),
        Column(
            "technical_code",
            "text",
            "First step that failed: S0 no or late tube, S1 enumeration, S3 FISH not attempted, S4 hybridisation, "
            "S5 no evaluable CTC, RELOCATION; S2, no CTC, is a valid result.",
            choices=("S0", "S1", "S2", "S3", "S4", "S5", "RELOCATION"),
        ),
        Column("flags", "text", "Doubts about the slide, joined by |.", required=True),
    ),
)

PATIENTS = Table(
    "patients",
    ("patient_id",),
    (
        Column("patient_id", "text", "The patient.", required=True),
        Column("n_slides", "integer", "Slides scored.", required=True),
        Column("n_ctc", "integer", "CTC on them; missing where no slide had a trusted IF scan."),
        Column("n_evaluable", "integer", "CTC called amplified or not amplified."),
        Column("n_amplified", "integer", "Amplified CTC."),
        Column("n_amplified_guarded", "integer", "CTC amplified by the guarded rule."),
        Column(
            "eligible",
            "text",
            "By the preset's rule for patients.",
            required=True,
            choices=("yes", "no", "not_evaluable"),
        ),
        Column(
            "eligible_guarded",
            "text",
            "The same with the guarded calls.",
            required=True,
            choices=("yes", "no", "not_evaluable"),
        ),
        Column("cohort", "text", "LOW: 1 or 2 amplified CTC; HIGH: 3 or more.", choices=("LOW", "HIGH")),
        Column("fraction", "real", "Amplified CTC over evaluable CTC."),
        Column("fraction_low", "real", "Lower end of its exact 95 % interval (Clopper-Pearson)."),
        Column("fraction_high", "real", "Upper end of its exact 95 % interval (Clopper-Pearson)."),
        Column(
            "fraction_upper_bound",
            "real",
            "One-sided 95 % upper bound of the amplified share behind a negative result.",
        ),
        Column(
            "p_positive_by_error",
            "real",
            "Probability that at least one of the evaluable CTC is called amplified by error alone.",
        ),
        Column("note", "text", "What a reader must know of this row."),
    ),
)

FAILURES = Table(
    "failures",
    ("slide_id",),
    (
        Column("slide_id", "text", "The slide.", required=True),
        Column("cause", "text", "What went wrong, as a kind of error.", required=True),
        Column("message", "text", "What was found, what was needed, and what to do.", required=True),
    ),
)

CLUSTERS = Table(
    "clusters",
    ("slide_id", "scene", "probe", "cluster"),
    (
        Column("slide_id", "text", "The slide.", required=True),
        Column("scene", "text", "FISH scene.", required=True),
        Column("probe", "text", "Which probe.", required=True, choices=("HER2", "CEP17")),
        Column("cluster", "integer", "Number of the cluster in its scene, from 1.", required=True),
        Column("label", "integer", "Nucleus in which it lies.", required=True),
        Column("copies", "integer", "Estimated number of signals.", required=True),
        Column("copies_low", "integer", "Lower end of the 95 % interval.", required=True),
        Column("copies_high", "integer", "Upper end of the 95 % interval; missing where only a lower bound is known."),
        Column("photons", "real", "Integrated brightness.", "photons"),
        Column("compact", "boolean", "Compact (HSR-like) rather than dispersed."),
    ),
)
