"""The truth as a reader would meet it: how often signals hide each other, and what states look like."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ctcfish.synth import SlideSpec
from ctcfish.synth.body import paint
from ctcfish.synth.population import populate
from ctcfish.synth.spec import CopyClass, FishScan, Nuisance, Population
from ctcfish.synth.truth import cell_rows, found_again, spot_rows, with_partners

ORIGIN = (0.0, 0.0)


def truth(mix: CopyClass, n: int = 120, nuisance: Nuisance | None = None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Cells and signals of one state, without a picture."""
    spec = SlideSpec(
        seed=7,
        fish=FishScan(shape_px=(1400, 1400), pixel_um=0.13),
        population=Population(ctc=n, leukocytes=0, touching_pairs=0, ctc_mix={mix: 1}),
        nuisance=nuisance or Nuisance(),
    )
    labels, shown, areas = paint(populate(spec), ORIGIN, spec.fish)
    spots = spot_rows(spec, "f", shown, ORIGIN)
    return cell_rows(spec, "f", shown, (labels, areas, ORIGIN), spots), spots


def test_few_diploid_nuclei_hide_a_signal() -> None:
    cells, _ = truth("diploid")
    hidden = (cells.loc[cells["reason"] == "", "countable_her2"] < 2).mean()
    assert 0.0 < hidden < 0.12
    assert (cells["true_her2"] == 2).all()


def test_sisters_mostly_count_once() -> None:
    cells, spots = truth("g2")
    whole = cells[cells["reason"] == ""]
    assert whole["true_her2"].eq(4).all()
    assert whole["countable_her2"].between(1, 4).all()
    assert 1.8 < whole["countable_her2"].mean() < 3.2
    assert (spots["status"] == "doublet").mean() > 0.2


@pytest.mark.parametrize(
    ("state", "share"),
    [("amplified_dispersed", 0.97), ("amplified_cluster", 0.85), ("amplified_hsr", 0.97)],
)
def test_amplified_states_are_mostly_countably_amplified(state: CopyClass, share: float) -> None:
    cells, _ = truth(state, 60)
    whole = cells[cells["reason"] == ""]
    assert (whole["true_call"] == "amplified").all()
    assert (whole["call"] == "amplified").mean() >= share


@pytest.mark.parametrize("state", ["polysomy", "monosomy", "coamplified", "cep17_loss"])
def test_other_states_are_not_amplified_in_truth(state: CopyClass) -> None:
    cells, _ = truth(state, 60)
    assert (cells["true_call"] == "not_amplified").all()


def test_compact_clusters_are_one_cluster_each() -> None:
    cells, spots = truth("amplified_hsr", 50)
    inside = spots[(spots["group"] > 0) & spots["label"].isin(cells.loc[cells["reason"] == "", "label"])]
    one = inside.groupby(["label", "group"])["cluster"].agg(lambda c: c[c > 0].nunique())
    assert (one == 1).mean() > 0.95
    assert (inside["cluster"] > 0).mean() > 0.95
    assert cells["compact"].all()


def test_clusters_are_numbered_apart_for_each_probe() -> None:
    _, spots = truth("amplified_cluster", 40)
    for _, own in spots[spots["cluster"] > 0].groupby("probe"):
        assert own.groupby("cluster")["label"].nunique().max() == 1
        assert sorted(own["cluster"].unique()) == list(range(1, own["cluster"].nunique() + 1))
        assert own.groupby("cluster").size().min() >= 3


def test_doublets_are_never_in_clusters() -> None:
    _, spots = truth("amplified_dispersed", 60)
    assert not ((spots["status"] == "doublet") & (spots["cluster"] > 0)).any()
    assert spots["spot_id"].tolist() == list(range(1, len(spots) + 1))


def test_cells_without_signals_have_no_ratio() -> None:
    cells, spots = truth("diploid", 20, Nuisance(unhybridised_share=1.0))
    assert len(spots) == 0
    assert cells["ratio"].isna().all()
    assert (cells["true_call"] == "not_amplified").all()


def test_ratio_is_of_countable_signals() -> None:
    cells, _ = truth("gain_4_2", 30)
    known = cells[cells["cep17_count"] > 0]
    np.testing.assert_allclose(
        known["ratio"], known["countable_her2"].to_numpy(float) / known["countable_cep17"].to_numpy(float)
    )


def test_partners_both_ways() -> None:
    cells = pd.DataFrame({"cell": [1, 2], "if_scene": [None, None]}).assign(
        if_label=pd.array([None, None], "Int64"), if_y_um=np.nan, if_x_um=np.nan
    )
    seen = pd.DataFrame(
        {"cell": [2, 3], "if_scene": "scan", "if_label": [7, 8], "if_y_um": [1.5, 2.5], "if_x_um": [0.5, 0.6]}
    )
    joined = with_partners(cells, seen)
    assert joined["if_label"].tolist() == [pd.NA, 7]
    assert joined["if_y_um"].tolist()[1] == 1.5
    assert found_again(seen, cells)["in_fish"].tolist() == [True, False]
