from __future__ import annotations

from xml.etree import ElementTree

import pandas as pd

from ctcfish import tables
from ctcfish.report.study import ratio_strip, sensitivity_matrix


def words(svg: str) -> list[str]:
    return [(e.text or "").strip() for e in ElementTree.fromstring(svg).iter() if (e.text or "").strip()]


def ctc(*rows: tuple[str, float, str]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=["patient_id", "ratio", "call"])


def test_the_strip_has_a_row_per_patient_with_evaluable_ctc() -> None:
    svg = ratio_strip(ctc(("B", 3.0, "amplified"), ("A", 1.0, "not_amplified"), ("C", 1.0, "not_evaluable")))
    said = words(svg)
    assert said.index("A") < said.index("B")
    assert "C" not in said
    assert any("2.2" in word for word in said)
    assert svg == ratio_strip(ctc(("B", 3.0, "amplified"), ("A", 1.0, "not_amplified"), ("C", 1.0, "not_evaluable")))


def test_no_ctc_is_an_empty_strip() -> None:
    ElementTree.fromstring(ratio_strip(ctc()))


def test_the_matrix_shows_every_rule_and_count() -> None:
    rows = [
        {"patient_id": "A", "rule": "r1", "n_ctc": 5, "n_evaluable": 5, "n_amplified": 3, "eligible": "yes"},
        {"patient_id": "A", "rule": "r2", "n_ctc": 5, "n_evaluable": 0, "n_amplified": 0, "eligible": "not_evaluable"},
    ]
    said = words(sensitivity_matrix(tables.SENSITIVITY.check(pd.DataFrame(rows))))
    assert {"A", "r1", "r2", "3", "·"} <= set(said)
    ElementTree.fromstring(sensitivity_matrix(tables.SENSITIVITY.empty()))
