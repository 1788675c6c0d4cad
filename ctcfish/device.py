"""The device is chosen once, at the edge; threads are fixed so that sums keep their order."""

from __future__ import annotations

from typing import Literal

from ctcfish.errors import DeviceError

DeviceName = Literal["auto", "cpu", "cuda", "mps"]


def resolve_device(name: DeviceName) -> str:
    """Torch device to run on; ``auto`` takes CUDA, then MPS, then the CPU.

    Raises
    ------
    DeviceError
        The device asked for is not there; nothing else is used in its place.
    """
    if name == "cpu":
        return name

    import torch

    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return next(device for device in ("cuda", "mps", "cpu") if present[device])
    if not present[name]:
        there = ", ".join(device for device, is_there in present.items() if is_there)
        raise DeviceError(f"device {name!r} is not present here (present: {there}); use --device auto or one of these.")
    return name


def fix_threads() -> None:
    """One thread per kernel: equal bytes whatever the machine; parallel work is over blocks and slides."""
    import cv2
    import torch

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
