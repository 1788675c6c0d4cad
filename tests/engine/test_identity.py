"""What a result hangs on: everything that changes its bytes changes its identity, and nothing else does."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from ctcfish.config import Config, load
from ctcfish.engine.identity import CONCLUDED, Identity, Made, identity, program_sha256

MADE = Made(Config(), "cpu", "program")
SCENES = [{"scene": "f", "voxel_um": (0.0, 0.1, 0.1)}]
SAID = {"slide_id": "s", "patient_id": "p", "visit": "", "sheet": {"blood_ml": "7.5"}}
INPUTS = {"fish/f.tif": "00", "slide.toml": "11"}


def of(**changes: Any) -> Identity:
    given: dict[str, Any] = {"made": MADE, "scenes": SCENES, "said": SAID, "inputs": INPUTS} | changes
    return identity(**given)


def configured(**sections: Any) -> Made:
    return dataclasses.replace(MADE, config=load(sets=[f"{k.replace('__', '.')}={v}" for k, v in sections.items()]))


@pytest.mark.parametrize(
    "changes",
    [
        {"made": dataclasses.replace(MADE, device="cuda")},
        {"made": dataclasses.replace(MADE, program="another")},
        {"made": configured(detect__margin_um=2.0)},
        {"made": configured(segment__min_area_um2=20.0)},
        {"made": configured(phenotype__gates="gates_ligthart")},
        {"made": configured(report__crop_um=33.0)},
        {"scenes": [{"scene": "f", "voxel_um": (0.0, 0.2, 0.2)}]},
        {"inputs": INPUTS | {"fish/f.tif": "01"}},
        {"inputs": INPUTS | {"fish/g.tif": "00"}},
        {"said": SAID | {"slide_id": "t"}},
    ],
    ids=str,
)
def test_what_the_pixels_decide_changes_both(changes: dict[str, Any]) -> None:
    assert of(**changes).measured != of().measured
    assert of(**changes).called != of().called


@pytest.mark.parametrize(
    "changes",
    [
        {"made": dataclasses.replace(MADE, config=load("asco_cap_2018"))},
        {"made": configured(call__rule__cut=3)},
        {"made": configured(calibrate__missed=0.1)},
        {"made": configured(summarise__min_amplified=2)},
        {"said": SAID | {"patient_id": "q"}},
        {"said": SAID | {"visit": "2"}},
        {"said": SAID | {"sheet": {"blood_ml": "15"}}},
        {"inputs": INPUTS | {"slide.toml": "12"}},
    ],
    ids=str,
)
def test_what_the_rules_decide_changes_only_the_calls(changes: dict[str, Any]) -> None:
    assert of(**changes).measured == of().measured
    assert of(**changes).called != of().called


def test_only_what_the_controls_hang_on_changes_them() -> None:
    assert of(made=configured(calibrate__missed=0.1)).controlled != of().controlled
    assert of(inputs=INPUTS | {"fish/f.tif": "01"}).controlled != of().controlled
    assert of(made=configured(call__rule__cut=3)).controlled == of().controlled
    assert of(said=SAID | {"visit": "2"}).controlled == of().controlled


def test_equal_is_equal_whatever_the_order_and_the_kind_of_list() -> None:
    same = of(scenes=[{"voxel_um": [0.0, 0.1, 0.1], "scene": "f"}], inputs=dict(reversed(INPUTS.items())))
    assert same == of()
    assert same.told() == {"measured": of().measured, "controlled": of().controlled, "called": of().called}


def test_every_part_of_the_configuration_is_one_or_the_other() -> None:
    assert set(CONCLUDED) < set(Config.model_fields)


def test_the_program_is_its_version_weights_and_gates(monkeypatch: pytest.MonkeyPatch) -> None:
    first = program_sha256()
    assert len(first) == 64
    monkeypatch.setattr("ctcfish.__version__", "0.0.0")
    assert program_sha256.__wrapped__() != first
