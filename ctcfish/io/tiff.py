"""TIFF files: OME-TIFF, ImageJ, plain pages and RGB composites."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import tifffile

from ctcfish.errors import InputError
from ctcfish.flags import SlideFlag
from ctcfish.io import ome_xml
from ctcfish.io.codestream import jpeg_2000_frame
from ctcfish.io.failures import damaged, refusing
from ctcfish.io.image import FileImage
from ctcfish.io.names import stem
from ctcfish.io.tiff_layout import JPEG_2000, Layout, check_chain, make_layout
from ctcfish.io.tiff_pixels import TiffPixels
from ctcfish.io.units import normal_unit, plausible_pixel, to_number, to_um

KINDS = {
    "ome": "OME-TIFF",
    "imagej": "ImageJ TIFF",
    "shaped": "TIFF",
    "uniform": "TIFF",
    "generic": "TIFF",
}
_LOSSY = {6, 7, 22610, 33007, 34892, 34934, 50001, 50002, 52546}
"""JPEG, JPEG XR, WebP and JPEG XL; that a file used their lossless modes cannot be told from its tags."""


@dataclass(frozen=True)
class _Axes:
    """Meaning of a series' axes, and its size as an image."""

    letters: str
    shape: tuple[int, int, int, int]
    composite: bool


def open_tiff(path: Path, *, pages_are_planes: bool) -> tuple[FileImage, ...]:
    """Images of a TIFF file, none of their pixels read.

    Parameters
    ----------
    path : Path
    pages_are_planes : bool
        What pages are whose axis the file does not name: focal planes if true (a z step was given by hand, or the file
        is one of several one-channel files), else channels.

    Returns
    -------
    tuple of FileImage
        One per series; reduced copies and the label and overview pictures of slide scanners are left out.

    Raises
    ------
    InputError
        A file that is damaged, holds what cannot be scored, or needs another program to be read.
    """
    with refusing(path), tifffile.TiffFile(path) as file:
        if len(file.pages) == 0:
            raise damaged(path, "a TIFF without an image")
        check_chain(path, file)
        about = ome_xml.parse(file.ome_metadata, path) if file.ome_metadata else ()
        series = file.series
        kind = series[0].kind if series else ""
        if kind not in KINDS:
            raise InputError(
                path.name,
                f"a vendor's TIFF ({kind or 'unknown'})",
                "OME-TIFF, ImageJ or plain TIFF",
                "Convert it with bioformats2raw, or export OME-TIFF from the vendor's software.",
            )
        if kind == "ome" and len(about) != len(series):
            raise damaged(path, f"{len(about)} images in the OME-XML of which {len(series)} can be read")
        if kind != "ome":
            about = ()
        _check_imagej(path, file, series)
        kept = [k for k, s in enumerate(series) if not _left_out(s, about[k].name if about else "")]
        images = [_image(path, series[k], k, pages_are_planes) for k in kept]
        told = [_tell(i, file, series[k], about[k] if about else None) for i, k in zip(images, kept, strict=True)]
    if not told:
        raise damaged(path, "a TIFF without a full-size image")
    if len(told) == 1:
        return (replace(told[0], name=stem(path)),)
    return tuple(told)


