from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from ctcfish import config
from ctcfish.config import Config, load
from ctcfish.errors import ConfigError
from ctcfish.parameters import Custom, FishRule, Segment
from ctcfish.resources import resource_dir

PRESETS = [
    "asco_cap_2007",
    "asco_cap_2013",
    "asco_cap_2018",
    "cap_2009",
    "circe_guarded",
    "circe_tdm1",
    "if_detect",
    "if_pestrin",
    "if_three_class",
    "meng_2004",
]


def test_the_presets_are_there_and_say_their_source() -> None:
    assert config.preset_names() == PRESETS
    for name in PRESETS:
        preset = load(name).preset
        assert preset.name == name
        assert len(preset.source) > 15
        assert preset.version


def test_presets_hold_departures_only() -> None:
    """Every value of a preset file differs from the default or belongs to the rule it names."""
    for name in PRESETS:
        tree = tomllib.loads((resource_dir("configs") / f"{name}.toml").read_text(encoding="utf-8"))
        assert set(tree) <= {"preset", "call", "summarise"}


def test_the_default_is_the_trials_rule() -> None:
    assert load() == load("circe_tdm1") == Config()
    assert Config().call.rule == FishRule(cut="11/5", strict=False)


@pytest.mark.parametrize(
    ("value", "cut"), [("2.2", "11/5"), ("11/5", "11/5"), ("2", "2"), ("2.0", "2"), ("22/10", "11/5")]
)
def test_a_cut_is_an_exact_fraction(value: str, cut: str) -> None:
    rule = load(sets=[f"call.rule.cut={value}"]).call.rule
    assert isinstance(rule, FishRule)
    assert rule.cut == cut


def test_later_wins_over_earlier(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text("[count]\ndiameter_per_fwhm = 1.2\nlike_size_ratio = 4.0\n")
    resolved = load("meng_2004", file, ["count.like_size_ratio=5"])
    assert resolved.count.diameter_per_fwhm == 1.2
    assert resolved.count.like_size_ratio == 5.0
    assert resolved.call.rule == FishRule(cut="2")


def test_a_modified_preset_says_so() -> None:
    assert load("meng_2004", sets=["call.rule.cut=1.8"]).preset.name == "meng_2004 (modified)"
    assert load("meng_2004", sets=["summarise.min_amplified=2"]).preset.name == "meng_2004 (modified)"
    assert load("meng_2004", sets=["detect.false_per_nucleus=0.01"]).preset.name == "meng_2004"
    assert load("meng_2004", sets=["call.rule.cut=2"]).preset.name == "meng_2004"


def test_another_case_of_a_union_replaces_the_whole() -> None:
    protein = load("circe_guarded", sets=["call.rule.kind=protein"]).call.rule
    assert protein.kind == "protein"
    custom = config.build({"segment": {"nuclei": {"method": "custom", "function": "mine.nuclei:find"}}})
    assert custom.segment == Segment(nuclei=Custom(function="mine.nuclei:find"))


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        (["call.rule.cutt=2"], r"unknown key 'call.rule.cutt'. Did you mean 'call.rule.cut'\?"),
        (["detec.x=1"], r"unknown key 'detec'. Did you mean 'detect'\?"),
        (["call.rule.cut=-1"], "call.rule.cut: Value error, the cut must be above 0"),
        (["call.rule.cut=two"], "call.rule.cut: Value error, Invalid literal"),
        (["count.diameter_per_fwhm=0"], "count.diameter_per_fwhm: Input should be greater than 0"),
        (["count.diameter_per_fwhm=wide"], r"valid number.*found 'wide'"),
        (["nothing"], "expected section.key=value"),
        (["=1"], "expected section.key=value"),
        (["segment.nuclei.method=magic"], "segment.nuclei"),
    ],
)
def test_a_wrong_value_says_what_was_found(sets: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(sets=sets)


def test_an_unknown_preset_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"Did you mean 'circe_tdm1'\?"):
        load("circe_tdm")


@pytest.mark.parametrize(("text", "message"), [("a = [", "no valid TOML"), ("[nope]\nx = 1", "unknown key 'nope'")])
def test_a_wrong_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "own.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=message):
        load(file=file)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load(file=tmp_path / "none.toml")


def test_the_resolved_tree_builds_the_same_configuration() -> None:
    for name in PRESETS:
        resolved = load(name)
        assert config.build(resolved.resolved()) == resolved


def test_the_hash_follows_the_values() -> None:
    hashes = {load(name).sha256() for name in PRESETS}
    assert len(hashes) == len(PRESETS)
    assert load(sets=["count.like_size_ratio=3.0"]).sha256() == Config().sha256()


def test_configurations_are_frozen() -> None:
    with pytest.raises(ValidationError):
        Config().count.diameter_per_fwhm = 2.0  # type: ignore[misc]


def test_every_default_lies_within_its_bounds() -> None:
    def walk(tree: Any) -> int:
        return sum(map(walk, tree.values())) if isinstance(tree, dict) else 1

    assert walk(Config().resolved()) > 50
    assert len(config.known_keys()) == len(set(config.known_keys())) > 60
