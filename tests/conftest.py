"""Fixtures every test may use."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

# The same examples each time and no clock: a loaded machine must not fail a property.
settings.register_profile("fixed", deadline=None, derandomize=True, database=None)
settings.load_profile("fixed")

REPOSITORY = Path(__file__).resolve().parent.parent
SHARED_DATA = REPOSITORY.parent / "shared" / "data"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--device", default="cpu", help="torch device on which the kernel tests run")


@pytest.fixture(scope="session")
def device(request: pytest.FixtureRequest) -> str:
    """Torch device under test; skips with a reason where it is absent."""
    import torch

    name = str(request.config.getoption("--device"))
    if name == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device here")
    if name == "mps" and not torch.backends.mps.is_available():
        pytest.skip("no MPS device here")
    return name


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real, licensed images; skips where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the folder of real images (../shared/data) is absent")
    return SHARED_DATA
