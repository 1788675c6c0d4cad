"""The study sheet: ``study.csv``, one row a slide, and ``slide.toml``, the same keys for one slide."""

from __future__ import annotations

import csv
import io
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

from ctcfish.errors import InputError
from ctcfish.io.image import Overrides
from ctcfish.io.roles import ROLES
from ctcfish.io.units import to_number
from ctcfish.types import Modality

USED = (
    "slide_id",
    "patient_id",
    "visit",
    *(f"{m}{key}" for m in ("if", "fish") for key in ("", "_pixel_um", "_z_step_um", "_channels")),
)
"""Columns that the reader itself uses; every other one is kept in ``Slide.sheet`` as given."""


def read_csv(path: Path) -> list[tuple[int, dict[str, str]]]:
    """Line number and row of a CSV file, texts without surrounding space; lines without any value are left out.

    Raises
    ------
    InputError
        No UTF-8, no header, a column twice, or a row longer than the header.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            path.name, f"a file that cannot be read ({error})", "a CSV file in UTF-8", "Save it again as CSV (UTF-8)."
        ) from None
    separator = ";" if text.partition("\n")[0].count(";") > text.partition("\n")[0].count(",") else ","
    try:
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True))
    except csv.Error as error:
        raise InputError(path.name, f"broken CSV ({error})", "a CSV file", "Save it again as CSV.") from None
    header = [name.strip() for name in lines[0]] if lines else []
    repeated = sorted({name for name in header if header.count(name) > 1 or not name})
    if not header or repeated:
        found = f"columns {repeated} without a name of their own" if header else "an empty file"
        raise InputError(path.name, found, "one header line, each column once", "Correct the header.")
    rows = []
    for number, line in enumerate(lines[1:], start=2):
        if not any(value.strip() for value in line):
            continue
        if len(line) > len(header):
            raise InputError(
                f"{path.name}, line {number}",
                f"{len(line)} values",
                f"{len(header)} as in the header",
                "Correct the line; values that hold a comma stand in quotes.",
            )
        rows.append((number, {name: value.strip() for name, value in zip(header, line, strict=False)}))
    return rows


def read_toml(path: Path) -> dict[str, str]:
    """Keys of ``slide.toml`` as texts; a table of channels becomes ``role=name;...``.

    Raises
    ------
    InputError
        A file that is no TOML, or a value that is no text, number, date or table of channels.
    """
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(
            path.name, f"no valid TOML ({error})", "keys as in the study sheet", "Correct the line named."
        ) from None
    values = {}
    for key, value in tree.items():
        if isinstance(value, dict) and key.endswith("_channels"):
            values[key] = ";".join(f"{role}={channel}" for role, channel in value.items())
        elif isinstance(value, dict | list):
            raise InputError(path.name, f"{key} = {value!r}", "a text or a number", "Correct the value.")
        else:
            values[key] = str(value).strip()
    return values


def merge(row: Mapping[str, str], own: Mapping[str, str], where: str) -> dict[str, str]:
    """Row of the study sheet and keys of ``slide.toml`` together.

    Raises
    ------
    InputError
        Where both state different values.
    """
    stated = {key: value for key, value in row.items() if value}
    for key, value in own.items():
        if key in stated and value and not _same(stated[key], value):
            raise InputError(
                where,
                f"{key} {value!r} in slide.toml and {stated[key]!r} in the study sheet",
                "one value",
                "Correct one of them.",
            )
    return stated | {key: value for key, value in own.items() if value}


def _same(a: str, b: str) -> bool:
    return a == b or (to_number(a) is not None and to_number(a) == to_number(b))


def sheet_overrides(values: Mapping[str, str], modality: Modality, where: str) -> Overrides:
    """What the sheet says of one scan.

    Raises
    ------
    InputError
        A length that is no number, channels that are no ``role=name`` pairs, a role that the scan does not have.
    """
    return Overrides(
        pixel_um=_length(values, f"{modality}_pixel_um", where),
        z_step_um=_length(values, f"{modality}_z_step_um", where),
        channels=_channels(values.get(f"{modality}_channels", ""), modality, where),
    )


def _length(values: Mapping[str, str], key: str, where: str) -> float | None:
    text = values.get(key, "")
    number = to_number(text.replace(",", "."))
    if text and (number is None or number <= 0):
        raise InputError(where, f"{key} {text!r}", "a length in um", f"Correct {key}.")
    return number


def _channels(text: str, modality: Modality, where: str) -> dict[str, str]:
    key = f"{modality}_channels"
    channels: dict[str, str] = {}
    for pair in re.split(r"[;,|]", text):
        role, separator, name = (part.strip() for part in pair.partition("="))
        if not pair.strip():
            continue
        if not separator or not role or not name or role in channels:
            raise InputError(
                where, f"{key} {text!r}", "pairs such as nucleus=0;her2=SpO, each role once", f"Correct {key}."
            )
        if role not in ROLES[modality]:
            raise InputError(
                where, f"role {role!r} in {key}", f"one of {', '.join(ROLES[modality])}", f"Correct {key}."
            )
        channels[role] = name
    return channels
