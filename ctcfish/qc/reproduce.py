"""A reproducibility study: readings, what was matched, figures of agreement and components of variance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ctcfish.config import Config
from ctcfish.errors import UsageError
from ctcfish.parameters import FishRule, Summarise
from ctcfish.qc import agreement
from ctcfish.qc import tables as declared
from ctcfish.qc.matching import Matched, as_first, identical, match
from ctcfish.qc.precision import precision, values_table
from ctcfish.qc.readers import read_readers
from ctcfish.qc.replicates import Scored, groups, read_scored
from ctcfish.schema import concatenate
from ctcfish.stages.patients import eligible
from ctcfish.stats.bootstrap import BootstrapPlan
from ctcfish.stats.checks import IntArray

PLAN = BootstrapPlan(resamples=1000)
KINDS = {"CTC": "ctc", "all nuclei": ""}
VERDICTS = {"no": 0, "yes": 1, "not_evaluable": 2}


@dataclass(frozen=True)
class Reproduced:
    """Tables of a study, by name as in :mod:`ctcfish.qc.tables`."""

    readings: pd.DataFrame
    matching: pd.DataFrame
    unmatched: pd.DataFrame
    statistics: pd.DataFrame
    slide_values: pd.DataFrame
    precision: pd.DataFrame

    def frames(self) -> dict[str, pd.DataFrame]:
        """Every table by its name."""
        return dict(vars(self))

    def broken(self) -> list[str]:
        """Readings of equal images by one configuration whose tables differ; there must be none."""
        wrong = self.matching["identical"].eq(other=False).fillna(value=False)
        return [str(name) for name in self.matching.loc[wrong, "reading"]]


def reproduce(runs: Sequence[Path], readers: Path | None, config: Config) -> Reproduced:
    """Compare every reading of a slide with its first one.

    Parameters
    ----------
    runs : sequence of Path
        Folders of runs, the first one first.
    readers : Path or None
        CSV of people's readings.
    config : Config

    Raises
    ------
    UsageError
        Nothing repeats anything.
    """
    scored = read_scored(runs)
    slides = groups(scored) if readers is None else _with_alone(scored)
    matched = [_matched(own, config) for own in slides]
    flat = [part for own in matched for part in own]
    readings = concatenate([part.readings for part in flat], declared.READINGS)
    if readers is not None:
        people = read_readers(readers, readings[readings["relation"] == "first"], _cut(config))
        readings = concatenate([readings, people], declared.READINGS)
    scanned = [
        (one, part.about)
        for own, parts in zip(slides, matched, strict=True)
        for one, part in zip(own, parts, strict=True)
    ]
    values = values_table(scanned)
    figures = [*_cell_figures(readings, _cut(config)), *_patient_figures(scanned, readings, config.summarise)]
    limits = {"within": config.qc.max_cv_within_percent, "between": config.qc.max_cv_between_percent}
    return Reproduced(
        readings=readings,
        matching=declared.MATCHING.check(pd.DataFrame([part.about for part in flat])),
        unmatched=_unmatched(flat),
        statistics=declared.STATISTICS.check(pd.DataFrame(figures)) if figures else declared.STATISTICS.empty(),
        slide_values=values,
        precision=precision(values, limits),
    )


def _matched(own: Sequence[Scored], config: Config) -> list[Matched]:
    """Every reading of a group against the first; equal images also against one another."""
    found = [as_first(own[0]), *(match(own[0], other, config.relocate) for other in own[1:])]
    return [
        replace(part, about=part.about | {"identical": identical(own[:k], one)})
        for k, (part, one) in enumerate(zip(found, own, strict=True))
    ]


def _with_alone(scored: Sequence[Scored]) -> list[tuple[Scored, ...]]:
    """Groups, and slides without repeats: people may read these too."""
    try:
        found = groups(scored)
    except UsageError:
        found = []
    taken = {one.slide_id for own in found for one in own}
    return [*found, *((one,) for one in scored if one.slide_id not in taken)]


def _cut(config: Config) -> Fraction:
    rule = config.call.rule
    return Fraction(rule.cut if isinstance(rule, FishRule) else FishRule().cut)


def _unmatched(parts: Sequence[Matched]) -> pd.DataFrame:
    """Cells of first readings that a re-scan did not show again."""
    first = pd.concat([p.readings for p in parts if p.about["relation"] == "first"])
    rows = []
    for part in parts:
        if part.about["relation"] in ("rescan", "same_image"):
            own = first[first["group"] == part.about["group"]]
            lost = own[~own["item"].isin(part.readings["item"])]
            rows.append(lost[["group", "item", "kind"]].assign(reading=part.about["reading"]))
    columns = ["group", "item", "kind", "reading"]
    return pd.concat(rows, ignore_index=True)[columns] if rows else pd.DataFrame(columns=columns)


def _studies(readings: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Which readings are compared with each other."""
    for relation in ("same_image", "rescan"):
        if (readings["relation"] == relation).any():
            yield relation, readings[readings["relation"].isin(["first", relation])]
    people = readings[readings["relation"] == "reader"]
    if len(people):
        read = readings[(readings["relation"] == "first") & readings["item"].isin(people["item"])]
        yield "program and readers", pd.concat([read, people])
    if people["reading"].nunique() > 1:
        yield "between readers", people


