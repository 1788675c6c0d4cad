"""One batch per folder: a second one is refused, a dead one holds nothing, and what it left is swept away."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ctcfish.engine.lock import PRIVATE, holds, only_batch
from ctcfish.errors import UsageError

HOLD = """
import sys, time
from pathlib import Path
from ctcfish.engine.lock import only_batch
with only_batch(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def holder(out: Path) -> subprocess.Popen[str]:
    """Another process that holds the folder."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(out)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_batch_is_refused_and_told_who_holds(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        said = rf"is being written by another batch \(process {process.pid} on .+\); wait for it"
        with pytest.raises(UsageError, match=said), only_batch(tmp_path):
            pass
        assert UsageError.exit_code == 2
        process.kill()
        process.wait()
        with only_batch(tmp_path) as token:
            assert holds(tmp_path, token)


def test_the_turn_passes_from_batch_to_batch(tmp_path: Path) -> None:
    with only_batch(tmp_path) as first:
        assert holds(tmp_path, first)
    with only_batch(tmp_path) as second:
        assert holds(tmp_path, second)
        assert not holds(tmp_path, first)
    assert first != second


def test_who_carries_no_token_asks_nobody(tmp_path: Path) -> None:
    assert holds(tmp_path / "nowhere", "")
    assert not holds(tmp_path / "nowhere", "token")
    (tmp_path / PRIVATE).mkdir()
    (tmp_path / PRIVATE / "holder.json").write_text("broken")
    assert not holds(tmp_path, "token")


def test_what_was_left_half_written_is_removed_and_nothing_else(tmp_path: Path) -> None:
    for name in (".s1.x.partial", ".s2.x.old", "s3", ".keep"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("")
    for name in (".slides.csv.x.partial", "slides.csv", "s3/.cells.csv.x.partial", "s3/cells.csv"):
        (tmp_path / name).write_text("")
    with only_batch(tmp_path):
        pass
    left = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if PRIVATE not in p.parts}
    assert left == {".keep", ".keep/file", "s3", "s3/file", "s3/cells.csv", "slides.csv"}


def test_a_batch_that_fails_lets_go(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), only_batch(tmp_path):
        raise ZeroDivisionError
    with only_batch(tmp_path):
        pass
