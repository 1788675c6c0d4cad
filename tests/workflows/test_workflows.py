"""The workflow managers' files: they call what exists, and Snakemake plans one job a slide where it is installed."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from ctcfish.cli import app
from tests.conftest import REPOSITORY

SNAKEFILE = REPOSITORY / "workflows" / "Snakefile"
NEXTFLOW = REPOSITORY / "workflows" / "main.nf"


def code_of(file: Path) -> str:
    """The file without its comments."""
    lines = file.read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if not line.lstrip().startswith(("#", "//")))


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Three slides, one with an awkward name, and a folder that is none."""
    for name in ("s1/fish", "s 2/if", "notes/old"):
        (tmp_path / "study" / name).mkdir(parents=True)
    (tmp_path / "study" / "s3").mkdir()
    (tmp_path / "study" / "s3" / "slide.toml").write_text("")
    (tmp_path / "study" / "study.csv").write_text("slide_id\n")
    return tmp_path / "study"


@pytest.mark.parametrize("file", [SNAKEFILE, NEXTFLOW], ids=lambda f: f.name)
def test_they_call_the_command_on_one_slide_with_options_it_has(file: Path) -> None:
    (call,) = re.findall(r"ctcfish (\w+) (.*)", code_of(file))
    command = get_command(app).commands[call[0]]  # type: ignore[attr-defined]
    known = {option for parameter in command.params for option in parameter.opts}
    used = re.findall(r"--[\w-]+", call[1])
    assert call[0] == "score"
    assert used == ["--out"]
    assert set(used) <= known


@pytest.mark.parametrize("file", [SNAKEFILE, NEXTFLOW], ids=lambda f: f.name)
def test_their_comments_show_options_that_exist(file: Path) -> None:
    score = get_command(app).commands["score"]  # type: ignore[attr-defined]
    known = {option for parameter in score.params for option in parameter.opts}
    shown = re.findall(r"options[ =]['\"](--[\w-]+)", file.read_text(encoding="utf-8"))
    assert shown
    assert set(shown) <= known


@pytest.mark.parametrize("file", [SNAKEFILE, NEXTFLOW], ids=lambda f: f.name)
def test_a_slide_is_what_the_program_takes_for_one(file: Path) -> None:
    assert all(f"'{name}'" in code_of(file).replace('"', "'") for name in ("fish", "if", "slide.toml"))


def test_the_nextflow_process_is_whole() -> None:
    text = code_of(NEXTFLOW)
    for opening, closing in ("{}", "()", "[]"):
        assert text.count(opening) == text.count(closing)
    (process,) = re.findall(r"process (\w+) \{(.*?)\n\}", text, re.DOTALL)
    assert process[0] in text.split("workflow {")[1]
    assert all(f"\n    {part}:\n" in process[1] for part in ("input", "output", "script"))
    given = set(re.findall(r"^params\.(\w+) =", text, re.MULTILINE))
    assert set(re.findall(r"params\.(\w+)", text)) == given
    assert "task.exitStatus == 3" in text, "a refused slide does not end the others"
    assert "--out run" in process[1]
    assert "path 'run'" in process[1]


def test_the_snakefile_is_python_but_for_its_rules(study: Path, tmp_path: Path) -> None:
    head = SNAKEFILE.read_text(encoding="utf-8").split("\nrule all:")[0]
    names: dict[str, object] = {"config": {"study": str(study), "out": str(tmp_path / "runs")}}
    exec(compile(head, "Snakefile", "exec"), names)
    assert names["SLIDES"] == ["s 2", "s1", "s3"]


def snakemake() -> str:
    """The program of that name, in the path or beside this Python."""
    found = shutil.which("snakemake") or shutil.which("snakemake", path=str(Path(sys.executable).parent))
    return found or pytest.skip("snakemake is not installed")


def test_snakemake_plans_one_job_a_slide(study: Path, tmp_path: Path) -> None:
    command = [snakemake(), "--snakefile", str(SNAKEFILE), "--dry-run", "--cores", "1", "--printshellcmds"]
    done = subprocess.run(
        [*command, "--config", f"study={study}", f"out={tmp_path / 'runs'}", "options=--preset circe_guarded"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert re.search(r"^score\s+3$", said, re.MULTILINE)
    assert len(re.findall(r"ctcfish score .* --preset circe_guarded", said)) == 3
    assert f"ctcfish score '{study}/s 2' --out '{tmp_path}/runs/s 2'" in said
    assert not (tmp_path / "runs").exists()
