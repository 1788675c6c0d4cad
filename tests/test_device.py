"""The device is the one asked for or an error; what the machine offers is told and damage is found."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import cv2
import pytest
import torch

import ctcfish
from ctcfish import doctor, resources
from ctcfish.config import preset_names
from ctcfish.device import fix_threads, resolve_device
from ctcfish.errors import ConfigError, DeviceError, WeightsError
from ctcfish.gates import gate_names, load_gates
from ctcfish.nets.weights import list_cards


def offer(monkeypatch: pytest.MonkeyPatch, *, cuda: bool, mps: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


@pytest.mark.parametrize(
    ("cuda", "mps", "taken"),
    [(True, True, "cuda"), (True, False, "cuda"), (False, True, "mps"), (False, False, "cpu")],
)
def test_auto_takes_the_fastest_there_is(monkeypatch: pytest.MonkeyPatch, cuda: bool, mps: bool, taken: str) -> None:
    offer(monkeypatch, cuda=cuda, mps=mps)
    assert resolve_device("auto") == taken


@pytest.mark.parametrize("name", ["cpu", "cuda", "mps"])
def test_a_device_that_is_there_is_taken(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    offer(monkeypatch, cuda=True, mps=True)
    assert resolve_device(name) == name  # type: ignore[arg-type]


def test_nothing_stands_in_for_an_absent_device(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, cuda=False, mps=True)
    with pytest.raises(DeviceError, match=r"'cuda' is not present here \(present: cpu, mps\); use --device auto"):
        resolve_device("cuda")
    offer(monkeypatch, cuda=False, mps=False)
    with pytest.raises(DeviceError, match=r"'mps' is not present here \(present: cpu\)"):
        resolve_device("mps")


def test_kernels_run_on_one_thread() -> None:
    before = torch.get_num_threads(), cv2.getNumThreads()
    try:
        torch.set_num_threads(2)
        cv2.setNumThreads(2)
        fix_threads()
        assert torch.get_num_threads() == 1
        assert cv2.getNumThreads() == 1
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])


def test_the_doctor_has_a_line_for_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, cuda=True, mps=False)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: SimpleNamespace(free=12_600_000_000))
    monkeypatch.setattr(doctor.os, "cpu_count", lambda: 6)
    lines = doctor.health().splitlines()
    assert lines[0].startswith(f"ctcfish {ctcfish.__version__}, Python 3.")
    assert lines[1] == "devices: cpu, cuda; cores: 6"
    assert lines[2] == "free disk here: 13 GB"
    assert lines[3] == "presets: " + ", ".join(preset_names())
    assert lines[4:] == [f"weights: {card.name}, SHA-256 as on its card" for card in list_cards()]
    assert len(lines) > 4


def test_the_doctor_finds_a_damaged_preset(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("[call\n", encoding="utf-8")
    monkeypatch.setattr("ctcfish.config.resource_dir", lambda _: tmp_path)
    with pytest.raises(ConfigError, match=r"mine\.toml: is no valid TOML"):
        doctor.health()


def test_the_doctor_finds_damaged_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for file in resources.resource_dir("models").iterdir():
        if file.is_file():
            (tmp_path / file.name).write_bytes(file.read_bytes())
    card = list_cards()[0]
    [weights] = [file for file in tmp_path.glob("*.safetensors") if file.stem == card.name]
    with weights.open("r+b") as stream:
        stream.seek(-1, 2)
        last = stream.read(1)
        stream.seek(-1, 2)
        stream.write(bytes([last[0] ^ 1]))
    monkeypatch.setattr("ctcfish.nets.weights.resource_dir", lambda _: tmp_path)
    with pytest.raises(WeightsError, match="SHA-256"):
        doctor.health()


def test_files_are_taken_from_inside_a_wheel_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = tmp_path / "ctcfish"
    package.mkdir()
    (tmp_path / "configs").mkdir()
    monkeypatch.setattr(resources.resources, "files", lambda _: package)
    assert resources.resource_dir("configs") == tmp_path / "configs"
    (package / "configs").mkdir()
    assert resources.resource_dir("configs") == package / "configs"


def test_the_shipped_folders_are_there() -> None:
    assert (resources.resource_dir("configs") / "circe_tdm1.toml").is_file()
    assert list(resources.resource_dir("models").glob("*.safetensors"))


def test_gate_files_are_no_presets() -> None:
    assert gate_names() == ["gates_cellsearch", "gates_ligthart"]
    assert not set(gate_names()) & set(preset_names())


def test_gates_after_ligthart_are_the_published_ones() -> None:
    found = {gate.feature: (gate.min, gate.max) for gate in load_gates("gates_ligthart").gates}
    assert found == {
        "if_inclusion_sd": (50.0, None),
        "if_inclusion_area_um2": (31.0, 819.0),
        "if_nucleus_max": (170.0, None),
        "if_exclusion_max": (None, 60.0),
    }


@pytest.mark.parametrize("name", gate_names())
def test_every_gate_bounds_something_and_names_its_source(name: str) -> None:
    gates = load_gates(name)
    assert gates.name == name
    assert gates.source
    assert all(gate.min is not None or gate.max is not None for gate in gates.gates)
    assert len({gate.feature for gate in gates.gates}) == len(gates.gates)


def test_unknown_and_broken_gates_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gates 'mine' are not known; the gate files are gates_cellsearch, "):
        load_gates("mine")
    good = 'name = "gates_a"\nversion = "1"\nsource = "s"\n'
    (tmp_path / "gates_a.toml").write_text(good + '[[gates]]\nfeature = "x"\nunit = "inch"\n', encoding="utf-8")
    monkeypatch.setattr("ctcfish.gates.resource_dir", lambda _: tmp_path)
    with pytest.raises(ConfigError, match=r"gates gates_a: gates\.0\.unit: .*\(found 'inch'\)"):
        load_gates("gates_a")
    (tmp_path / "gates_a.toml").write_text(good, encoding="utf-8")
    with pytest.raises(ConfigError, match="gates gates_a: gates: Field required"):
        load_gates("gates_a")
