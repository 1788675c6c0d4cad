"""How a kernel is compiled, and where its machine code is kept."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba

F = TypeVar("F", bound=Callable[..., Any])

_njit: Any = numba.njit  # its types do not know every option
_settings: Any = numba.config

_REORDERED = {"reassoc", "contract", "nsz", "arcp"}
"""What sums may do: be taken in lanes. Infinities and NaN keep their meaning."""

_OPTIONS: dict[str, Any] = {
    "nogil": True,
    "fastmath": _REORDERED,
    "error_model": "numpy",
    "no_cfunc_wrapper": True,
}


@functools.cache
def _cache() -> str:
    """Folder of the machine code of these very sources.

    The compiler asks only whether the file of a kernel itself is newer than its code, not the files of the kernels
    that it calls; a folder named by all of them cannot hold stale code.
    """
    here = Path(__file__).parent
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(here.glob("*.py")))).hexdigest()[:16]
    # machine code is run: never from a folder that others may write to
    parent = here / "__pycache__" if os.access(here, os.W_OK) else Path.home() / ".cache" / "ctcfish"
    return str(parent / f"kernels-{digest}")


def kernel(function: F) -> F:
    """Compile a function that other kernels call, into each of them.

    One thread, no lock of the interpreter held; same machine, same bytes, whether just compiled or read. References to
    arrays are not counted, which costs more than a row's sums: who called holds them. So it neither makes nor gives
    back arrays.

    Parameters
    ----------
    function : callable

    Returns
    -------
    callable
    """
    return _inlined(function, _nrt=False)


def maker(function: F) -> F:
    """Compile as :func:`kernel` does a function that makes arrays, or parts of them, for an entry."""
    return _inlined(function)


def _inlined(function: F, **options: bool) -> F:
    # Else some are called: in the process that compiles, a copy made for the function alone, in one that reads machine
    # code, the copy made within its caller, whose sums are taken in another order.
    compiled: F = _njit(function, **_OPTIONS, **options, no_cpython_wrapper=True, forceinline=True)
    return compiled


def entry(function: F) -> F:
    """Compile a kernel that Python calls, at its first call; its machine code is kept for later processes.

    Parameters
    ----------
    function : callable

    Returns
    -------
    callable
    """
    before, _settings.CACHE_DIR = _settings.CACHE_DIR, _cache()
    try:
        compiled: F = _njit(function, **_OPTIONS, cache=True)
    finally:
        _settings.CACHE_DIR = before
    return compiled
