"""Names that files and keys must survive."""

from __future__ import annotations

from pathlib import Path

import pytest

from ctcfish.store.atomic import atomic_folder, write_text
from ctcfish.store.manifest import hashes
from ctcfish.store.pictures import Picture, read_pictures, write_pictures
from tests.report.test_report import picture


@pytest.mark.parametrize("key", ["cell/s/f/1/fish", "view/if/a b", "cell/ü/#2/7/if"])
def test_a_picture_keeps_its_key(tmp_path: Path, key: str) -> None:
    given: dict[str, Picture] = {key: picture(), "other": picture(5)}
    write_pictures(given, tmp_path / "p.zarr")
    back = read_pictures(tmp_path / "p.zarr")
    assert list(back) == [key, "other"]
    assert (back[key].pixels == given[key].pixels).all()


def test_folders_beside_each_other_do_not_meet(tmp_path: Path) -> None:
    with atomic_folder(tmp_path / "a") as first, atomic_folder(tmp_path / "a.b") as second:
        assert first != second
        write_text(first / "x", "1")
        write_text(second / "x", "2")
    assert [(tmp_path / name / "x").read_text() for name in ("a", "a.b")] == ["1", "2"]


def test_hashes_of_nothing_are_nothing(tmp_path: Path) -> None:
    assert hashes([], tmp_path) == {}
    assert hashes([tmp_path], tmp_path) == {}
