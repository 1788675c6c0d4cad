"""What a slide's result hangs on, as hashes: of what the pixels decide, of the controls, of what the rules decide.

Equal hashes mean equal bytes, so that a batch that goes on does again exactly what changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import ctcfish
from ctcfish.config import Config, rules
from ctcfish.resources import resource_dir
from ctcfish.store.atomic import to_json
from ctcfish.store.manifest import sha256_of

CONCLUDED = ("preset", "calibrate", "call", "summarise")
"""Parts of the configuration that need no pixel; every other part decides what is measured."""

SAID_ELSEWHERE = "slide.toml"
"""An input whose words reach the result as sizes, roles and sheet, which are hashed as such."""


@dataclass(frozen=True)
class Identity:
    """Three hashes.

    Attributes
    ----------
    measured : str
        Program, weights, device, inputs, what they are said to be, and the configuration of the stages that see pixels.
    controlled : str
        That, and what else error rates and counts by every rule hang on: ``calibrate`` and the rules themselves.
    called : str
        All that, the rules, and what the sheet says of the slide.
    """

    measured: str
    controlled: str
    called: str

    def told(self) -> dict[str, str]:
        """As ``slide.json`` carries it."""
        return {"measured": self.measured, "controlled": self.controlled, "called": self.called}


@dataclass(frozen=True)
class Made:
    """How a slide's result is made.

    Attributes
    ----------
    config : Config
    device : str
    program : str
        Of :func:`program_sha256`.
    """

    config: Config
    device: str
    program: str

    @cached_property
    def hashed(self) -> Mapping[str, str]:
        """Hashes of the configuration, the same for every slide: ``pixels``, ``controls`` and ``all``."""
        tree = self.config.resolved()
        every = {name: [own.model_dump(mode="json") for own in rule] for name, rule in rules().items()}
        parts = {
            "pixels": {name: part for name, part in tree.items() if name not in CONCLUDED},
            "controls": {"calibrate": tree["calibrate"], "rules": every},
            "all": tree,
        }
        return {name: _sha256(part) for name, part in parts.items()}


def identity(
    made: Made, scenes: Sequence[Mapping[str, Any]], said: Mapping[str, Any], inputs: Mapping[str, str]
) -> Identity:
    """Identity of a slide's result.

    Parameters
    ----------
    made : Made
    scenes : sequence of mapping
        As ``slide.json`` describes them.
    said : mapping
        What else is said of the slide: ``slide_id, patient_id, visit, sheet``.
    inputs : mapping of str to str
        SHA-256 by name.
    """
    seen = {
        "program": made.program,
        "device": made.device,
        "slide_id": said["slide_id"],
        "scenes": list(scenes),
        "inputs": {name: sha for name, sha in inputs.items() if name != SAID_ELSEWHERE},
        "configuration": made.hashed["pixels"],
    }
    measured = _sha256(seen)
    ruled = {"measured": measured, "said": said, "inputs": inputs, "configuration": made.hashed["all"]}
    controlled = _sha256({"measured": measured, "controls": made.hashed["controls"]})
    return Identity(measured, controlled, _sha256(ruled))


@cache
def program_sha256() -> str:
    """Hash of the program as installed here: its version, its weights and its gates."""
    files = sorted(resource_dir("models").glob("*.safetensors")) + sorted(resource_dir("configs").glob("gates_*.toml"))
    return _sha256({"version": ctcfish.__version__, "files": {file.name: sha256_of(file) for file in files}})


def _sha256(value: Mapping[str, Any]) -> str:
    """Hash of a value as JSON with sorted keys."""
    return hashlib.sha256(to_json(value).encode()).hexdigest()
