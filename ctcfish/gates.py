"""Gate files: the rules that say which IF nucleus can be a CTC, read from ``configs/``."""

from pydantic import ValidationError

from ctcfish.config import read_toml
from ctcfish.errors import ConfigError
from ctcfish.parameters import GateSet
from ctcfish.resources import resource_dir


def gate_names() -> list[str]:
    """Names of the shipped gate files."""
    return sorted(path.stem for path in resource_dir("configs").glob("gates_*.toml"))


def load_gates(name: str) -> GateSet:
    """Read a shipped set of gates.

    Raises
    ------
    ConfigError
        An unknown name, or a gate that is not valid.
    """
    if name not in gate_names():
        raise ConfigError(f"gates {name!r} are not known; the gate files are {', '.join(gate_names())}.")
    try:
        return GateSet.model_validate(read_toml(resource_dir("configs") / f"{name}.toml"))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"gates {name}: {place}: {first['msg']} (found {first['input']!r}).") from None
