"""What went in and what came out: versions, configuration, and the SHA-256 of every file.

No clock, host, worker count or absolute path stands here, so that equal work gives equal bytes.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from ctcfish.config import Config
from ctcfish.resources import resource_dir

PACKAGES = (
    "numpy",
    "scipy",
    "torch",
    "numba",
    "scikit-image",
    "opencv-python-headless",
    "tifffile",
    "zarr",
    "duckdb",
    "pandas",
)
BLOCK_BYTES = 1 << 20


def sha256_of(file: Path) -> str:
    """SHA-256 of a file, read in blocks."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def hashes(files: Iterable[Path], base: Path, digest: Callable[[Path], str] = sha256_of) -> dict[str, str]:
    """SHA-256 of files by their path relative to ``base``; folders are walked, every file has a name of its own.

    Parameters
    ----------
    files : iterable of Path
    base : Path
    digest : callable
        Hash of one file.
    """
    found: dict[str, str] = {}
    for part in parts_of(files):
        name = part.relative_to(base).as_posix() if part.is_relative_to(base) else part.name
        while name in found:
            name += "~2"  # a file outside the base, of another's name
        found[name] = digest(part)
    return dict(sorted(found.items()))


def parts_of(files: Iterable[Path]) -> list[Path]:
    """The files, and in the place of each folder all that lie in it, in order."""
    return [part for file in files for part in (_inside(file) if file.is_dir() else [file])]


def _inside(folder: Path) -> list[Path]:
    """All files below a folder, sorted by their parts."""
    found = [Path(place, name) for place, _, names in os.walk(folder) for name in names]
    return sorted(file for file in found if file.is_file())


def manifest(config: Config, device: str, inputs: Mapping[str, str], outputs: Mapping[str, str]) -> dict[str, Any]:
    """The manifest of a run.

    Parameters
    ----------
    config : Config
    device : str
        Device the kernels ran on.
    inputs, outputs : mapping of str to str
        SHA-256 by relative path.
    """
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    weights = {file.name: sha256_of(file) for file in sorted(resource_dir("models").glob("*.safetensors"))}
    return {
        "program": "ctcfish",
        "version": importlib.metadata.version("ctcfish"),
        "python": platform.python_version(),
        "versions": versions,
        "device": device,
        "configuration": config.resolved(),
        "configuration_sha256": config.sha256(),
        "weights_sha256": weights,
        "inputs_sha256": dict(inputs),
        "outputs_sha256": dict(outputs),
        "notice": "Research use only.",
    }
