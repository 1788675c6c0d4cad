"""What goes wrong with one slide is a row, the others are scored, and a resumed run is the undisturbed one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ctcfish.batch import Plan, run_batch
from ctcfish.config import Config
from ctcfish.engine.workers import Where
from ctcfish.io import study_slides
from ctcfish.unit import Job
from tests.faults import methods
from tests.faults.conftest import STUDY, results

TWO = Where(workers=2)

pytestmark = pytest.mark.xdist_group("cluster")


def score(study: Path, out: Path, config: Config, **plan: Any) -> pd.DataFrame:
    return run_batch(study_slides(study), Job(config, "cpu", out), Plan(**plan), lambda _: None)


def undisturbed(study: Path, config: Config, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """The run in which nothing happens."""
    monkeypatch.delenv(methods.ARM, raising=False)
    out = study.parent / "undisturbed"
    assert len(score(study, out, config)) == 0
    return results(out)


def test_dying_workers_take_no_slide_along(
    study: STUDY, config: Config, armed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = study(a=methods.SOUND, once=methods.DEADLY_ONCE, z=methods.SOUND)
    assert len(score(folder, tmp_path / "out", config, where=TWO)) == 0
    assert (armed / str(methods.DEADLY_ONCE)).exists()
    assert results(tmp_path / "out") == undisturbed(folder, config, monkeypatch)


@pytest.mark.usefixtures("armed")
def test_every_other_fault_is_a_row_with_its_remedy(
    study: STUDY, config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = study(
        a=methods.SOUND,
        bug=methods.BUG,
        full=methods.FULL,
        unreadable=methods.UNREADABLE,
        z=methods.SOUND,
    )
    truncated = folder / "truncated" / "fish" / "a.ome.tif"
    truncated.parent.mkdir(parents=True)
    whole = (folder / "a" / "fish" / "a.ome.tif").read_bytes()
    truncated.write_bytes(whole[: len(whole) * 2 // 3])
    failed = score(folder, tmp_path / "out", config).set_index("slide_id")
    assert failed["cause"].to_dict() == {
        "bug": "ZeroDivisionError",
        "full": "OSError",
        "truncated": failed["cause"]["truncated"],
        "unreadable": "OSError",
    }
    said = failed["message"]
    assert said["bug"] == "unexpected: by zero; run.log holds the details, please report them."
    assert said["full"] == "the disk of the results is full; make room there, then --resume."
    assert said["unreadable"].startswith("Input/output error (scan.tif); see whether the file can be read whole")
    assert not said.str.contains("/a/path").any()
    assert pd.read_csv(tmp_path / "out" / "slides.csv")["slide_id"].tolist() == ["a", "z"]
    truncated.write_bytes(whole)
    expected = undisturbed(folder, config, monkeypatch)
    assert len(score(folder, tmp_path / "out", config)) == 0
    assert results(tmp_path / "out") == expected


@pytest.mark.usefixtures("armed")
def test_an_interrupted_batch_goes_on_to_the_same_bytes(
    study: STUDY, config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = study(a=methods.SOUND, b=methods.INTERRUPTED, c=methods.SOUND)
    with pytest.raises(KeyboardInterrupt):
        score(folder, tmp_path / "out", config)
    assert sorted(p.parent.name for p in (tmp_path / "out").glob("*/slide.json")) == ["a"]
    assert not (tmp_path / "out" / "slides.csv").exists()
    assert len(score(folder, tmp_path / "out", config, where=TWO)) == 0
    assert results(tmp_path / "out") == undisturbed(folder, config, monkeypatch)
