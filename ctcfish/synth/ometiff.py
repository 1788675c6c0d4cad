"""A scene as OME-TIFF, the same bytes each time: no date, no random identifier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import quoteattr

import numpy as np
import tifffile
from numpy.typing import NDArray

_TILE = 256
_DEFLATE_LEVEL = 3


@dataclass(frozen=True)
class OmeInfo:
    """What the metadata say of an image.

    Attributes
    ----------
    name : str
    voxel_um : tuple of float
        ``(z, y, x)``; no z step is written for a single plane.
    channels : sequence of (str, float)
        Name and emission in nm.
    na, immersion_index : float
    camera : mapping of str to float
        ``gain_adu_per_photon, offset_adu, read_noise_photons``.
    stage_um : tuple of float
        ``(y, x)`` of the first pixel centre.
    """

    name: str
    voxel_um: tuple[float, float, float]
    channels: Sequence[tuple[str, float]]
    na: float
    immersion_index: float
    camera: Mapping[str, float]
    stage_um: tuple[float, float]


def write_ome_tiff(path: Path, pixels: NDArray[np.uint16], info: OmeInfo) -> None:
    """Write pixels ``(C, Z, Y, X)`` as a tiled, deflated OME-TIFF."""
    tifffile.imwrite(
        path,
        pixels.reshape(-1, *pixels.shape[2:]),
        description=ome_xml(pixels.shape, info).encode("utf-8"),
        metadata=None,
        software=False,
        photometric="minisblack",
        tile=(_TILE, _TILE),
        compression="zlib",
        compressionargs={"level": _DEFLATE_LEVEL},
        predictor=True,
    )


def ome_xml(shape: tuple[int, ...], info: OmeInfo) -> str:
    """OME-XML (2016-06) of one image of the given shape ``(C, Z, Y, X)``."""
    n_channels, n_planes, height, width = shape
    immersion = "Air" if info.immersion_index < 1.1 else "Oil"
    z_step = f' PhysicalSizeZ="{info.voxel_um[0]:g}" PhysicalSizeZUnit="µm"' if n_planes > 1 else ""
    channels = "".join(
        f'<Channel ID="Channel:0:{k}" Name={quoteattr(name)} SamplesPerPixel="1" EmissionWavelength="{emission:g}" '
        'EmissionWavelengthUnit="nm"><DetectorSettings ID="Detector:0:0" '
        f'Gain="{info.camera["gain_adu_per_photon"]:g}" Offset="{info.camera["offset_adu"]:g}"/></Channel>'
        for k, (name, emission) in enumerate(info.channels)
    )
    frames = "".join(
        f'<TiffData FirstC="{c}" FirstZ="{z}" FirstT="0" IFD="{c * n_planes + z}" PlaneCount="1"/>'
        for c in range(n_channels)
        for z in range(n_planes)
    )
    places = "".join(
        f'<Plane TheC="{c}" TheZ="{z}" TheT="0" PositionX="{info.stage_um[1]:g}" PositionXUnit="µm" '
        f'PositionY="{info.stage_um[0]:g}" PositionYUnit="µm"/>'
        for c in range(n_channels)
        for z in range(n_planes)
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation='
        '"http://www.openmicroscopy.org/Schemas/OME/2016-06 '
        'http://www.openmicroscopy.org/Schemas/OME/2016-06/ome.xsd" Creator="ctcfish simulation">'
        '<Instrument ID="Instrument:0"><Detector ID="Detector:0:0" Type="CMOS"/>'
        f'<Objective ID="Objective:0:0" LensNA="{info.na:g}" Immersion="{immersion}"/></Instrument>'
        f'<Image ID="Image:0" Name={quoteattr(info.name)}><InstrumentRef ID="Instrument:0"/>'
        f'<ObjectiveSettings ID="Objective:0:0" RefractiveIndex="{info.immersion_index:g}"/>'
        f'<Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" SizeX="{width}" SizeY="{height}" '
        f'SizeZ="{n_planes}" SizeC="{n_channels}" SizeT="1" PhysicalSizeX="{info.voxel_um[2]:g}" '
        f'PhysicalSizeXUnit="µm" PhysicalSizeY="{info.voxel_um[1]:g}" PhysicalSizeYUnit="µm"{z_step}>'
        f"{channels}{frames}{places}</Pixels></Image></OME>"
    )
