"""The parts of a large slide as tasks: every worker does some, and what one found is on disk and not looked for again.

A part goes out as the name of a file. What it is given and what it finds are written in one rename each, so that
whoever dies, worker, batch or scheduler, takes along the parts in work and no other.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from ctcfish.device import fix_threads
from ctcfish.engine.workers import everywhere
from ctcfish.store.values import read_value, write_value


class Parts:
    """A ``map`` for the steps of one slide, called in their order; a step of one item is Python's.

    Parameters
    ----------
    folder : Path
        For what the parts are given and find; its name tells all that they hang on.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._steps = folder, count()

    def __call__(self, work: Callable[[Any], Any], items: Iterable[Any], /) -> Iterable[Any]:
        """Do the work for each item for which it was not done before; results in the order of the items."""
        given, step = list(items), next(self._steps)
        if len(given) < 2:
            return map(work, given)
        files = [self._folder / f"{step}.{number}.npz" for number in range(len(given))]
        known = [read_value(file) for file in files]
        left = [number for number, found in enumerate(known) if found is None]
        for number in left:
            write_value(_given(files[number]), given[number])
        if left:
            everywhere(partial(_do, work), [files[number] for number in left])
        return [_taken(file) if found is None else found for file, found in zip(files, known, strict=True)]


def _do(work: Callable[[Any], Any], file: Path) -> None:
    if read_value(file) is None:  # a worker that dies takes along the word that its parts are done, not what they found
        fix_threads()
        write_value(file, work(_taken(_given(file))))


def _given(file: Path) -> Path:
    """File of what a part is given, beside that of what it finds."""
    return file.with_suffix(".given.npz")


def _taken(file: Path) -> Any:
    value = read_value(file)
    if value is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(file))
    return value
