"""Tables of a run for simulated patients: CTC counts, cells with copies and calls, slides, patients."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from ctcfish import tables
from ctcfish.stats.proportions import clopper_pearson
from ctcfish.stats.ratio_rule import reaches
from ctcfish.synth.trial_spec import TableCohort

IntArray = NDArray[np.int64]

VISIT = "screening"
FALSE_CALL = 0.0001
"""Per-cell false-call rate that the slides report; the cells' calls follow their counts."""


@dataclass(frozen=True, slots=True)
class Screened:
    """Screened patients; every array has one entry a patient.

    Attributes
    ----------
    patient_id : ndarray of str
    enumerated : ndarray of bool
    ctc, evaluable, amplified : ndarray of int
        CTC at screening; -1 CTC where enumeration failed.
    treated, responder : ndarray of bool
    code : ndarray of object
        Technical code of the sample, None where it worked.
    """

    patient_id: NDArray[Any]
    enumerated: NDArray[np.bool_]
    ctc: IntArray
    evaluable: IntArray
    amplified: IntArray
    treated: NDArray[np.bool_]
    responder: NDArray[np.bool_]
    code: NDArray[Any]


def screen(cohort: TableCohort) -> Screened:
    """Draw screened patients with the cohort's margins."""
    rng = np.random.default_rng([cohort.seed, 1])
    n = cohort.patients
    enumerated = rng.permutation(n) < round(cohort.enumerated_share * n)
    with_ctc = np.zeros(n, dtype=np.bool_)
    bled = rng.permutation(np.flatnonzero(enumerated))
    with_ctc[bled[: round(cohort.ctc_share * bled.size)]] = True
    drawn = np.floor(np.exp(cohort.ctc_log_mean + cohort.ctc_log_sd * _above_one(cohort, rng, n)))
    ctc = np.where(with_ctc, np.clip(drawn, 1, cohort.ctc_max), np.where(enumerated, 0, -1)).astype(np.int64)
    failed = with_ctc & (rng.random(n) < cohort.failed)
    evaluable = np.where(with_ctc & ~failed, rng.binomial(np.maximum(ctc, 0), 1 - cohort.not_evaluable), 0)
    amplified = _amplified(cohort, evaluable, rng)
    positive = rng.permutation(np.flatnonzero(amplified))
    treated, responder = np.zeros(n, dtype=np.bool_), np.zeros(n, dtype=np.bool_)
    chosen = positive[: round(cohort.treated_share * positive.size)]
    treated[chosen] = True
    responder[chosen[: round(cohort.response_share * chosen.size)]] = True
    code = np.full(n, None, dtype=object)
    code[with_ctc & (evaluable == 0)] = "S5"
    code[failed] = "S4"
    code[enumerated & ~with_ctc] = "S2"
    code[~enumerated] = "S1"
    names = np.array([f"P{i:0{max(4, len(str(n)))}d}" for i in range(1, n + 1)], dtype=object)
    return Screened(names, enumerated, ctc, evaluable.astype(np.int64), amplified, treated, responder, code)


def screened_of(slides: pd.DataFrame, cohort: TableCohort) -> Screened:
    """Return the patients of a run as screened, those with amplified CTC treated as often as the cohort says.

    Parameters
    ----------
    slides : pandas.DataFrame
        :data:`ctcfish.tables.SLIDES` of the first visit; scans repeated for quality control are no samples.
    cohort : TableCohort
        Shares of treated and responding patients, and the seed.
    """
    rng = np.random.default_rng([cohort.seed, 4])
    own = slides[slides["replicate_of"].isna() & slides["control"].isna()]
    by = own.groupby("patient_id", sort=True)
    sums = by[["n_ctc", "n_evaluable", "n_amplified"]].sum(min_count=1)
    seen = sums["n_ctc"].notna().to_numpy()
    ctc, evaluable, amplified = (sums[name].fillna(0).to_numpy(np.int64) for name in sums)
    positive = rng.permutation(np.flatnonzero(amplified))
    treated, responder = np.zeros(seen.size, dtype=np.bool_), np.zeros(seen.size, dtype=np.bool_)
    chosen = positive[: round(cohort.treated_share * positive.size)]
    treated[chosen] = True
    responder[chosen[: round(cohort.response_share * chosen.size)]] = True
    code = by["technical_code"].first().to_numpy(object)
    return Screened(
        sums.index.to_numpy(object), seen, np.where(seen, ctc, -1), evaluable, amplified, treated, responder, code
    )


