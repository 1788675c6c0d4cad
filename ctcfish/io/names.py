"""File names: which suffix is which format, and what is left when it is taken off."""

from __future__ import annotations

from pathlib import Path

from ctcfish.errors import InputError, UsageError

TIFF = (".tif", ".tiff", ".btf", ".tf2", ".tf8")
PICTURE = (".png", ".jpg", ".jpeg")
ZARR = (".zarr",)
VENDOR = {
    ".czi": "Zeiss",
    ".lsm": "Zeiss",
    ".zvi": "Zeiss",
    ".nd2": "Nikon",
    ".lif": "Leica",
    ".lof": "Leica",
    ".xlef": "Leica",
    ".scn": "Leica",
    ".svs": "Aperio",
    ".ndpi": "Hamamatsu",
    ".vms": "Hamamatsu",
    ".mrxs": "3DHISTECH",
    ".vsi": "Olympus",
    ".oib": "Olympus",
    ".oif": "Olympus",
    ".oir": "Olympus",
    ".bif": "Ventana",
    ".qptiff": "Akoya",
    ".ims": "Imaris",
    ".stk": "MetaMorph",
    ".dv": "DeltaVision",
    ".r3d": "DeltaVision",
    ".sld": "SlideBook",
    ".flex": "PerkinElmer",
    ".tfx": "MetaSystems",
    ".ics": "ICS",
}
SIDE = (".csv", ".toml", ".txt", ".xml", ".json", ".md", ".pdf", ".html", ".ini", ".db", ".log")
"""Suffixes of files that may lie beside images and are not images."""


def suffixes(path: Path) -> tuple[str, str]:
    """Stem and image suffix, both levels of ``.ome.tif``; the suffix in lower case.

    Examples
    --------
    >>> suffixes(Path("a/P1.v2.OME.TIFF"))
    ('P1.v2', '.ome.tiff')
    """
    base, suffix = path.stem, path.suffix.lower()
    known = suffix in TIFF + PICTURE + ZARR or suffix in VENDOR
    if not known:
        return path.name, ""
    if base.lower().endswith(".ome"):
        return base[:-4], f".ome{suffix}"
    return base, suffix


def stem(path: Path) -> str:
    """Name less all image suffixes.

    Examples
    --------
    >>> stem(Path("x/slide 3.ome.zarr"))
    'slide 3'
    """
    return suffixes(path)[0]


def refuse_vendor(path: Path) -> None:
    """Refuse a vendor's own format, naming what converts it.

    Raises
    ------
    InputError
    """
    vendor = VENDOR.get(path.suffix.lower())
    if vendor is not None:
        raise InputError(
            path.name,
            f"a {vendor} file",
            "OME-TIFF, ImageJ or plain TIFF, PNG, JPEG or OME-Zarr",
            "Convert it to OME-Zarr with bioformats2raw, or export OME-TIFF from the vendor's software.",
        )


def check_id(text: str) -> str:
    """Return a slide's name if it can stand in a folder's name and in ``slide/scene/label``.

    Raises
    ------
    UsageError
    """
    bad = [c for c in text if c in '/\\:*?"<>|' or not c.isprintable()]
    if not text.strip() or text in {".", ".."} or bad:
        raise UsageError(
            f"slide_id {text!r} cannot name a folder; use letters, digits, space, dot, dash and underscore."
        )
    return text
