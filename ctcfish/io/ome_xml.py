"""OME-XML: what it says of each image. Document types and entities are refused."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree.ElementTree import ParseError  # only the exception; parsing is defusedxml's

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from ctcfish.errors import InputError
from ctcfish.io.failures import MAX_PLANES
from ctcfish.io.units import to_number, to_um

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

SIDE_IMAGES = ("label", "label image", "macro", "macro image", "thumbnail", "overview")
"""Names of pictures that slide scanners store beside the scan."""


@dataclass(frozen=True)
class OmeImage:
    """One ``Image`` element; ``None`` is not stated. Sizes are ``(y, x)`` in micrometres."""

    name: str
    pixel_um: tuple[float, float] | None
    z_step_um: float | None
    channel_names: tuple[str, ...]
    emission_nm: tuple[float | None, ...]
    na: float | None
    gain: float | None
    offset: float | None
    stage_um: tuple[float, float] | None


def parse(text: str, path: Path) -> tuple[OmeImage, ...]:
    """Images of an OME-XML document in file order.

    Raises
    ------
    InputError
        XML that is broken, holds entities, points to another file for its contents, or has no image.
    """
    try:
        root = fromstring(text.encode("utf-8"), forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError) as error:
        raise InputError(
            path.name, f"broken OME-XML ({type(error).__name__})", "valid OME-XML", "Export the image again."
        ) from None
    for element in _all(root, "BinaryOnly"):
        raise InputError(
            path.name,
            "one part of an OME-TIFF of several files",
            f"its master file ({element.get('MetadataFile') or 'unnamed'})",
            "Give the master file, or export one file per image.",
        )
    _check_planes(root, path)
    images = tuple(_image(root, element) for element in _all(root, "Image"))
    if not images:
        raise InputError(path.name, "OME-XML without an image", "at least one image", "Export the image again.")
    return images


def _check_planes(root: Element, path: Path) -> None:
    """Refuse numbers of planes that no scan has, before anything makes room for them, and axes inside axes."""
    for element in root.iter():
        tag = element.tag.rpartition("}")[2]
        if tag.startswith("ModuloAlong"):
            raise InputError(
                path.name, f"an axis inside an axis ({tag})", "channels and planes alone", "Export one state of it."
            )
        if tag not in ("Pixels", "TiffData"):
            continue
        counts = [to_number(element.get(key, "1")) for key in _COUNTS]
        planes = math.prod(math.inf if count is None else max(count, 1) for count in counts)
        if planes > MAX_PLANES:
            found = ", ".join(f"{key} {element.get(key)}" for key in _COUNTS if element.get(key))
            raise InputError(
                path.name,
                found,
                f"at most {MAX_PLANES:,} planes",
                "The description is damaged: export the image again.",
            )


_COUNTS = ("SizeC", "SizeZ", "SizeT", "PlaneCount", "NumPlanes")


def _all(element: Element, tag: str) -> list[Element]:
    return [child for child in element if child.tag.rpartition("}")[2] == tag]


def _first(element: Element | None, tag: str) -> Element | None:
    found = _all(element, tag) if element is not None else []
    return found[0] if found else None


def _image(root: Element, image: Element) -> OmeImage:
    pixels = _first(image, "Pixels")
    channels = _all(pixels, "Channel") if pixels is not None else []
    attributes = pixels.attrib if pixels is not None else {}
    sizes = {axis: _physical(attributes, f"PhysicalSize{axis}") for axis in "XYZ"}
    gain, offset = _camera(root, channels)
    return OmeImage(
        name=image.get("Name", ""),
        pixel_um=(sizes["Y"], sizes["X"]) if sizes["Y"] and sizes["X"] else None,
        z_step_um=sizes["Z"],
        channel_names=tuple(c.get("Name") or c.get("Fluor") or "" for c in channels),
        emission_nm=tuple(_emission(c) for c in channels),
        na=_aperture(root, image),
        gain=gain,
        offset=offset,
        stage_um=_stage(pixels),
    )


def _physical(attributes: dict[str, str], key: str) -> float | None:
    # the schema's default unit is the micrometre
    return to_um(attributes.get(key), attributes.get(f"{key}Unit", "um"))


def _emission(channel: Element) -> float | None:
    um = to_um(channel.get("EmissionWavelength"), channel.get("EmissionWavelengthUnit", "nm"))
    nm = um * 1000 if um else None
    return nm if nm and 300 <= nm <= 1200 else None


def _aperture(root: Element, image: Element) -> float | None:
    objectives = {o.get("ID"): o for instrument in _all(root, "Instrument") for o in _all(instrument, "Objective")}
    settings = _first(image, "ObjectiveSettings")
    used = objectives.get(settings.get("ID")) if settings is not None else None
    if used is None and len(objectives) == 1:
        used = next(iter(objectives.values()))
    na = to_number(used.get("LensNA")) if used is not None else None
    return na if na and 0 < na <= 1.7 else None


def _camera(root: Element, channels: list[Element]) -> tuple[float | None, float | None]:
    """Gain and offset if every channel was taken by a camera with the same ones.

    OME gives ``Gain`` no unit, and writers put electron multiplication, photomultiplier voltage or a plain 1 there. It
    is believed as ADU per photon only of a CCD or CMOS camera, beside an offset above 0, and between 0.01 and 100.
    """
    detectors = {d.get("ID"): d for instrument in _all(root, "Instrument") for d in _all(instrument, "Detector")}
    found = set()
    for channel in channels:
        settings = _first(channel, "DetectorSettings")
        detector = detectors.get(settings.get("ID")) if settings is not None else None
        kind = detector.get("Type", "") if detector is not None else ""
        pair = [
            next((to_number(e.get(key)) for e in (settings, detector) if e is not None and e.get(key)), None)
            for key in ("Gain", "Offset")
        ]
        found.add((kind, pair[0], pair[1]))
    kind, gain, offset = found.pop() if len(found) == 1 else ("", None, None)
    if kind not in ("CCD", "CMOS") or gain is None or offset is None or not 0.01 <= gain <= 100 or offset <= 0:
        return None, None
    return gain, offset


def _stage(pixels: Element | None) -> tuple[float, float] | None:
    plane = _first(pixels, "Plane")
    if plane is None:
        return None
    # a negative position is a position: the sign is taken off for the unit and put back
    values = []
    for axis in "YX":
        number = to_number(plane.get(f"Position{axis}"))
        scale = to_um(1.0, plane.get(f"Position{axis}Unit", "reference frame"))
        if number is None or scale is None:
            return None
        values.append(number * scale)
    return values[0], values[1]
