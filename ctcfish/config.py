"""Every parameter in one frozen tree: defaults, presets and the user's TOML in, a hash out."""

from __future__ import annotations

import difflib
import hashlib
import json
import tomllib
from collections.abc import Iterable, Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ctcfish import parameters as p
from ctcfish.errors import ConfigError
from ctcfish.resources import resource_dir

Tree = dict[str, Any]

UNIONS = ("rule", "nuclei")
"""Keys whose value is one of several parameter classes; validation names the case after them."""


class Preset(p.Parameters):
    """What a preset says of itself."""

    name: str = "circe_tdm1"
    version: str = "1"
    source: str = "CirCe T-DM1, NCT01975142; Jacot et al. 2019, Breast Cancer Res 21:121"
    level: str = Field(default="cell", pattern="^(cell|specimen|protein)$")


class Config(BaseModel):
    """The whole configuration.

    Examples
    --------
    >>> Config().call.rule.cut
    '11/5'
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    preset: Preset = Preset()
    panel: p.Panel = p.Panel()
    correct: p.Correct = p.Correct()
    segment: p.Segment = p.Segment()
    survey: p.Survey = p.Survey()
    detect: p.Detect = p.Detect()
    count: p.Count = p.Count()
    phenotype: p.Phenotype = p.Phenotype()
    relocate: p.Relocate = p.Relocate()
    calibrate: p.Calibrate = p.Calibrate()
    call: p.Call = p.Call()
    summarise: p.Summarise = p.Summarise()
    report: p.Report = p.Report()
    qc: p.Qc = p.Qc()

    def resolved(self) -> Tree:
        """Every value, as it will be used, in plain types."""
        return self.model_dump(mode="json", by_alias=True)

    def sha256(self) -> str:
        """Hash of the resolved configuration."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        text = json.dumps(self.resolved(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def preset_names() -> list[str]:
    """Names of the shipped presets."""
    return sorted(path.stem for path in resource_dir("configs").glob("*.toml") if not path.stem.startswith("gates_"))


def load(preset: str | None = None, file: Path | None = None, sets: Iterable[str] = ()) -> Config:
    """Resolve a configuration: defaults, then the preset, then the file, then each ``a.b=value``.

    Raises
    ------
    ConfigError
        An unknown preset, key or value, naming the nearest known one.
    """
    tree = _merge(build({}).resolved(), _preset_tree(preset))
    named = build(tree)
    if file is not None:
        tree = _merge(tree, read_toml(file))
    for assignment in sets:
        tree = _merge(tree, _assignment(assignment))
    resolved = build(tree)
    if (resolved.call, resolved.summarise) == (named.call, named.summarise):
        return resolved
    return build(_merge(tree, {"preset": {"name": f"{resolved.preset.name} (modified)"}}))


def _preset_tree(preset: str | None) -> Tree:
    if preset is None:
        return {}
    known = preset_names()
    if preset not in known:
        raise ConfigError(
            f"preset {preset!r} is not known; the presets are {', '.join(known)}.{_nearest(preset, known)}"
        )
    return read_toml(resource_dir("configs") / f"{preset}.toml")


def rules() -> dict[str, tuple[p.Call, p.Summarise]]:
    """Every preset's rule, and the thresholds 2.0 and 2.2 with the guard: what a result is tried against."""
    return dict(_rules())


@cache
def _rules() -> dict[str, tuple[p.Call, p.Summarise]]:
    named = {name: load(name) for name in preset_names()}
    guarded_2 = p.Call(rule=p.FishRule(cut="2", guard=p.Guard()))
    return {name: (own.call, own.summarise) for name, own in named.items()} | {
        "guarded 2.0": (guarded_2, p.Summarise())
    }


def build(tree: Tree) -> Config:
    """Validate a tree of plain values."""
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(_explain(error)) from None


def read_toml(file: Path) -> Tree:
    """Read a TOML file; what is wrong with it becomes a :class:`ConfigError`."""
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"configuration {file.name}: cannot be read ({error.strerror}); give an existing TOML file."
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"configuration {file.name}: is no valid TOML ({error}); correct the line named.") from None


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> Tree:
    """Overlay; a table that names another case of a union replaces it whole."""
    if any(over.get(tag, base.get(tag)) != base.get(tag) for tag in ("kind", "method")):
        return dict(over)
    merged = dict(base)
    for key, value in over.items():
        nested = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merge(merged[key], value) if nested else value
    return merged


def _assignment(text: str) -> Tree:
    key, separator, value = text.partition("=")
    if not separator or not key.strip():
        raise ConfigError(f"--set {text!r}: expected section.key=value, for example --set call.rule.cut=2.")
    try:
        parsed: Any = tomllib.loads(f"v = {value}")["v"]
    except tomllib.TOMLDecodeError:
        parsed = value
    for part in reversed(key.strip().split(".")):
        parsed = {part: parsed}
    return dict(parsed)


def _explain(error: ValidationError) -> str:
    lines = []
    for item in error.errors():
        parts = [str(part) for part in item["loc"]]
        place = ".".join(part for before, part in zip(["", *parts], parts, strict=False) if before not in UNIONS)
        if item["type"] == "extra_forbidden":
            known = known_keys()
            lines.append(f"unknown key {place!r}.{_nearest(place, known)}")
        else:
            lines.append(f"{place}: {item['msg']} (found {item['input']!r}).")
    return "configuration: " + " ".join(lines) + " `ctcfish config schema` lists every key."


def _nearest(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f" Did you mean {close[0]!r}?" if close else ""


def known_keys() -> list[str]:
    """Every dotted key of the resolved default configuration and of the unions' other cases."""
    keys: set[str] = set()
    trees = [Config().resolved(), build({"call": {"rule": {"kind": "fish", "guard": {}}}}).resolved()]
    trees.append(
        build({"call": {"rule": {"kind": "protein"}}, "segment": {"nuclei": {"method": "classical"}}}).resolved()
    )
    for tree in trees:
        keys.update(_dotted(tree, ""))
    return sorted(keys)


def _dotted(tree: Mapping[str, Any], prefix: str) -> list[str]:
    keys = []
    for key, value in tree.items():
        keys.append(prefix + key)
        if isinstance(value, Mapping):
            keys.extend(_dotted(value, f"{prefix}{key}."))
    return keys
