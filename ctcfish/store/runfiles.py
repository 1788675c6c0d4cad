"""The files of a run: which of them are its outputs, and what its manifest says."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import Any

from ctcfish.errors import InputError
from ctcfish.store.manifest import sha256_of

MANIFEST = "manifest.json"
SIGNATURE = "manifest.sig"
LOG = "run.log"

NO_OUTPUTS = (MANIFEST, SIGNATURE, LOG)
"""Files beside the slides that the manifest does not list: itself, its signature, and the log with its clock."""


def read_manifest(run: Path) -> dict[str, Any]:
    """What ``manifest.json`` of a run says.

    Raises
    ------
    InputError
        No manifest, one that is no JSON object, lacks a part, or names a file outside the run.
    """
    try:
        said = json.loads((run / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(run.name, f"no {MANIFEST}", "the folder of a finished run", "Finish it first.") from None
    except (ValueError, OSError) as error:
        raise _damaged(run, str(error)) from None
    parts = ("configuration", "weights_sha256", "inputs_sha256", "outputs_sha256")
    lacking = [part for part in parts if not isinstance(said, dict) or not isinstance(said.get(part), dict)]
    if lacking:
        raise _damaged(run, f"no {lacking[0]}")
    for name in (*said["inputs_sha256"], *said["outputs_sha256"]):
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise _damaged(run, f"a name that leads out of the run ({name})")
    return dict(said)


def output_files(run: Path) -> dict[str, Path]:
    """Files of a run that its manifest should list, by name relative to the run, in order.

    What is hidden (a name that begins with a dot) is work in progress and no output.
    """
    found = {path.relative_to(run).as_posix(): path for path in run.rglob("*") if path.is_file()}
    shown = {name: path for name, path in found.items() if not any(p.startswith(".") for p in name.split("/"))}
    return {name: shown[name] for name in sorted(shown) if name not in NO_OUTPUTS}


def output_hashes(run: Path) -> dict[str, str]:
    """SHA-256 of every output of a run, read from the files themselves."""
    return {name: sha256_of(path) for name, path in output_files(run).items()}


def slide_folders(run: Path) -> dict[str, Path]:
    """Folders of the finished slides of a run by slide, in order of their names.

    Raises
    ------
    InputError
        Not a single one.
    """
    found = {path.parent.name: path.parent for path in sorted(run.glob("*/slide.json"))}
    shown = {name: folder for name, folder in found.items() if not name.startswith(".")}
    if not shown:
        raise InputError(run.name, "no scored slide", "the folder of a run", "Give the folder that `--out` named.")
    return shown


def _damaged(run: Path, found: str) -> InputError:
    return InputError(f"{run.name}/{MANIFEST}", found, "the manifest that the run wrote", "Restore it from a copy.")
