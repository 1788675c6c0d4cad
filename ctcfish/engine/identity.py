"""What a slide's result hangs on, as hashes: of what the pixels decide, of the controls, of what the rules decide.

Equal hashes mean equal bytes, so that a batch that goes on does again exactly what changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import ctcfish
from ctcfish.config import Config
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
        That, and what the error rates and the control of every rule on the leukocytes hang on besides.
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
    tree = made.config.resolved()
    seen = {
        "program": made.program,
        "device": made.device,
        "slide_id": said["slide_id"],
        "scenes": list(scenes),
        "inputs": {name: sha for name, sha in inputs.items() if name != SAID_ELSEWHERE},
        "configuration": {name: part for name, part in tree.items() if name not in CONCLUDED},
    }
    measured = _sha256(seen)
    ruled = {"measured": measured, "said": said, "inputs": inputs, "configuration": tree}
    controlled = _sha256({"measured": measured, "calibrate": tree["calibrate"]})
    return Identity(measured, controlled, _sha256(ruled))


@cache
def program_sha256() -> str:
    """Hash of the program as installed here: its version, its weights and its gates."""
    files = sorted(resource_dir("models").glob("*.safetensors")) + sorted(resource_dir("configs").glob("gates_*.toml"))
    return _sha256({"version": ctcfish.__version__, "files": {file.name: sha256_of(file) for file in files}})


def _sha256(value: Mapping[str, Any]) -> str:
    """Hash of a value as JSON with sorted keys."""
    return hashlib.sha256(to_json(value).encode()).hexdigest()
