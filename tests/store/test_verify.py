"""A run against its manifest: every kind of change is named, nothing else is."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ctcfish.errors import InputError
from ctcfish.resources import resource_dir
from ctcfish.store import verify
from ctcfish.store.atomic import write_json
from ctcfish.store.runfiles import output_files, read_manifest, slide_folders
from ctcfish.store.verify import Problem, verify_run
from tests import make, runs


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return runs.write(tmp_path_factory.mktemp("verify") / "run", runs.result("a"), runs.result("b"))


@pytest.fixture
def run(tmp_path: Path, written: Path) -> Path:
    """A copy of the run to do harm to."""
    return shutil.copytree(written, tmp_path / "run")


def edit(run: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the manifest."""
    said = json.loads((run / "manifest.json").read_text(encoding="utf-8"))
    change(said)
    write_json(run / "manifest.json", said)


def test_an_untouched_run_is_as_it_says(run: Path) -> None:
    found = verify_run(run)
    assert found.problems == ()
    listed = json.loads((run / "manifest.json").read_text(encoding="utf-8"))["outputs_sha256"]
    weights = len(list(resource_dir("models").glob("*.safetensors")))
    assert found.checked == {"outputs": len(listed), "weights": weights, "configuration": 1}
    on_disk = {p.relative_to(run).as_posix() for p in run.rglob("*") if p.is_file()}
    assert on_disk - set(listed) == {"manifest.json"}


def test_log_signature_and_work_in_progress_are_no_outputs(run: Path) -> None:
    for name in ("run.log", "manifest.sig", ".a.xyz.partial/cells.csv", "a/.work/unit", ".hidden"):
        (run / name).parent.mkdir(exist_ok=True)
        (run / name).write_text("x")
    assert verify_run(run).problems == ()


def spoil_table(run: Path) -> None:
    (run / "a" / "cells.csv").write_text("cell_id\n")


def spoil_label(run: Path) -> None:
    chunk = next((run / "b" / "labels.ome.zarr" / "labels" / "fish_f" / "0" / "c").glob("0/0"))
    chunk.write_bytes(chunk.read_bytes()[:-1])


