"""SHA-256 of files, read again only where a file changed: a study of 300 GB is not read to know that it is done.

The ledger is a cache beside the results and never among them; without it everything is hashed again, with the same end.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ctcfish.engine.lock import PRIVATE
from ctcfish.errors import InputError
from ctcfish.store.atomic import write_text
from ctcfish.store.manifest import sha256_of

Seen = tuple[int, int, int]
"""Size, time of the last change of the content, and of the entry itself, which no copy or touch can set back."""


class Ledger:
    """What is known of the files of one slide.

    Parameters
    ----------
    out : Path
        Folder of the run.
    slide_id : str
    """

    def __init__(self, out: Path, slide_id: str) -> None:
        self._out = out
        self._file = out / PRIVATE / "slides" / f"{slide_id}.json"
        try:
            said = json.loads(self._file.read_text(encoding="utf-8"))
            files = said["files"].items()
            known = {str(out / path): ((int(a), int(b), int(c)), str(sha)) for path, (a, b, c, sha) in files}
            self.inputs, self.outputs = ([out / path for path in said[name]] for name in ("inputs", "outputs"))
            self.values = dict(said["values"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            known, self.inputs, self.outputs, self.values = {}, [], [], {}
        self._known: dict[str, tuple[Seen, str]] = known

    def sha256(self, file: Path) -> str:
        """SHA-256 of a file.

        Raises
        ------
        InputError
            The file changed while it was read.
        """
        before = _seen(file)
        known = self._known.get(str(file.absolute()))
        if known is not None and known[0] == before:
            return known[1]
        digest = sha256_of(file)
        if _seen(file) != before:
            found = "a file that changed while it was read"
            raise InputError(file.name, found, "a finished file", "Wait until it is copied or written, then resume.")
        self._known[str(file.absolute())] = (before, digest)
        return digest

    def fresh(self, file: Path) -> bool:
        """Whether a file is known and unchanged."""
        try:
            known = self._known.get(str(file.absolute()))
            return known is not None and known[0] == _seen(file)
        except OSError:
            return False

    def unchanged(self, file: Path) -> bool:
        """Whether a file still has the content that is known of it, whatever became of its times."""
        known = self._known.get(str(file.absolute()))
        return known is not None and file.is_file() and self.sha256(file) == known[1]

    def save(self, inputs: list[Path], values: Mapping[str, str], outputs: list[Path]) -> None:
        """Keep what is known of the files a slide was made of and of those it was made into."""
        inputs, outputs = ([file.absolute() for file in files] for files in (inputs, outputs))
        kept = {str(file) for file in (*inputs, *outputs)}
        files = {self._name(path): [*seen, sha] for path, (seen, sha) in self._known.items() if path in kept}
        names = {"inputs": [self._name(str(f)) for f in inputs], "outputs": [self._name(str(f)) for f in outputs]}
        self.inputs, self.outputs, self.values = inputs, outputs, dict(values)
        told: dict[str, Any] = {"files": files, "values": dict(values)} | names
        write_text(self._file, json.dumps(told, ensure_ascii=False, sort_keys=True))

    def made(self) -> dict[str, str]:
        """SHA-256 of what the slide was made into, by path relative to the run, as it was left; empty if not known."""
        return {self._name(str(file)).replace(os.sep, "/"): self._known[str(file)][1] for file in self.outputs}

    def _name(self, path: str) -> str:
        """Path relative to the run for what lies in it: a run that is moved is still known."""
        return path.removeprefix(f"{self._out}{os.sep}")


def _seen(file: Path) -> Seen:
    state = file.stat()
    return state.st_size, state.st_mtime_ns, state.st_ctime_ns


def read_drawings(out: Path, slide_id: str, measured: str) -> Mapping[str, Any] | None:
    """What was drawn for a slide's page when the same pixels were measured; None where that is not known."""
    try:
        said = json.loads(_drawn(out, slide_id).read_text(encoding="utf-8"))
        return dict(said["drawings"]) if said["measured"] == measured else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_drawings(out: Path, slide_id: str, measured: str, drawings: Mapping[str, Any]) -> None:
    """Keep what was drawn for a slide's page, for other calls of the same cells."""
    text = json.dumps({"measured": measured, "drawings": drawings}, ensure_ascii=False)
    write_text(_drawn(out, slide_id), text)


def _drawn(out: Path, slide_id: str) -> Path:
    return out / PRIVATE / "drawings" / f"{slide_id}.json"
