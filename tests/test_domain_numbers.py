"""Numbers of the field derived by arithmetic: where each is reproduced, and those that no other test holds."""

from __future__ import annotations

import ast

import pytest

from ctcfish.stats.proportions import proportion
from tests.conftest import REPOSITORY

REPRODUCED = {
    "1 - (1 - a)^n: 9.6 and 63 % at a = 1 %, 1.0 and 9.5 % at 0.1 %, 0.1 and 1.0 % at 0.01 %": (
        "stats/test_proportions.py",
        "test_one_false_cell_makes_a_false_patient",
    ),
    "2/2 passes in 0.99, 0.009, 0.054 %; 4/4 in 0.26 %; 3/2 in 8.4 and 0.8 %; 4/2 in 22.5 and 13.8 %": (
        "stats/test_countmodel.py",
        "test_figures_of_the_domain_within_their_last_digit",
    ),
    "0 of 3 CTC leaves 63 % open, 0 of 20 14 %": ("stages/test_patients.py", "test_a_negative_carries_its_upper_bound"),
    "998, 186, 59, 29, 7 CTC to see one at 0.3, 1.6, 5, 10, 35.3 %": (
        "stages/test_patients.py",
        "test_how_many_ctc_would_have_been_needed",
    ),
    "HER2 from 3, 5, 7, 9, 11, 14 for CEP17 1 to 6": ("stats/test_ratio_rule.py", "test_smallest_her2_that_passes"),
    "integers and floats agree for HER2 below 600, CEP17 below 200": (
        "stats/test_ratio_rule.py",
        "test_integer_and_floating_comparison_agree_everywhere",
    ),
    "cut-off from 200, 500, 1000 normals: 1.487, 0.597, 0.299 %": (
        "stats/test_proportions.py",
        "test_cutoff_from_normals",
    ),
    "Simon's designs at 0.10/0.30, 0.05/0.25, 0.20/0.40": ("stats/test_designs.py", "test_published_table"),
    "1/11: 0.2 to 41.3 %, Wilson 1.6 to 37.7 %; 14/118: 6.6 to 19.1 %": (
        "stats/test_proportions.py",
        "test_published_intervals_in_per_cent",
    ),
    "98.4 % agreement with kappa 0.66, AC1 0.98, positive agreement 0.67": (
        "stats/test_agreement.py",
        "test_high_agreement_at_low_prevalence",
    ),
    "1000 clean leukocytes bound the rate at 0.3 %": (
        "stats/test_proportions.py",
        "test_a_thousand_clean_leukocytes_bound_the_rate_at_three_per_mille",
    ),
    "widths of a signal by dye and aperture": ("synth/test_optics.py", "test_width_in_focus"),
}
"""What is said, and the test that holds it."""


@pytest.mark.parametrize(("said", "place"), REPRODUCED.items(), ids=lambda value: value[1] if len(value) == 2 else "")
def test_every_number_has_its_test(said: str, place: tuple[str, str]) -> None:
    tree = ast.parse((REPOSITORY / "tests" / place[0]).read_text(encoding="utf-8"))
    assert place[1] in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, said


@pytest.mark.parametrize(
    ("numerator", "denominator", "per_cent"), [(118, 150, 78.7), (86, 150, 57.3), (14, 154, 9.1), (14, 118, 11.9)]
)
def test_published_shares_name_different_denominators(numerator: int, denominator: int, per_cent: float) -> None:
    """78.7 % implies 150 enumerated; the 9.1 % said of patients with CTC is over all 154, of 118 it is 11.9 %."""
    made = proportion(numerator, denominator, "patients")
    assert round(100 * made.value, 1) == per_cent
    assert f"{numerator}/{denominator} patients = {per_cent} %" in str(made)
    others = {d for d in range(140, 160) if round(100 * numerator / d, 1) == per_cent}
    assert denominator in others or denominator == 118
    assert numerator != 118 or others == {150}
