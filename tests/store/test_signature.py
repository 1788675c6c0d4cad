"""Signed runs: the signature fits this manifest and this key alone, and OpenSSL reads it too."""

from __future__ import annotations

import base64
import importlib.util
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tifffile
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from ctcfish.errors import InputError, MismatchError, UsageError
from ctcfish.store.signature import check_signature, private_key, public_key, sign_run
from tests import make, runs

PEM, PKCS8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
NO_PASSWORD = serialization.NoEncryption()


def keys(folder: Path, seed: int = 1) -> tuple[Path, Path]:
    """Private and public key of a seed, as files."""
    key = ed25519.Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
    private, public = folder / f"{seed}.pem", folder / f"{seed}.pub.pem"
    private.write_bytes(key.private_bytes(PEM, PKCS8, NO_PASSWORD))
    public.write_bytes(key.public_key().public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo))
    return private, public


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A folder with a manifest; nothing else is needed to sign."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "manifest.json").write_text('{"outputs_sha256": {}}\n')
    return folder


def test_what_was_signed_is_valid_and_nothing_else(run: Path, tmp_path: Path) -> None:
    private, public = keys(tmp_path)
    assert sign_run(run, private_key(private)) == run / "manifest.sig"
    check_signature(run, public_key(public))
    with pytest.raises(MismatchError, match=r"run: the signature does not fit manifest.json"):
        check_signature(run, public_key(keys(tmp_path, 2)[1]))
    (run / "manifest.json").write_text('{"outputs_sha256": {} }\n')
    with pytest.raises(MismatchError, match="changed afterwards, or signed with another key"):
        check_signature(run, public_key(public))


def test_signing_again_gives_the_same_bytes(run: Path, tmp_path: Path) -> None:
    key = private_key(keys(tmp_path)[0])
    first = sign_run(run, key).read_bytes()
    assert sign_run(run, key).read_bytes() == first
    assert len(base64.b64decode(first)) == 64


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_openssl_makes_keys_for_it_and_reads_its_signature(run: Path, tmp_path: Path) -> None:
    def openssl(*arguments: object) -> str:
        done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, check=True)
        return done.stdout

    private, public, raw = tmp_path / "k.pem", tmp_path / "p.pem", tmp_path / "raw"
    openssl("genpkey", "-algorithm", "ed25519", "-out", private)
    openssl("pkey", "-in", private, "-pubout", "-out", public)
    raw.write_bytes(base64.b64decode(sign_run(run, private_key(private)).read_text()))
    check_signature(run, public_key(public))
    said = openssl(
        *("pkeyutl", "-verify", "-pubin", "-inkey", public, "-rawin"),
        *("-in", run / "manifest.json", "-sigfile", raw),
    )
    assert "Signature Verified Successfully" in said


def other_key(folder: Path) -> Path:
    file = folder / "ec.pem"
    file.write_bytes(ec.generate_private_key(ec.SECP256R1()).private_bytes(PEM, PKCS8, NO_PASSWORD))
    return file


def locked_key(folder: Path) -> Path:
    file = folder / "locked.pem"
    locked = serialization.BestAvailableEncryption(b"secret")
    file.write_bytes(ed25519.Ed25519PrivateKey.generate().private_bytes(PEM, PKCS8, locked))
    return file


def no_key(folder: Path) -> Path:
    file = folder / "text.pem"
    file.write_text("no key")
    return file


@pytest.mark.parametrize(
    ("make_file", "message"),
    [
        (other_key, r"key ec.pem: is no Ed25519 key; make one with openssl"),
        (locked_key, r"key locked.pem: cannot be read .*without a password"),
        (no_key, r"key text.pem: cannot be read"),
        (lambda folder: folder / "absent.pem", r"key absent.pem: cannot be read \(No such file"),
        (lambda folder: keys(folder)[1], r"key 1.pub.pem: cannot be read .*give an Ed25519 private key"),
    ],
    ids=["another kind", "a password", "no key", "absent", "the public half"],
)
def test_a_wrong_private_key_is_refused(tmp_path: Path, make_file, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        private_key(make_file(tmp_path))


def test_a_wrong_public_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"key 1.pem: cannot be read .*give the public half"):
        public_key(keys(tmp_path)[0])
    file = tmp_path / "ec.pub.pem"
    own = ec.generate_private_key(ec.SECP256R1()).public_key()
    file.write_bytes(own.public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo))
    with pytest.raises(UsageError, match=r"key ec.pub.pem: is no Ed25519 public key"):
        public_key(file)


@pytest.mark.parametrize("text", [None, "", "AAAA\n", "%%%", "A" * 87], ids=["none", "empty", "short", "odd", "cut"])
def test_a_missing_or_damaged_signature_is_refused(run: Path, tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (run / "manifest.sig").write_text(text)
    message = r"found no manifest.sig; needed a signed run" if text is None else r"found no signature; needed 64 bytes"
    with pytest.raises(InputError, match=message):
        check_signature(run, public_key(keys(tmp_path)[1]))


def test_without_the_extra_the_remedy_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = keys(tmp_path)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    for read, file in zip((private_key, public_key), files, strict=True):
        with pytest.raises(UsageError, match=r"need the extra `sign`: pip install 'ctcfish\[sign\]'"):
            read(file)


def test_the_command_checks_signature_and_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = runs.write(tmp_path / "run")
    private, public = keys(tmp_path)
    assert make.run("verify", run, "--public-key", public) == 3
    sign_run(run, private_key(private))
    assert make.run("verify", run, "--public-key", public) == 0
    assert "signature: valid\noutputs: " in capsys.readouterr().out
    assert make.run("verify", run, "--public-key", keys(tmp_path, 2)[1]) == 6
    assert "the signature does not fit" in capsys.readouterr().err


def test_a_batch_signs_what_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scan = tmp_path / "study" / "s" / "fish" / "f.ome.tif"
    scan.parent.mkdir(parents=True)
    said = {"axes": "CYX", "PhysicalSizeX": 0.1, "PhysicalSizeY": 0.1, "Channel": {"Name": ["DAPI", "HER2", "CEP17"]}}
    dark = np.full((3, 64, 64), 100, np.uint16)
    tifffile.imwrite(scan, dark, metadata=said, photometric="minisblack", ome=True)
    private, public = keys(tmp_path)
    out = tmp_path / "out"
    assert make.run("batch", tmp_path / "study", "--out", out, "--sign", public) == 2
    assert not out.exists(), "a wrong key is refused before any work"
    assert make.run("batch", tmp_path / "study", "--out", out, "--sign", private) == 0
    assert make.run("verify", out, "--public-key", public, "--study", tmp_path / "study") == 0
    assert "signature: valid" in capsys.readouterr().out