def _cell_figures(readings: pd.DataFrame, cut: Fraction) -> list[dict[str, Any]]:
    rows = []
    for relation, compared in _studies(readings):
        for population, kind in KINDS.items():
            own = compared[compared["kind"] == kind] if kind else compared
            if not len(own):
                continue
            wide = agreement.widen(own)
            near = agreement.near_cut(wide, cut)
            for stratum, keep in (("all", np.ones(len(near), np.bool_)), ("near", near), ("far", ~near)):
                if not keep.any() or wide.call.shape[1] < 2:
                    continue
                about = {"level": "cell", "relation": relation, "population": population, "stratum": stratum}
                rows += [about | row for row in agreement.statistics(wide.rows(keep), PLAN)]
    return rows


def _patient_figures(
    scanned: Sequence[tuple[Scored, dict[str, Any]]], readings: pd.DataFrame, params: Summarise
) -> list[dict[str, Any]]:
    """Agreement on who is eligible, each reading by its own CTC."""
    told = [_counts(one.cells, about) for one, about in scanned]
    people = readings[readings["relation"] == "reader"]
    for (patient, reading), own in people[people["kind"] == "ctc"].groupby(["patient_id", "reading"], sort=True):
        told.append(_counts(own, {"patient_id": patient, "reading": reading, "relation": "reader", "group": ""}))
    table = pd.DataFrame(told)
    rows = []
    for relation in ("same_image", "rescan", "other_slide", "reader"):
        codes = _eligibility(table[table["relation"].isin(["first", relation])], params)
        if codes.shape[1] > 1:
            about = {"level": "patient", "relation": relation, "population": "patients", "stratum": "all"}
            rows += [about | row for row in agreement.eligibility(codes, PLAN)]
    return rows


def _counts(cells: pd.DataFrame, about: dict[str, Any]) -> dict[str, Any]:
    ctc = cells[cells["kind"] == "ctc"]
    amplified, evaluable = int((ctc["call"] == "amplified").sum()), int((ctc["call"] != "not_evaluable").sum())
    keys = {name: about[name] for name in ("patient_id", "reading", "relation", "group")}
    return keys | {"amplified": amplified, "evaluable": evaluable}


def _eligibility(table: pd.DataFrame, params: Summarise) -> IntArray:
    """Verdict of each patient (row) by each reading (column): 0 no, 1 yes, 2 not evaluable, -1 not read."""
    order = table.groupby(["patient_id", "group"], sort=False).cumcount()
    people = table["relation"] == "reader"
    names = sorted(table.loc[people, "reading"].unique())
    of_reader = table["reading"].map({name: k for k, name in enumerate(names, start=1)}).fillna(0)
    column = np.where(people, of_reader, order).astype(np.int64)
    summed = table.assign(k=column).groupby(["patient_id", "k"], sort=True)
    counts = summed.agg(
        amplified=("amplified", "sum"), evaluable=("evaluable", "sum"), n=("group", "size")
    ).reset_index()
    slides = counts[counts["k"] == 0].set_index("patient_id")["n"]
    # a reading that lacks one of the patient's slides says nothing of the patient
    counts = counts[(counts["n"] == counts["patient_id"].map(slides)) | (len(names) > 0)]
    patients = {name: row for row, name in enumerate(sorted(set(counts["patient_id"])))}
    codes = np.full((len(patients), int(counts["k"].max()) + 1 if len(counts) else 0), -1, np.int64)
    for row in counts.to_dict("records"):
        codes[patients[row["patient_id"]], row["k"]] = VERDICTS[eligible(row["amplified"], row["evaluable"], params)]
    return codes
