"""A run as an RO-Crate 1.1: its files, and one page of JSON-LD that says what each is and how it came about.

The crate holds what the manifest lists, and the manifest with its signature. The log stays out, as it names folders and
times of a machine; of the inputs only name and hash are told.
"""

from __future__ import annotations

import datetime
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ctcfish import tables
from ctcfish.export.tables import without_folders
from ctcfish.store.atomic import write_json
from ctcfish.store.manifest import sha256_of
from ctcfish.store.runfiles import MANIFEST, SIGNATURE, output_files, read_manifest
from ctcfish.store.tablefiles import read_csv, write_csv

METADATA = "ro-crate-metadata.json"
CONTEXT = [
    "https://w3id.org/ro/crate/1.1/context",
    {"sha256": "https://w3id.org/ro/terms/workflow-run#sha256"},
]

Entity = dict[str, Any]

FIXED: tuple[Entity, ...] = (
    {
        "@id": METADATA,
        "@type": "CreativeWork",
        "about": {"@id": "./"},
        "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
    },
    {
        "@id": "#licence",
        "@type": "CreativeWork",
        "name": "None stated",
        "description": "No licence was given with the data; ask the laboratory that made the run.",
    },
    {"@id": "https://spdx.org/licenses/BSD-3-Clause", "@type": "CreativeWork", "name": "BSD-3-Clause"},
)
"""Entities that are the same in every crate."""

MEANINGS = {
    "cells": "Every nucleus: counts, intervals, calls.",
    "spots": "Every signal and what became of it.",
    "if_cells": "Every nucleus of the immunofluorescence scan.",
    "slides": "A row a slide.",
    "patients": "A row a patient.",
    "heterogeneity": "Metrics of heterogeneity of each patient.",
    "sensitivity": "Every patient under every rule.",
    "failures": "Slides that were not scored, and why.",
    "slide": "What the slide said of itself: model, error rates, relocation.",
    "report": "The report, to be read in a browser.",
    "data_dictionary": "Meaning and unit of every column.",
    "manifest": "Configuration, versions, and the SHA-256 of everything that went in and came out.",
}
"""What a file is, by its stem."""

FORMATS = {
    ".csv": "text/csv",
    ".html": "text/html",
    ".json": "application/json",
    ".parquet": "application/vnd.apache.parquet",
    ".sig": "text/plain",
}


def export_crate(run: Path, out: Path) -> None:
    """Copy a run into ``out`` and write its ``ro-crate-metadata.json``.

    Parameters
    ----------
    run : Path
    out : Path
        An existing folder.
    """
    said = read_manifest(run)
    for name, file in (output_files(run) | _sealed(run)).items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, out / name)
    failures = read_csv(run / "failures.csv", tables.FAILURES)
    cleaned = [without_folders(text) for text in failures["message"]]
    if cleaned != failures["message"].tolist():
        write_csv(failures.assign(message=cleaned), tables.FAILURES, out / "failures.csv")
    finished = datetime.datetime.fromtimestamp((run / MANIFEST).stat().st_mtime, tz=datetime.UTC).date().isoformat()
    write_json(out / METADATA, {"@context": CONTEXT, "@graph": graph(out, said, finished)})


def graph(crate: Path, said: Mapping[str, Any], finished: str) -> list[Entity]:
    """Entities of a crate.

    Parameters
    ----------
    crate : Path
        Folder with the run's files.
    said : mapping
        The run's manifest.
    finished : str
        Day on which the run was finished (ISO 8601).
    """
    files = {name: _file(name, path) for name, path in (output_files(crate) | _sealed(crate)).items()}
    stores = _stores(files)
    inside = {name for store in stores.values() for name in store}
    shown = {name: entity for name, entity in files.items() if name not in inside}
    folders = [_dataset(name, [files[part] for part in parts]) for name, parts in stores.items()]
    inputs = [_input(name, digest) for name, digest in sorted(said["inputs_sha256"].items())]
    parts = [*shown.values(), *folders]
    return [
        *FIXED,
        {
            "@id": "./",
            "@type": "Dataset",
            "name": "HER2 FISH on circulating tumour cells, scored by ctcfish",
            "description": "Nuclei, signals, calls and patients of one run. Research use only.",
            "datePublished": finished,
            "license": {"@id": "#licence"},
            "hasPart": _ids(parts),
            "mentions": {"@id": "#scoring"},
        },
        {
            "@id": "#scoring",
            "@type": "CreateAction",
            "name": "Scoring of the slides",
            "instrument": {"@id": "#ctcfish"},
            "object": _ids(inputs),
            "result": _ids(parts),
            "description": f"Configuration of SHA-256 {said['configuration_sha256']}; the manifest holds it in full.",
        },
        {
            "@id": "#ctcfish",
            "@type": "SoftwareApplication",
            "name": "ctcfish",
            "softwareVersion": said["version"],
            "license": {"@id": "https://spdx.org/licenses/BSD-3-Clause"},
        },
        *inputs,
        *parts,
        *(files[name] for name in sorted(inside)),
    ]


def _sealed(run: Path) -> dict[str, Path]:
    return {name: run / name for name in (MANIFEST, SIGNATURE) if (run / name).is_file()}


def _ids(entities: Iterable[Entity]) -> Entity | list[Entity]:
    """References; the standard would have a single one stand without a list."""
    found = [{"@id": entity["@id"]} for entity in entities]
    return found[0] if len(found) == 1 else found


def _stores(files: Mapping[str, Entity]) -> dict[str, list[str]]:
    """Files of each Zarr folder, which is one thing of many files."""
    stores: dict[str, list[str]] = {}
    for name in files:
        head, found, _ = name.partition(".zarr/")
        if found:
            stores.setdefault(f"{head}.zarr/", []).append(name)
    return stores


def _file(name: str, path: Path) -> Entity:
    entity = {
        "@id": quote(name),
        "@type": "File",
        "name": name,
        "encodingFormat": FORMATS.get(path.suffix, "application/octet-stream"),
        "contentSize": str(path.stat().st_size),
        "sha256": sha256_of(path),
    }
    meaning = MEANINGS.get(path.stem)
    return entity | ({"description": meaning} if meaning else {})


def _dataset(name: str, parts: list[Entity]) -> Entity:
    labels = name.endswith("labels.ome.zarr/")
    return {
        "@id": quote(name),
        "@type": "Dataset",
        "name": name,
        "description": "Outlines of the nuclei, OME-Zarr 0.5." if labels else "Windows and views of the report, Zarr.",
        "hasPart": _ids(parts),
    }


def _input(name: str, digest: str) -> Entity:
    return {
        "@id": f"#input/{quote(name)}",
        "@type": "CreativeWork",
        "name": name,
        "sha256": digest,
        "description": "Went in; not part of the crate.",
    }
