"""A study on disk: which slides there are, and the files of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ctcfish.errors import InputError, UsageError
from ctcfish.io import names
from ctcfish.io.celltracks import is_celltracks
from ctcfish.io.failures import refusing
from ctcfish.io.image import FileImage
from ctcfish.io.omezarr import is_zarr
from ctcfish.io.reader import read_images
from ctcfish.io.sheet import merge, read_csv, read_toml
from ctcfish.types import Modality

SHEET = "study.csv"


@dataclass(frozen=True)
class SlideRef:
    """A slide that was not opened yet.

    Attributes
    ----------
    slide_id : str
    path : Path
        The slide's folder; it need not exist where the row names the images.
    row : mapping of str to str
        Its line of the study sheet; empty without one.
    base : Path or None
        Folder that the paths in the row are relative to; ``None`` is the parent of ``path``.
    """

    slide_id: str
    path: Path
    row: Mapping[str, str] = field(default_factory=dict)
    base: Path | None = None


def is_slide_folder(path: Path) -> bool:
    """Whether a folder is laid out as a slide."""
    return path.is_dir() and ((path / "if").is_dir() or (path / "fish").is_dir() or (path / "slide.toml").is_file())


def study_slides(folder: Path) -> list[SlideRef]:
    """Slides of a study, by its sheet in the sheet's order, else its slide folders by name; no image is opened.

    A slide folder is a study of one slide.

    Raises
    ------
    UsageError
        Two slides of one name (upper and lower case are one), or a name that cannot be a folder's.
    InputError
        No slide, or a broken sheet.
    """
    folder = Path(folder)
    if (folder / SHEET).is_file():
        slides = [_from_row(folder, row, line) for line, row in read_csv(folder / SHEET)]
    elif is_slide_folder(folder):
        slides = [SlideRef(names.check_id(folder.resolve().name), folder)]
    elif folder.is_dir():
        found = [p for p in _entries(folder) if is_slide_folder(p) and not p.name.startswith(".")]
        slides = [SlideRef(names.check_id(p.name), p) for p in found]
    else:
        slides = []
    if not slides:
        raise InputError(
            folder.name,
            "no slide" if folder.is_dir() else "no such folder",
            f"{SHEET}, or a folder for each slide with if/ and fish/",
            "Lay the study out so, or score single images.",
        )
    count = Counter(slide.slide_id.casefold() for slide in slides)
    equal = sorted({slide.slide_id for slide in slides if count[slide.slide_id.casefold()] > 1})
    if equal:
        raise UsageError(
            f"slide_id {', '.join(equal)} stands more than once in {folder.name}; give each slide its own."
        )
    return slides


def _from_row(folder: Path, row: Mapping[str, str], line: int) -> SlideRef:
    slide_id = row.get("slide_id", "")
    if not slide_id:
        raise InputError(f"{SHEET}, line {line}", "no slide_id", "a name for every slide", "Fill in slide_id.")
    names.check_id(slide_id)
    return SlideRef(slide_id, folder / slide_id, row, folder)


def slide_values(ref: SlideRef) -> dict[str, str]:
    """Row of the sheet and ``slide.toml`` together.

    Raises
    ------
    InputError
        Where they contradict each other.
    """
    file = ref.path / "slide.toml"
    own = read_toml(file) if file.is_file() else {}
    return merge({"slide_id": ref.slide_id} | dict(ref.row), own, f"{ref.slide_id}/slide.toml")


def scan_files(ref: SlideRef, modality: Modality, values: Mapping[str, str]) -> list[Path]:
    """Images of one scan, by the sheet's paths (several joined by ``;``), else the scan's folder, by name.

    Raises
    ------
    InputError
        A path that does not exist, or a file in the folder that is no image.
    """
    listed = [entry.strip() for entry in values.get(modality, "").split(";") if entry.strip()]
    if not listed:
        folder = ref.path / modality
        return _folder_images(folder)
    base = (ref.base or ref.path.parent) if ref.row.get(modality) else ref.path
    files = []
    for entry in listed:
        path = base / entry
        if not path.exists():
            raise InputError(
                f"slide {ref.slide_id}",
                f"no {entry} in {base.name}",
                f"the {modality.upper()} images of the slide",
                f"Correct the column `{modality}` (paths are relative to the sheet).",
            )
        files.extend([path] if _is_image(path) else _folder_images(path))
    return files


def _is_image(path: Path) -> bool:
    suffix = path.suffix.lower()
    return (
        suffix in names.TIFF + names.PICTURE
        or suffix in names.VENDOR
        or suffix in names.ZARR
        or is_zarr(path)
        or is_celltracks(path)
    )


def _entries(folder: Path) -> list[Path]:
    with refusing(folder):
        return sorted(folder.iterdir())


def _folder_images(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    if is_celltracks(folder):
        return [folder]
    images = []
    for path in _entries(folder):
        if path.name.startswith(".") or (path.suffix.lower() in names.SIDE and not _is_image(path)):
            continue
        if not _is_image(path):
            raise InputError(
                f"{folder.name}/{path.name}",
                "no known image",
                "only images in a scan's folder",
                "Move it out, or convert it to OME-TIFF or OME-Zarr.",
            )
        images.append(path)
    return images


def read_scan(files: list[Path], *, pages_are_planes: bool) -> tuple[FileImage, ...]:
    """Every image of a scan.

    Raises
    ------
    InputError
        As :func:`ctcfish.io.reader.read_images`; or two images of one name.
    """
    images: list[FileImage] = []
    seen: set[Path] = set()
    for file in files:
        if file in seen:
            continue  # a part of an OME-TIFF of several files, read with its first file
        found = read_images(file, pages_are_planes=pages_are_planes)
        seen.update(f for image in found for f in image.files)
        images.extend(found)
    count = Counter(image.name.casefold() for image in images)
    for image in images:
        if count[image.name.casefold()] > 1:
            raise InputError(
                image.path.name, f"two images named {image.name}", "a name of its own for each", "Rename one of them."
            )
    return tuple(images)
