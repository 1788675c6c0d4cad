"""Work on rows that hang on nothing else, shared out to the cores: it comes out the same, however many there are."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from dask.system import CPU_COUNT

T = TypeVar("T")


def cores() -> int:
    """Threads to share work out to: ``OMP_NUM_THREADS``, which workers of a batch have at one, else what there is."""
    told = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, int(told)) if told.isdecimal() else CPU_COUNT


def share_out(work: Callable[[int, int], T], rows: int, for_each: int) -> list[T]:
    """Do the work for ranges of rows that cover all of them, side by side.

    Parameters
    ----------
    work : callable
        Given the first row and the one after the last; lets go of the interpreter's lock where it takes long.
    rows : int
    for_each : int
        Shares for each core: one where a share costs something, more where rows differ in what they take.

    Returns
    -------
    list
        What the work gave, in the order of the rows.
    """
    shares = 1 if cores() == 1 else min(cores() * for_each, rows)
    if shares < 2:
        return [work(0, rows)]
    cuts = [rows * k // shares for k in range(shares + 1)]
    return list(_pool(cores()).map(work, cuts[:-1], cuts[1:]))


@functools.cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="ctcfish-rows")
