"""Write whole or not at all: build beside the target, then one rename."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def atomic_folder(target: Path) -> Iterator[Path]:
    """Yield a working folder that becomes ``target`` at the end, or vanishes if anything goes wrong.

    A ``target`` that is there already is replaced in the same moment.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".partial", dir=target.parent))
    try:
        yield work
        work.chmod(0o755)
        if target.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".old", dir=target.parent))
            target.rename(old / "old")
            work.rename(target)
            shutil.rmtree(old)
        else:
            work.rename(target)
    finally:
        shutil.rmtree(work, ignore_errors=True)


@contextmanager
def atomic_file(target: Path) -> Iterator[Path]:
    """Yield a name beside ``target`` to write under; it becomes ``target`` at the end, or vanishes."""
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".partial", dir=target.parent)
    os.close(handle)
    work = Path(name)
    try:
        yield work
        work.chmod(0o644)
        work.replace(target)
    finally:
        work.unlink(missing_ok=True)


def write_text(target: Path, text: str) -> None:
    """Write a UTF-8 file in one rename."""
    with atomic_file(target) as work:
        work.write_text(text, encoding="utf-8", newline="\n")


def write_json(target: Path, value: Mapping[str, Any]) -> None:
    """Write JSON with sorted keys, so that equal values are equal bytes."""
    write_text(target, to_json(value))


def to_json(value: Mapping[str, Any]) -> str:
    """JSON text with sorted keys and NaN as null."""
    return json.dumps(_plain(value), sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    """Plain JSON types; what is not a number becomes null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float):
        return value if value - value == 0 else None
    return value
