"""What an image says of itself, in plain values: the answer of ``ctcfish info``."""

from __future__ import annotations

from typing import Any

from ctcfish.flags import SlideFlag, to_text
from ctcfish.io.image import NO_OVERRIDES, Overrides
from ctcfish.io.open import PANEL, Paths, examine
from ctcfish.io.resolve import Resolved
from ctcfish.parameters import Panel


def describe(path: Paths, overrides: Overrides = NO_OVERRIDES, panel: Panel = PANEL) -> dict[str, Any]:
    """Describe a slide folder or images, complete or not.

    Returns
    -------
    dict
        ``slide_id``, ``scenes`` and ``ready`` (whether it can be scored). Each scene has ``name, file, format,
        modality, size`` (C, Z, Y, X), ``dtype, pixel_um, z_step_um, channels, na, stage_um, origin, flags, notes`` and
        ``missing``: what was found, what is needed, and how to give it.

    Raises
    ------
    InputError, UsageError
        As :func:`ctcfish.io.open.open_slide`, except that nothing needs to be complete.
    """
    opened = examine(path, overrides, panel)
    return {
        "slide_id": opened.slide_id,
        "ready": not any(scene.gaps for scene in opened.scenes),
        "scenes": [_scene(scene) for scene in opened.scenes],
    }


def _scene(scene: Resolved) -> dict[str, Any]:
    image = scene.image
    role_of = {channel: role for role, channel in scene.roles.items()}
    return {
        "name": image.name,
        "file": image.path.name,
        "format": image.kind,
        "modality": scene.modality,
        "size": dict(zip("CZYX", image.pixels.shape, strict=True)),
        "dtype": str(image.pixels.dtype),
        "pixel_um": list(scene.pixel_um) if scene.pixel_um else None,
        "z_step_um": scene.z_step_um,
        "channels": [
            {
                "index": k,
                "name": name,
                "role": role_of.get(k),
                "emission_nm": scene.optics.emission_nm.get(role_of.get(k, "")),
            }
            for k, name in enumerate(image.channel_names)
        ],
        "na": scene.optics.na,
        "gain_adu_per_photon": scene.optics.gain_adu_per_photon,
        "offset_adu": scene.optics.offset_adu,
        "stage_um": list(image.stage_um) if image.stage_um else None,
        "origin": dict(scene.origin),
        "flags": str(to_text(int(image.flags), SlideFlag)[0]),
        "notes": list(image.notes),
        "missing": [{"found": g.found, "needed": g.wanted, "remedy": g.remedy} for g in scene.gaps],
    }
