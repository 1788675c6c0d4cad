"""Parts of a slide: each done once, by whoever is free, and known again when the slide is taken up again."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ctcfish.engine.parts import Parts
from ctcfish.engine.workers import DIED, Where, everywhere, outcomes, pool
from ctcfish.errors import InputError

pytestmark = pytest.mark.xdist_group("cluster")

Squares = Callable[[int], tuple[int, int]]


def noting(folder: Path, wrong: int = -1) -> Squares:
    """Square a number and say by which process; leaves a mark for every number it is asked for."""

    def square(number: int) -> tuple[int, int]:
        with (folder / str(number)).open("a") as marks:
            marks.write("x")
        if number == wrong:
            raise ValueError(f"{number} is wrong")
        return number**2, os.getpid()

    return square


def marks(folder: Path) -> dict[int, int]:
    return {int(file.name): len(file.read_text()) for file in folder.iterdir() if file.is_file()}


def squares(found: Any) -> list[int]:
    return [square for square, _ in found]


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    return tmp_path / "kept" / "hash"


@pytest.mark.parametrize("items", [[], [3]])
def test_one_part_is_done_where_it_stands_and_leaves_nothing(items: list[int], kept: Path, tmp_path: Path) -> None:
    assert squares(Parts(kept)(noting(tmp_path), items)) == [n**2 for n in items]
    assert not kept.exists()


def test_parts_come_in_their_order_and_are_not_done_twice(kept: Path, tmp_path: Path) -> None:
    assert squares(Parts(kept)(noting(tmp_path), iter([4, 2, 9]))) == [16, 4, 81]
    again = Parts(kept)
    assert squares(again(noting(tmp_path), [4, 2, 9])) == [16, 4, 81]
    assert marks(tmp_path) == {4: 1, 2: 1, 9: 1}
    assert squares(again(noting(tmp_path), [4, 2])) == [16, 4]  # the next step, of which nothing is known
    assert marks(tmp_path) == {4: 2, 2: 2, 9: 1}


def test_a_step_of_one_part_is_a_step(kept: Path, tmp_path: Path) -> None:
    """Or what is known of one step would be taken for another's."""
    first, again = Parts(kept), Parts(kept)
    for each, sizes in ((first, [1, 2, 3]), (again, [1, 2, 3])):
        for size in sizes:
            assert squares(each(noting(tmp_path), range(10 * size, 10 * size + size))) == [
                n**2 for n in range(10 * size, 10 * size + size)
            ]
    assert marks(tmp_path) == {10: 2, 20: 1, 21: 1, 30: 1, 31: 1, 32: 1}


def test_what_was_done_before_a_fault_stays(kept: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="9 is wrong"):
        Parts(kept)(noting(tmp_path, wrong=9), [4, 9, 2])
    assert squares(Parts(kept)(noting(tmp_path), [4, 9, 2])) == [16, 81, 4]
    assert marks(tmp_path) == {4: 1, 9: 2, 2: 1}


def test_a_part_whose_file_is_damaged_is_done_again(kept: Path, tmp_path: Path) -> None:
    Parts(kept)(noting(tmp_path), [4, 2])
    (kept / "0.1.npz").write_bytes(b"")
    assert squares(Parts(kept)(noting(tmp_path), [4, 2])) == [16, 4]
    assert marks(tmp_path) == {4: 1, 2: 2}


