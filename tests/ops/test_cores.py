"""Rows are shared out to the cores, each of them once, and come back in their order."""

from __future__ import annotations

import threading

import pytest

from ctcfish.ops.cores import CPU_COUNT, cores, share_out


def rows_of(first: int, last: int) -> list[int]:
    return list(range(first, last))


@pytest.mark.parametrize("told", ["1", "2", "7"])
@pytest.mark.parametrize("rows", [0, 1, 5, 100])
def test_every_row_is_done_once_and_in_order(told: str, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", told)
    parts = share_out(rows_of, rows, 3)
    assert [row for part in parts for row in part] == list(range(rows))
    assert len(parts) == (1 if told == "1" else max(1, min(rows, 3 * int(told))))


def test_shares_are_done_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    both = threading.Barrier(2, timeout=10)
    assert sorted(share_out(lambda _first, _last: both.wait(), 2, 1)) == [0, 1]


@pytest.mark.parametrize("told", ["", "many", "-2"])
def test_without_a_number_all_cores_are_used(told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", told)
    assert cores() == CPU_COUNT


def test_what_fails_in_a_share_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    with pytest.raises(ZeroDivisionError):
        share_out(lambda first, _last: 1 // first, 4, 1)
