"""The study of coverage measures what it says, and the demonstration of the trial names files that are there."""

from __future__ import annotations

import importlib.util
import math
import os
import re
from types import ModuleType

import numpy as np
import pytest

from ctcfish.errors import StatisticsError
from tests.conftest import REPOSITORY


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("trial_coverage", REPOSITORY / "scripts" / "trial_coverage.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_study_draws_a_truth_and_limits_in_order(script: ModuleType) -> None:
    for name, draw in script.STUDIES.items():
        truth, low, high = draw(np.random.default_rng(1), 30)
        assert math.isfinite(truth), name
        assert low <= high, name


def test_truths_are_those_of_the_textbook(script: ModuleType) -> None:
    rng = np.random.default_rng(2)
    kappa = script.STUDIES["kappa by patient"](rng, 30)[0]
    observed, chance = 0.8 * 0.95 + 0.2 * 0.8, 0.8 * 0.8 + 0.2 * 0.2
    assert kappa == pytest.approx((observed - chance) / (1 - chance), abs=1e-4)
    assert script.STUDIES["survival at 6 months"](rng, 30)[0] == pytest.approx(math.exp(-6 * math.log(2) / 4.8))


def test_coverage_counts_what_holds_and_leaves_out_what_says_nothing(script: ModuleType) -> None:
    turns = iter([(1.0, 0.0, 2.0), (1.0, 1.5, 2.0), (1.0, math.nan, math.nan), None, (1.0, 1.0, 1.0)])

    def draw(rng: np.random.Generator, n: int) -> tuple[float, float, float]:
        found = next(turns)
        if found is None:
            raise StatisticsError("no event")
        return found

    assert script.coverage(draw, 30, 5) == (pytest.approx(2 / 3), 3)


QUICK = ["median survival", "rank correlation 0", "superiority, 12 marked, shift 0.8", "share of cells 0.1, rho 0.1"]


@pytest.mark.parametrize("name", QUICK)
def test_intervals_hold(script: ModuleType, name: str) -> None:
    share, defined = script.coverage(script.STUDIES[name], 30, 250)
    assert defined == 250
    assert abs(share - 0.95) <= 3.5 * math.sqrt(0.95 * 0.05 / 250)


@pytest.mark.parametrize("name", ["kappa by patient", "positive agreement by patient", "Cox, hazard"])
def test_slower_intervals_hold(script: ModuleType, name: str) -> None:
    share, defined = script.coverage(script.STUDIES[name], 30, 60)
    assert defined == 60
    assert share >= 0.85


@pytest.mark.parametrize("name", ["trial.sh", "ep15.sh"])
def test_what_a_script_names_is_there(name: str) -> None:
    path = REPOSITORY / "scripts" / name
    assert os.access(path, os.X_OK)
    text = path.read_text(encoding="utf-8")
    files = re.findall(r"(?:data_samples|configs)/[\w/.]+", text)
    assert files
    for file in files:
        assert (REPOSITORY / file).is_file(), file


def test_what_the_trial_script_types_can_be_typed() -> None:
    from typer.main import get_command

    from ctcfish.cli import app

    text = (REPOSITORY / "scripts" / "trial.sh").read_text(encoding="utf-8")
    commands = [line.split()[1:] for line in text.splitlines() if line.startswith('"$ctcfish"')]
    assert [words[0] for words in commands] == ["simulate", "batch", "qc", "trial", "trial"]
    for words in commands:
        command = get_command(app)
        while hasattr(command, "commands"):
            command = command.commands[words.pop(0)]
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known
