"""What this machine offers, and whether the installation is whole."""

from __future__ import annotations

import os
import platform
import shutil
from pathlib import Path

import ctcfish
from ctcfish.config import load, preset_names
from ctcfish.nets.weights import list_cards, read_weights


def health() -> str:
    """Devices, cores, free disk, presets and weights, a line each.

    Raises
    ------
    WeightsError, ConfigError
        Shipped weights or presets are damaged.
    """
    import torch

    devices = ["cpu"] + ["cuda"] * torch.cuda.is_available() + ["mps"] * torch.backends.mps.is_available()
    lines = [
        f"ctcfish {ctcfish.__version__}, Python {platform.python_version()}, torch {torch.__version__}",
        f"devices: {', '.join(devices)}; cores: {os.cpu_count()}",
        f"free disk here: {shutil.disk_usage(Path.cwd()).free / 1e9:.0f} GB",
    ]
    for name in preset_names():
        load(name)
    lines.append(f"presets: {', '.join(preset_names())}")
    for card in list_cards():
        read_weights(card)
        lines.append(f"weights: {card.name}, SHA-256 as on its card")
    return "\n".join(lines)
