from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from ctcfish.errors import ConfigError
from ctcfish.trial.protocol import MergeIfSlow, Protocol, parse_protocol, read_protocol
from ctcfish.trial.template import shipped_protocol
from tests.conftest import REPOSITORY

CIRCE = REPOSITORY / "configs" / "trial" / "circe.toml"


def tree() -> dict[str, Any]:
    return tomllib.loads(shipped_protocol())


def parsed(**changes: Any) -> Protocol:
    return parse_protocol(tree() | changes, "p.toml")


def test_the_shipped_protocol_calls_illustrative_what_is_unpublished() -> None:
    protocol = read_protocol(CIRCE)
    for cohort in protocol.cohorts:
        assert f"cohorts.{cohort.name}.design" in protocol.illustrative
        assert cohort.design is not None
        assert cohort.design.first_look == 14  # published
    assert {"adaptive", "operating", "response.min_stable_days"} <= set(protocol.illustrative)
    assert protocol.response.assessment_weeks == 6


@pytest.mark.parametrize(("amplified", "cohort"), [(0, None), (1, "LOW"), (2, "LOW"), (3, "HIGH"), (100, "HIGH")])
def test_cohorts_by_amplified_cells(amplified: int, cohort: str | None) -> None:
    assert read_protocol(CIRCE).cohort_of(amplified) == cohort


def test_there_is_no_default_for_what_only_the_trial_can_state() -> None:
    for section, keys in {"response": ("min_stable_days", "disease_control_days", "confirm")}.items():
        for key in keys:
            changed = tree()
            del changed[section][key]
            with pytest.raises(ConfigError, match=rf"{section}\.{key}: Field required"):
                parse_protocol(changed, "p.toml")
    for key in ("p0", "p1", "alpha", "beta"):
        changed = tree()
        del changed["cohorts"][0]["design"][key]
        with pytest.raises(ConfigError, match=rf"{key}: Field required"):
            parse_protocol(changed, "p.toml")


def test_a_protocol_without_designs_is_fine() -> None:
    protocol = parsed(cohorts=[{"name": "ALL", "least": 1}], illustrative=[])
    assert protocol.cohorts[0].design is None
    assert protocol.least_amplified == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cohorts": [{"name": "A", "least": 1}, {"name": "A", "least": 3}]}, "each name once"),
        ({"cohorts": [{"name": "A", "least": 1}, {"name": "B", "least": 3}]}, "overlap"),
        ({"cohorts": []}, "at least 1"),
        ({"illustrative": ["response.colour"]}, "does not hold"),
        ({"illustrative": ["cohorts.MIDDLE.design"]}, "does not hold"),
        ({"adaptive": {"kind": "open_after", "first": "HIGH", "then": "NONE"}}, "other than"),
        ({"adaptive": {"kind": "coin"}}, "adaptive"),
        ({"colour": 1}, "Extra inputs"),
        ({"confidence": 95}, "less than 1"),
    ],
)
def test_nonsense_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parsed(**{"illustrative": []} | changes)


def test_the_adaptive_part_is_a_choice_of_rules() -> None:
    design = {"p0": 0.1, "p1": 0.3, "alpha": 0.1, "beta": 0.1}
    rule = {"kind": "merge_if_slow", "screened": 100, "fewer_than": 5, "design": design}
    protocol = parsed(adaptive=rule)
    assert isinstance(protocol.adaptive, MergeIfSlow)
    assert protocol.adaptive.design.p1 == 0.3


def test_a_missing_file_is_told() -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_protocol(Path("none.toml"))