def test_what_a_part_is_given_cannot_be_seen_from_there(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctcfish.engine.parts.write_value", lambda *_: None)
    with pytest.raises(FileNotFoundError) as told:
        Parts(kept)(abs, [1, 2])
    assert told.value.filename == str(kept / "0.0.given.npz")


def test_where_all_parts_are_known_nobody_is_asked(kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Parts(kept)(noting(tmp_path), [4, 2])
    monkeypatch.setattr("ctcfish.engine.parts.everywhere", lambda *_: pytest.fail("asked"))
    assert squares(Parts(kept)(noting(tmp_path), [4, 2])) == [16, 4]


def test_without_workers_parts_are_done_here(tmp_path: Path) -> None:
    everywhere(noting(tmp_path), [3, 1])
    assert marks(tmp_path) == {3: 1, 1: 1}


def slide(folder: Path, name: str, fault: str = "") -> tuple[list[int], int]:
    """Work on a slide in two steps of parts; processes that took part."""
    done, pids = [], {os.getpid()}
    each = Parts(folder / "kept" / name)
    for step in range(2):
        found = each(part_of(folder, name, fault), [(step, number) for number in range(5)])
        done += [value for value, _ in found]
        pids |= {pid for _, pid in found}
    return done, len(pids)


def part_of(folder: Path, name: str, fault: str) -> Callable[[tuple[int, int]], tuple[int, int]]:
    def work(item: tuple[int, int]) -> tuple[int, int]:
        import os
        import signal
        import time

        step, number = item
        with (folder / f"{name}-{step}-{number}").open("a") as file:
            file.write("x")
        tries = len((folder / f"{name}-{step}-{number}").read_text())
        if (step, number) == (1, 2) and (fault == "deadly" or (fault == "deadly once" and tries == 1)):
            os.kill(os.getpid(), signal.SIGKILL)
        if (step, number) == (1, 2) and fault == "refused":
            raise InputError("scan.tif", "noise", "an image", "Scan again.")
        if (step, number) == (1, 2) and fault == "full":
            raise OSError(errno.ENOSPC, "No space left on device", "scan.tif")
        time.sleep(0.1)
        return 10 * step + number, os.getpid()

    return work


def guarded(folder: Path) -> Callable[[tuple[str, str]], Any]:
    """A slide's task, as a closure that travels whole."""
    work = slide

    def task(item: tuple[str, str]) -> Any:
        from ctcfish.engine.workers import LostError

        try:
            return work(folder, *item)
        except LostError as error:
            return error.lost
        except (InputError, OSError) as error:
            return type(error), str(error), getattr(error, "errno", None)

    return task


WHOLE = [0, 1, 2, 3, 4, 10, 11, 12, 13, 14]


def test_two_workers_share_the_parts_of_their_slides_whoever_dies(tmp_path: Path) -> None:
    """Large slides at once, more than there are workers: none waits for ever, and a fault is its own slide's."""
    tasks = [("a", ""), ("b", "deadly once"), ("c", "refused"), ("d", "full"), ("e", "")]
    with pool(Where(workers=2)) as client:
        said = dict(outcomes(guarded(tmp_path), tasks, client))
    assert [said[task][0] for task in tasks if task[0] in "abe"] == [WHOLE] * 3
    refusal = InputError("scan.tif", "noise", "an image", "Scan again.")
    assert said["c", "refused"] == (InputError, str(refusal), None)
    full = OSError(errno.ENOSPC, "No space left on device", "scan.tif")
    assert said["d", "full"] == (OSError, str(full), errno.ENOSPC)
    assert max(said[task][1] for task in tasks if task[1] == "") >= 2
    tried = {name: len((tmp_path / f"{name}-1-2").read_text()) for name in "abc"}
    assert tried["b"] == 2
    first = [len((tmp_path / f"b-0-{number}").read_text()) for number in range(5)]
    assert first == [1] * 5  # the step before the worker's death


def test_a_part_over_which_workers_die_gives_up_its_slide(tmp_path: Path) -> None:
    with pool(Where(workers=2)) as client:
        said = dict(outcomes(guarded(tmp_path), [("deadly", "deadly")], client))
    assert said["deadly", "deadly"] == DIED
    deaths = len((tmp_path / "deadly-1-2").read_text())
    assert 3 <= deaths <= 9
    assert all(len((tmp_path / f"deadly-0-{number}").read_text()) == 1 for number in range(5))


def test_one_worker_does_all_parts_itself(tmp_path: Path) -> None:
    with pool(Where(workers=1, max_ram_gb=2.0)) as client:
        said = dict(outcomes(guarded(tmp_path), [("a", ""), ("b", "")], client))
    assert [found for found, _ in said.values()] == [WHOLE] * 2
    assert {n for _, n in said.values()} == {1}


def test_parts_are_done_before_slides_not_begun(tmp_path: Path) -> None:
    """One worker: nothing of the second slide is begun before the parts of the first are done."""

    def task(name: str) -> list[float]:
        import time

        began = time.time()
        Parts(tmp_path / "kept" / name)(partial(max, 0), [1, 2, 3])
        return [began, time.time()]

    with pool(Where(workers=1, max_ram_gb=2.0)) as client:
        times = sorted(times for _, times in outcomes(task, ["a", "b", "c"], client))
    written = sorted(file.stat().st_mtime for file in (tmp_path / "kept").glob("*/0.?.npz"))
    assert len(written) == 9
    assert written[2] <= times[0][1]
