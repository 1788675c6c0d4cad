"""What ``verify`` and ``compare`` found, in words."""

from __future__ import annotations

import json

from ctcfish.store.compare import LEVELS, Comparison
from ctcfish.store.verify import Part, Verification

PARTS: tuple[Part, ...] = ("outputs", "inputs", "configuration", "weights")
MOST_ROWS = 50
"""Differences of one kind that are printed; ``--json`` prints all."""


def verification_text(found: Verification) -> str:
    """One line for each part of a run, then one for each thing that is not as its manifest says."""
    lines = []
    for part in PARTS:
        wrong = [problem for problem in found.problems if problem.part == part]
        if part not in found.checked:
            lines.append(f"{part}: not checked; give --study")
        elif wrong:
            lines.append(f"{part}: {len(wrong)} not as in the manifest, which lists {found.checked[part]}")
        else:
            lines.append(f"{part}: {found.checked[part]} as in the manifest")
    lines += [f"  {problem.part} {problem.what}: {problem.name}" for problem in found.problems]
    return "\n".join(lines)


def comparison_text(found: Comparison) -> str:
    """Whether two runs agree at each level, then what differs."""
    lines = [f"{level}: {'different' if found.differs(level) else 'the same'}" for level in LEVELS]
    for title, frame in (("files", found.files), ("values", found.values), ("cells and patients", found.calls)):
        if len(frame):
            lines += ["", f"{title}: {len(frame)} differ", frame.head(MOST_ROWS).to_string(index=False, na_rep="")]
        if len(frame) > MOST_ROWS:
            lines.append(f"... and {len(frame) - MOST_ROWS} more; --json prints all")
    return "\n".join(lines)


def comparison_json(found: Comparison) -> str:
    """All differences of two runs on one line of JSON."""
    tables = {"files": found.files, "values": found.values, "calls": found.calls}
    rows = {name: frame.astype(object).where(frame.notna(), None).to_dict("records") for name, frame in tables.items()}
    return json.dumps({"differs": {level: found.differs(level) for level in LEVELS}} | rows)
