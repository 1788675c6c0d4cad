"""The loop: an interrupted run ends where the unbroken one does, the rate's course, the losses by hand, folding."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from ctcfish.nets.architecture import NetSpec, NucleusNet
from ctcfish.nets.training.data import draw_samples
from ctcfish.nets.training.export import fold, write_weights
from ctcfish.nets.training.loop import TrainingParams, compute_losses, learning_rate, start, train

TINY = TrainingParams(spec=NetSpec((8, 8, 8), 1), seed=1, steps=6, batch=2, crop_px=32, checkpoint_every=3)


@pytest.fixture(scope="module")
def data() -> tuple[list, np.ndarray]:
    samples = draw_samples(4, 24.0, 11)
    return samples, np.full(4, 0.25)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def test_an_interrupted_run_ends_where_the_unbroken_one_does(data: tuple[list, np.ndarray], tmp_path: Path) -> None:
    unbroken = start(TINY)
    train(unbroken, data, TINY, tmp_path / "a.pt", lambda step, losses: None)
    first = start(TINY)
    train(first, data, replace(TINY, steps=3, fall=0.01), tmp_path / "b.pt", lambda step, losses: None)
    second = start(replace(TINY, seed=99))
    second.load(tmp_path / "b.pt")
    assert second.step == 3
    train(second, data, TINY, tmp_path / "b.pt", lambda step, losses: None)
    for name, value in unbroken.average.state_dict().items():
        assert torch.equal(value, second.average.state_dict()[name]), name


def test_checkpoints_are_reported_and_leave_nothing_half_written(data: tuple[list, np.ndarray], tmp_path: Path) -> None:
    seen: list[int] = []
    train(start(TINY), data, TINY, tmp_path / "c.pt", lambda step, losses: seen.append(step))
    assert seen == [3, 6]
    assert [path.name for path in tmp_path.iterdir()] == ["c.pt"]


def test_it_learns(data: tuple[list, np.ndarray], tmp_path: Path) -> None:
    params = replace(TINY, steps=60, checkpoint_every=20, batch=4)
    course: list[float] = []
    train(start(params), data, params, tmp_path / "d.pt", lambda step, losses: course.append(sum(losses.values())))
    assert course[-1] < 0.8 * course[0]


def test_the_rate_rises_stays_and_falls() -> None:
    params = TrainingParams(steps=1000, rate=1.0, fall=0.4)
    assert learning_rate(0, params) == pytest.approx(1 / 200)
    assert learning_rate(300, params) == learning_rate(600, params) == 1.0
    assert learning_rate(800, params) == pytest.approx(0.5)
    assert learning_rate(999, params) == pytest.approx(0.005)
    assert learning_rate(300, replace(params, steps=9000)) == 1.0


def test_losses_of_hand_made_maps() -> None:
    targets = torch.zeros(1, 3, 4, 4)
    targets[:, 0, :2] = 1.0
    weights = torch.ones(1, 2, 4, 4)
    weights[:, 1] = targets[:, 0]
    maps = torch.zeros(1, 3, 4, 4)
    maps[:, 1] = 0.5
    losses = compute_losses(maps, targets, weights)
    assert float(losses["foreground"]) == pytest.approx(np.log(2.0))
    assert float(losses["offset"]) == pytest.approx(0.5)
    assert float(losses["dice"]) == pytest.approx(0.3 * (1 - (8 + 50) / (8 + 8 + 50)))


def test_pixels_beyond_the_image_have_no_say() -> None:
    generator = torch.Generator().manual_seed(0)
    maps, targets = torch.randn(2, 3, 8, 8, generator=generator), torch.zeros(2, 3, 8, 8)
    weights = torch.ones(2, 2, 8, 8)
    weights[:, :, 4:] = 0.0
    changed = maps.clone()
    changed[:, :, 4:] += 100.0
    first, second = compute_losses(maps, targets, weights), compute_losses(changed, targets, weights)
    for name in first:
        assert float(first[name]) == pytest.approx(float(second[name]))


def test_folding_changes_no_map_and_the_file_gives_the_weights_back(tmp_path: Path) -> None:
    torch.manual_seed(3)
    trained = NucleusNet(NetSpec((8, 16, 16), 1), normed=True)
    trained.train()
    for _ in range(3):
        trained(torch.randn(2, 2, 32, 32) * 2 + 1)
    trained.eval()
    plain = fold(trained)
    image = torch.randn(1, 2, 40, 48)
    torch.testing.assert_close(plain(image), trained(image), rtol=1e-4, atol=1e-5)
    write_weights(plain, tmp_path / "one.safetensors")
    write_weights(plain, tmp_path / "two.safetensors")
    assert (tmp_path / "one.safetensors").read_bytes() == (tmp_path / "two.safetensors").read_bytes()
    again = NucleusNet(plain.spec)
    again.load_state_dict(load_file(tmp_path / "one.safetensors"))
    assert torch.equal(again(image), plain(image))
