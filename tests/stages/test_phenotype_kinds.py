"""Densities, shares, the slide's leukocytes and the gates, on tables made by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad
from scipy.stats import t as student

from ctcfish import gates as gate_files
from ctcfish.errors import ConfigError
from ctcfish.gates import gate_names, load_gates
from ctcfish.parameters import Gate, GateSet, Phenotype
from ctcfish.stages.immuno.kinds import Marker, _student, densities, shares
from ctcfish.stages.immuno.leukocytes import leukocyte_model
from ctcfish.stages.phenotype import classify

PARAMS = Phenotype()


def _table(ck: np.ndarray, cd45: np.ndarray, seed: int = 0) -> pd.DataFrame:
    n = len(ck)
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "if_label": np.arange(1, n + 1),
            "if_y_um": rng.uniform(0, 500, n),
            "if_x_um": rng.uniform(0, 500, n),
            "area_um2": rng.lognormal(np.log(38), 0.15, n),
            "if_inclusion_cell": ck,
            "if_exclusion_cell": cd45,
            "if_her2_protein_cell": rng.normal(5, 2, n),
            "if_inclusion_noise": 10.0,
            "if_exclusion_noise": 10.0,
            "if_her2_protein_noise": 10.0,
            "if_inclusion_overlap": 1.0,
            "flags": "",
        }
    )


def _slide(leukocytes: int, ctc: int, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    ck = np.concatenate([rng.lognormal(2.5, 0.5, leukocytes), rng.lognormal(6.5, 0.35, ctc)])
    cd45 = np.concatenate([rng.lognormal(5.8, 0.35, leukocytes), rng.lognormal(2.0, 0.6, ctc)])
    return _table(ck, cd45, seed)


def test_student_density_is_scipys_and_integrates_to_one() -> None:
    values = np.linspace(-4, 9, 50)
    for freedom in (5.0, 8.0):
        found = _student(values, 2.0, 0.7, freedom)
        np.testing.assert_allclose(found, student.pdf(values, freedom, 2.0, 0.7))
    assert quad(lambda v: float(_student(np.array([v]), 0, 1, 5.0)[0]), -60, 60)[0] == pytest.approx(1, abs=1e-3)


def test_shares_recover_a_known_mixture() -> None:
    rng = np.random.default_rng(1)
    kind = rng.choice(2, 20000, p=[0.9, 0.1])
    value = rng.normal(np.array([0.0, 4.0])[kind], 1.0)
    density = np.full((20000, 4), 1e-300)
    density[:, 0], density[:, 1] = (np.exp(-0.5 * (value - m) ** 2) for m in (0.0, 4.0))
    assert shares(density)[:2] == pytest.approx([0.9, 0.1], abs=0.01)


def test_shares_of_nothing_are_the_start_and_none_vanishes() -> None:
    assert shares(np.zeros((0, 4))).sum() == pytest.approx(1)
    only = np.full((500, 4), 1e-300)
    only[:, 0] = 1.0
    assert shares(only) == pytest.approx([501 / 504, 1 / 504, 1 / 504, 1 / 504], rel=0.01)


def test_model_finds_leukocytes_among_many_ctc() -> None:
    for leukocytes, ctc in ((2000, 0), (300, 30), (60, 120)):
        model = leukocyte_model([_slide(leukocytes, ctc)])
        assert model.origin == "slide"
        assert abs(model.n_leukocytes - leukocytes) <= 0.1 * leukocytes
        within = 2 / np.sqrt(leukocytes)
        assert model.markers["exclusion"].location == pytest.approx(np.arcsinh(np.exp(5.8) / 10), abs=within)
        assert model.markers["inclusion"].location == pytest.approx(np.arcsinh(np.exp(2.5) / 10), abs=within)


def test_order_of_the_fields_does_not_matter() -> None:
    one, two = _slide(100, 5, 1), _slide(150, 3, 2)
    here, there = leukocyte_model([one, two]), leukocyte_model([two, one])
    assert here.markers == there.markers
    assert here.summary()["shares"] == pytest.approx(there.summary()["shares"])


def test_absent_cd45_is_learnt_where_there_are_ctc() -> None:
    without, with_ctc = leukocyte_model([_slide(500, 0)]), leukocyte_model([_slide(500, 80)])
    assert without.markers["exclusion"].absent_scale == 0.9
    learnt = with_ctc.markers["exclusion"]
    assert learnt.absent_location == pytest.approx(np.arcsinh(np.exp(2.0) / 10), abs=0.15)
    assert learnt.absent_scale < 0.7
    ck = with_ctc.markers["inclusion"]
    assert ck.present_location == pytest.approx(np.arcsinh(np.exp(6.5) / 10), abs=0.15)
    assert ck.present_weight == pytest.approx(0.9 * 80 / 90, abs=0.03)
    assert without.markers["inclusion"].present_weight == 0.0


def _tailed(freedom: float | None, leukocytes: int = 6000, ctc: int = 60, seed: int = 4) -> pd.DataFrame:
    """Leukocytes with Student cytokeratin (normal without degrees of freedom) on the softened logarithm, and CTC."""
    rng = np.random.default_rng(seed)
    deviation = rng.standard_normal(leukocytes) if freedom is None else rng.standard_t(freedom, leukocytes)
    ck = np.concatenate([10 * np.sinh(1.7 + 0.7 * deviation.clip(-9, 9)), rng.lognormal(6.6, 0.35, ctc)])
    cd45 = np.concatenate([rng.lognormal(5.8, 0.35, leukocytes), rng.lognormal(3.2, 0.8, ctc)])
    return _table(ck, cd45, seed)


@pytest.mark.parametrize(("freedom", "learnt"), [(2.0, {4.0}), (6.0, {4.0, 8.0}), (None, {16.0, 32.0})])
def test_the_tail_of_cytokeratin_is_learnt_from_the_slides_leukocytes(
    freedom: float | None, learnt: set[float]
) -> None:
    markers = leukocyte_model([_tailed(freedom)]).markers
    assert markers["inclusion"].freedom in learnt
    assert (markers["exclusion"].freedom, markers["her2_protein"].freedom) == (5.0, 8.0)


@pytest.mark.parametrize("seed", range(4))
def test_a_few_leukocytes_do_not_change_the_usual_tail(seed: int) -> None:
    assert leukocyte_model([_tailed(None, 40, 3, seed)]).markers["inclusion"].freedom == 8.0


def test_ctc_are_no_tail_of_the_leukocytes() -> None:
    """As many CTC as are a tenth of the slide leave the leukocytes as light-tailed as they are without."""
    few, many = (leukocyte_model([_tailed(None, 3000, ctc)]).markers["inclusion"].freedom for ctc in (0, 300))
    assert min(few, many) >= 16.0


def test_a_light_tail_makes_the_doubtful_sure_and_a_heavy_one_does_not() -> None:
    doubtful = _table(np.array([450.0]), np.array([120.0]), 1)
    p = []
    for freedom in (3.0, None):
        model = leukocyte_model([_tailed(freedom)])
        chances = densities(doubtful, model.markers) * np.asarray(model.shares)
        p.append(float(chances[0, 1] / chances.sum()))
    assert p[0] < 0.6
    assert p[1] > 0.8


def test_what_was_learnt_of_ctc_sharpens_their_probability() -> None:
    few, many = _slide(500, 1, 3), _slide(500, 60, 3)
    typical = _table(np.array([np.exp(6.5)]), np.array([60.0]), 1)
    p = [
        classify(typical, leukocyte_model([slide]), load_gates("gates_cellsearch"), PARAMS)["kind_probability"][0]
        for slide in (few, many)
    ]
    assert p[1] > p[0]


def test_kinds_of_clear_and_unclear_cells() -> None:
    slide = _slide(500, 20)
    odd = _table(np.array([700.0, 10.0, 700.0, 60.0]), np.array([5.0, 5.0, 330.0, 60.0]), 9)
    model = leukocyte_model([slide])
    cells = classify(odd, model, load_gates("gates_cellsearch"), PARAMS)
    assert cells["kind"].tolist()[:3] == ["ctc", "other", "unknown"]
    assert cells["flags"].tolist()[2] == "UNSURE_KIND"
    assert cells["kind_probability"][0] > 0.99


def test_fragments_and_half_covered_nuclei_are_no_ctc() -> None:
    slide = _slide(500, 20)
    cells = slide.tail(3).reset_index(drop=True)
    cells.loc[0, "area_um2"] = 9.0
    cells.loc[1, "if_inclusion_overlap"] = 0.3
    kinds = classify(cells, leukocyte_model([slide]), load_gates("gates_cellsearch"), PARAMS)["kind"]
    assert kinds.tolist() == ["unknown", "unknown", "ctc"]


@pytest.mark.parametrize(
    ("value", "passes"), [(30.9, False), (31.0, True), (819.0, True), (819.1, False), (np.nan, False)]
)
def test_gate_bounds_are_inclusive_and_missing_does_not_pass(value: float, passes: bool) -> None:
    slide = _slide(300, 20)
    cells = slide.tail(1).assign(if_inclusion_area_um2=value).reset_index(drop=True)
    gate = GateSet(
        name="g",
        version="1",
        source="test",
        gates=(Gate(feature="if_inclusion_area_um2", unit="um2", min=31.0, max=819.0),),
    )
    kind = classify(cells, leukocyte_model([slide]), gate, PARAMS)["kind"][0]
    assert (kind == "ctc") == passes


@pytest.mark.parametrize("feature", ["if_no_such_column", "her2_sds"])
def test_a_gate_on_what_was_not_measured_is_not_passed(feature: str) -> None:
    slide = _slide(300, 20)
    unit = "leukocyte_sd" if feature.endswith("sds") else "um2"
    gate = GateSet(name="g", version="1", source="test", gates=(Gate(feature=feature, unit=unit, min=0.0),))
    assert not (classify(slide, leukocyte_model([slide]), gate, PARAMS)["kind"] == "ctc").any()


def test_a_value_that_is_missing_speaks_for_no_kind() -> None:
    marker = Marker(10.0, 3.5, 0.35, 300.0, 100.0)
    cells = _table(np.array([np.nan]), np.array([np.nan]))
    assert densities(cells, {"inclusion": marker, "exclusion": marker}).tolist() == [[1.0, 1.0, 1.0, 1.0]]


def test_shipped_gates_are_the_published_values() -> None:
    assert gate_names() == ["gates_cellsearch", "gates_ligthart"]
    values = {g.feature: (g.unit, g.min, g.max) for g in load_gates("gates_ligthart").gates}
    assert values == {
        "if_inclusion_sd": ("adu_12bit", 50.0, None),
        "if_inclusion_area_um2": ("um2", 31.0, 819.0),
        "if_nucleus_max": ("adu_12bit", 170.0, None),
        "if_exclusion_max": ("adu_12bit", None, 60.0),
    }


def test_unknown_gates_name_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"gates 'gates_x' are not known; the gate files are gates_cellsearch"):
        load_gates("gates_x")


def test_a_wrong_gate_file_says_what_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gates_bad.toml").write_text(
        'name = "b"\nversion = "1"\nsource = "s"\n[[gates]]\nfeature = "x"\nunit = "furlong"\n'
    )
    monkeypatch.setattr(gate_files, "resource_dir", lambda _: tmp_path)
    with pytest.raises(ConfigError, match=r"gates gates_bad: gates\.0\.unit: .*furlong"):
        load_gates("gates_bad")
