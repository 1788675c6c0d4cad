"""A second scheduler in processes of its own, over TLS: the same command, the same bytes."""

from __future__ import annotations

import datetime
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.conftest import REPOSITORY
from tests.faults.conftest import results

pytestmark = pytest.mark.xdist_group("cluster")

Start = Callable[..., subprocess.Popen[str]]


def certificate(folder: Path) -> dict[str, str]:
    """A certificate that signs itself, and what tells dask of it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "laboratory")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    (folder / "key.pem").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    (folder / "cert.pem").write_bytes(signed.public_bytes(pem))
    said = {"DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "True"}
    said["DASK_DISTRIBUTED__COMM__TLS__CA_FILE"] = str(folder / "cert.pem")
    for role in ("SCHEDULER", "WORKER", "CLIENT"):
        said[f"DASK_DISTRIBUTED__COMM__TLS__{role}__CERT"] = str(folder / "cert.pem")
        said[f"DASK_DISTRIBUTED__COMM__TLS__{role}__KEY"] = str(folder / "key.pem")
    return said


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    known = os.environ | {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    return known | certificate(tmp_path)


@pytest.fixture
def start(tmp_path: Path, environment: dict[str, str]) -> Iterator[Start]:
    """Start programs of this Python; whatever still runs at the end is ended."""
    running: list[subprocess.Popen[str]] = []

    def program(*arguments: object, log: str = "log") -> subprocess.Popen[str]:
        command = [sys.executable, "-m", *map(str, arguments)]
        with (tmp_path / log).open("a") as stream:
            running.append(
                subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=stream, stderr=stream, text=True)
            )
        return running[-1]

    yield program
    for process in running:
        process.send_signal(signal.SIGTERM)
    for process in running:
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def address_of(log: Path) -> str:
    """Address that a scheduler prints."""
    for _ in range(600):
        words = log.read_text().split() if log.is_file() else []
        found = [word for word in words if word.startswith("tls://")]
        if found:
            return found[0]
        time.sleep(0.2)
    pytest.fail(f"no scheduler came up:\n{log.read_text()}")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_scheduler_elsewhere_gives_the_same_bytes(start: Start, tmp_path: Path) -> None:
    for name in ("one", "two"):
        shutil.copytree(REPOSITORY / "data_samples" / "sample", tmp_path / "study" / name)
    alone = start("ctcfish", "batch", "study", "--out", "alone", "--device", "cpu")
    start("dask", "scheduler", "--port", 0, "--no-dashboard", "--protocol", "tls", log="scheduler")
    address = address_of(tmp_path / "scheduler")
    workers = [
        start("dask", "worker", address, "--nthreads", 1, "--no-dashboard", "--death-timeout", 60, log="workers")
        for _ in range(2)
    ]
    spread = start("ctcfish", "batch", "study", "--out", "spread", "--scheduler", address, "--device", "cpu")
    assert spread.wait(600) == 0, (tmp_path / "log").read_text()
    assert alone.wait(600) == 0
    assert all(worker.poll() is None for worker in workers)
    found = results(tmp_path / "spread")
    assert found == results(tmp_path / "alone")
    assert {"one/cells.csv", "two/report.html", "manifest.json"} <= set(found)
    assert "slide two: scored, 28 cells" in (tmp_path / "spread" / "run.log").read_text()


def test_a_stranger_without_certificate_is_not_let_in(
    start: Start, tmp_path: Path, environment: dict[str, str]
) -> None:
    start("dask", "scheduler", "--port", 0, "--no-dashboard", "--protocol", "tls", log="scheduler")
    address = address_of(tmp_path / "scheduler")
    shutil.copytree(REPOSITORY / "data_samples" / "sample", tmp_path / "study" / "one")
    for name in [name for name in environment if name.startswith("DASK_")]:
        del environment[name]
    stranger = start("ctcfish", "batch", "study", "--out", "out", "--scheduler", address, "--device", "cpu")
    assert stranger.wait(250) == 2
    assert f"--scheduler {address}: no scheduler answers there" in (tmp_path / "log").read_text()
