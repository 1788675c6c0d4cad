"""The training script on a small folder: one seed gives one file, an interrupted run the same one."""

import hashlib
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import tifffile

from ctcfish.nets.training.synthetic import draw_field
from ctcfish.nets.weights import load_network

SCRIPT = Path(__file__).resolve().parents[3] / "scripts" / "train_nuclei.py"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script as a module, with few drawn fields and few kinds."""
    spec = importlib.util.spec_from_file_location("train_nuclei", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "SYNTHETIC", 3)
    monkeypatch.setattr(module, "KINDS", 2)
    return module


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve drawn images with their masks; two of them are held back."""
    root = tmp_path_factory.mktemp("drawn")
    (root / "images").mkdir()
    (root / "masks").mkdir()
    made, seed = 0, 0
    while made < 12:
        image, labels = draw_field(90, 14.0 + made, np.random.default_rng(seed))
        seed += 1
        if labels.max() >= 3:
            tifffile.imwrite(root / "images" / f"{made:02}.tif", np.clip(image, 0, 65535).astype(np.uint16))
            tifffile.imwrite(root / "masks" / f"{made:02}.tif", labels.astype(np.uint16))
            made += 1
    return root


def run(script: ModuleType, monkeypatch: pytest.MonkeyPatch, folder: Path, out: Path) -> dict:
    monkeypatch.setattr(sys, "argv", ["train_nuclei.py", str(folder), "--out", str(out), "--steps", "2"])
    script.main()
    return json.loads((out / "figures.json").read_text())


def test_one_seed_gives_one_file(
    script: ModuleType, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(script, monkeypatch, folder, tmp_path / "first")
    second = run(script, monkeypatch, folder, tmp_path / "second")
    again = run(script, monkeypatch, folder, tmp_path / "first")
    data = (tmp_path / "first" / "nuclei.safetensors").read_bytes()
    assert first["sha256"] == second["sha256"] == again["sha256"] == hashlib.sha256(data).hexdigest()
    assert first["held_images"] == 1
    assert first["held_scale_known"]["nuclei"] == first["held_scale_estimated"]["nuclei"] >= 3
    assert first["training"]["steps"] == 2


def test_images_held_back_are_not_trained_on(script: ModuleType, folder: Path) -> None:
    samples, chance, held = script.gather(folder, 1)
    names = {sample.name for sample in samples}
    assert not names & set(held)
    assert len([name for name in names if not name.startswith("synthetic")]) + len(held) == 12
    assert chance.sum() == pytest.approx(1.0)
    drawn = sum(part for part, sample in zip(chance, samples, strict=True) if sample.name.startswith("synthetic"))
    assert drawn == pytest.approx(script.SYNTHETIC_SHARE)


@pytest.mark.parametrize(("scale_known", "least"), [(True, 0.8), (False, 0.75)])
def test_the_shipped_network_on_real_nuclei(
    script: ModuleType, shared_data: Path, scale_known: bool, least: float
) -> None:
    folder = shared_data / "nuclei" / "val"
    names = sorted(path.stem for path in (folder / "images").glob("*.tif"))[:8]
    scores = script.evaluate(load_network(), folder, names, scale_known)
    assert scores.n_truth > 100
    assert scores.ap(0.5) > least


def test_described_figures_are_the_scores(script: ModuleType) -> None:
    truth = np.kron(np.arange(1, 5).reshape(2, 2), np.ones((6, 6), int))
    described = script.describe(script.nuclei_scores(truth, truth))
    assert described == {"nuclei": 4, "ap50": 1.0, "ap75": 1.0, "map50_90": 1.0, "splits": 0, "merges": 0}