CHANGES: dict[str, tuple[Callable[[Path], object], Problem]] = {
    "a table": (spoil_table, Problem("outputs", "changed", "a/cells.csv")),
    "a slide.json": (
        lambda run: (run / "a" / "slide.json").write_text("{"),
        Problem("outputs", "changed", "a/slide.json"),
    ),
    "a byte of a label image": (spoil_label, Problem("outputs", "changed", "b/labels.ome.zarr/labels/fish_f/0/c/0/0")),
    "a file lost": (lambda run: (run / "patients.csv").unlink(), Problem("outputs", "missing", "patients.csv")),
    "a file added": (lambda run: (run / "b" / "note.txt").write_text(""), Problem("outputs", "extra", "b/note.txt")),
    "weights changed": (
        lambda run: edit(run, lambda m: m["weights_sha256"].update({"nuclei.safetensors": "0" * 64})),
        Problem("weights", "changed", "nuclei.safetensors"),
    ),
    "weights missing": (
        lambda run: edit(run, lambda m: m["weights_sha256"].update({"other.safetensors": "0" * 64})),
        Problem("weights", "missing", "other.safetensors"),
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_each_change_is_named_alone(run: Path, name: str) -> None:
    change, problem = CHANGES[name]
    change(run)
    assert verify_run(run).problems == (problem,)


def test_a_lost_slide_is_every_one_of_its_files(run: Path) -> None:
    lost = [f"b/{p.relative_to(run / 'b').as_posix()}" for p in (run / "b").rglob("*") if p.is_file()]
    shutil.rmtree(run / "b")
    assert verify_run(run).problems == tuple(Problem("outputs", "missing", name) for name in sorted(lost))


def test_a_configuration_that_was_edited_fits_neither_its_hash_nor_the_slides(run: Path) -> None:
    edit(run, lambda m: m["configuration"]["call"]["rule"].update(cut="2"))
    named = ["configuration", "a/slide.json", "b/slide.json"]
    assert verify_run(run).problems == tuple(Problem("configuration", "changed", name) for name in named)


def test_a_slide_scored_by_another_configuration_is_named(tmp_path: Path) -> None:
    run = runs.write(tmp_path / "run", runs.result("a"), runs.result("b", configuration_sha256="0" * 64))
    assert verify_run(run).problems == (Problem("configuration", "changed", "b/slide.json"),)


INPUT = b"pixels"


@pytest.fixture
def scored(run: Path) -> Path:
    """The run with the hash of ``INPUT`` for every input."""
    digest = hashlib.sha256(INPUT).hexdigest()
    edit(run, lambda m: m.update(inputs_sha256=dict.fromkeys(m["inputs_sha256"], digest)))
    return run


def lay(root: Path, *names: str, content: bytes = INPUT) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


A, B = ("a/fish/f.ome.tif", "a/if/i.ome.tif"), ("b/fish/f.ome.tif", "b/if/i.ome.tif")


@pytest.mark.parametrize(
    "names",
    [(*A, *B), ("scans/2026/a/fish/f.ome.tif", "x/if/i.ome.tif", *B)],
    ids=["slide folders", "elsewhere below"],
)
def test_inputs_are_found_in_the_study(scored: Path, tmp_path: Path, names: tuple[str, ...]) -> None:
    found = verify_run(scored, lay(tmp_path / "study", *names))
    assert (found.problems, found.checked["inputs"]) == ((), 4)


def test_inputs_missing_and_changed_are_named(scored: Path, tmp_path: Path) -> None:
    """Slide a has files of the same names as b, yet with other bytes they are not b's."""
    study = lay(lay(tmp_path / "study", *A, content=b"other"), B[0])
    assert verify_run(scored, study).problems == (
        *(Problem("inputs", "changed", name) for name in A),
        Problem("inputs", "missing", B[1]),
    )


def test_files_of_one_name_from_two_folders_are_both_found(scored: Path, tmp_path: Path) -> None:
    """The manifest calls the second ``f.tif~2``."""
    study = lay(lay(tmp_path / "study", "x/f.tif"), "y/f.tif", content=b"more")
    digests = {f"a/f.tif{mark}": hashlib.sha256(c).hexdigest() for mark, c in (("", INPUT), ("~2", b"more"))}
    edit(scored, lambda m: m.update(inputs_sha256=digests))
    assert verify_run(scored, study).problems == ()
    (study / "y" / "f.tif").write_bytes(b"other")
    assert verify_run(scored, study).problems == (Problem("inputs", "missing", "a/f.tif~2"),)


def test_a_slide_folder_or_an_image_is_a_study_too(scored: Path, tmp_path: Path) -> None:
    folder = lay(tmp_path / "any name", "fish/f.ome.tif", "if/i.ome.tif")
    assert verify_run(scored, folder).problems == ()
    edit(scored, lambda m: m.update(inputs_sha256={"a/f.ome.tif": m["inputs_sha256"][A[0]]}))
    assert verify_run(scored, folder / "fish" / "f.ome.tif").problems == ()
    other = lay(tmp_path, "g.ome.tif") / "g.ome.tif"
    assert verify_run(scored, other).problems == (Problem("inputs", "missing", "a/f.ome.tif"),)


def test_a_study_that_is_not_there_is_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere: found no such folder; needed the study that was scored"):
        verify_run(run, tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "run: found no manifest.json; needed the folder of a finished run"),
        ("{", "run/manifest.json: found Expecting property name"),
        ("[]", "run/manifest.json: found no configuration"),
        ('{"configuration": {}, "weights_sha256": {}, "inputs_sha256": []}', "found no inputs_sha256"),
        (
            '{"configuration": {}, "weights_sha256": {}, "inputs_sha256": {}, "outputs_sha256": {"../x": ""}}',
            r"found a name that leads out of the run \(\.\./x\)",
        ),
    ],
    ids=["none", "no JSON", "no object", "a part is no object", "a way out"],
)
def test_a_damaged_manifest_is_refused(run: Path, text: str | None, message: str) -> None:
    (run / "manifest.json").unlink()
    if text is not None:
        (run / "manifest.json").write_text(text)
    with pytest.raises(InputError, match=message):
        read_manifest(run)


def test_folders_without_a_slide_are_no_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"found no scored slide; needed the folder of a run"):
        slide_folders(tmp_path)
    assert output_files(tmp_path) == {}


def test_a_run_of_failures_alone_can_be_verified(tmp_path: Path) -> None:
    (tmp_path / "slides.csv").write_text("slide_id\n")
    assert verify_run(runs.seal(tmp_path, [])).problems == ()


def test_the_command_names_files_and_ends_with_6(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert make.run("verify", run) == 0
    said = capsys.readouterr().out
    assert re.search(r"outputs: \d+ as in the manifest", said)
    assert "inputs: not checked; give --study" in said
    spoil_table(run)
    (run / "b" / "note.txt").write_text("")
    assert make.run("verify", run) == 6
    out, err = capsys.readouterr()
    assert "  outputs changed: a/cells.csv\n  outputs extra: b/note.txt" in out
    assert err == "ctcfish: run is not what its manifest says: changed a/cells.csv, extra b/note.txt.\n"
    assert make.run("verify", run, "--json") == 6
    assert json.loads(capsys.readouterr().out)["problems"][0] == {
        "part": "outputs",
        "what": "changed",
        "name": "a/cells.csv",
    }


def test_many_problems_are_counted_in_the_message(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(run / "b")
    assert make.run("verify", run) == 6
    assert " more." in capsys.readouterr().err


def test_verify_reads_the_hash_of_the_program(monkeypatch: pytest.MonkeyPatch, run: Path, tmp_path: Path) -> None:
    """Weights are those installed now, not a list that travels with the run."""
    monkeypatch.setattr(verify, "resource_dir", lambda _: tmp_path)
    names = sorted(p.name for p in resource_dir("models").glob("*.safetensors"))
    assert verify_run(run).problems == tuple(Problem("weights", "missing", name) for name in names)
