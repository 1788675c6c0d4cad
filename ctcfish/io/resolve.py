"""File, sheet and options together: the size of a pixel, the roles of the channels, and where each is from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ctcfish.errors import InputError
from ctcfish.flags import SlideFlag
from ctcfish.io.image import FileImage, Overrides
from ctcfish.io.roles import resolve_roles
from ctcfish.io.units import MAX_PIXEL_UM, MIN_PIXEL_UM, plausible_pixel
from ctcfish.parameters import Panel
from ctcfish.types import Modality, Optics, Scene

TOLERANCE = 0.01
"""Relative difference above which two statements of one length contradict each other."""
COARSE_UM = 0.25
"""FISH pixels above this cannot resolve neighbouring signals."""


@dataclass(frozen=True)
class Given:
    """What stands beside the file: options of the command, then the study sheet."""

    option: Overrides = Overrides()
    sheet: Overrides = Overrides()
    panel: Panel = Panel()


@dataclass(frozen=True)
class Gap:
    """One thing that is missing or wrong: what was found, what is needed, how to give it."""

    found: str
    wanted: str
    remedy: str


@dataclass(frozen=True)
class Resolved:
    """A scene as far as it is known, and what is missing."""

    image: FileImage
    modality: Modality
    pixel_um: tuple[float, float] | None
    z_step_um: float | None
    roles: Mapping[str, int]
    optics: Optics
    origin: Mapping[str, str]
    gaps: tuple[Gap, ...]

    def scene(self) -> Scene:
        """Return the scene.

        Raises
        ------
        InputError
            With everything that is missing at once.
        """
        if self.gaps or self.pixel_um is None:
            found, wanted, remedy = (
                "; ".join(dict.fromkeys(getattr(gap, key) for gap in self.gaps))
                for key in ("found", "wanted", "remedy")
            )
            raise InputError(self.image.path.name, found, wanted, remedy.replace(".;", "."))
        flags = self.image.flags
        n_planes = self.image.pixels.shape[1]
        if self.modality == "fish":
            flags |= SlideFlag.COARSE_PIXELS if max(self.pixel_um) > COARSE_UM else SlideFlag(0)
            flags |= SlideFlag.SINGLE_PLANE if n_planes == 1 else SlideFlag(0)
        return Scene(
            name=self.image.name,
            modality=self.modality,
            pixels=self.image.pixels,
            voxel_um=(self.z_step_um or 0.0, *self.pixel_um),
            roles=self.roles,
            channel_names=self.image.channel_names,
            optics=self.optics,
            origin=self.origin,
            flags=flags,
            stage_um=self.image.stage_um,
            frame_px=self.image.frame_px,
        )


def resolve(image: FileImage, modality: Modality, given: Given) -> Resolved:
    """Bring file, sheet, options and panel together; nothing missing is guessed."""
    origin: dict[str, str] = {}
    gaps: list[Gap] = []
    pixel_um = _pixel(image, modality, given, origin, gaps)
    z_step_um = _z_step(image, modality, given, origin, gaps)
    found = resolve_roles(image, modality, given.option.channels, given.sheet.channels, given.panel)
    origin |= found.origin
    gaps += [Gap(*texts) for texts in found.gaps]
    optics = _optics(image, modality, given.panel, found.roles, origin)
    return Resolved(image, modality, pixel_um, z_step_um, found.roles, optics, origin, tuple(gaps))


def _pixel(
    image: FileImage, modality: Modality, given: Given, origin: dict[str, str], gaps: list[Gap]
) -> tuple[float, float] | None:
    column = f"{modality}_pixel_um"
    how = f"Give --pixel-size-um, or {column} in the study sheet."
    file = image.pixel_um
    option, sheet = given.option.pixel_um, given.sheet.pixel_um
    if option is not None:
        origin["pixel_size"], chosen = "option", (option, option)
    elif file is None and sheet is None:
        gaps.append(Gap(" and ".join(("no pixel size", *image.notes)), "the size of a pixel in um", how))
        return None
    elif file is None:
        origin["pixel_size"], chosen = "sheet", (float(sheet or 0), float(sheet or 0))
    else:
        origin["pixel_size"], chosen = _said_by(image), file
        if sheet is not None and _differ(sheet, file[1]):
            gaps.append(
                Gap(
                    f"a pixel size of {file[1]:g} um in the file and of {sheet:g} um in the study sheet",
                    "one pixel size",
                    f"Correct {column} in the study sheet, or decide with --pixel-size-um.",
                )
            )
    if _differ(*chosen):
        gaps.append(Gap(f"pixels of {chosen[0]:g} x {chosen[1]:g} um (y, x)", "square pixels", how))
    if not all(plausible_pixel(value) for value in chosen):
        wanted = f"a pixel size above {MIN_PIXEL_UM:g} and up to {MAX_PIXEL_UM:g} um"
        gaps.append(Gap(f"a pixel size of {chosen[1]:g} um", wanted, how))
    return chosen


def _z_step(
    image: FileImage, modality: Modality, given: Given, origin: dict[str, str], gaps: list[Gap]
) -> float | None:
    n_planes = image.pixels.shape[1]
    if n_planes == 1:
        return None
    column = f"{modality}_z_step_um"
    how = f"Give --z-step-um, or {column} in the study sheet."
    option, sheet, file = given.option.z_step_um, given.sheet.z_step_um, image.z_step_um
    sources = (("option", option), ("file", file), ("sheet", sheet))
    source, chosen = next(((name, value) for name, value in sources if value is not None), ("", None))
    if chosen is None:
        gaps.append(Gap(f"{n_planes} planes and no z step", "the distance of two planes in um", how))
        return None
    origin["z_step"] = source
    if option is None and file is not None and sheet is not None and _differ(file, sheet):
        gaps.append(
            Gap(
                f"a z step of {file:g} um in the file and of {sheet:g} um in the study sheet",
                "one z step",
                f"Correct {column} in the study sheet, or decide with --z-step-um.",
            )
        )
    if not MIN_PIXEL_UM < chosen <= 10 * MAX_PIXEL_UM:
        wanted = f"a z step above {MIN_PIXEL_UM:g} and up to {10 * MAX_PIXEL_UM:g} um"
        gaps.append(Gap(f"a z step of {chosen:g} um", wanted, how))
    return chosen


def _said_by(image: FileImage) -> str:
    return "device" if image.device else "file"


def _differ(a: float, b: float) -> bool:
    return abs(a - b) > TOLERANCE * max(abs(a), abs(b))


def _optics(
    image: FileImage, modality: Modality, panel: Panel, roles: Mapping[str, int], origin: dict[str, str]
) -> Optics:
    stains = panel.fish if modality == "fish" else panel.if_
    emission: dict[str, float] = {}
    for role, channel in roles.items():
        stated = image.emission_nm[channel] if image.emission_nm else None
        if stated is not None:
            emission[role], origin[f"emission:{role}"] = stated, "file"
        elif role in stains.emission_nm:
            emission[role], origin[f"emission:{role}"] = stains.emission_nm[role], "panel"
    if image.na is not None or stains.na is not None:
        origin["na"] = _said_by(image) if image.na is not None else "panel"
    if image.gain_adu_per_photon is not None:
        origin["camera"] = "file"
    return Optics(
        na=image.na if image.na is not None else stains.na,
        emission_nm=emission,
        gain_adu_per_photon=image.gain_adu_per_photon,
        offset_adu=image.offset_adu,
    )
