"""The shipped weights and their card: complete, checked, and refused when they do not belong together."""

import hashlib
import shutil
from pathlib import Path

import pytest
import torch

from ctcfish.errors import DeviceError, WeightsError
from ctcfish.nets import weights
from ctcfish.nets.weights import list_cards, load_network, read_card, read_weights
from ctcfish.resources import resource_dir


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the shipped models that a test may damage."""
    folder = tmp_path / "models"
    shutil.copytree(resource_dir("models"), folder)
    monkeypatch.setattr(weights, "resource_dir", lambda _: folder)
    return folder


def test_the_nucleus_network_is_shipped_and_loads() -> None:
    assert "nuclei" in [card.name for card in list_cards()]
    net = load_network()
    assert not net.training
    assert not any(part.requires_grad for part in net.parameters())
    maps = net(torch.zeros(1, 2, 16, 24))
    assert maps.shape == (1, 3, 16, 24)
    assert bool(torch.isfinite(maps).all())


def test_every_card_tells_the_truth_about_its_file() -> None:
    for card in list_cards():
        data = (resource_dir("models") / f"{card.name}.safetensors").read_bytes()
        assert card.sha256 == hashlib.sha256(data).hexdigest()
        assert len(data) <= 2_000_000
        assert {"title", "licence", "sha256", "architecture", "data", "training", "figures", "limits"} <= set(
            card.content
        )


def test_the_card_names_the_number_of_parameters() -> None:
    architecture = read_card("nuclei").content["architecture"]
    assert architecture["parameters"] == sum(part.numel() for part in load_network().parameters()) <= 500_000


def test_one_changed_byte_is_refused(models: Path) -> None:
    path = models / "nuclei.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(WeightsError, match=r"nuclei\.safetensors have SHA-256 [0-9a-f]{64}, their card says .*install"):
        load_network()


def test_missing_weights_are_named(models: Path) -> None:
    (models / "nuclei.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"nuclei\.safetensors are missing beside their card"):
        read_weights(read_card("nuclei"))


def test_an_unknown_model_names_the_known_ones(models: Path) -> None:
    with pytest.raises(WeightsError, match=r"no model named 'spots3000' is shipped; known: .*nuclei"):
        load_network("spots3000")


def test_a_card_without_checksum_is_refused(models: Path) -> None:
    (models / "nuclei.toml").write_text('title = "nuclei"\n')
    with pytest.raises(WeightsError, match=r"nuclei\.toml names no sha256"):
        read_card("nuclei")


def test_weights_of_another_architecture_are_refused(models: Path) -> None:
    card = models / "nuclei.toml"
    text = card.read_text()
    assert "deep_blocks = 2" in text
    card.write_text(text.replace("deep_blocks = 2", "deep_blocks = 3"))
    with pytest.raises(WeightsError, match="do not fit the architecture on their card"):
        load_network()


@pytest.mark.parametrize("device", ["tpu", "cuda"])
def test_a_device_that_is_not_there_is_refused(device: str) -> None:
    if device == "cuda" and torch.cuda.is_available():
        pytest.skip("CUDA is here")
    with pytest.raises(DeviceError, match=f"found no device '{device}'; devices here: .*cpu"):
        load_network(device=device)
