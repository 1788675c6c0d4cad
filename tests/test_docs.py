"""The documentation says what the code says."""

from __future__ import annotations

import re

import pytest

from ctcfish import config
from ctcfish.store.results import DECLARED
from tests.conftest import REPOSITORY


def text(name: str) -> str:
    return (REPOSITORY / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("table", DECLARED, ids=lambda t: t.name)
def test_every_column_is_documented_as_declared(table) -> None:
    section = text("docs/files.md").split(f"### {table.name}\n")[1].split("\n### ")[0]
    documented = dict(re.findall(r"^\| `(\w+)` \| (\w+) \|", section, re.MULTILINE))
    assert documented == {c.name: c.kind for c in table.columns}
    for column in table.columns:
        assert column.meaning.replace("|", "\\|") in section


def test_every_preset_is_documented() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", text("docs/presets.md"), re.MULTILINE)
    assert sorted(rows) == config.preset_names()


def test_every_command_of_the_readme_exists() -> None:
    from typer.main import get_command

    from ctcfish.cli import app

    known = set(get_command(app).commands)  # type: ignore[attr-defined]
    used = set(re.findall(r"^ctcfish (\w+)", text("README.md"), re.MULTILINE))
    assert {"info", "score", "batch"} <= used <= known


@pytest.mark.parametrize(
    "page", ["README.md", "CONTRIBUTING.md", "design/README.md", "docs/presets.md", "docs/runs.md"]
)
def test_links_lead_somewhere(page: str) -> None:
    folder = (REPOSITORY / page).parent
    for target in re.findall(r"\]\(([^)#]+)\)", text(page)):
        assert (folder / target).exists(), f"{page}: {target}"


def test_research_use_only_is_said() -> None:
    for page in ("README.md", "ctcfish/report/templates/slide.html.j2", "ctcfish/cli/__init__.py"):
        assert "Research use only" in text(page)


def test_what_the_page_on_runs_shows_can_be_typed() -> None:
    from typer.main import get_command

    from ctcfish.cli import app

    commands = get_command(app).commands  # type: ignore[attr-defined]
    shown = re.findall(r"^\$ ctcfish (\w+) (.*)$", text("docs/runs.md"), re.MULTILINE)
    assert {"verify", "compare", "batch"} <= {name for name, _ in shown}
    for name, arguments in shown:
        known = {option for parameter in commands[name].params for option in parameter.opts}
        assert set(re.findall(r"--[\w-]+", arguments)) <= known


def test_every_format_and_level_is_documented() -> None:
    from ctcfish.cli.runs import FailOn, Format

    rows = re.findall(r"^\| ((?:`[\w-]+`(?:, )?)+) \|", text("docs/runs.md"), re.MULTILINE)
    named = [word for row in rows for word in re.findall(r"`([\w-]+)`", row)]
    assert named == [*FailOn, *Format]
