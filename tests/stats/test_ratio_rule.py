"""The ratio rule in whole numbers."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from ctcfish.errors import StatisticsError
from ctcfish.stats.ratio_rule import exceeds, reaches

CUT = Fraction(11, 5)


def test_integer_and_floating_comparison_agree_everywhere() -> None:
    her2, cep17 = np.meshgrid(np.arange(600), np.arange(1, 200), indexing="ij")
    assert her2.size == 600 * 199
    for cut in ("1.8", "2.0", "2.2"):
        assert np.array_equal(reaches(her2, cep17, Fraction(cut)), her2 / cep17 >= float(cut))
        assert np.array_equal(exceeds(her2, cep17, Fraction(cut)), her2 / cep17 > float(cut))


def test_five_her2_against_eleven_cep17() -> None:
    her2, cep17 = np.meshgrid(np.arange(100), np.arange(1, 50), indexing="ij")
    assert np.array_equal(reaches(her2, cep17, CUT), 5 * her2 >= 11 * cep17)


@pytest.mark.parametrize(("cep17", "her2"), [(1, 3), (2, 5), (3, 7), (4, 9), (5, 11), (6, 14)])
def test_smallest_her2_that_passes(cep17: int, her2: int) -> None:
    assert reaches(her2, cep17, CUT)
    assert not reaches(her2 - 1, cep17, CUT)


def test_a_ratio_of_exactly_the_cut_reaches_but_does_not_exceed() -> None:
    assert reaches(11, 5, CUT)
    assert not exceeds(11, 5, CUT)
    assert exceeds(12, 5, CUT)


def test_no_cep17_is_no_ratio() -> None:
    assert reaches([5, 0], [0, 0], CUT).tolist() == [False, False]
    assert exceeds([5, 0], [0, 0], CUT).tolist() == [False, False]


def test_empty_input_gives_empty_output() -> None:
    assert reaches([], [], CUT).shape == (0,)


def test_fractional_counts_are_refused() -> None:
    with pytest.raises(StatisticsError, match="HER2 counts must be whole numbers"):
        reaches(2.5, 1, CUT)
