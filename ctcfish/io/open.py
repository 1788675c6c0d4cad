"""Paths to a :class:`~ctcfish.types.Slide`: a slide folder, one image, or one-channel files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ctcfish.errors import InputError, UsageError
from ctcfish.io import names
from ctcfish.io.chosen import read_chosen, read_marked
from ctcfish.io.image import NO_OVERRIDES, FileImage, Overrides
from ctcfish.io.reader import read_images, read_stack
from ctcfish.io.resolve import Given, Resolved, resolve
from ctcfish.io.roles import check_roles
from ctcfish.io.sheet import USED, sheet_overrides
from ctcfish.io.study import SlideRef, is_slide_folder, read_scan, scan_files, slide_values, study_slides
from ctcfish.io.swapped import refuse_swapped
from ctcfish.parameters import Panel
from ctcfish.types import Modality, Slide

SCANS: tuple[Modality, ...] = ("if", "fish")
Paths = Path | str | Sequence[Path | str]
PANEL = Panel()
"""Names of the stains where no configuration gives others."""


@dataclass(frozen=True)
class Opened:
    """Everything read for a slide, complete or not.

    Attributes
    ----------
    slide_id : str
    values : mapping of str to str
        Sheet and ``slide.toml``.
    scenes : tuple of Resolved
    folder : Path or None
        The slide's folder, if it is one.
    """

    slide_id: str
    values: Mapping[str, str]
    scenes: tuple[Resolved, ...]
    folder: Path | None = None

    def slide(self) -> Slide:
        """Return the slide.

        Raises
        ------
        InputError
            Where a scene is incomplete or the list of chosen cells is broken.
        """
        scenes = [resolved.scene() for resolved in self.scenes]
        files = [file for resolved in self.scenes for file in resolved.image.files]
        if_scenes = tuple(s for s in scenes if s.modality == "if")
        fish_scenes = tuple(s for s in scenes if s.modality == "fish")
        chosen = read_marked(self.scenes)
        beside = [self.folder / name for name in ("ctc.csv", "slide.toml")] if self.folder else []
        files += [file for file in beside if file.is_file()]
        if beside and beside[0].is_file():
            chosen = read_chosen(beside[0], if_scenes or fish_scenes)
        return Slide(
            slide_id=self.slide_id,
            patient_id=self.values.get("patient_id") or self.slide_id,
            visit=self.values.get("visit", ""),
            if_scenes=if_scenes,
            fish_scenes=fish_scenes,
            sheet={key: value for key, value in self.values.items() if key not in USED},
            chosen_ctc=chosen,
            files=tuple(dict.fromkeys(files)),
        )


def open_slide(path: Paths, overrides: Overrides = NO_OVERRIDES, panel: Panel = PANEL) -> Slide:
    """Open a slide folder, a single image, or one-channel files that are the channels of one image.

    Nothing but metadata is read.

    Parameters
    ----------
    path : Path or sequence of Path
    overrides : Overrides
        What the user says of the images; wins over file and study sheet.
    panel : Panel
        Names of the stains.

    Returns
    -------
    Slide

    Raises
    ------
    InputError
        An image that cannot be read, or whose pixel size, z step or roles are missing or contradictory.
    UsageError
        A role that the scan does not have, options that cannot hold for both scans of a slide, or a name that cannot
        be a slide's.
    """
    return examine(path, overrides, panel).slide()


def open_ref(ref: SlideRef, panel: Panel = PANEL, overrides: Overrides = NO_OVERRIDES) -> Slide:
    """Open one slide of a study.

    Raises
    ------
    InputError, UsageError
        As :func:`open_slide`.
    """
    return _examine_folder(ref, overrides, panel).slide()


def open_study(folder: Path, panel: Panel = PANEL) -> tuple[Slide, ...]:
    """Open every slide of a study.

    Raises
    ------
    InputError, UsageError
        As :func:`ctcfish.io.study.study_slides` and :func:`open_slide`.
    """
    return tuple(open_ref(ref, panel) for ref in study_slides(folder))


def examine(path: Paths, overrides: Overrides, panel: Panel) -> Opened:
    """Read the metadata of a slide folder or of images; what is missing is kept as gaps.

    Raises
    ------
    InputError, UsageError
        As :func:`open_slide`, except that a scene may be incomplete; scans in each other's place.
    """
    paths = [Path(path)] if isinstance(path, str | Path) else [Path(p) for p in path]
    if len(paths) == 1 and is_slide_folder(paths[0]):
        return _examine_folder(SlideRef(names.check_id(paths[0].resolve().name), paths[0]), overrides, panel)
    if len(paths) == 1:
        images = read_images(paths[0], pages_are_planes=overrides.z_step_um is not None)
    else:
        images = (read_stack(paths),)
    modality = overrides.modality or "fish"
    check_roles(overrides.channels, {modality})
    scenes = tuple(resolve(image, modality, Given(overrides, panel=panel)) for image in images)
    return Opened(names.check_id(names.stem(paths[0])), {}, scenes)


def _examine_folder(ref: SlideRef, overrides: Overrides, panel: Panel) -> Opened:
    values = slide_values(ref)
    files = {modality: scan_files(ref, modality, values) for modality in SCANS}
    present = {modality for modality in SCANS if files[modality]}
    if not present and not values.get("sample_status"):
        raise InputError(
            f"slide {ref.slide_id}",
            "no image",
            "images in its folders if/ and fish/",
            "Add them, or name them in the columns `if` and `fish` of the study sheet.",
        )
    check_roles(overrides.channels, present)
    scenes: list[Resolved] = []
    for modality in SCANS:
        option = _option_of(modality, overrides, present)
        sheet = sheet_overrides(values, modality, f"slide {ref.slide_id}")
        planes = option.z_step_um is not None or sheet.z_step_um is not None
        images: tuple[FileImage, ...] = read_scan(files[modality], pages_are_planes=planes)
        scenes += [resolve(image, modality, Given(option, sheet, panel)) for image in images]
    refuse_swapped(ref.slide_id, scenes, panel)
    return Opened(ref.slide_id, values, tuple(scenes), ref.path)


def _option_of(modality: Modality, overrides: Overrides, present: set[Modality]) -> Overrides:
    """Options as they hold for one scan of a slide; lengths never hold for two scans of different microscopes."""
    lengths = overrides.pixel_um is not None or overrides.z_step_um is not None
    if lengths and overrides.modality is None and len(present) > 1:
        raise UsageError(
            "--pixel-size-um and --z-step-um cannot hold for both scans of a slide; say which with --modality if|fish, "
            "or use the sheet's columns if_pixel_um, fish_pixel_um and fish_z_step_um."
        )
    if overrides.modality is not None and overrides.modality != modality:
        return replace(overrides, pixel_um=None, z_step_um=None, channels={})
    return overrides
