"""What one image file says of itself, before names and numbers given by hand are added."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ctcfish.flags import SlideFlag
from ctcfish.types import Modality, PixelSource


@dataclass(frozen=True)
class Overrides:
    """What the user says of an image.

    Attributes
    ----------
    modality : {"if", "fish"} or None
        Of a single image, ``None`` being FISH; of a slide folder: the scan that the other options are meant for.
    pixel_um, z_step_um : float or None
        Size of a pixel and distance of two planes.
    channels : mapping of str to str
        Role to channel name, index (``"1"``, from 0), or ``"#1"`` where a name could be taken for an index.
    """

    modality: Modality | None = None
    pixel_um: float | None = None
    z_step_um: float | None = None
    channels: Mapping[str, str] = field(default_factory=dict)


NO_OVERRIDES = Overrides()
"""Nothing given by hand."""


@dataclass(frozen=True)
class FileImage:
    """One image of a file; ``None`` is what the file does not say.

    Attributes
    ----------
    name : str
        File stem, ``#k`` appended for series k of several.
    path : Path
        The file (the first of several).
    kind : str
        Format in words.
    pixels : PixelSource
    pixel_um : tuple of float or None
        ``(y, x)``.
    z_step_um : float or None
    channel_names : tuple of str
        Empty text where a channel has none.
    emission_nm : tuple of (float or None)
        By channel.
    na, gain_adu_per_photon, offset_adu : float or None
    stage_um : tuple of float or None
        ``(y, x)`` of the first pixel on the stage.
    frame_px : tuple of int or None
        Size ``(Y, X)`` of the microscope's fields that a mosaic is made of.
    flags : SlideFlag
    notes : tuple of str
        What was found and not used, in words that can stand in a message.
    files : tuple of Path
        Every file the pixels lie in.
    chosen_px : tuple of (float, float)
        ``(y, x)`` of cells that the operator of the scanner chose.
    device : bool
        Whether pixel size and aperture are those of the only device that writes the format.
    """

    name: str
    path: Path
    kind: str
    pixels: PixelSource
    pixel_um: tuple[float, float] | None = None
    z_step_um: float | None = None
    channel_names: tuple[str, ...] = ()
    emission_nm: tuple[float | None, ...] = ()
    na: float | None = None
    gain_adu_per_photon: float | None = None
    offset_adu: float | None = None
    stage_um: tuple[float, float] | None = None
    frame_px: tuple[int, int] | None = None
    flags: SlideFlag = SlideFlag(0)
    notes: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    chosen_px: tuple[tuple[float, float], ...] = ()
    device: bool = False
