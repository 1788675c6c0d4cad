"""Machine code is kept for its very sources, beside them or, where they may not be written, elsewhere."""

from __future__ import annotations

import importlib
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest

from ctcfish.ops import compiled
from ctcfish.ops.compiled import kernel as kernels
from ctcfish.ops.compiled.kernel import entry, kernel


@kernel
def _doubled(value: float) -> float:
    return 2.0 * value


@entry
def _sum_of_doubles(values: np.ndarray) -> float:
    total = 0.0
    for value in values:
        total += _doubled(value)
    return total


def test_a_kernel_calls_another():
    assert _sum_of_doubles(np.arange(5.0)) == 20.0


def test_infinities_and_nan_keep_their_meaning():
    assert _sum_of_doubles(np.array([1.0, np.inf])) == np.inf
    assert np.isnan(_sum_of_doubles(np.array([1.0, np.nan])))


def test_code_of_other_sources_is_not_found(monkeypatch, tmp_path: Path):
    for name in ("a.py", "kernel.py"):
        (tmp_path / name).write_text("1")
    monkeypatch.setattr(kernels, "__file__", str(tmp_path / "kernel.py"))
    before = kernels._cache.__wrapped__()
    (tmp_path / "a.py").write_text("2")
    after = kernels._cache.__wrapped__()
    assert before != after
    assert Path(before).parent == Path(after).parent == tmp_path / "__pycache__"


@pytest.mark.parametrize("may", [True, False])
def test_code_lies_where_it_may_be_written(may, monkeypatch, tmp_path: Path):
    monkeypatch.setattr(kernels, "__file__", str(tmp_path / "kernel.py"))
    monkeypatch.setattr(os, "access", lambda *_: may)
    assert (Path(kernels._cache.__wrapped__()).parent == tmp_path / "__pycache__") is may


def test_the_compiler_is_left_as_it_was():
    before = numba.config.CACHE_DIR
    entry(_plain)
    assert before == numba.config.CACHE_DIR


def _plain(value: float) -> float:
    return value


_FITS = """
import sys
from ctcfish.ops.compiled import kernel
kernel._cache = lambda: sys.argv[1]
import torch
from ctcfish.ops.fit import fit_spots
from ctcfish.ops.fit_model import FitModel
light = torch.poisson(40.0 + 60.0 * torch.rand(40, 9, 9, generator=torch.manual_seed(1)))
found = fit_spots(light, torch.tensor([4.0, 4.0]).expand(40, 2), 4.0, FitModel(1.4))
print(torch.stack([found.photons, found.background]).numpy().tobytes().hex())
"""


@pytest.mark.timeout(300)
def test_code_just_compiled_and_code_read_give_the_same_bytes(tmp_path: Path):
    first, second = (
        subprocess.run([sys.executable, "-c", _FITS, str(tmp_path)], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    )
    assert len(first) > 2 * 4 * 2 * 40
    assert first == second


def _kernels():
    for own in pkgutil.iter_modules(compiled.__path__, f"{compiled.__name__}."):
        module = importlib.import_module(own.name)
        yield from (
            k for k in vars(module).values() if getattr(k, "__module__", None) == own.name and hasattr(k, "py_func")
        )


def test_what_does_not_count_references_gives_back_no_array():
    uncounted = [k for k in _kernels() if k.targetoptions.get("_nrt") is False]
    assert len(uncounted) > 40
    for own in uncounted:
        given = own.py_func.__annotations__["return"]
        assert set(re.findall(r"\w+", given)) <= {"None", "Any", "bool", "int", "float", "tuple"}, own
