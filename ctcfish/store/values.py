"""Values as files, to be taken up again: numbers, texts, arrays, tables and the program's own dataclasses in one file.

A pickle would run what a stranger put into it; here there is nothing that could be run.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ctcfish.store.atomic import atomic_file

Arrays = list[NDArray[Any]]

_PLAIN = (bool, int, float, str, type(None))
_NOT_WHOLE = (OSError, EOFError, ImportError, BadZipFile, ValueError, TypeError, LookupError)


def write_value(target: Path, value: Any) -> None:
    """Write a value in one rename.

    Raises
    ------
    TypeError
        The value holds something of a kind that is not known here.
    """
    arrays: Arrays = []
    told = json.dumps(_packed(value, arrays), ensure_ascii=False).encode()
    with atomic_file(target) as work, work.open("wb") as stream:
        np.savez(stream, np.frombuffer(told, np.uint8), *arrays)


def read_value(source: Path) -> Any:
    """Read a value back, to the bit; None where there is no file, or none that is whole."""
    try:
        with source.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            told, *arrays = (file[name] for name in file.files)
        return _unpacked(json.loads(told.tobytes()), arrays)
    except _NOT_WHOLE:
        return None


def _packed(value: Any, arrays: Arrays) -> Any:
    """JSON of a value, its arrays put aside: what is not plain is a pair of its kind and its content."""
    if type(value) in _PLAIN:
        return value
    match value:
        case np.ndarray() | np.generic() if not value.dtype.hasobject:
            arrays.append(np.asarray(value))
            return ["array" if isinstance(value, np.ndarray) else "number", len(arrays) - 1]
        case (bytes(), *_):
            lengths, joined = np.array([len(item) for item in value]), np.frombuffer(b"".join(value), np.uint8)
            return ["bytes", [_packed(lengths, arrays), _packed(joined, arrays)]]
        case tuple():
            return ["tuple", [_packed(item, arrays) for item in value]]
        case slice():
            return ["slice", [value.start, value.stop, value.step]]
        case Mapping():
            return ["mapping", {str(key): _packed(item, arrays) for key, item in value.items()}]
        case pd.DataFrame():
            return ["table", {str(name): _column(column, arrays) for name, column in value.items()}]
        case _ if is_dataclass(value):
            held = {field.name: _packed(getattr(value, field.name), arrays) for field in fields(value)}
            return [f"{type(value).__module__}:{type(value).__qualname__}", held]
    raise TypeError(f"{type(value).__name__} cannot be kept")


def _column(column: pd.Series, arrays: Arrays) -> Any:
    """A column of texts, or of integers that may be missing, as a list; any other as an array."""
    if isinstance(column.dtype, np.dtype) and not column.dtype.hasobject:
        return _packed(column.to_numpy(), arrays)
    return ["column", [str(column.dtype), [None if item is pd.NA else item for item in column.tolist()]]]


def _unpacked(told: Any, arrays: Arrays) -> Any:
    if not isinstance(told, list):
        return told
    kind, held = told
    if kind in ("array", "number"):
        return arrays[held] if kind == "array" else arrays[held][()]
    if kind == "slice":
        return slice(*held)
    if kind == "column":
        return pd.Series(held[1], dtype=held[0])
    if kind == "bytes":
        lengths, joined = (_unpacked(own, arrays) for own in held)
        return tuple(joined[begin:end].tobytes() for begin, end in pairwise([0, *np.cumsum(lengths).tolist()]))
    if kind == "tuple":
        return tuple(_unpacked(item, arrays) for item in held)
    named = {name: _unpacked(item, arrays) for name, item in held.items()}
    match kind:
        case "mapping":
            return named
        case "table":
            return pd.DataFrame(named)
        case _:
            return _class(kind)(**named)


def _class(name: str) -> type:
    """A dataclass of the stages, by its name; nothing else is looked for, nor imported."""
    module, _, own = name.partition(":")
    inert = module == "ctcfish.types" or module.startswith("ctcfish.stages.")
    found = getattr(importlib.import_module(module), own, None) if inert else None
    if not (isinstance(found, type) and is_dataclass(found)):
        raise ValueError(name)
    return found
