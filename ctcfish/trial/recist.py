"""Response by RECIST 1.1 (Eisenhauer et al. 2009, Eur J Cancer 45:228), from measurements alone.

Sizes are whole hundredths of a millimetre, so that "at least 30 %" and "at least 20 % and 5 mm" are decided exactly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Code = Literal["CR", "PR", "SD", "PD", "NE", "NON_CR_NON_PD", "none"]
Status = Literal["absent", "present", "progression", "not_evaluable"]

UNIT = 100
"""Hundredths of a millimetre in a millimetre."""
NODE_GONE = 10 * UNIT
LEAST_GROWTH = 5 * UNIT

CONTROLLED = ("CR", "PR", "SD", "NON_CR_NON_PD")


@dataclass(frozen=True, slots=True)
class Lesion:
    """A target at one assessment: its size in hundredths of a millimetre, None where not evaluable."""

    size: int | None
    node: bool = False

    @property
    def gone(self) -> bool:
        """Whether it fulfils complete response: vanished, or a node below 10 mm."""
        return self.size is not None and (self.size < NODE_GONE if self.node else self.size == 0)


@dataclass(frozen=True, slots=True)
class Assessment:
    """Everything seen on one day, counted from the first dose; the first of a patient is the baseline."""

    day: int
    targets: Mapping[str, Lesion]
    others: Mapping[str, Status]
    new: bool = False


@dataclass(frozen=True, slots=True)
class TimePoint:
    """Response at one assessment.

    Attributes
    ----------
    day : int
    total : int or None
        Sum of diameters in hundredths of a millimetre; None where a target is not evaluable.
    change : float or None
        Change of the sum from baseline, as a share.
    target, other, overall : str
        Responses of targets, of non-targets, and overall (tables 1 to 3 of the paper); ``none``: there are none.
    new : bool
    """

    day: int
    total: int | None
    change: float | None
    target: Code
    other: Code
    new: bool
    overall: Code


def time_points(assessments: Sequence[Assessment]) -> list[TimePoint]:
    """Return the response at every assessment after the baseline, in order of days.

    Growth counts from the smallest sum so far, the baseline included. A target that was not seen at an assessment is
    not evaluable there; growth of the others alone may still be progression. Once all targets had gone, a lesion that
    is back, other than a node, is progression.
    """
    if not assessments:
        return []
    first, *later = sorted(assessments, key=lambda a: a.day)
    base = sum(lesion.size or 0 for lesion in first.targets.values())
    nadir, was_complete, points = base, False, []
    for visit in later:
        seen = {name: visit.targets.get(name, Lesion(None)) for name in first.targets}
        target = _targets(seen, base, nadir, was_complete)
        other = _others({name: visit.others.get(name, "not_evaluable") for name in first.others})
        whole = bool(seen) and all(lesion.size is not None for lesion in seen.values())
        total = sum(lesion.size or 0 for lesion in seen.values()) if whole else None
        if total is not None:
            nadir = min(nadir, total)
        was_complete = was_complete or target == "CR"
        change = (total - base) / base if total is not None and base else None
        points.append(TimePoint(visit.day, total, change, target, other, visit.new, _overall(target, other, visit.new)))
    return points


def _targets(seen: Mapping[str, Lesion], base: int, nadir: int, was_complete: bool) -> Code:
    if not seen:
        return "none"
    sizes = [lesion.size for lesion in seen.values() if lesion.size is not None]
    total = sum(sizes)
    back = was_complete and any(lesion.size and not lesion.node for lesion in seen.values())
    if back or (5 * (total - nadir) >= nadir and total - nadir >= LEAST_GROWTH):
        return "PD"
    if len(sizes) < len(seen):
        return "NE"
    if all(lesion.gone for lesion in seen.values()):
        return "CR"
    return "PR" if 10 * total <= 7 * base else "SD"


def _others(seen: Mapping[str, Status]) -> Code:
    states = set(seen.values())
    if not states:
        return "none"
    if "progression" in states:
        return "PD"
    if "not_evaluable" in states:
        return "NE"
    return "CR" if states == {"absent"} else "NON_CR_NON_PD"


def _overall(target: Code, other: Code, new: bool) -> Code:
    if new or "PD" in (target, other):
        return "PD"
    if target == "none":
        return "NE" if other == "none" else other
    if target == "CR":
        return "CR" if other in ("CR", "none") else "PR"
    return target


@dataclass(frozen=True, slots=True)
class BestRule:
    """Whether responses need confirmation, after how many days, and from which day stable disease counts."""

    confirm: bool
    confirmation_days: int
    min_stable_days: int


@dataclass(frozen=True, slots=True)
class Best:
    """Best overall response, the best without asking for confirmation, and the days of response and progression."""

    best: Code
    unconfirmed: Code
    response_day: int | None
    progression_day: int | None


def best_response(points: Sequence[TimePoint], rule: BestRule, last_day: int | None = None) -> Best:
    """Return the best overall response up to the first progression (table 3 of the paper).

    A response is confirmed by an assessment of at least the same response, the asked days later and before progression.
    An unconfirmed response counts as stable disease if the disease was still controlled from ``min_stable_days`` on,
    else as progression if that came next, else as not evaluable.

    Parameters
    ----------
    points : sequence of TimePoint
    rule : BestRule
    last_day : int, optional
        Assessments after it (another therapy began) do not count.
    """
    kept = [p for p in points if last_day is None or p.day <= last_day]
    end = next((i for i, p in enumerate(kept) if p.overall == "PD"), None)
    before = kept if end is None else kept[:end]
    progression = None if end is None else kept[end].day
    rest = _without_response(before, rule, progression)
    responses: list[tuple[Code, int]] = [(p.overall, p.day) for p in before if p.overall in ("CR", "PR")]
    unconfirmed = min((code for code, _ in responses), default=rest)  # CR sorts before PR
    for level, enough in (("CR", ("CR",)), ("PR", ("CR", "PR"))):
        for code, day in responses:
            later = any(c in enough and d >= day + rule.confirmation_days for c, d in responses)
            if code in enough and (later or not rule.confirm):
                return Best(code if not rule.confirm else level, unconfirmed, day, progression)  # type: ignore[arg-type]
    return Best(rest, unconfirmed, None, progression)


def _without_response(before: Sequence[TimePoint], rule: BestRule, progression: int | None) -> Code:
    stable = [p.overall for p in before if p.overall in CONTROLLED and p.day >= rule.min_stable_days]
    if stable:
        return "NON_CR_NON_PD" if set(stable) == {"NON_CR_NON_PD"} else "SD"
    return "NE" if progression is None else "PD"
