"""Every deliberate failure has its exit code and says what was found, what was wanted and what to do."""

from __future__ import annotations

import pickle

import pytest
import typer

from ctcfish import errors
from ctcfish.cli import main

CODES = {
    "CtcfishError": 1,
    "UsageError": 2,
    "ConfigError": 2,
    "DeviceError": 2,
    "WeightsError": 2,
    "StatisticsError": 2,
    "InputError": 3,
    "RelocationError": 3,
    "BatchIncompleteError": 4,
    "QcGateError": 5,
    "MismatchError": 6,
}
"""As the contract of the command line says."""


def declared() -> dict[str, type[errors.CtcfishError]]:
    return {
        name: value
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.CtcfishError)
    }


def test_every_error_has_the_contracts_exit_code() -> None:
    assert {name: kind.exit_code for name, kind in declared().items()} == CODES


def test_no_deliberate_error_looks_like_success_or_an_interrupt() -> None:
    assert not {0, 130} & {kind.exit_code for kind in declared().values()}


@pytest.mark.parametrize("kind", [errors.InputError, errors.RelocationError])
def test_a_refusal_is_one_sentence_of_four_parts(kind: type[errors.InputError]) -> None:
    error = kind("a.tif", "no pixel size", "micrometres per pixel", "Give --pixel-size-um.")
    assert str(error) == "a.tif: found no pixel size; needed micrometres per pixel. Give --pixel-size-um."
    assert (error.where, error.found, error.wanted, error.remedy) == error.args


def test_a_refusal_travels_between_processes() -> None:
    error = errors.InputError("a.tif", "nothing", "pixels", "Scan again.")
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is errors.InputError
    assert (str(back), back.remedy) == (str(error), "Scan again.")


def test_a_statistic_refused_is_also_a_value_error() -> None:
    with pytest.raises(ValueError, match="no shares"):
        raise errors.StatisticsError("no shares")
    assert not issubclass(errors.InputError, ValueError)


@pytest.mark.parametrize("name", sorted(set(CODES) - {"InputError", "RelocationError"}))
def test_the_command_line_ends_with_the_errors_code(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails() -> None:
        raise declared()[name]("said what and why.")

    monkeypatch.setattr("ctcfish.doctor.health", fails)
    with pytest.raises((SystemExit, typer.Exit)) as end:
        main(["doctor"])
    assert getattr(end.value, "code", None) == CODES[name]
    said = capsys.readouterr()
    assert "said what and why." in said.err
    assert "said what" not in said.out
