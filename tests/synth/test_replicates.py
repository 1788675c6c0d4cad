"""One slide scanned again: the same truth, other noise, place, focus and light, declared in the sheet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ctcfish.errors import ConfigError, UsageError
from ctcfish.io import open_ref, study_slides
from ctcfish.synth.fish import field
from ctcfish.synth.population import field_origins_um, populate
from ctcfish.synth.replicates import ReplicateSpec, read_replicates, replicate_slides, simulate_replicates
from ctcfish.synth.spec import FishScan, Population, SlideSpec
from tests import make

SLIDE = SlideSpec(
    slide_id="tiny",
    seed=4,
    with_if=False,
    fish=FishScan(shape_px=(220, 220), planes=5),
    population=Population(ctc=1, leukocytes=1, touching_pairs=0, ctc_border_um=8.0),
)
SPEC = ReplicateSpec(days=2, scans=2, days_per_lot=1, slide=SLIDE)
TOML = 'days = 1\nscans = 2\n[slide]\nslide_id = "tiny"\nwith_if = false\n[slide.population]\nctc = 1\nleukocytes = 2\n'
TOML += "touching_pairs = 0\n[slide.fish]\nshape_px = [220, 220]\nplanes = 3\n"


def test_the_first_scan_is_repeated_by_all_others() -> None:
    rows = pd.DataFrame([row for _, row in replicate_slides(SPEC)])
    assert rows["slide_id"].tolist() == ["tiny-d1-s1", "tiny-d1-s2", "tiny-d2-s1", "tiny-d2-s2"]
    assert rows["replicate_of"].tolist() == ["", "tiny-d1-s1", "tiny-d1-s1", "tiny-d1-s1"]
    assert rows["day"].tolist() == ["1", "1", "2", "2"]
    assert rows["probe_lot"].tolist() == ["L1", "L1", "L2", "L2"]
    assert set(rows["patient_id"]) == {"tiny"}


def test_truth_is_the_same_in_every_scan() -> None:
    scans = [scan for scan, _ in replicate_slides(SPEC)]
    first, other = (populate(scan) for scan in scans[:2])
    assert [c.copies for c in first] == [c.copies for c in other]
    assert [c.zyx_um[1:] for c in first] == [c.zyx_um[1:] for c in other]
    moved = other[0].zyx_um[0] - first[0].zyx_um[0]
    assert moved == pytest.approx(scans[1].fish.defocus_um - scans[0].fish.defocus_um)
    for one, two in zip(first, other, strict=True):
        np.testing.assert_array_equal(one.loci.zyx_um, two.loci.zyx_um)


def test_the_field_moves_with_the_stage_and_its_truth_with_it() -> None:
    here = field(SLIDE)
    off = SLIDE.fish.model_copy(update={"shift_um": (1.0, -2.0)})
    there = field(SLIDE.model_copy(update={"fish": off}))
    assert field_origins_um(off) == [(1.0, -2.0)]
    both = here.cells.merge(there.cells, on="cell", suffixes=("", "_moved"))
    whole = both[(both["flags"] == "") & (both["flags_moved"] == "")]
    assert len(whole) >= 1
    np.testing.assert_allclose(whole["y_um"] - whole["y_um_moved"], 1.0, atol=0.1)
    np.testing.assert_allclose(whole["x_um"] - whole["x_um_moved"], -2.0, atol=0.1)


def test_noise_is_new_in_a_rescan_and_nothing_else() -> None:
    again = SLIDE.model_copy(update={"fish": SLIDE.fish.model_copy(update={"scan": 1})})
    first, same, second = field(SLIDE), field(SLIDE), field(again)
    np.testing.assert_array_equal(first.pixels, same.pixels)
    difference = second.pixels.astype(float) - first.pixels.astype(float)
    assert (difference != 0).mean() > 0.9
    assert abs(difference.mean()) < 0.5  # of some hundreds
    pd.testing.assert_frame_equal(first.cells, second.cells)


def test_light_varies_by_scan_day_and_lot() -> None:
    still = {"shift_sd_um": 0.0, "defocus_sd_um": 0.0, "background_log_sd": 0.0}
    quiet = still | {"scan_log_sd": 0.0, "day_log_sd": 0.0, "lot_log_sd": 0.0}

    def photons(**spreads: float) -> list[float]:
        spec = SPEC.model_copy(update=quiet | spreads)
        return [scan.signals.photons for scan, _ in replicate_slides(spec)]

    assert len(set(photons())) == 1
    assert len(set(photons(scan_log_sd=0.1))) == 4
    by_day = photons(day_log_sd=0.1)
    assert by_day[0] == by_day[1] != by_day[2] == by_day[3]
    by_lot = photons(lot_log_sd=0.1)
    assert by_lot[0] == by_lot[1] != by_lot[2] == by_lot[3]


def test_spreads_are_those_asked_for() -> None:
    spec = SPEC.model_copy(update={"days": 40, "scans": 25, "shift_sd_um": 2.0, "defocus_sd_um": 0.2})
    scans = [scan.fish for scan, _ in replicate_slides(spec)]
    assert np.std([scan.shift_um for scan in scans]) == pytest.approx(2.0, rel=0.1)
    assert np.std([scan.defocus_um for scan in scans]) == pytest.approx(0.2, rel=0.1)
    assert len({scan.scan for scan in scans}) == 1000


def test_a_study_that_a_batch_can_read(tmp_path: Path) -> None:
    (tmp_path / "spec.toml").write_text(TOML, encoding="utf-8")
    assert make.run("simulate", "replicates", tmp_path / "spec.toml", "--out", tmp_path / "study") == 0
    refs = study_slides(tmp_path / "study")
    slides = [open_ref(ref) for ref in refs]
    assert [slide.slide_id for slide in slides] == ["tiny-d1-s1", "tiny-d1-s2"]
    assert slides[1].sheet["replicate_of"] == "tiny-d1-s1"
    assert slides[1].sheet["probe_lot"] == "L1"
    with pytest.raises(UsageError, match="study: exists already; choose another output folder"):
        simulate_replicates(read_replicates(tmp_path / "spec.toml"), tmp_path / "study")


def test_a_wrong_key_is_named(tmp_path: Path) -> None:
    (tmp_path / "spec.toml").write_text("dayz = 3\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"dayz.*The keys are those of ReplicateSpec"):
        read_replicates(tmp_path / "spec.toml")
