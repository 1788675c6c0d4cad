"""Whether the two scans of a slide lie in each other's place."""

from __future__ import annotations

from collections.abc import Sequence

from ctcfish.errors import InputError
from ctcfish.io.resolve import Resolved
from ctcfish.parameters import ChannelPanel, Panel
from ctcfish.types import Modality

_FINER = 1.5
_IF_ONLY = ("inclusion", "exclusion")
_FISH_ONLY = ("cep17",)


def refuse_swapped(slide_id: str, scenes: Sequence[Resolved], panel: Panel) -> None:
    """Refuse a slide whose IF scan looks like FISH beside a FISH scan that looks like IF.

    Signs are the names of channels that only the other scan has, and planes in the IF scan beside none in the FISH
    scan. Both scans under the other's names are enough; else a sign counts where the pixels of the IF scan are finer by
    half, as no laboratory's are.

    Raises
    ------
    InputError
    """
    here, there = (_of(scenes, modality) for modality in ("if", "fish"))
    if not here or not there:
        return
    fish_in_if = _named(here, panel.fish, _FISH_ONLY) and not _named(here, panel.if_, _IF_ONLY)
    if_in_fish = _named(there, panel.if_, _IF_ONLY) and not _named(there, panel.fish, _FISH_ONLY)
    stacked = _planes(here) > 1 and _planes(there) == 1
    if (fish_in_if and if_in_fish) or (_finer(here, there) and (fish_in_if or if_in_fish or stacked)):
        raise InputError(
            f"slide {slide_id}",
            f"{_told(here)} as the IF scan, and {_told(there)} as the FISH scan",
            "the immunofluorescence scan in if/ and the FISH scan in fish/",
            "Exchange the two folders, or the columns `if` and `fish` of the study sheet; if the scans are in their "
            "places, correct their pixel sizes and channel names.",
        )


def _of(scenes: Sequence[Resolved], modality: Modality) -> list[Resolved]:
    return [scene for scene in scenes if scene.modality == modality]


def _named(scenes: Sequence[Resolved], stains: ChannelPanel, roles: tuple[str, ...]) -> bool:
    """Whether a channel is called after one of the roles."""
    aliases = {name.casefold() for role in roles for name in (role, *stains.aliases.get(role, ()))}
    return any(name.strip().casefold() in aliases for scene in scenes for name in scene.image.channel_names)


def _planes(scenes: Sequence[Resolved]) -> int:
    return max(scene.image.pixels.shape[1] for scene in scenes)


def _finer(here: Sequence[Resolved], there: Sequence[Resolved]) -> bool:
    """Whether every pixel here is finer by half than every pixel there."""
    sizes = [[scene.pixel_um[1] for scene in scan if scene.pixel_um is not None] for scan in (here, there)]
    return all(sizes) and max(sizes[0]) * _FINER <= min(sizes[1])


def _told(scenes: Sequence[Resolved]) -> str:
    first = scenes[0]
    size = "pixels of unknown size" if first.pixel_um is None else f"pixels of {first.pixel_um[1]:g} um"
    named = ", ".join(name for name in first.image.channel_names if name) or "no names of channels"
    planes = first.image.pixels.shape[1]
    return f"{size}, {planes} plane{'s' if planes > 1 else ''} and {named}"
