from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd

from ctcfish import tables
from ctcfish.report.study import ratio_strip, render_study, sensitivity_matrix
from ctcfish.store.results import RUN_TABLES


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


def test_the_matrix_shows_every_rule_and_count(tmp_path: Path) -> None:
    rows = [
        {"patient_id": "B", "rule": "r1", "n_ctc": 4, "n_evaluable": 4, "n_amplified": 0, "eligible": "no"},
        {"patient_id": "A", "rule": "r1", "n_ctc": 5, "n_evaluable": 5, "n_amplified": 3, "eligible": "yes"},
        {"patient_id": "B", "rule": "r2", "n_ctc": 4, "n_evaluable": 4, "n_amplified": 1, "eligible": "yes"},
        {"patient_id": "A", "rule": "r2", "n_ctc": 5, "n_evaluable": 0, "n_amplified": 0, "eligible": "not_evaluable"},
    ]
    table = tables.SENSITIVITY.check(pd.DataFrame(rows))
    shown = sensitivity_matrix(table)
    assert list(shown) == ["A", "B"]
    assert shown == {"A": [("yes", "3"), ("not_evaluable", "·")], "B": [("no", "0"), ("yes", "1")]}
    page = render_study(write_run(tmp_path, sensitivity=table))
    assert '<th class="turned">r1</th><th class="turned">r2</th>' in page
    assert '<tr><th>B</th><td class="no">0</td><td class="yes">1</td></tr>' in page
    assert sensitivity_matrix(tables.SENSITIVITY.empty()) == {}


def test_equal_ratios_of_a_patient_lie_apart() -> None:
    svg = ratio_strip(ctc(("A", 1.0, "not_amplified"), ("A", 1.0, "not_amplified"), ("B", 1.0, "not_amplified")))
    drawn = re.findall(r'<use xlink:href="#\w+" x="([\d.]+)" y="([\d.]+)" style="fill', svg)
    places = [(float(x), float(y)) for x, y in drawn]
    assert len({x for x, _ in places}) == 1
    assert len({y for _, y in places}) == 3


def write_run(out: Path, **frames: pd.DataFrame) -> Path:
    """A run without slides, whose tables are the given ones or of no rows."""
    for table in RUN_TABLES:
        table.check(frames.get(table.name, table.empty())).to_csv(out / f"{table.name}.csv", index=False)
    return out


def test_figures_between_patients_stand_with_their_populations(tmp_path: Path) -> None:
    about = {"rule": "circe_tdm1", "denominator": 118, "population": "patients", "method": "clopper-pearson"}
    rows = [
        about | {"measure": "eligible_share", "value": 14 / 118, "low": 0.0664, "high": 0.1909, "numerator": 14},
        about | {"measure": "amplified_share_rho", "value": 0.213, "low": 0.1, "high": 0.4},
        about | {"measure": "log_ratio_icc", "rule": "counts", "method": "withheld: 3 patients, 10 needed"},
    ]
    measures = tables.STUDY_MEASURES.check(pd.DataFrame(rows))
    page = re.sub(r"\s+", " ", render_study(write_run(tmp_path, study_measures=measures)))
    assert "<td>11.9 % (6.64 %–19.1 %)</td> <td>14 of 118 patients</td>" in page
    assert "<td>0.21 (0.10–0.40)</td> <td>118 patients</td>" in page
    assert "<td>– (–––)</td>" in page
    assert "withheld: 3 patients, 10 needed" in page


def test_a_run_without_patients_says_nothing_between_them(tmp_path: Path) -> None:
    assert "Between patients" not in render_study(write_run(tmp_path))
