"""The limits the code keeps: length of files and functions, broad excepts, asserts, prints."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

from tests.conftest import REPOSITORY

PACKAGE = REPOSITORY / "ctcfish"
FILES = sorted(PACKAGE.rglob("*.py"))
FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


def functions(path: Path) -> Iterator[FunctionNode]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, FunctionNode):
            yield node


def code_lines(path: Path, node: FunctionNode) -> int:
    """Lines of the body that hold code: no docstring, comment or blank line."""
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    if not body:
        return 0
    lines = path.read_text(encoding="utf-8").splitlines()[body[0].lineno - 1 : body[-1].end_lineno]
    return sum(1 for line in lines if line.strip() and not line.strip().startswith("#"))


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_file_and_function_length(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400
    too_long = {node.name: n for node in functions(path) if (n := code_lines(path, node)) > 50}
    assert not too_long


def test_median_file_length() -> None:
    assert median(len(path.read_text(encoding="utf-8").splitlines()) for path in FILES) <= 150


def test_one_broad_except_and_no_assert() -> None:
    broad, asserts = [], []
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ExceptHandler) and (
                node.type is None or getattr(node.type, "id", "") in ("Exception", "BaseException")
            ):
                broad.append(path.name)
            if isinstance(node, ast.Assert):
                asserts.append(path.name)
    assert broad == ["batch.py"]
    assert asserts == []


def code_lines_of(path: Path) -> int:
    """Lines that hold code: no docstring, comment or blank line."""
    text = path.read_text(encoding="utf-8")
    documented = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | FunctionNode) and ast.get_docstring(node) is not None:
            first = node.body[0]
            documented |= set(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    lines = enumerate(text.splitlines(), start=1)
    return sum(1 for n, line in lines if n not in documented and line.strip() and not line.strip().startswith("#"))


def test_at_least_as_many_lines_of_test_as_of_code() -> None:
    tests, package = (sum(map(code_lines_of, (REPOSITORY / name).rglob("*.py"))) for name in ("tests", "ctcfish"))
    assert tests >= package


def test_the_project_speaks_of_itself_alone() -> None:
    words = ("/" + "work/", "/" + "root/", "/" + "home/", "extra-" + "index", "+" + "cpu")
    for folder in ("ctcfish", "scripts", "tests", "docs", "design", "configs", "models"):
        for path in (REPOSITORY / folder).rglob("*"):
            if path.suffix in {".py", ".md", ".toml", ".sh", ".css", ".j2"}:
                text = path.read_text(encoding="utf-8")
                assert not [word for word in words if word in text], path
