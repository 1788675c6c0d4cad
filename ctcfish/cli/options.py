"""What commands share: their options, the configuration these give, the progress bar and the log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ctcfish.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ctcfish.config import Config
    from ctcfish.io import Overrides


class Device(StrEnum):
    """Where the kernels run."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"
    MPS = "mps"


class ReportKind(StrEnum):
    """Which report."""

    SLIDE = "slide"
    QC = "qc"
    TRIAL = "trial"


class ModalityName(StrEnum):
    """Which scan a single image is."""

    IF = "if"
    FISH = "fish"


Images = Annotated[list[Path], typer.Argument(help="A slide folder, one image, or one-channel files of one image.")]
Out = Annotated[Path | None, typer.Option("--out", help="Folder of the results; an existing one is left alone.")]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="TOML with departures from the preset.")]
PresetName = Annotated[str | None, typer.Option("--preset", help="Named rule, for example circe_tdm1.")]
Sets = Annotated[list[str] | None, typer.Option("--set", help="One value, as section.key=value.")]
DeviceOption = Annotated[Device, typer.Option("--device", help="Where the kernels run.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
ModalityOption = Annotated[ModalityName | None, typer.Option("--modality", help="Scan a single image is of.")]
PixelSize = Annotated[float | None, typer.Option("--pixel-size-um", help="Size of a pixel.")]
ZStep = Annotated[float | None, typer.Option("--z-step-um", help="Distance of two planes.")]
Channels = Annotated[list[str] | None, typer.Option("--channel", help="Channel of a role, as her2=1 or her2=TxRed.")]


def resolve_config(preset: str | None, file: Path | None, sets: list[str] | None) -> Config:
    """Return the preset with the departures of a file and of `--set`."""
    from ctcfish.config import load

    return load(preset, file, sets or ())


def overrides(
    modality: ModalityName | None, pixel_um: float | None, z_um: float | None, channel: list[str] | None
) -> Overrides:
    """Return what options say of an image.

    Raises
    ------
    UsageError
        A channel without role or name, or a role twice.
    """
    channels: dict[str, str] = {}
    for text in channel or ():
        role, separator, name = text.partition("=")
        if not separator or not role or not name:
            raise UsageError(f"--channel {text!r}: expected role=channel, for example her2=1 or her2=TxRed.")
        if role in channels:
            raise UsageError(f"--channel gives {role!r} twice; give each role once.")
        channels[role] = name
    from ctcfish.io import Overrides

    return Overrides(None if modality is None else modality.value, pixel_um, z_um, channels)


@contextmanager
def progress_bar(total: int | None) -> Iterator[Callable[[str], None]]:
    """A bar on stderr where that is a terminal; each call is one step."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("start", total=total)
        started = False

        def step(name: str) -> None:
            nonlocal started
            bar.update(task, description=name, advance=1 if started else 0)
            started = True

        yield step
