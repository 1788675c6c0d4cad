"""Whether a run is still what its manifest says: inputs, weights, configuration and outputs hashed again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ctcfish.errors import InputError
from ctcfish.resources import resource_dir
from ctcfish.store.manifest import sha256_of
from ctcfish.store.results import read_slide_json
from ctcfish.store.runfiles import output_hashes, read_manifest

Part = Literal["inputs", "weights", "configuration", "outputs"]


@dataclass(frozen=True)
class Problem:
    """One file, or the configuration, that is not what the manifest says.

    Attributes
    ----------
    part : {"inputs", "weights", "configuration", "outputs"}
    what : {"missing", "changed", "extra"}
    name : str
        As the manifest names it; relative, never a path of this machine.
    """

    part: Part
    what: Literal["missing", "changed", "extra"]
    name: str


@dataclass(frozen=True)
class Verification:
    """What was looked at and what did not agree.

    Attributes
    ----------
    checked : mapping of str to int
        How many things of each part were hashed again; a part that could not be looked at is absent.
    problems : tuple of Problem
        Empty where everything agrees.
    """

    checked: Mapping[Part, int]
    problems: tuple[Problem, ...]


def verify_run(run: Path, study: Path | None = None) -> Verification:
    """Hash everything again and compare with the manifest.

    Parameters
    ----------
    run : Path
        Folder of a run.
    study : Path or None
        The study, slide folder or image that was scored; ``None`` leaves the inputs unchecked.

    Returns
    -------
    Verification

    Raises
    ------
    InputError
        No manifest or a damaged one, or no such study.
    """
    said = read_manifest(run)
    outputs, weights = said["outputs_sha256"], said["weights_sha256"]
    installed = {name: _hash_of(resource_dir("models") / name) for name in weights}
    found = output_hashes(run)
    sound = [name for name, digest in outputs.items() if found.get(name) == digest]
    problems = [
        *_differences("outputs", outputs, found),
        *_differences("weights", weights, installed),
        *_configuration(said, [run / name for name in sound if name.count("/") == 1 and name.endswith("/slide.json")]),
    ]
    checked: dict[Part, int] = {"outputs": len(outputs), "weights": len(weights), "configuration": 1}
    if study is not None:
        inputs = said["inputs_sha256"]
        problems += _differences(
            "inputs", inputs, {name: _input_hash(study, name, sha) for name, sha in inputs.items()}
        )
        checked["inputs"] = len(inputs)
    return Verification(checked, tuple(problems))


def _differences(part: Part, said: Mapping[str, str], found: Mapping[str, str | None]) -> Iterator[Problem]:
    """What is missing or changed, then what is there and was not listed; each by name."""
    for name, digest in sorted(said.items()):
        if found.get(name) is None:
            yield Problem(part, "missing", name)
        elif found[name] != digest:
            yield Problem(part, "changed", name)
    for name in sorted(set(found) - set(said)):
        yield Problem(part, "extra", name)


def _configuration(said: Mapping[str, Any], slides: list[Path]) -> Iterator[Problem]:
    """The configuration against its own hash, and that of every slide whose ``slide.json`` is sound against the run's.

    The hash is that of :meth:`ctcfish.config.Config.sha256`, taken here from the manifest's plain values, so that a run
    of an older program, whose configuration had other keys, can be verified too.
    """
    text = json.dumps(said["configuration"], sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(text.encode()).hexdigest()
    if digest != said.get("configuration_sha256"):
        yield Problem("configuration", "changed", "configuration")
    for file in slides:
        if read_slide_json(file.parent).get("configuration_sha256") != digest:
            yield Problem("configuration", "changed", f"{file.parent.name}/slide.json")


def _hash_of(file: Path) -> str | None:
    return sha256_of(file) if file.is_file() else None


def _input_hash(study: Path, name: str, wanted: str) -> str | None:
    """Hash of an input, ``None`` if it is missing.

    It lies in the study's slide folder, in the slide folder given, or is the image given. A study sheet may have led to
    it anywhere below: there only the very same bytes are it, as every slide may have a file of that name.
    """
    if not study.exists():
        raise InputError(study.name, "no such folder", "the study that was scored", "Correct --study.")
    slide, _, rest = name.partition("/")
    if study.is_file():
        return sha256_of(study) if study.name == rest else None
    placed = _hash_of(study / slide / rest) or _hash_of(study / rest)
    if placed is not None:
        return placed
    while rest.endswith("~2"):  # a file outside the slide's folder, of another's name
        rest = rest.removesuffix("~2")
    below = (file for file in study.rglob(Path(rest).name) if file.as_posix().endswith("/" + rest))
    return wanted if any(_hash_of(file) == wanted for file in below) else None
