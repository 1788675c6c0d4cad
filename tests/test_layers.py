"""Imports point down: the whole rule as one table."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

PACKAGE = REPOSITORY / "ctcfish"

BASE = {"errors", "flags"}
VALUES = BASE | {"types", "tables", "schema", "parameters"}
ALLOWED: dict[str, set[str]] = {
    "__init__": {"config", "io", "pipeline", "stages"},
    "__main__": {"cli"},
    "errors": set(),
    "flags": set(),
    "resources": set(),
    "parameters": set(),
    "types": {"flags", "stats"},
    "schema": {"errors"},
    "tables": {"schema"},
    "config": {"errors", "parameters", "resources"},
    "gates": {"errors", "parameters", "resources", "config"},
    "device": {"errors"},
    "metrics": BASE,
    "stats": {"errors"},
    "ops": {"errors"},
    "nets": {"errors", "resources", "ops", "synth"},
    "stages": VALUES | {"ops", "nets", "stats"},
    "io": VALUES,
    "synth": VALUES | {"config", "stages", "ops", "stats"},
    "store": VALUES | {"config", "resources"},
    "trial": BASE | {"tables", "schema", "parameters", "config", "resources", "stats"},
    "report": VALUES | {"resources", "store", "stats", "trial"},
    "export": VALUES | {"config", "io", "store"},
    "conclude": VALUES | {"config", "stages", "stats", ""},
    "pipeline": VALUES | {"conclude", "config", "gates", "stages", ""},
    "engine": VALUES | {"config", "device", "io", "resources", "store", ""},
    "unit": VALUES | {"conclude", "config", "engine", "io", "pipeline", "report", "stages", "store"},
    "batch": VALUES | {"conclude", "config", "device", "engine", "io", "report", "stages", "store", "unit"},
    "qc": VALUES | {"config", "io", "report", "resources", "stages", "stats", "store"},
    "doctor": {"config", "nets", ""},
    "warm": {"batch", "engine", "ops", "pipeline", "report"},
}
"""Room -> the rooms it may import; itself always. ``cli`` may import all, and nothing imports ``cli``."""


def imported_rooms(source: str) -> set[str]:
    """Rooms of the package that a module imports, also inside functions and for type checking."""
    rooms = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            module = node.module or ""
            names = [f"{module}.{alias.name}" for alias in node.names] if module == "ctcfish" else [module]
        else:
            continue
        rooms |= {name.split(".")[1] if "." in name else "" for name in names if name.split(".")[0] == "ctcfish"}
    return rooms


def modules() -> list[tuple[str, str]]:
    return sorted((path.relative_to(PACKAGE).parts[0].removesuffix(".py"), str(path)) for path in PACKAGE.rglob("*.py"))


@pytest.mark.parametrize(("room", "path"), modules(), ids=lambda value: value.rsplit("ctcfish/")[-1])
def test_imports_point_down(room: str, path: str) -> None:
    if room == "cli":
        return
    wrong = imported_rooms(Path(path).read_text(encoding="utf-8")) - ALLOWED[room] - {room}
    assert not wrong, f"{room} must not import {sorted(wrong)}"


def test_every_room_stands_in_the_table() -> None:
    rooms = {room for room, _ in modules()}
    assert rooms - {"cli"} <= set(ALLOWED)


def test_the_rule_sees_a_wrong_import() -> None:
    assert imported_rooms("def f():\n    from ctcfish.cli import app\n") == {"cli"}
    assert imported_rooms("import ctcfish.io.open\nfrom ctcfish import tables\n") == {"io", "tables"}


@pytest.mark.parametrize("statement", ["import ctcfish", "import ctcfish.cli", "import ctcfish.config, ctcfish.tables"])
def test_importing_costs_no_heavy_library(statement: str) -> None:
    heavy = ("torch", "matplotlib", "cv2", "skimage", "scipy", "zarr", "duckdb")
    if "tables" in statement:
        heavy = tuple(name for name in heavy if name != "scipy")
    code = f"{statement}; import sys; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
