"""The definitions that other tests lean on give the figures of published tables and of statsmodels."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm
from statsmodels.stats.inter_rater import fleiss_kappa as fleiss_of_statsmodels

from tests import closed_forms as forms
from tests.closed_forms import M

# Shrout and Fleiss 1979, table 2: six targets, four judges
JUDGES = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], dtype=float)
# Krippendorff 2011, "Computing Krippendorff's alpha-reliability", four observers, twelve units
FOUR_OBSERVERS = np.array([
    [1, 2, 3, 3, 2, 1, 4, 1, 2, M, M, M],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, M, 3],
    [M, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, M],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, M],
]).T  # fmt: skip
# Fleiss 1971 as worked in many textbooks: ten subjects, fourteen raters, five categories
FLEISS = np.array([
    [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
])  # fmt: skip


def four() -> np.ndarray:
    return forms.ratings(np.where(FOUR_OBSERVERS == M, M, FOUR_OBSERVERS - 1), 5)


def test_intraclass_correlations_of_shrout_and_fleiss() -> None:
    assert (round(forms.icc_agreement(JUDGES), 2), round(forms.icc_consistency(JUDGES), 2)) == (0.29, 0.71)


def test_mean_squares_equal_statsmodels() -> None:
    frame = pd.DataFrame(JUDGES).stack().rename("y").reset_index()
    frame.columns = pd.Index(["subject", "reader", "y"])
    table = anova_lm(ols("y ~ C(subject) + C(reader)", frame).fit())
    assert tuple(forms.mean_squares(JUDGES)) == pytest.approx(tuple(table["mean_sq"]))


def test_alpha_of_the_four_observers() -> None:
    assert round(forms.krippendorff_alpha(four()), 3) == 0.743


def test_ac1_and_fleiss_of_the_four_observers() -> None:
    # Gwet, Handbook of Inter-Rater Reliability: AC1 0.7754, Fleiss' kappa with missing readings 0.7612
    assert round(forms.gwet_ac1(four()), 4) == 0.7754
    assert round(forms.fleiss_kappa(four()), 4) == 0.7612


def test_fleiss_example() -> None:
    assert round(forms.fleiss_kappa(FLEISS), 3) == 0.210
    assert forms.fleiss_kappa(FLEISS) == pytest.approx(fleiss_of_statsmodels(FLEISS))


def test_two_readers_without_missing_tie_the_families_together() -> None:
    counts = forms.ratings(np.random.default_rng(1).integers(0, 3, (40, 2)), 3)
    # Krippendorff's small-sample form of Scott's pi
    assert 1 - forms.krippendorff_alpha(counts) == pytest.approx((1 - forms.fleiss_kappa(counts)) * (80 - 1) / 80)


def test_a_shift_lowers_agreement_and_not_consistency() -> None:
    rng = np.random.default_rng(2)
    values = rng.normal(0, 1, (20, 1)) + rng.normal(0, 0.1, (20, 2))
    shifted = values + np.array([0.0, 3.0])
    assert forms.icc_consistency(shifted) == pytest.approx(forms.icc_consistency(values))
    assert forms.icc_agreement(shifted) < 0.3 < forms.icc_agreement(values)
