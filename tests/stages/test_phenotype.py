"""Kinds of IF nuclei, against a simulated scan with truth and hand-made tables."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from ctcfish.gates import load_gates
from ctcfish.parameters import Phenotype
from ctcfish.stages.immuno.leukocytes import leukocyte_model
from ctcfish.stages.immuno.markers import measure
from ctcfish.stages.phenotype import Phenotyped, classify, phenotype
from ctcfish.synth.stained import StainedScan, Staining, stain
from ctcfish.tables import IF_CELLS

PARAMS, GATES = Phenotype(), load_gates("gates_cellsearch")


@pytest.fixture(scope="module")
def scan() -> StainedScan:
    return stain(Staining(leukocytes=500, ctc=12, debris=30, doublets=3, bare=5), seed=4)


@pytest.fixture(scope="module")
def found(scan: StainedScan) -> Phenotyped:
    return phenotype({"a": measure(scan.pixels, scan.nuclei, PARAMS)}, PARAMS, GATES)


def test_ctc_are_told_from_leukocytes(scan: StainedScan, found: Phenotyped) -> None:
    truth, kind = scan.truth["kind"].to_numpy(), found.cells["kind"].to_numpy()
    assert (kind[truth == "ctc"] == "ctc").sum() >= 11
    assert not (kind[truth == "wbc"] == "ctc").any()
    assert (kind[truth == "wbc"] == "wbc").mean() > 0.98


def test_table_is_the_declared_one(scan: StainedScan, found: Phenotyped) -> None:
    table = IF_CELLS.check(found.cells.assign(slide_id="s"))
    assert len(table) == len(scan.nuclei)
    assert table["if_label"].tolist() == scan.nuclei.label.tolist()
    assert (table["flags"].str.contains("UNSURE_KIND") == (table["kind"] == "unknown")).all()


def test_her2_protein_is_high_in_amplified_cells(scan: StainedScan, found: Phenotyped) -> None:
    ctc = scan.truth["kind"].to_numpy() == "ctc"
    high = found.cells["her2_protein_class"].to_numpy() == "high"
    amplified = scan.truth["her2_amplified"].to_numpy()
    assert amplified[ctc].any()
    assert (high[ctc] == amplified[ctc]).mean() > 0.8
    assert (found.cells["her2_protein_class"][~ctc] == "negative").mean() > 0.95


def test_two_fields_are_judged_by_one_population(scan: StainedScan, found: Phenotyped) -> None:
    both = phenotype(dict.fromkeys("ab", measure(scan.pixels, scan.nuclei, PARAMS)), PARAMS, GATES)
    assert len(both.cells) == 2 * len(found.cells)
    assert both.model.n_leukocytes == 2 * found.model.n_leukocytes
    assert both.model.markers["inclusion"].location == pytest.approx(found.model.markers["inclusion"].location)


@pytest.mark.parametrize("role", ["inclusion", "exclusion"])
def test_without_a_stain_no_cell_is_a_ctc(scan: StainedScan, role: str) -> None:
    pixels = {name: image for name, image in scan.pixels.items() if name != role}
    cells = phenotype({"a": measure(pixels, scan.nuclei, PARAMS)}, PARAMS, GATES).cells
    assert cells[f"if_{role}_cell"].isna().all()
    assert not (cells["kind"] == "ctc").any()


def test_no_nuclei_is_a_table_of_no_rows(scan: StainedScan) -> None:
    none = replace(
        scan.nuclei,
        label=scan.nuclei.label[:0],
        box_px=scan.nuclei.box_px[:0],
        packed=(),
        centroid_um=scan.nuclei.centroid_um[:0],
        area_um2=scan.nuclei.area_um2[:0],
        focus=scan.nuclei.focus[:0],
        flags=scan.nuclei.flags[:0],
    )
    result = phenotype({"a": measure(scan.pixels, none, PARAMS)}, PARAMS, GATES)
    assert len(IF_CELLS.check(result.cells.assign(slide_id="s"))) == 0
    assert result.model.origin == "default"


def test_no_field_is_a_table_of_no_rows() -> None:
    result = phenotype({}, PARAMS, GATES)
    assert len(result.cells) == 0


def test_few_leukocytes_give_no_protein_class(scan: StainedScan) -> None:
    measured = measure(scan.pixels, scan.nuclei, PARAMS).iloc[:10]
    model = leukocyte_model([measured], PARAMS.min_leukocytes)
    cells = classify(measured, model, GATES, PARAMS)
    assert model.origin == "default"
    assert cells["her2_protein"].isna().all()
    assert pd.isna(cells["her2_protein_class"]).all()


def test_kinds_do_not_follow_gain_and_offset(scan: StainedScan, found: Phenotyped) -> None:
    brighter = {role: image.astype(np.float64) * 0.5 + 300 for role, image in scan.pixels.items()}
    cells = phenotype({"a": measure(brighter, scan.nuclei, PARAMS)}, PARAMS, GATES).cells
    assert (cells["kind"].to_numpy() == found.cells["kind"].to_numpy()).mean() > 0.999