def _above_one(cohort: TableCohort, rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    """Standard normal draws that give at least one CTC: the tail above ``-mean / sd``."""
    low = ndtr(-cohort.ctc_log_mean / cohort.ctc_log_sd)
    return np.asarray(ndtri(low + (1 - low) * rng.random(n)), dtype=np.float64)


def _amplified(cohort: TableCohort, evaluable: IntArray, rng: np.random.Generator) -> IntArray:
    """Amplified CTC of each patient: as many positive ones as the margin says, log-uniform shares about the median.

    A small share needs many cells to show: patients are taken whose number of cells can.
    """
    amplified = np.zeros(evaluable.size, dtype=np.int64)
    wanted = min(round(cohort.positive_share * evaluable.size), int((evaluable > 0).sum()))
    low, middle, high = np.log([cohort.amplified_range[0], cohort.amplified_median, cohort.amplified_range[1]])
    level = (np.arange(wanted) + rng.random(wanted)) / max(wanted, 1)
    logs = np.where(level < 0.5, low + (middle - low) * 2 * level, middle + (high - middle) * (2 * level - 1))
    free = evaluable > 0
    for share in np.exp(np.sort(logs)).tolist():
        able = np.flatnonzero(free & (evaluable * share >= 0.7))
        pick = int(rng.choice(able)) if able.size else int(np.argmax(np.where(free, evaluable, -1)))
        free[pick] = False
        amplified[pick] = max(1, round(share * evaluable[pick]))
    return amplified


def cells_of(cohort: TableCohort, people: Screened) -> pd.DataFrame:
    """Return a row per CTC: the first ones of a patient amplified, the last ones not evaluable."""
    rng = np.random.default_rng([cohort.seed, 2])
    n = np.maximum(people.ctc, 0)
    owner = np.repeat(np.arange(n.size), n)
    rank = np.arange(owner.size) - np.repeat(np.cumsum(n) - n, n)
    amplified, seen = rank < people.amplified[owner], rank < people.evaluable[owner]
    cep17 = rng.choice([1, 2, 3, 4], size=owner.size, p=[0.08, 0.72, 0.15, 0.05])
    bar = -(-11 * cep17 // 5)  # fewest HER2 signals with 5 HER2 >= 11 CEP17
    high = bar + rng.geometric(0.35, owner.size)
    noise = rng.choice([-1, 0, 1], size=owner.size, p=[0.06, 0.88, 0.06])
    her2 = np.where(amplified, high, np.clip(cep17 + noise, 1, bar - 1))
    call = np.where(reaches(her2, cep17, Fraction(11, 5)), "amplified", "not_amplified").astype(object)
    guarded = np.where((call == "amplified") & (cep17 < 2) & (her2 < 4), "not_evaluable", call).astype(object)
    agrees = rng.random(owner.size) < cohort.protein_agrees
    protein = np.where(amplified == agrees, np.where(agrees, "high", "medium"), "negative").astype(object)
    slide = people.patient_id[owner] + "-S1"
    frame = pd.DataFrame({"cell_id": slide + "/f/" + (rank + 1).astype(str).astype(object), "slide_id": slide})
    frame["kind"] = "ctc"
    for name, values in (("her2_count", her2), ("cep17_count", cep17), ("ratio", her2 / cep17)):
        frame[name] = pd.Series(values).where(seen)
    return frame.assign(
        her2_count=frame["her2_count"].astype("Int64"),
        cep17_count=frame["cep17_count"].astype("Int64"),
        call=np.where(seen, call, "not_evaluable"),
        call_guarded=np.where(seen, guarded, "not_evaluable"),
        reason=np.where(seen, "", "LOST"),
        flags="",
        her2_protein_class=protein,
    )


def run_tables(people: Screened, cells: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return ``slides`` and ``patients`` as a run leaves them, one slide a patient."""
    guarded = cells[cells["call_guarded"] == "amplified"].groupby("slide_id").size()
    counted = ~np.isin(people.code.astype(str), ["S1"])
    slide = people.patient_id + "-S1"
    n_guarded = pd.Series(slide).map(guarded).fillna(0).astype(int).to_numpy()
    numbers = {"n_ctc": people.ctc, "n_evaluable": people.evaluable, "n_amplified": people.amplified}
    numbers |= {"n_amplified_guarded": n_guarded}
    masked = {name: pd.Series(values).where(counted).astype("Int64") for name, values in numbers.items()}
    slides = pd.DataFrame({"slide_id": slide, "patient_id": people.patient_id, "visit": VISIT} | masked)
    slides = slides.assign(
        preset="circe_tdm1",
        n_nuclei=np.maximum(people.ctc, 0),
        technical_code=people.code,
        false_amplified_per_cell=FALSE_CALL,
        flags="",
    )
    low, high = clopper_pearson(people.amplified, people.evaluable)
    some = people.evaluable > 0
    patients = pd.DataFrame({"patient_id": people.patient_id, "n_slides": 1} | masked).assign(
        eligible=_verdict(people.amplified, some),
        eligible_guarded=_verdict(n_guarded, some),
        cohort=pd.Series(np.where(people.amplified >= 3, "HIGH", "LOW")).where(people.amplified > 0, None),
        fraction=np.where(some, people.amplified / np.maximum(people.evaluable, 1), np.nan),
        fraction_low=np.where(some, low, np.nan),
        fraction_high=np.where(some, high, np.nan),
        p_positive_by_error=np.where(some, -np.expm1(people.evaluable * np.log1p(-FALSE_CALL)), np.nan),
        heterogeneous=pd.array((people.amplified > 0) & (people.amplified < people.evaluable), dtype="boolean"),
    )
    return {"slides": tables.SLIDES.check(slides), "patients": tables.PATIENTS.check(patients)}


def _verdict(amplified: IntArray, some: NDArray[np.bool_]) -> NDArray[Any]:
    return np.where(some, np.where(amplified > 0, "yes", "no"), "not_evaluable")
