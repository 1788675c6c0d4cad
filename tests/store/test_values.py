"""What is written comes back to the bit, and nothing that is read can do anything."""

from __future__ import annotations

import json
import math
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from ctcfish import tables
from ctcfish.flags import SlideFlag
from ctcfish.stages.nuclei.tiles import Tile
from ctcfish.store.values import read_value, write_value
from tests import make

PLAIN = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text())
ARRAYS = arrays.arrays(
    st.sampled_from(["u1", "i4", "i8", "f4", "f8", "?", "<U3"]), arrays.array_shapes(min_dims=0, max_dims=3, min_side=0)
)


def same(one: Any, two: Any) -> bool:
    """Equal in kind, type and every bit; a NaN is itself."""
    if type(one) is not type(two):
        return False
    if isinstance(one, np.ndarray | np.generic):
        return one.dtype == two.dtype and one.shape == two.shape and one.tobytes() == two.tobytes()
    if isinstance(one, pd.DataFrame):
        pd.testing.assert_frame_equal(one, two, check_exact=True)
        return True
    if is_dataclass(one):
        return all(same(getattr(one, f.name), getattr(two, f.name)) for f in fields(one))
    if isinstance(one, dict):
        return list(one) == list(two) and all(same(one[key], two[key]) for key in one)
    if isinstance(one, tuple):
        return len(one) == len(two) and all(map(same, one, two))
    return bool(one == two) or (isinstance(one, float) and math.isnan(one) and math.isnan(two))


def there_and_back(value: Any, folder: Path) -> Any:
    write_value(folder / "value.npz", value)
    return read_value(folder / "value.npz")


@given(
    value=st.recursive(
        st.one_of(PLAIN, ARRAYS, st.lists(st.binary(max_size=9), min_size=1).map(tuple)),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3).map(tuple), st.dictionaries(st.text(max_size=3), inner, max_size=3)
        ),
        max_leaves=6,
    )
)
def test_values_come_back(value: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    assert same(there_and_back(value, tmp_path_factory.mktemp("values")), value)


@pytest.mark.parametrize(
    "value",
    [
        np.float32(1.5),
        np.int64(7),
        slice(3, 9),
        slice(None),
        (b"", b"ab", b""),
        {"HER2": (1.0, 2.0)},
        np.zeros((0, 3)),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        Tile((0, 0, 9, 9), (1, 1, 8, 8)),
        make.nuclei(3),
        make.detections([make.spot(1.0, 1.0)], [{"cluster": 1, "label": 2, "copies": 7}]),
        make.detections([]),
    ],
    ids=str,
)
def test_what_parts_are_made_of_comes_back(value: Any, tmp_path: Path) -> None:
    back = there_and_back(value, tmp_path)
    assert same(back, value)
    if isinstance(value, np.ndarray):  # sums of another layout may differ in their last bit
        assert back.flags.f_contiguous == value.flags.f_contiguous


@pytest.mark.parametrize("rows", [0, 2])
def test_tables_keep_the_types_of_their_columns(rows: int, tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "integer": pd.array([2**60 + 1, None], "Int64"),
            "truth": pd.array([None, True], "boolean"),
            "text": np.array(["ä", None], object),
            "real": [np.nan, 0.1 + 0.2],
            "plain": np.array([1, 2]),
        }
    ).iloc[:rows]
    pd.testing.assert_frame_equal(there_and_back(frame, tmp_path), frame, check_exact=True)
    empty = tables.SPOTS.empty()
    pd.testing.assert_frame_equal(there_and_back(empty, tmp_path), empty)


def test_equal_values_are_equal_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_value(tmp_path / name, make.nuclei(4))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.mark.parametrize(
    "value",
    [
        [1, 2],
        {1, 2},
        SlideFlag.NO_IF,
        np.array([None]),
        len,
        Path("a"),
        (1, object()),
        pd.DataFrame({"a": [object()]}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_not_known_is_refused_and_leaves_no_file(value: Any, tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        write_value(tmp_path / "value.npz", value)
    assert list(tmp_path.iterdir()) == []


def forged(target: Path, told: Any) -> None:
    with target.open("wb") as stream:
        np.savez(stream, np.frombuffer(json.dumps(told).encode(), np.uint8))


@pytest.mark.parametrize(
    "told",
    [
        ["subprocess:run", {"args": "touch happened"}],
        ["os:system", {"command": "touch happened"}],
        ["ctcfish.store.values:os", {}],
        ["ctcfish.store.values:write_value", {"target": "happened", "value": 1}],
        ["ctcfish.store.values:shutil.rmtree", {"path": "."}],
        ["ctcfish.stages.nowhere:Tile", {}],
        ["ctcfish.stages.segment:importlib", {}],
        ["ctcfish.stages.segment:from_labels", {"labels": 1, "pixel_um": 1}],
        ["ctcfish.stages.nuclei.tiles:Tile", {"window": 1}],
        ["ctcfish.errors:InputError", {"where": "", "found": "", "wanted": "", "remedy": ""}],
        ["array", 3],
        ["slice", [1, 2, 3, 4]],
        ["bytes", 1],
    ],
    ids=str,
)
def test_a_forged_file_does_nothing(told: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    forged(tmp_path / "value.npz", told)
    assert read_value(tmp_path / "value.npz") is None
    assert [file.name for file in tmp_path.iterdir()] == ["value.npz"]


def test_a_pickle_is_not_opened(tmp_path: Path) -> None:
    with (tmp_path / "value.npz").open("wb") as stream:
        np.savez(stream, np.array([{"a": 1}], object))
    assert read_value(tmp_path / "value.npz") is None


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_file_that_is_not_whole_is_none(share: float, tmp_path: Path) -> None:
    file = tmp_path / "value.npz"
    assert read_value(file) is None
    write_value(file, make.nuclei(5))
    whole = file.read_bytes()
    file.write_bytes(whole[: int(share * len(whole))])
    assert read_value(file) is None
