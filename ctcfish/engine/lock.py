"""One batch per folder of results: a lock that dies with its process, and a word that says whose turn it is."""

from __future__ import annotations

import json
import os
import shutil
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from ctcfish.errors import UsageError
from ctcfish.store.atomic import write_json

PRIVATE = ".ctcfish"
"""Folder beside the results for what is no result: the lock, and what is known of files."""


@contextmanager
def only_batch(out: Path) -> Iterator[str]:
    """Hold a folder of results alone; yields the batch's token, which its tasks carry.

    The lock is the operating system's, so a batch that was killed holds nothing. What it left half written is removed.

    Raises
    ------
    UsageError
        Another batch holds the folder.
    """
    private = out / PRIVATE
    private.mkdir(parents=True, exist_ok=True)
    lock = FileLock(private / "lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise UsageError(
            f"{out.name} is being written by another batch ({_holder(private)}); wait for it, stop it, or give "
            "another --out."
        ) from None
    try:
        _sweep(out)
        token = uuid.uuid4().hex
        write_json(private / "holder.json", {"token": token, "pid": os.getpid(), "host": socket.gethostname()})
        yield token
    finally:
        lock.release()


def holds(out: Path, token: str) -> bool:
    """Whether the batch of this token is still the one that may write; no token asks for no lock."""
    if not token:
        return True
    try:
        return bool(json.loads((out / PRIVATE / "holder.json").read_text(encoding="utf-8"))["token"] == token)
    except (OSError, ValueError, KeyError):
        return False


def _holder(private: Path) -> str:
    try:
        said = json.loads((private / "holder.json").read_text(encoding="utf-8"))
        return f"process {said['pid']} on {said['host']}"
    except (OSError, ValueError, KeyError):
        return "it has not said who it is"


def _sweep(out: Path) -> None:
    """Remove what a killed batch left half written, beside the slides and inside them."""
    for left in (*out.glob(".*.partial"), *out.glob(".*.old"), *out.glob("*/.*.partial")):
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)
