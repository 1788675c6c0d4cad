"""Whatever a decoder stumbles over becomes a refusal that names the file."""

from __future__ import annotations

import logging
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ctcfish.errors import InputError

# The decoders under us promise no exception class of their own: on damaged bytes all of these were seen.
DECODER_FAILURES = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)

MAX_RATIO = 2000
"""Decoded bytes over bytes on disk above which a compressed image of more than ``FREE_BYTES`` is refused."""
FREE_BYTES = 1 << 30
"""Decoded size up to which any compression is believed: an all-black image compresses without limit."""
MAX_BLOCK_BYTES = 1 << 31
"""Decoded size of one tile, strip or chunk above which an image is refused: blocks are decoded whole."""

MAX_PLANES = 1_000_000
"""Planes of an image above which its description is not believed."""


@contextmanager
def refusing(path: Path) -> Iterator[None]:
    """Turn a decoder's failure inside the block into an :class:`InputError` that names the file.

    The TIFF library's own log is silenced: what it only warns of (missing or damaged planes) is checked and refused
    by the reader itself.
    """
    log = logging.getLogger("tifffile")
    level = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        yield
    except FileNotFoundError:
        raise InputError(path.name, "no such file", "an existing image", "Check the path.") from None
    except PermissionError:
        raise InputError(path.name, "no permission to read it", "a readable image", "Change its permissions.") from None
    except MemoryError:
        raise InputError(
            path.name, "too little memory for it", "memory for its pixels", "Free memory, or use a larger machine."
        ) from None
    except DECODER_FAILURES as error:
        said = " ".join(str(error).split())[:160] or type(error).__name__
        raise damaged(path, f"bytes that cannot be read ({said})") from error
    finally:
        log.setLevel(level)


def damaged(path: Path, found: str) -> InputError:
    """Refusal of a truncated or corrupt file."""
    return InputError(
        path.name, found, "an intact image", "The file is damaged or incomplete: copy or export it again."
    )


def check_bytes(path: Path, declared: int, stored: int, *, block: int = 0) -> None:
    """Refuse compressed images that would take far more memory than their file justifies.

    Parameters
    ----------
    path : Path
    declared, stored : int
        Bytes of all decoded pixels, and bytes on disk.
    block : int
        Bytes of the largest decoded tile, strip or chunk.

    Raises
    ------
    InputError
        Above ``MAX_RATIO`` (with more than ``FREE_BYTES``) or ``MAX_BLOCK_BYTES``.
    """
    if declared > FREE_BYTES and declared > MAX_RATIO * max(stored, 1):
        raise damaged(path, f"{declared:,} bytes of pixels declared by {stored:,} bytes of file")
    if block > MAX_BLOCK_BYTES:
        raise InputError(
            path.name,
            f"blocks of {block:,} bytes",
            f"tiles, strips or chunks of at most {MAX_BLOCK_BYTES:,} bytes",
            "Save the image again in smaller tiles (OME-TIFF or OME-Zarr).",
        )


def check_type(path: Path, dtype: np.dtype[np.generic] | None, found: str = "") -> None:
    """Refuse pixels that are no integers or floats (bits, complex numbers, text).

    Raises
    ------
    InputError
    """
    if dtype is None or dtype.kind not in "uif":
        raise InputError(
            path.name,
            found or f"pixels of type {dtype}",
            "integer or floating-point grey values",
            "Export the original grey values (8, 16 or 32 bit).",
        )


def finite(path: Path, pixels: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return the pixels in the machine's byte order; refuse NaN and infinity.

    Raises
    ------
    InputError
    """
    native = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
    # minimum and maximum carry any NaN or infinity along and need no array of booleans
    if native.dtype.kind == "f" and native.size and not bool(np.isfinite(native.min()) and np.isfinite(native.max())):
        raise InputError(
            path.name, "pixels that are NaN or infinite", "finite grey values", "Export the original camera values."
        )
    return native
