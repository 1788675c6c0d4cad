"""Which channel shows what: by hand, by the sheet, or by the names of the panel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ctcfish.errors import UsageError
from ctcfish.io.image import FileImage
from ctcfish.parameters import ChannelPanel, Panel
from ctcfish.types import PROBES, Modality

Texts = tuple[str, str, str]
"""What was found, what is needed, how to give it."""

ROLES: dict[Modality, tuple[str, ...]] = {
    "fish": ("nucleus", "her2", "cep17"),
    "if": ("nucleus", "inclusion", "exclusion", "her2_protein"),
}
REQUIRED: dict[Modality, tuple[str, ...]] = {"fish": ("nucleus",), "if": ("nucleus", "inclusion", "exclusion")}


@dataclass
class Found:
    """Roles found so far, where each is from, and what is missing."""

    roles: dict[str, int] = field(default_factory=dict)
    origin: dict[str, str] = field(default_factory=dict)
    gaps: list[Texts] = field(default_factory=list)

    def miss(self, role: str, modality: Modality, found: str, wanted: str) -> None:
        """Note what is missing or contradictory about a role."""
        sheet = f"{modality}_channels in the study sheet"
        how = f"Give --channel {role}=NAME or INDEX (from 0), {sheet}, or an alias in [panel.{modality}]."
        self.gaps.append((found, wanted, how))


def check_roles(channels: Mapping[str, str], modalities: set[Modality]) -> None:
    """Refuse a role that none of the scans has.

    Raises
    ------
    UsageError
    """
    known = [role for m in sorted(modalities) for role in ROLES[m]]
    for role in channels:
        if role not in known:
            raise UsageError(f"--channel {role}=...: the roles of this scan are {', '.join(dict.fromkeys(known))}.")


def resolve_roles(
    image: FileImage, modality: Modality, option: Mapping[str, str], sheet: Mapping[str, str], panel: Panel
) -> Found:
    """Channel of every role: an option wins over the sheet, the sheet over names; a sheet may not contradict names."""
    found = Found()
    names = image.channel_names
    by_name = _by_alias(names, panel.fish if modality == "fish" else panel.if_, ROLES[modality])
    unplaced: set[str] = set()
    for role in ROLES[modality]:
        source, text = ("option", option[role]) if role in option else ("sheet", sheet.get(role, ""))
        if not text:
            continue
        channel, problem = _locate(text, image)
        if channel is None:
            found.miss(role, modality, problem, f"a channel for {role}")
            unplaced.add(role)
            continue
        found.roles[role], found.origin[f"role:{role}"] = channel, source
        claimed = by_name.get(role, [])
        if source == "sheet" and claimed and channel not in claimed:
            said = f"{role} as channel {channel} in the study sheet and as channel {claimed[0]} by its name"
            found.miss(role, modality, said, "one channel for each role")
    _add_named(found, {r: c for r, c in by_name.items() if r not in unplaced}, names, modality)
    _check_unique(found, modality)
    _check_complete(found, unplaced, names, modality)
    return found


def _by_alias(names: tuple[str, ...], stains: ChannelPanel, roles: tuple[str, ...]) -> dict[str, list[int]]:
    """Channels whose name is an alias of each role, compared without case."""
    claimed = {}
    for role in roles:
        aliases = {role.casefold(), *(alias.strip().casefold() for alias in stains.aliases.get(role, ()))}
        claimed[role] = [k for k, name in enumerate(names) if name.strip().casefold() in aliases]
    return claimed


def _locate(text: str, image: FileImage) -> tuple[int | None, str]:
    """Channel that a name, an index or ``#index`` means; else what is wrong with it."""
    names, n_channels = image.channel_names, image.pixels.shape[0]
    wanted = text.strip()
    number = wanted.removeprefix("#")
    index = int(number) if number.isascii() and number.isdigit() and len(number) < 6 else None
    matches = [k for k, name in enumerate(names) if name.strip().casefold() == wanted.casefold()]
    if index is not None and matches and matches != [index]:
        return (
            None,
            f"channel {wanted!r} is a name (of channel {matches[0]}) and an index; write #{index} for the index",
        )
    if len(matches) > 1:
        return None, f"{len(matches)} channels named {wanted!r}"
    if matches:
        return matches[0], ""
    if index is not None and index < n_channels:
        return index, ""
    return None, f"no channel {wanted!r} in {channel_list(names)}"


def _add_named(found: Found, by_name: dict[str, list[int]], names: tuple[str, ...], modality: Modality) -> None:
    taken = set(found.roles.values())
    for role, channels in by_name.items():
        free = [k for k in channels if k not in taken]
        if role in found.roles or not free:
            continue
        if len(free) > 1:
            said = f"channels {', '.join(f'{k} ({names[k]})' for k in free)} that could all be {role}"
            found.miss(role, modality, said, f"one channel for {role}")
        found.roles[role], found.origin[f"role:{role}"] = free[0], "panel"


def _check_unique(found: Found, modality: Modality) -> None:
    for channel in sorted(set(found.roles.values())):
        roles = [role for role, k in found.roles.items() if k == channel]
        if len(roles) > 1:
            said = f"channel {channel} for {' and '.join(roles)}"
            found.miss(roles[-1], modality, said, "a channel of its own for each role")


def _check_complete(found: Found, unplaced: set[str], names: tuple[str, ...], modality: Modality) -> None:
    for role in REQUIRED[modality]:
        if role not in found.roles and role not in unplaced:
            found.miss(role, modality, f"no {role} channel in {channel_list(names)}", f"a channel for {role}")
    probes = {probe.lower() for probe in PROBES}
    if modality == "fish" and not probes & (set(found.roles) | unplaced):
        said = f"no her2 or cep17 channel in {channel_list(names)}"
        found.miss("her2", modality, said, "a channel for her2 or cep17 (both to call cells)")


def channel_list(names: tuple[str, ...]) -> str:
    """Channels in words.

    Examples
    --------
    >>> channel_list(("DAPI", ""))
    '2 channels (0: DAPI, 1: unnamed)'
    """
    shown = ", ".join(f"{k}: {name or 'unnamed'}" for k, name in enumerate(names[:12]))
    more = ", ..." if len(names) > 12 else ""
    return f"{len(names)} channel{'s' if len(names) != 1 else ''} ({shown}{more})"
