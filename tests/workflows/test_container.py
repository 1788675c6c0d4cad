"""The Dockerfile, linted: pinned bases, no root, nothing copied that is not there, both devices."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from fnmatch import fnmatch

import pytest

from tests.conftest import REPOSITORY

TEXT = (REPOSITORY / "Dockerfile").read_text(encoding="utf-8")
Instruction = tuple[str, str]


def instructions(text: str) -> list[Instruction]:
    """Name and arguments of each instruction; comments go, continued lines are joined."""
    kept = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(kept))
    return [(name.upper(), rest.strip()) for name, _, rest in (line.partition(" ") for line in joined.splitlines())]


RULES = (
    ("ADD", ".", "ADD where COPY would do"),
    ("RUN", r"apt-get install(?!.*--no-install-recommends)", "apt-get install with recommended packages"),
    ("RUN", r"pip (install|wheel)(?!.*--no-cache-dir)", "pip that leaves its cache in a layer"),
    ("ENV", r"(?i)(token|password|secret|api_key)", "a secret in a layer"),
    ("ARG", r"(?i)(token|password|secret|api_key)", "a secret in a layer"),
    ("ENTRYPOINT", r"^[^\[]", "ENTRYPOINT through a shell"),
    ("CMD", r"^[^\[]", "CMD through a shell"),
)
"""Instruction, what must not stand in it, and why."""


def problems(text: str) -> list[str]:
    """What a reviewer would not let pass."""
    said = instructions(text)
    found = [why for name, rest in said for rule, wrong, why in RULES if name == rule and re.search(wrong, rest)]
    stages = ["${DEVICE}"]
    user = "root"
    for name, rest in said:
        if name == "FROM":
            base, _, alias = rest.partition(" AS ")
            if base not in stages and not re.fullmatch(r"[\w./-]+:\d+\.\d+\.\d+[\w.-]*", base):
                found.append(f"base {base} is not pinned to a full version")
            stages.append(alias)
            user = "root"
        user = rest if name == "USER" else user
    return found + ["root runs the program"] * (user.split(":")[0] in ("root", "0"))


def test_a_reviewer_finds_nothing() -> None:
    assert problems(TEXT) == []


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (("python:3.11.14-slim-bookworm AS wheel", "python:latest AS wheel"), "base python:latest is not pinned"),
        (("python:3.11.14-slim-bookworm AS cpu", "python AS cpu"), "base python is not pinned"),
        (("USER 10001:10001\n", ""), "root runs the program"),
        (("USER 10001:10001\n", "USER root\n"), "root runs the program"),
        (("COPY models", "ADD models"), "ADD where COPY would do"),
        (("wheel --no-cache-dir", "wheel"), "pip that leaves its cache"),
        (('ENTRYPOINT ["ctcfish"]', "ENTRYPOINT ctcfish"), "ENTRYPOINT through a shell"),
        (("WORKDIR /data", "ENV API_KEY=1"), "a secret in a layer"),
    ],
    ids=lambda value: value[1][:20] if isinstance(value, tuple) else "",
)
def test_the_reviewer_sees_what_is_wrong(spoil: tuple[str, str], expected: str) -> None:
    assert spoil[0] in TEXT
    assert any(expected in problem for problem in problems(TEXT.replace(*spoil)))


def test_the_device_chooses_the_stage() -> None:
    said = instructions(TEXT)
    aliases = [rest.partition(" AS ")[2] for name, rest in said if name == "FROM"]
    assert aliases == ["wheel", "cpu", "cuda", ""]
    assert said[0] == ("ARG", "DEVICE=cpu")
    assert [rest for name, rest in said if name == "FROM"][-1] == "${DEVICE}"
    assert any(name == "RUN" and "torch.version.cuda" in rest for name, rest in said)


def test_python_is_one_that_the_package_takes() -> None:
    wanted = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]["requires-python"]
    least = tuple(int(part) for part in wanted.removeprefix(">=").split("."))
    for version in re.findall(r"FROM python:(\d+)\.(\d+)", TEXT):
        assert tuple(map(int, version)) >= least


def test_what_is_copied_exists_and_is_let_in() -> None:
    let_in = (REPOSITORY / ".dockerignore").read_text(encoding="utf-8").split()
    assert let_in[0] == "*"
    names = [
        name for i, rest in instructions(TEXT) if i == "COPY" and "--from" not in rest for name in rest.split()[:-1]
    ]
    assert names
    for name in names:
        assert (REPOSITORY / name).exists()
        assert f"!{name}" in let_in
    for kept_out in (".git", ".venv", "tests"):
        assert not any(fnmatch(kept_out, entry[1:]) for entry in let_in if entry.startswith("!"))


def test_the_wheel_finds_everything_it_is_built_of() -> None:
    """Files that the build reads stand among those copied before it."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    target = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {*target["packages"], *target["force-include"], project["project"]["readme"], "pyproject.toml"}
    needed |= set(project["project"]["license-files"])
    stage = TEXT.split(" AS wheel")[1].split("FROM")[0]
    copied = {name for i, rest in instructions(stage) if i == "COPY" for name in rest.split()[:-1]}
    assert needed <= copied


def test_the_extras_it_installs_exist() -> None:
    extras = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (used,) = re.findall(r"\.whl\)\[([\w,]+)\]", TEXT)
    assert set(used.split(",")) <= set(extras["optional-dependencies"])


@pytest.mark.skipif(shutil.which("hadolint") is None, reason="hadolint is not installed")
def test_hadolint_finds_nothing() -> None:
    done = subprocess.run(["hadolint", str(REPOSITORY / "Dockerfile")], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