def _check_imagej(path: Path, file: Any, series: Any) -> None:
    """Refuse an ImageJ file with fewer planes than it says: a cut copy would open as its first plane."""
    declared = to_number((file.imagej_metadata or {}).get("images")) or 0
    present = sum(s.size // s.keyframe.size for s in series if s.keyframe.size)
    if declared > max(present, 0):
        raise damaged(path, f"{present} of {declared:g} planes")


def _left_out(series: Any, name: str) -> bool:
    return bool(series.keyframe.is_reduced) or name.strip().lower() in ome_xml.SIDE_IMAGES


def _image(path: Path, series: Any, number: int, pages_are_planes: bool) -> FileImage:
    layout = make_layout(path, series)
    axes = _axes(path, series, pages_are_planes)
    dtype = series.dtype.newbyteorder("=")
    pixels = TiffPixels(path, number, axes.shape, dtype, axes.letters, tuple(series.shape), layout.page.axes)
    flags = SlideFlag.COMPOSITE if axes.composite else SlideFlag(0)
    if _is_lossy(layout):
        flags |= SlideFlag.LOSSY
    channels = ("R", "G", "B") if axes.composite else ("",) * axes.shape[0]
    files = tuple(sorted({p.file for p in layout.planes} | {path}))
    name = f"{stem(path)}#{number}"
    return FileImage(name, path, KINDS[series.kind], pixels, channel_names=channels, flags=flags, files=files)


def _axes(path: Path, series: Any, pages_are_planes: bool) -> _Axes:
    """Map the file's axes to ``C``, ``Z``, ``Y``, ``X``.

    ``I`` and ``Q`` are pages whose meaning the file does not state.
    """
    photometric = int(series.keyframe.photometric)
    letters, sizes = list(series.axes), dict(zip(series.axes, series.shape, strict=True))
    if sizes.get("T", 1) > 1:
        raise InputError(
            path.name,
            f"a time axis of {sizes['T']} points",
            "one time point",
            "Export one time point; if the axis is focus, re-order it (Fiji: Image > Hyperstacks > Re-order).",
        )
    unnamed = "Z" if pages_are_planes else "C"
    meaning = {"Y": "Y", "X": "X", "C": "C", "Z": "Z", "S": "C", "I": unnamed, "Q": unnamed, "T": "T"}
    mapped = [meaning.get(letter, letter) for letter in letters]
    unknown = [letter for letter in mapped if letter not in "CZYXT"]
    if unknown or len(set(mapped)) != len(mapped) or not {"Y", "X"} <= set(mapped):
        raise InputError(
            path.name,
            f"axes {series.axes} of size {tuple(series.shape)}",
            "channels, planes, rows and columns, each once",
            "Save it as OME-TIFF or as an ImageJ hyperstack with named axes.",
        )
    size = dict(zip(mapped, series.shape, strict=True))
    composite = "S" in letters and photometric in {2, 6}
    n_channels = min(size.get("C", 1), 3) if composite else size.get("C", 1)
    return _Axes("".join(mapped), (n_channels, size.get("Z", 1), size["Y"], size["X"]), composite)


def _is_lossy(layout: Layout) -> bool:
    compression = int(layout.page.compression)
    if compression not in JPEG_2000:
        return compression in _LOSSY
    plane = layout.planes[0]
    with plane.file.open("rb") as file:
        file.seek(plane.offsets[0])
        frame = jpeg_2000_frame(file.read(min(plane.sizes[0], 4096)))
    return frame is None or frame.lossy


def _tell(image: FileImage, file: Any, series: Any, about: ome_xml.OmeImage | None) -> FileImage:
    """Add what the metadata say."""
    if about is not None:
        return _tell_ome(image, about)
    if series.kind == "imagej":
        return _tell_imagej(image, file, series)
    return _tell_resolution(image, series)


def _tell_ome(image: FileImage, about: ome_xml.OmeImage) -> FileImage:
    n_channels = image.pixels.shape[0]
    composite = bool(image.flags & SlideFlag.COMPOSITE)
    matches = not composite and len(about.channel_names) == n_channels
    return replace(
        image,
        pixel_um=about.pixel_um,
        z_step_um=about.z_step_um,
        channel_names=about.channel_names if matches else image.channel_names,
        emission_nm=about.emission_nm if matches else (),
        na=about.na,
        gain_adu_per_photon=about.gain,
        offset_adu=about.offset,
        stage_um=about.stage_um,
    )


def _tell_imagej(image: FileImage, file: Any, series: Any) -> FileImage:
    about = file.imagej_metadata or {}
    unit = str(about.get("unit", ""))
    sizes = []
    for key in ("YResolution", "XResolution"):
        per_unit = _fraction(series.keyframe, key)
        # ImageJ allows a unit of its own for y
        axis_unit = str(about.get("yunit", unit)) if key == "YResolution" else unit
        sizes.append(to_um(1 / per_unit, axis_unit) if per_unit else None)
    spacing = to_number(about.get("spacing"))
    z_step = to_um(abs(spacing), str(about.get("zunit", unit))) if spacing else None
    notes = () if sizes[0] and sizes[1] else (f"ImageJ unit {normal_unit(unit)!r}",) if unit else ()
    y_um, x_um = sizes
    return replace(
        image,
        pixel_um=(y_um, x_um) if y_um and x_um else None,
        z_step_um=z_step,
        channel_names=_labels(image, about) or image.channel_names,
        notes=notes,
    )


def _labels(image: FileImage, about: dict[str, Any]) -> tuple[str, ...]:
    """Channel names from ImageJ's slice labels (order c, z); its own prefix ``c:1/3 z:1/9 -`` is taken off."""
    labels = about.get("Labels") or []
    n_channels, n_planes = image.pixels.shape[:2]
    if image.flags & SlideFlag.COMPOSITE or len(labels) != n_channels * n_planes:
        return ()
    names = [re.sub(r"^((c|z|t):\d+/\d+\s*)+(-\s*)?", "", str(text)).strip() for text in labels[:n_channels]]
    return tuple(names) if len(set(names)) == n_channels else ()


def _tell_resolution(image: FileImage, series: Any) -> FileImage:
    """Baseline resolution tags: believed only if in inch or cm and if a microscope can have that pixel size.

    Cameras and paint programs write 72 or 300 dots per inch, or one per centimetre, whatever the optics were; no such
    default falls into the range of a light microscope.
    """
    unit = {2: "inch", 3: "cm"}.get(int(series.keyframe.resolutionunit or 1))
    per_unit = [_fraction(series.keyframe, key) for key in ("YResolution", "XResolution")]
    if unit is None or not all(per_unit):
        return image
    y_um, x_um = (to_um(1 / value, unit) for value in per_unit if value)
    if y_um and x_um and plausible_pixel(y_um) and plausible_pixel(x_um):
        return replace(image, pixel_um=(y_um, x_um))
    return replace(image, notes=(f"a resolution tag of {x_um:g} um per pixel, which no microscope has",))


def _fraction(page: Any, key: str) -> float | None:
    value = page.tags.valueof(key)
    if not isinstance(value, tuple) or len(value) != 2 or not value[0] or not value[1]:
        return None
    return float(value[0]) / float(value[1])
