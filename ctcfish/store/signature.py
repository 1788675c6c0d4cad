"""A signature over a run's manifest (Ed25519, RFC 8032); the manifest in turn holds the hash of every file.

The signature's file is its 64 bytes in base64 and a line end; an equal manifest and key give equal bytes.
"""

from __future__ import annotations

import base64
import binascii
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from ctcfish.errors import InputError, MismatchError, UsageError
from ctcfish.store.atomic import write_text
from ctcfish.store.runfiles import MANIFEST, SIGNATURE

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey


def private_key(file: Path) -> Ed25519PrivateKey:
    """Read a private key, so that a wrong one is refused before any work is done.

    Parameters
    ----------
    file : Path
        PEM (PKCS #8) without a password, as ``openssl genpkey -algorithm ed25519`` writes it.

    Raises
    ------
    UsageError
        No such file, no PEM, a password, another kind of key, or the extra ``sign`` is not installed.
    """
    _need_library()
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ed25519

    try:
        key = serialization.load_pem_private_key(_bytes(file), password=None)
    except (ValueError, TypeError) as error:
        raise UsageError(
            f"key {file.name}: cannot be read ({error}); give an Ed25519 private key as PEM without a password "
            "(openssl genpkey -algorithm ed25519)."
        ) from None
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise UsageError(f"key {file.name}: is no Ed25519 key; make one with openssl genpkey -algorithm ed25519.")
    return key


def public_key(file: Path) -> Ed25519PublicKey:
    """Read a public key.

    Parameters
    ----------
    file : Path
        PEM, as ``openssl pkey -in KEY -pubout`` writes it.

    Raises
    ------
    UsageError
        As :func:`private_key`.
    """
    _need_library()
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ed25519

    try:
        key = serialization.load_pem_public_key(_bytes(file))
    except ValueError as error:
        raise UsageError(
            f"key {file.name}: cannot be read ({error}); give the public half (openssl pkey -in KEY -pubout)."
        ) from None
    if not isinstance(key, ed25519.Ed25519PublicKey):
        raise UsageError(f"key {file.name}: is no Ed25519 public key; make it with openssl pkey -in KEY -pubout.")
    return key


def sign_run(run: Path, key: Ed25519PrivateKey) -> Path:
    """Sign a finished run: write ``manifest.sig`` beside ``manifest.json``.

    Parameters
    ----------
    run : Path
        Folder of a run.
    key : Ed25519PrivateKey
        From :func:`private_key`.

    Returns
    -------
    Path
        The signature's file.
    """
    signature = key.sign((run / MANIFEST).read_bytes())
    write_text(run / SIGNATURE, base64.b64encode(signature).decode() + "\n")
    return run / SIGNATURE


def check_signature(run: Path, key: Ed25519PublicKey) -> None:
    """Check that the manifest is the one that was signed with the other half of ``key``.

    Raises
    ------
    InputError
        The run carries no signature, or a damaged one.
    MismatchError
        The manifest was changed afterwards, or signed with another key.
    """
    from cryptography.exceptions import InvalidSignature

    if not (run / SIGNATURE).is_file():
        raise InputError(run.name, f"no {SIGNATURE}", "a signed run", "Sign it: ctcfish batch ... --sign KEY.")
    try:
        signature = base64.b64decode((run / SIGNATURE).read_bytes().strip(), validate=True)
    except binascii.Error:
        signature = b""
    if len(signature) != 64:
        raise InputError(f"{run.name}/{SIGNATURE}", "no signature", "64 bytes in base64", "Restore or renew it.")
    try:
        key.verify(signature, (run / MANIFEST).read_bytes())
    except InvalidSignature:
        raise MismatchError(
            f"{run.name}: the signature does not fit {MANIFEST}; it was changed afterwards, or signed with another key."
        ) from None


def _need_library() -> None:
    if importlib.util.find_spec("cryptography") is None:
        raise UsageError("signatures need the extra `sign`: pip install 'ctcfish[sign]'.")


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise UsageError(f"key {file.name}: cannot be read ({error.strerror}); give an existing PEM file.") from None
