"""RECIST 1.1 on written cases, one a row, every rule on both sides of its edge."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctcfish.trial.recist import UNIT, Assessment, BestRule, Lesion, Status, TimePoint, best_response, time_points

STATES: dict[str, Status] = {"p": "present", "a": "absent", "g": "progression", "e": "not_evaluable"}


def assessment(text: str, day: int) -> Assessment:
    """``50 n20 x - / p a +``: targets in mm (n: node, x: not evaluable, -: no row), others after the slash, + new."""
    targets, _, others = text.replace("+", "").partition("/")
    lesions = {}
    for index, word in enumerate(targets.split()):
        if word != "-":
            node = word.startswith("n")
            size = None if word.endswith("x") else round(float(word.lstrip("n")) * UNIT)
            lesions[f"T{index}"] = Lesion(size, node)
    rest = {f"N{index}": STATES[word] for index, word in enumerate(others.split()) if word != "-"}
    return Assessment(day, lesions, rest, "+" in text)


def overall(*visits: str) -> list[str]:
    return [p.overall for p in time_points([assessment(text, 42 * n) for n, text in enumerate(visits)])]


CASES = [
    # rule, baseline, follow-ups, overall responses
    ("30 % below the baseline is PR", "50", ["35"], "PR"),
    ("a hair less than 30 % is SD", "50", ["35.01"], "SD"),
    ("30 % of 10 mm, where floats fail", "10", ["7"], "PR"),
    ("30 % of a sum of five", "20 20 20 20 20", ["14 14 14 14 14"], "PR"),
    ("one lesion doubles, the sum falls 30 %", "40 10", ["15 20"], "PR"),
    ("one hundredth above 70 % of a sum", "33 33", ["23.1 23.11"], "SD"),
    ("unchanged is SD", "50", ["50"], "SD"),
    ("20 % and 5 mm above the baseline is PD", "25", ["30"], "PD"),
    ("20 % but less than 5 mm is SD", "24", ["28.99"], "SD"),
    ("20 % of 24 mm and 5 mm is PD", "24", ["29"], "PD"),
    ("5 mm but less than 20 % is SD", "50", ["59.99"], "SD"),
    ("exactly 20 % of 50 mm is PD", "50", ["60"], "PD"),
    ("5 mm but 19.9 % is SD", "26", ["31"], "SD"),
    ("growth counts from the nadir, not from the baseline", "50", ["30", "36"], "PR PD"),
    ("from the nadir, 5 mm short of 20 %", "50", ["30", "35.99"], "PR SD"),
    ("below 70 % of baseline is still PR above the nadir", "50", ["30", "35"], "PR PR"),
    ("the nadir is the smallest of all, not the last", "60", ["40", "46", "50"], "PR SD PD"),
    ("baseline itself may be the nadir", "50", ["55", "60"], "SD PD"),
    ("progression below the baseline", "100", ["40", "48"], "PR PD"),
    ("PD by the sum though one lesion vanished", "20 10", ["36 0"], "PD"),
    ("all gone is CR", "50", ["0"], "CR"),
    ("two gone is CR", "20 30", ["0 0"], "CR"),
    ("one of two gone is not CR", "20 30", ["0 30"], "PR"),
    ("a node below 10 mm is gone", "n20", ["n9.99"], "CR"),
    ("a node of 10 mm is not gone", "n20", ["n10"], "PR"),
    ("node and lesion both gone", "20 n20", ["0 n9"], "CR"),
    ("node gone, lesion not", "20 n20", ["1 n9"], "PR"),
    ("lesion of 1 mm is not gone", "20", ["1"], "PR"),
    ("a normal node keeps its size in the sum", "10 n20", ["0 n9", "0 n9.5"], "CR CR"),
    ("a node grows back by less than 5 mm after CR", "n30", ["n8", "n12"], "CR PR"),
    ("a node grows back by 5 mm after CR", "n30", ["n8", "n13"], "CR PD"),
    ("a lesion that is back after CR is PD, however small", "50", ["0", "3"], "CR PD"),
    ("without CR before, a lesion that is back only adds to the sum", "30 30", ["0 30", "3 30"], "PR PR"),
    ("too small to measure is 5 mm", "20", ["5"], "PR"),
    ("a target not evaluable", "50", ["x"], "NE"),
    ("one of two not evaluable", "50 20", ["30 x"], "NE"),
    ("a target without a row is not evaluable", "50 20", ["30 -"], "NE"),
    ("growth of the others is PD though one is not evaluable", "50 20", ["84 x"], "PD"),
    ("growth of the others short of PD is not evaluable", "50 20", ["83.99 x"], "NE"),
    ("a sum with a gap makes no nadir", "50 20", ["10 x", "50 20"], "NE SD"),
    ("after a gap all goes on", "50", ["x", "35"], "NE PR"),
    ("a new lesion is PD", "50", ["50 +"], "PD"),
    ("a new lesion beats PR", "50", ["20 +"], "PD"),
    ("a new lesion beats CR", "50", ["0 +"], "PD"),
    ("a new lesion beats not evaluable", "50", ["x +"], "PD"),
    ("targets gone, others gone: CR", "50 / p", ["0 / a"], "CR"),
    ("targets gone, others present: PR", "50 / p", ["0 / p"], "PR"),
    ("targets gone, others not evaluable: PR", "50 / p", ["0 / e"], "PR"),
    ("targets gone, others without a row: PR", "50 / p", ["0 / -"], "PR"),
    ("targets gone, one of two others gone: PR", "50 / p p", ["0 / a p"], "PR"),
    ("PR of targets, others present: PR", "50 / p", ["30 / p"], "PR"),
    ("PR of targets, others not evaluable: PR", "50 / p", ["30 / e"], "PR"),
    ("PR of targets, others gone: PR", "50 / p", ["30 / a"], "PR"),
    ("SD of targets, others gone: SD", "50 / p", ["50 / a"], "SD"),
    ("SD of targets, others not evaluable: SD", "50 / p", ["45 / e"], "SD"),
    ("unequivocal progression of others is PD", "50 / p", ["30 / g"], "PD"),
    ("progression of one of two others, the rest not evaluable", "50 / p p", ["30 / g e"], "PD"),
    ("targets not evaluable, others present: NE", "50 / p", ["x / p"], "NE"),
    ("targets not evaluable, others gone: NE", "50 / p", ["x / a"], "NE"),
    ("targets not evaluable, others in progression: PD", "50 / p", ["x / g"], "PD"),
    ("only non-targets, gone: CR", "/ p p", ["/ a a"], "CR"),
    ("only non-targets, one left", "/ p p", ["/ a p"], "NON_CR_NON_PD"),
    ("only non-targets, present", "/ p", ["/ p"], "NON_CR_NON_PD"),
    ("only non-targets, not evaluable", "/ p", ["/ e"], "NE"),
    ("only non-targets, in progression", "/ p", ["/ g"], "PD"),
    ("only non-targets, a new lesion", "/ a", ["/ a +"], "PD"),
    ("no disease at all stays not evaluable", "", [""], "NE"),
    ("no disease at baseline, a new lesion", "", ["+"], "PD"),
    ("baseline alone gives no response", "50", [], ""),
]


@pytest.mark.parametrize(("rule", "baseline", "later", "wanted"), CASES, ids=[case[0] for case in CASES])
def test_overall_response(rule: str, baseline: str, later: list[str], wanted: str) -> None:
    assert overall(baseline, *later) == wanted.split()


def test_there_are_enough_cases_and_no_rule_twice() -> None:
    assert len(CASES) + len(BEST) >= 80
    assert len({case[0] for case in CASES}) == len(CASES)


def test_sums_and_changes_are_told() -> None:
    points = time_points([assessment(t, d) for t, d in (("30 n20", -3), ("15 n10", 40), ("15 x", 80), ("30 n20", 120))])
    assert [p.total for p in points] == [2500, None, 5000]
    assert [p.change for p in points] == [-0.5, None, 0.0]
    assert [p.target for p in points] == ["PR", "NE", "PD"]
    assert [p.day for p in points] == [40, 80, 120]


def test_the_order_of_rows_is_no_matter() -> None:
    visits = [assessment(t, d) for t, d in (("50", 0), ("30", 42), ("36", 84))]
    assert time_points(visits[::-1]) == time_points(visits)
    assert time_points([]) == []


def points(text: str) -> list[TimePoint]:
    """``42:PR 84:SD``."""
    pairs = [word.split(":") for word in text.split()]
    return [TimePoint(int(d), None, None, c, "none", False, c) for d, c in pairs]  # type: ignore[arg-type]


RULE = BestRule(confirm=True, confirmation_days=28, min_stable_days=35)

BEST = [
    # what, time points, best confirmed, best unconfirmed, day of response, day of progression
    ("CR confirmed", "42:CR 84:CR", "CR", "CR", 42, None),
    ("CR confirmed after exactly 28 days", "42:CR 70:CR", "CR", "CR", 42, None),
    ("CR after 27 days is not confirmed", "42:CR 69:CR", "SD", "CR", None, None),
    ("CR then PR is a confirmed PR", "42:CR 84:PR", "PR", "CR", 42, None),
    ("CR then SD", "42:CR 84:SD", "SD", "CR", None, None),
    ("CR then PD, stable long enough", "42:CR 84:PD", "SD", "CR", None, 84),
    ("CR then PD, too early to be stable", "28:CR 42:PD", "PD", "CR", None, 42),
    ("CR then not evaluable", "42:CR 84:NE", "SD", "CR", None, None),
    ("CR too early, then not evaluable", "28:CR 84:NE", "NE", "CR", None, None),
    ("PR then CR is a confirmed PR", "42:PR 84:CR", "PR", "CR", 42, None),
    ("PR then CR then CR is a confirmed CR", "42:PR 84:CR 126:CR", "CR", "CR", 84, None),
    ("PR confirmed by PR", "42:PR 84:PR", "PR", "PR", 42, None),
    ("PR confirmed after 28 days", "42:PR 70:PR", "PR", "PR", 42, None),
    ("PR after 27 days is not confirmed", "42:PR 69:PR", "SD", "PR", None, None),
    ("PR then SD", "42:PR 84:SD", "SD", "PR", None, None),
    ("PR then PD, stable long enough", "42:PR 84:PD", "SD", "PR", None, 84),
    ("PR then PD, too early to be stable", "34:PR 84:PD", "PD", "PR", None, 84),
    ("PR then not evaluable, stable long enough", "42:PR 84:NE", "SD", "PR", None, None),
    ("PR then not evaluable, too early", "34:PR 84:NE", "NE", "PR", None, None),
    ("PR, not evaluable, PR is confirmed", "42:PR 84:NE 126:PR", "PR", "PR", 42, None),
    ("PR, SD, PR is confirmed", "42:PR 84:SD 126:PR", "PR", "PR", 42, None),
    ("a response after progression does not count", "42:PD 84:PR 126:PR", "PD", "PD", None, 42),
    ("progression between PR and PR", "42:PR 84:PD 126:PR", "SD", "PR", None, 84),
    ("a late response", "42:SD 84:PR 126:PR", "PR", "PR", 84, None),
    ("SD on the day it counts from", "35:SD", "SD", "SD", None, None),
    ("SD a day too early", "34:SD", "NE", "NE", None, None),
    ("SD too early, then PD", "34:SD 70:PD", "PD", "PD", None, 70),
    ("SD then PD", "42:SD 84:PD", "SD", "SD", None, 84),
    ("SD too early, then SD", "28:SD 42:SD", "SD", "SD", None, None),
    ("PD at once", "42:PD", "PD", "PD", None, 42),
    ("not evaluable only", "42:NE 84:NE", "NE", "NE", None, None),
    ("not evaluable, then PD", "42:NE 84:PD", "PD", "PD", None, 84),
    ("nothing after the baseline", "", "NE", "NE", None, None),
    ("non-targets only", "42:NON_CR_NON_PD 84:PD", "NON_CR_NON_PD", "NON_CR_NON_PD", None, 84),
    ("non-targets only, CR unconfirmed", "42:NON_CR_NON_PD 84:CR", "SD", "CR", None, None),
]


@pytest.mark.parametrize(("what", "text", "best", "unconfirmed", "day", "end"), BEST, ids=[case[0] for case in BEST])
def test_best_overall_response(
    what: str, text: str, best: str, unconfirmed: str, day: int | None, end: int | None
) -> None:
    found = best_response(points(text), RULE)
    assert (found.best, found.unconfirmed, found.response_day, found.progression_day) == (best, unconfirmed, day, end)


@pytest.mark.parametrize(
    ("text", "best"), [("42:PR", "PR"), ("42:CR", "CR"), ("42:PR 84:CR", "CR"), ("42:SD", "SD"), ("28:SD", "NE")]
)
def test_without_confirmation_the_best_counts(text: str, best: str) -> None:
    found = best_response(points(text), BestRule(confirm=False, confirmation_days=28, min_stable_days=35))
    assert found.best == found.unconfirmed == best


def test_nothing_counts_after_another_therapy() -> None:
    both = points("42:PR 84:PR 126:PD")
    assert best_response(both, RULE, last_day=84).best == "PR"
    assert best_response(both, RULE, last_day=84).progression_day is None
    assert best_response(both, RULE, last_day=83).best == "SD"
    assert best_response(both, RULE, last_day=41).best == "NE"


SIZES = st.lists(st.integers(0, 10_000), min_size=2, max_size=6)


@given(SIZES)
def test_one_lesion_follows_the_plain_definition(sizes: list[int]) -> None:
    visits = [Assessment(42 * n, {"T": Lesion(size)}, {}) for n, size in enumerate(sizes)]
    for n, point in enumerate(time_points(visits), start=1):
        base, nadir, now = sizes[0], min(sizes[:n]), sizes[n]
        if (0 in sizes[1:n] and now) or (now - nadir >= 500 and now >= nadir * 6 / 5):
            wanted = "PD"
        elif now == 0:
            wanted = "CR"
        else:
            wanted = "PR" if base - now >= base * 3 / 10 else "SD"
        assert point.overall == wanted


@given(SIZES, st.integers(1, 9))
def test_units_are_no_matter(sizes: list[int], factor: int) -> None:
    """Shares are shares: only the 5 mm rule knows lengths, and a common factor cannot undo a progression."""
    plain = time_points([Assessment(n, {"T": Lesion(s)}, {}) for n, s in enumerate(sizes)])
    scaled = time_points([Assessment(n, {"T": Lesion(s * factor)}, {}) for n, s in enumerate(sizes)])
    for a, b in zip(plain, scaled, strict=True):
        assert a.overall == b.overall or (a.overall, b.overall) in {("SD", "PD"), ("PR", "PD")}
