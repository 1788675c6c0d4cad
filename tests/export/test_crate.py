"""The research object: an independent reader finds every file, and every hash is right."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from rocrate.rocrate import ROCrate

from ctcfish.store.atomic import write_text
from ctcfish.store.verify import Problem, verify_run
from tests import make, runs
from tests.export.conftest import names_no_folder

Entity = dict[str, Any]


@pytest.fixture(scope="module")
def exported(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    os.utime(run / "manifest.json", (86400 * 365, 86400 * 365))
    (run / "run.log").write_text(f"{run} began")
    out = tmp_path_factory.mktemp("rocrate") / "out"
    assert make.run("export", run, "--to", "rocrate", "--out", out) == 0
    (run / "run.log").unlink()
    return out


def graph(exported: Path) -> dict[str, Entity]:
    said = json.loads((exported / "ro-crate-metadata.json").read_text(encoding="utf-8"))
    assert said["@context"][0] == "https://w3id.org/ro/crate/1.1/context"
    entities = {entity["@id"]: entity for entity in said["@graph"]}
    assert len(entities) == len(said["@graph"]), "an @id stands twice"
    return entities


def refs(value: Any) -> list[str]:
    return [value["@id"]] if isinstance(value, dict) else [own["@id"] for own in value]


def test_the_descriptor_and_the_root_are_as_the_standard_wants(exported: Path) -> None:
    entities = graph(exported)
    descriptor = entities["ro-crate-metadata.json"]
    assert descriptor["@type"] == "CreativeWork"
    assert (refs(descriptor["about"]), refs(descriptor["conformsTo"])) == (["./"], ["https://w3id.org/ro/crate/1.1"])
    root = entities["./"]
    assert root["@type"] == "Dataset"
    assert root["datePublished"] == "1971-01-01", "the day on which the run was finished"
    assert {"name", "description", "license", "hasPart"} <= set(root)


def test_every_reference_leads_to_an_entity(exported: Path) -> None:
    entities = graph(exported)
    for entity in entities.values():
        for key in ("hasPart", "object", "result", "instrument", "license", "mentions", "about"):
            missing = [ref for ref in refs(entity.get(key, [])) if ref not in entities]
            assert not missing, f"{entity['@id']} {key}"


def test_every_file_is_described_with_its_hash_and_reached_from_the_root(exported: Path) -> None:
    entities = graph(exported)
    on_disk = {p.relative_to(exported).as_posix(): p for p in exported.rglob("*") if p.is_file()}
    on_disk.pop("ro-crate-metadata.json")
    files = {unquote(key): e for key, e in entities.items() if e["@type"] == "File"}
    assert set(files) == set(on_disk)
    for name, entity in files.items():
        content = on_disk[name].read_bytes()
        assert entity["sha256"] == hashlib.sha256(content).hexdigest()
        assert entity["contentSize"] == str(len(content))
        assert "/" in entity["encodingFormat"]
    folders = [e for e in entities.values() if e["@type"] == "Dataset"]
    reached = [ref for folder in folders for ref in refs(folder["hasPart"])]
    assert len(reached) == len(set(reached))
    assert set(reached) == {e["@id"] for e in entities.values() if e["@type"] in ("File", "Dataset")} - {"./"}


def test_tables_say_what_they_are(exported: Path) -> None:
    entities = graph(exported)
    assert entities["a/cells.csv"]["encodingFormat"] == "text/csv"
    assert entities["a/cells.parquet"]["description"] == entities["b/cells.csv"]["description"]
    assert entities["a/labels.ome.zarr/"]["description"] == "Outlines of the nuclei, OME-Zarr 0.5."


def test_inputs_are_named_with_their_hash_and_not_held(exported: Path) -> None:
    entities = graph(exported)
    action = entities["#scoring"]
    inputs = [entities[ref] for ref in refs(action["object"])]
    expected = {f"{slide}/{name}": digest for slide in "ab" for name, digest in runs.INPUTS.items()}
    assert {e["name"]: e["sha256"] for e in inputs} == expected
    assert not list(exported.rglob("*.ome.tif"))
    assert entities["#ctcfish"]["softwareVersion"] == "0.1.0"


def test_a_single_reference_stands_without_a_list(exported: Path) -> None:
    for entity in graph(exported).values():
        assert not [key for key, value in entity.items() if isinstance(value, list) and len(value) == 1]


def test_an_independent_reader_finds_the_same(exported: Path) -> None:
    crate = ROCrate(str(exported))
    entities = graph(exported)
    assert crate.root_dataset["name"] == entities["./"]["name"]
    assert {e.id for e in crate.data_entities} >= {k for k, e in entities.items() if e["@type"] == "File"}
    assert crate.get("#scoring")["instrument"]["name"] == "ctcfish"
    for entity in crate.data_entities:
        if entity.type == "File":
            assert (exported / unquote(entity.id)).is_file()


def test_no_folder_of_the_machine_is_told_and_the_log_stays_behind(exported: Path, run: Path) -> None:
    assert not (exported / "run.log").exists()
    names_no_folder(exported, run)
    assert "'f.tif'" in (exported / "failures.csv").read_text(encoding="utf-8")


def test_the_crate_is_the_run_but_for_the_message_that_named_a_folder(exported: Path, run: Path) -> None:
    assert verify_run(exported).problems == (
        Problem("outputs", "changed", "failures.csv"),
        Problem("outputs", "extra", "ro-crate-metadata.json"),
    )
    assert verify_run(run).problems == ()


def test_a_signature_and_odd_names_travel_along(tmp_path: Path) -> None:
    run = runs.write(tmp_path / "run", runs.result("slide 1 #2"))
    write_text(run / "manifest.sig", "c2ln\n")
    assert make.run("export", run, "--to", "rocrate", "--out", tmp_path / "out") == 0
    entities = graph(tmp_path / "out")
    assert "manifest.sig" in entities
    assert entities["slide%201%20%232/cells.csv"]["name"] == "slide 1 #2/cells.csv"
    crate = ROCrate(str(tmp_path / "out"))
    assert crate.get("slide%201%20%232/cells.csv") is not None
