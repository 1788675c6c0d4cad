"""Technical failure: how many samples reach each step and fail there, and why CTC could not be evaluated.

A sample fails at the first step that fails; it is in the denominator of no later step. No CTC (S2) is a valid result
and no failure: such a sample leaves the way with its result. Replicates and control slides are no samples.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ctcfish.qc import tables as declared
from ctcfish.stats.proportions import proportion
from ctcfish.store.results import read_ctc

Row = dict[str, Any]


@dataclass(frozen=True)
class Step:
    """One step of the way: its name, the code of its failure, and whom its denominator counts."""

    name: str
    code: str
    population: str
    fails: bool = True


STEPS = (
    Step("blood tube", "S0", "samples declared"),
    Step("enumeration", "S1", "samples with a tube in time"),
    Step("FISH done", "S3", "samples enumerated"),
    Step("scoring", "ERROR", "samples with FISH"),
    Step("relocation", "RELOCATION", "samples scored"),
    Step("hybridisation", "S4", "samples whose scans agree"),
    Step("CTC found", "S2", "samples hybridised", fails=False),
    Step("evaluable CTC", "S5", "samples with CTC"),
)
"""In the order of work; ``ERROR`` is a slide that the program refused or could not finish."""

FACTORS = ("operator", "scanner", "probe_lot")
NOT_STATED = "not stated"


def samples(run: Path) -> pd.DataFrame:
    """Every sample of a run with the code of its failure.

    Parameters
    ----------
    run : Path

    Returns
    -------
    pandas.DataFrame
        ``slide_id, code`` and the factors; a slide of ``failures.csv`` that has no row among the slides is ``ERROR``.
    """
    slides = pd.read_csv(run / "slides.csv", dtype=str, keep_default_na=False, na_values=[""])
    own = slides[slides["replicate_of"].isna() & slides["control"].isna()]
    found = own[["slide_id", *FACTORS]].assign(code=own["technical_code"].fillna(""))
    refused = pd.read_csv(run / "failures.csv", dtype=str, keep_default_na=False)
    refused = refused[~refused["slide_id"].isin(slides["slide_id"])]
    lost = pd.DataFrame({"slide_id": refused["slide_id"], "code": "ERROR"})
    return pd.concat([found, lost], ignore_index=True)


def steps(found: pd.DataFrame) -> pd.DataFrame:
    """Flow of samples: :data:`ctcfish.qc.tables.STEPS`."""
    rows, left = [], len(found)
    for step in STEPS:
        at = int((found["code"] == step.code).sum())
        row: Row = {"step": step.name, "code": step.code, "population": step.population, "reached": left}
        failed = at if step.fails else 0
        share = proportion(failed, left, step.population)
        numbers = {"failed": failed, "share": share.value, "low": share.low, "high": share.high, "passed": left - at}
        rows.append(row | numbers)
        left -= at
    return declared.STEPS.check(pd.DataFrame(rows))


def reasons(found: pd.DataFrame, ctc: pd.DataFrame) -> pd.DataFrame:
    """Reasons by operator, scanner and lot, the commonest first: :data:`ctcfish.qc.tables.REASONS`.

    Parameters
    ----------
    found : pandas.DataFrame
        Of :func:`samples`.
    ctc : pandas.DataFrame
        CTC of the samples that went as far as their cells, ``slide_id`` and ``reason``.
    """
    of_step = {step.code: step for step in STEPS}
    failing = found.assign(reason=[code if code in of_step and of_step[code].fails else "" for code in found["code"]])
    owners = found.astype({"slide_id": object}).set_index("slide_id")[list(FACTORS)]
    cells = ctc[["slide_id", "reason"]].astype({"slide_id": object}).join(owners, on="slide_id")
    cells = cells.assign(reason=cells["reason"].fillna(""))
    rows = [*_ranked("sample", failing), *_ranked("CTC", cells)]
    return declared.REASONS.check(pd.DataFrame(rows)) if rows else declared.REASONS.empty()


def _ranked(level: str, items: pd.DataFrame) -> Iterator[Row]:
    for factor in ("all", *FACTORS):
        keys = pd.Series("all", index=items.index) if factor == "all" else items[factor].fillna(NOT_STATED)
        for value, own in items.groupby(keys, sort=True):
            failed = own.loc[own["reason"] != "", "reason"]
            so_far = 0
            for reason, n in sorted(failed.value_counts().items(), key=lambda pair: (-pair[1], pair[0])):
                so_far += int(n)
                reached = _reached(own["code"], str(reason)) if level == "sample" else len(own)
                yield {
                    "level": level,
                    "factor": factor,
                    "value": str(value),
                    "reason": str(reason),
                    "population": _population(level, str(reason)),
                    "failed": int(n),
                    "reached": reached,
                    "share": int(n) / reached,
                    "cumulative": so_far / len(failed),
                }


def _reached(codes: pd.Series, reason: str) -> int:
    """Samples that no earlier step had stopped."""
    order = [step.code for step in STEPS]
    return len(codes) - int(codes.isin(order[: order.index(reason)]).sum())


def _population(level: str, reason: str) -> str:
    if level == "CTC":
        return "CTC of samples that reached their cells"
    return next(step.population for step in STEPS if step.code == reason)


def cells_of(run: Path, found: pd.DataFrame) -> pd.DataFrame:
    """CTC of the samples that failed at no step before their cells."""
    whole = found[found["code"].isin(["", "S5"])]
    return read_ctc([run / str(name) for name in whole["slide_id"]])[["slide_id", "reason"]]


def technical_failure(run: Path) -> dict[str, pd.DataFrame]:
    """Tables ``steps`` and ``reasons`` of a run."""
    found = samples(run)
    return {"steps": steps(found), "reasons": reasons(found, cells_of(run, found))}
