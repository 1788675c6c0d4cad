"""Shipped weights: read with their card, refused when the checksum is not the card's."""

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from safetensors.torch import load

from ctcfish.errors import DeviceError, WeightsError
from ctcfish.nets.architecture import NetSpec, NucleusNet
from ctcfish.resources import resource_dir


@dataclass(frozen=True)
class ModelCard:
    """What a shipped model is.

    Attributes
    ----------
    name : str
        The weights are `NAME.safetensors`, the card is `NAME.toml`.
    sha256 : str
        Checksum of the weights file.
    content : mapping
        The whole card: architecture, training data, licence, seed, figures, limits.
    """

    name: str
    sha256: str
    content: Mapping[str, Any]


def list_cards() -> tuple[ModelCard, ...]:
    """Return the cards of all shipped models, by name."""
    return tuple(read_card(path.stem) for path in sorted(resource_dir("models").glob("*.toml")))


def read_card(name: str) -> ModelCard:
    """Read a model's card.

    Raises
    ------
    WeightsError
        No card of that name is shipped, or it names no checksum.
    """
    path = resource_dir("models") / f"{name}.toml"
    if not path.is_file():
        known = ", ".join(sorted(found.stem for found in path.parent.glob("*.toml"))) or "none"
        raise WeightsError(f"no model named {name!r} is shipped; known: {known}. Choose one of these.")
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    if "sha256" not in content:
        raise WeightsError(f"the card {path.name} names no sha256; a card must say which weights it describes.")
    return ModelCard(name, str(content["sha256"]), content)


def read_weights(card: ModelCard) -> bytes:
    """Read a model's weights file and check it against its card.

    Raises
    ------
    WeightsError
        The file is missing, or its SHA-256 is not the card's.
    """
    path = resource_dir("models") / f"{card.name}.safetensors"
    if not path.is_file():
        raise WeightsError(f"the weights {path.name} are missing beside their card; install ctcfish again.")
    data = path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != card.sha256:
        raise WeightsError(
            f"the weights {path.name} have SHA-256 {found}, their card says {card.sha256}; "
            "the file was changed or damaged: install ctcfish again."
        )
    return data


def load_network(name: str = "nuclei", device: str = "cpu") -> NucleusNet:
    """Load a shipped nucleus network, ready to predict.

    Parameters
    ----------
    name : str
        Name of the model.
    device : str
        `cpu`, `cuda` or `mps`.

    Raises
    ------
    WeightsError
        No such model, weights missing, damaged, or of another architecture than the card says.
    DeviceError
        The device is not there; nothing falls back to the CPU in silence.
    """
    card = read_card(name)
    architecture = card.content["architecture"]
    one, two, three = architecture["widths"]
    net = NucleusNet(NetSpec((one, two, three), int(architecture["deep_blocks"])))
    try:
        net.load_state_dict(load(read_weights(card)))
    except RuntimeError as error:
        raise WeightsError(f"the weights of {name!r} do not fit the architecture on their card: {error}") from error
    return net.eval().requires_grad_(False).to(_device(device), memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def _device(name: str) -> torch.device:
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    kind = name.partition(":")[0]
    if not present.get(kind, False):
        there = ", ".join(sorted(key for key, value in present.items() if value))
        raise DeviceError(f"found no device {name!r}; devices here: {there}. Choose one of these.")
    return torch.device(name)
