"""Write the column tables of docs/files.md from their declarations."""

from __future__ import annotations

from pathlib import Path

from ctcfish.store.results import DECLARED
from ctcfish.tables import Table

PAGE = Path(__file__).resolve().parent.parent / "docs" / "files.md"


def section(table: Table) -> str:
    """One table in Markdown."""
    lines = [f"### {table.name}", "", "| column | type | unit | meaning |", "|---|---|---|---|"]
    for column in table.columns:
        choices = f" One of {', '.join(column.choices)}." if column.choices else ""
        meaning = column.meaning.replace("|", "\\|")
        lines.append(f"| `{column.name}` | {column.kind} | {column.unit} | {meaning}{choices} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Keep what stands before the first table, and write every table again."""
    text = PAGE.read_text(encoding="utf-8")
    introduction = text.split("\n### ")[0].rstrip() + "\n\n"
    PAGE.write_text(introduction + "\n".join(section(table) for table in DECLARED), encoding="utf-8")


if __name__ == "__main__":
    main()
