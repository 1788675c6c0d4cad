"""Hashes that are taken again only where a file changed."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from ctcfish.engine import ledger as module
from ctcfish.engine.ledger import Ledger, read_drawings, write_drawings
from ctcfish.errors import InputError
from ctcfish.store.manifest import hashes, parts_of, sha256_of


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that were read."""
    names: list[str] = []

    def reading(file: Path) -> str:
        names.append(file.name)
        return sha256_of(file)

    monkeypatch.setattr(module, "sha256_of", reading)
    return names


@pytest.fixture
def image(tmp_path: Path) -> Path:
    file = tmp_path / "a.tif"
    file.write_bytes(b"pixels")
    return file


def kept(tmp_path: Path, image: Path) -> Ledger:
    """A ledger that knows the image, read back."""
    first = Ledger(tmp_path, "s")
    first.sha256(image)
    first.save([image], {"slide_id": "s"}, [])
    return Ledger(tmp_path, "s")


def test_a_file_is_read_once_for_all_batches(tmp_path: Path, image: Path, read: list[str]) -> None:
    again = kept(tmp_path, image)
    assert again.sha256(image) == hashlib.sha256(b"pixels").hexdigest()
    assert again.fresh(image)
    assert (again.inputs, again.outputs, again.values) == ([image], [], {"slide_id": "s"})
    assert read == ["a.tif"]


@pytest.mark.parametrize("content", [b"PIXELS", b"more pixels"])
def test_a_changed_file_is_read_again(tmp_path: Path, image: Path, read: list[str], content: bytes) -> None:
    """Also one of the same size whose time was set back to what it was."""
    again, times = kept(tmp_path, image), image.stat()
    image.write_bytes(content)
    os.utime(image, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert not again.fresh(image)
    assert not again.unchanged(image)
    assert again.sha256(image) == hashlib.sha256(content).hexdigest()
    assert read == ["a.tif"] * 2


def test_a_touched_file_is_unchanged_though_not_fresh(tmp_path: Path, image: Path) -> None:
    again = kept(tmp_path, image)
    image.touch()
    assert not again.fresh(image)
    assert again.unchanged(image)


def test_a_file_that_is_gone_is_neither(tmp_path: Path, image: Path) -> None:
    again = kept(tmp_path, image)
    image.unlink()
    assert not again.fresh(image)
    assert not again.unchanged(image)
    assert not again.unchanged(tmp_path / "never")


def test_a_file_that_is_written_meanwhile_is_refused(tmp_path: Path, image: Path, monkeypatch: object) -> None:
    def slow(file: Path) -> str:
        digest = sha256_of(file)
        file.write_bytes(b"still being copied")
        return digest

    pytest.MonkeyPatch.setattr(monkeypatch, module, "sha256_of", slow)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"a\.tif: found a file that changed while it was read"):
        Ledger(tmp_path, "s").sha256(image)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"files": {"a": 1}, "inputs": [], "outputs": [], "values": {}}'])
def test_a_damaged_ledger_is_an_empty_one(tmp_path: Path, image: Path, text: str) -> None:
    kept(tmp_path, image)
    [file] = (tmp_path / ".ctcfish" / "slides").iterdir()
    file.write_text(text, encoding="utf-8")
    empty = Ledger(tmp_path, "s")
    assert (empty.inputs, empty.outputs, empty.values) == ([], [], {})
    assert not empty.fresh(image)


def test_only_files_of_the_slide_are_kept(tmp_path: Path, image: Path) -> None:
    ledger, other = Ledger(tmp_path, "s"), tmp_path / "b.tif"
    other.write_bytes(b"")
    ledger.sha256(image)
    ledger.sha256(other)
    ledger.save([], {}, [other])
    again = Ledger(tmp_path, "s")
    assert again.fresh(other)
    assert not again.fresh(image)


def made_of(out: Path, image: Path) -> Ledger:
    """The ledger of a slide that was made into two files."""
    ledger, outputs = Ledger(out, "s"), [out / "s" / name for name in ("slide.json", "labels/0")]
    for k, file in enumerate(outputs):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(bytes([k]))
    for file in (image, *outputs):
        ledger.sha256(file)
    ledger.save([image], {"slide_id": "s"}, outputs)
    return ledger


def test_what_a_slide_was_made_into_is_told_without_reading_it(tmp_path: Path, image: Path, read: list[str]) -> None:
    out = tmp_path / "run"
    told = made_of(out, image).made()
    assert told == {name: sha256_of(out / name) for name in ("s/slide.json", "s/labels/0")}
    assert Ledger(out, "s").made() == told
    assert sorted(read) == ["0", "a.tif", "slide.json"]
    assert Ledger(out, "t").made() == {}


def test_a_run_that_was_moved_is_still_known(tmp_path: Path, image: Path) -> None:
    first = made_of(tmp_path / "run", image)
    (tmp_path / "run").rename(tmp_path / "elsewhere")
    moved = Ledger(tmp_path / "elsewhere", "s")
    assert moved.made() == first.made()
    assert all(moved.unchanged(file) for file in moved.outputs)
    assert moved.outputs == [tmp_path / "elsewhere" / "s" / name for name in ("slide.json", "labels/0")]
    assert moved.fresh(image)
    assert moved.inputs == [image]


def test_a_file_is_the_same_by_whatever_path(
    tmp_path: Path, image: Path, monkeypatch: pytest.MonkeyPatch, read: list[str]
) -> None:
    """A study that is named from the working folder is known from any other."""
    out = tmp_path / "run"
    monkeypatch.chdir(tmp_path)
    made_of(out, Path("a.tif"))
    monkeypatch.chdir("/")
    again = Ledger(out, "s")
    assert again.inputs == [image]
    assert again.fresh(image)
    assert again.sha256(image) == sha256_of(image)
    assert read.count("a.tif") == 1


def test_every_file_has_a_name_of_its_own(tmp_path: Path) -> None:
    """Equal names in different folders, inside the base and outside of it, lose no hash."""
    files = [tmp_path / name for name in ("base/1.tif", "base/z/1.tif", "elsewhere/1.tif", "nowhere/1.tif")]
    for k, file in enumerate(files):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(bytes([k]))
    found = hashes(files, tmp_path / "base")
    assert found == {
        name: hashlib.sha256(bytes([k])).hexdigest()
        for name, k in (("1.tif", 0), ("1.tif~2", 2), ("1.tif~2~2", 3), ("z/1.tif", 1))
    }
    assert parts_of([tmp_path / "base", files[2]]) == [files[0], files[1], files[2]]
    assert hashes(files[:1], tmp_path / "base", lambda _: "digest") == {"1.tif": "digest"}


def test_drawings_are_those_of_the_pixels_they_were_made_of(tmp_path: Path) -> None:
    assert read_drawings(tmp_path, "s", "measured") is None
    write_drawings(tmp_path, "s", "measured", {"tiles": {"s/f/1": ["<svg>\u00b5</svg>"]}})
    assert read_drawings(tmp_path, "s", "measured") == {"tiles": {"s/f/1": ["<svg>\u00b5</svg>"]}}
    assert read_drawings(tmp_path, "s", "of other pixels") is None
    assert read_drawings(tmp_path, "t", "measured") is None


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"measured": "measured"}', '{"measured": "measured", "drawings": 1}']
)
def test_damaged_drawings_are_none(tmp_path: Path, text: str) -> None:
    write_drawings(tmp_path, "s", "measured", {})
    (tmp_path / ".ctcfish" / "drawings" / "s.json").write_text(text, encoding="utf-8")
    assert read_drawings(tmp_path, "s", "measured") is None
