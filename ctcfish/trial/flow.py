"""From screened to response-evaluable patients: who is left at each step, who left, and why."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from ctcfish.stats.proportions import Proportion, proportion
from ctcfish.trial.protocol import Claim
from ctcfish.trial.subjects import FAILURES, Study


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the flow.

    Attributes
    ----------
    name : str
        Name of the population that is left.
    n : int
    share : Proportion or None
        Of the step before; None for the first.
    left : tuple of (str, int)
        Why patients of the step before are not in it.
    """

    name: str
    n: int
    share: Proportion | None
    left: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Denominators:
    """A published percentage held against the data.

    Attributes
    ----------
    claim : Claim
    matches : tuple of str
        Steps whose number gives the percentage, as ``numerator/n name``.
    stated : Proportion or None
        The same numerator over the population the publication names; None where the data count another numerator.
    agrees : bool
        Whether the named population gives the percentage.
    """

    claim: Claim
    matches: tuple[str, ...]
    stated: Proportion | None
    agrees: bool

    def parts(self) -> tuple[str, str, str]:
        """Return what was published, what these data say of it, and what follows."""
        c = self.claim
        said = f"{c.percent} % {c.text} ({c.numerator} of '{c.population}')"
        if self.stated is None:
            return said, f"other numbers '{c.counted}'", "nothing to compare"
        told = f"{c.numerator}/{self.stated.denominator} = {100 * self.stated.value:.1f} %"
        source = " or ".join(self.matches) or "no population of these data"
        return said, told, "it agrees" if self.agrees else f"{c.percent} % is {source}"

    def __str__(self) -> str:
        """Return the comparison in a sentence."""
        said, told, follows = self.parts()
        return f"Published: {said}. Here: {told}; {follows}."


def flow(study: Study) -> list[Step]:
    """Return the steps from screened to response-evaluable; each is a subset of the one before."""
    s, confidence = study.subjects, study.protocol.confidence
    told = {code: f"{code}, {text}" for code, text in FAILURES.items()}
    code = s["technical_code"].map(told).where(s["technical_code"].isin(FAILURES), "not scored")
    treated = s["positive"] & s["treated"]
    refusal = s["not_treated_reason"].where(s["not_treated_reason"].notna(), "reason not given")
    steps: list[tuple[str, pd.Series, pd.Series]] = [
        ("screened", pd.Series(data=True, index=s.index), code),
        ("blood drawn", s["drawn"], pd.Series("no blood drawn", index=s.index)),
        ("enumerated", s["enumerated"], code.where(code != "not scored", "no CTC count")),
        ("with at least one CTC", s["with_ctc"], pd.Series("no CTC (a valid result)", index=s.index)),
        ("FISH attempted", s["attempted"], code),
        ("FISH evaluable", s["scored"], code.where(code != "not scored", "no evaluable CTC")),
        ("with amplified CTC", s["positive"], pd.Series("no amplified CTC", index=s.index)),
        ("treated", treated, refusal),
        (
            "response-evaluable",
            treated & s.get("evaluable", False),
            pd.Series("no evaluable assessment", index=s.index),
        ),
    ]
    out: list[Step] = []
    before = steps[0][1]
    for name, now, why in steps:
        reasons = why[before & ~now].value_counts().sort_index()
        share = proportion(int(now.sum()), out[-1].n, out[-1].name, confidence=confidence) if out else None
        left = tuple((str(reason), int(n)) for reason, n in reasons.items())
        out.append(Step(name, int(now.sum()), share, left))
        before = now
    return out


def shares_of_populations(steps: list[Step], step: str, confidence: float) -> list[Proportion]:
    """Return one step over every earlier one, so that no denominator can hide."""
    names = [s.name for s in steps]
    n = steps[names.index(step)].n
    return [proportion(n, s.n, s.name, confidence=confidence) for s in steps[: names.index(step)]]


def check_claim(claim: Claim, steps: list[Step], confidence: float) -> Denominators:
    """Return which denominators of the data give a published percentage, to the digits it was printed with."""
    digits = len(claim.percent.partition(".")[2])
    matches = tuple(
        f"{claim.numerator}/{step.n} {step.name}"
        for step in steps
        if step.n >= max(claim.numerator, 1) and f"{100 * claim.numerator / step.n:.{digits}f}" == claim.percent
    )
    by_name = {step.name: step for step in steps}
    counted, named = by_name.get(claim.counted), by_name.get(claim.population)
    if named is None or counted is None or counted.n != claim.numerator or named.n < claim.numerator:
        return Denominators(claim, (), None, agrees=False)
    stated = proportion(claim.numerator, named.n, named.name, confidence=confidence)
    return Denominators(claim, matches, stated, any(m.endswith(f" {named.name}") for m in matches))


def deviations(study: Study) -> list[str]:
    """Return what contradicts the flow: treated without amplified CTC, patients and visits only in the run."""
    s = study.subjects
    out = []
    against = s.loc[s["treated"] & ~s["positive"], "patient_id"].tolist()
    if against:
        out.append(f"treated without amplified CTC at baseline by this run: {', '.join(against)}")
    strangers = sorted(set(study.run.slides["patient_id"]) - set(s["patient_id"]))
    if strangers:
        shown = ", ".join(strangers[:10])
        out.append(f"{len(strangers)} patients of the run stand in no clinical table and are left out: {shown}")
    slides, visits = study.run.slides, study.clinical.visits
    later = slides[slides["visit"].notna() & (slides["visit"] != study.protocol.baseline_visit)]
    dated = set(zip(visits["patient_id"], visits["visit"], strict=True))
    undated = sorted(set(zip(later["patient_id"], later["visit"], strict=True)) - dated)
    loose = [f"{patient} {visit}" for patient, visit in undated if patient not in strangers]
    if loose:
        shown = ", ".join(loose[:10])
        out.append(f"{len(loose)} later visits of the run stand in no row of the table visits and have no day: {shown}")
    return out
