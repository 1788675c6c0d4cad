"""Answers on one screen of plain text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pandas as pd

from ctcfish.flags import SlideFlag
from ctcfish.report.words import number, sentences

SHOWN = ["cell_id", "kind", "her2_count", "cep17_count", "ratio", "p_amplified", "call", "call_guarded", "reason"]
MOST_ROWS = 20


def screen(row: dict[str, Any], cells: pd.DataFrame, note: str) -> str:
    """Summary of one slide.

    Parameters
    ----------
    row : dict
        A row of :data:`ctcfish.tables.SLIDES`.
    cells : pandas.DataFrame
    note : str
    """
    lines = [f"slide {row['slide_id']} ({row['preset']})  research use only"]
    if row.get("n_ctc") is not None:
        lines.append(
            f"CTC {row['n_ctc']}, lost {row['n_lost']}, evaluable {row['n_evaluable']}, "
            f"amplified {row['n_amplified']}, by the guarded rule {row['n_amplified_guarded']}"
        )
    lines.append(f"nuclei {row['n_nuclei']}, leukocytes {row['n_leukocytes']}")
    shown = cells[cells["kind"] == "ctc"] if (cells["kind"] == "ctc").any() else cells
    if len(shown):
        table = shown[SHOWN].head(MOST_ROWS).astype(object).map(number)
        lines.append(table.to_string(index=False))
        if len(shown) > MOST_ROWS:
            lines.append(f"... {len(shown) - MOST_ROWS} more in cells.csv")
    lines += [f"! {sentence}" for sentence in sentences(str(row["flags"]), SlideFlag).values()]
    return "\n".join(lines + ([note] if note else []))


def about(said: Mapping[str, Any]) -> str:
    """What an image is, for ``ctcfish info``.

    Parameters
    ----------
    said : mapping
        As of :func:`ctcfish.io.describe`.
    """
    lines = [f"{said['slide_id']}: {'ready to score' if said['ready'] else 'cannot be scored yet'}"]
    for scene in said["scenes"]:
        size = " ".join(f"{axis}={n}" for axis, n in scene["size"].items())
        lines.append(f"scene {scene['name']} ({scene['format']}, {scene['modality']}): {size}, {scene['dtype']}")
        lines.append(
            f"  pixel {_lengths(scene['pixel_um'])}, z step {_lengths(scene['z_step_um'])}, NA {scene['na'] or '-'}"
        )
        for channel in scene["channels"]:
            name = f"  channel {channel['index']} {channel['name'] or '(no name)'}"
            lines.append(f"{name}: {channel['role'] or 'no role'}")
        lines += [f"  note: {note}" for note in scene["notes"]]
        lines += [f"  missing: {gap['found']}. {gap['remedy']}" for gap in scene["missing"]]
    return "\n".join(lines)


def as_toml(tree: Mapping[str, Any], prefix: str = "") -> str:
    """Nested values as TOML."""
    plain = {k: v for k, v in tree.items() if not isinstance(v, Mapping) and v is not None}
    text = f"[{prefix}]\n" if prefix and plain else ""
    text += "".join(f"{_toml_key(key)} = {_toml_value(value)}\n" for key, value in plain.items())
    text += "\n" if plain else ""
    for key, value in tree.items():
        if isinstance(value, Mapping):
            text += as_toml(value, f"{prefix}.{key}" if prefix else key)
    return text


def _toml_key(key: str) -> str:
    return key if key.replace("_", "").replace("-", "").isalnum() and key.isascii() else json.dumps(key)


def _toml_value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml_value(item) for item in value) + "]"
    # A JSON string is a TOML string.
    return repr(value) if isinstance(value, int | float) else json.dumps(str(value), ensure_ascii=False)


def _lengths(value: Any) -> str:
    if value is None:
        return "-"
    return " x ".join(f"{v:g}" for v in value) + " um" if isinstance(value, list) else f"{value:g} um"
