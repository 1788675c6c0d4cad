"""The training loop: losses, optimiser, moving average, checkpoints from which it goes on."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ctcfish.nets.architecture import FOREGROUND, OFFSET_X, OFFSET_Y, NetSpec, NucleusNet
from ctcfish.nets.training.data import Batch, Sample, draw_batch


@dataclass(frozen=True)
class TrainingParams:
    """How a network is trained.

    Attributes
    ----------
    spec : NetSpec
        The architecture.
    seed : int
        Seed of the first weights and of all crops.
    steps, batch, crop_px : int
        Steps of the optimiser, crops a step, and side of a crop.
    rate, decay : float
        Largest learning rate and weight decay of AdamW.
    average : float
        Decay of the moving average of the weights, which is what is shipped.
    fall : float
        Share of the steps, at the end, over which the rate falls.
    checkpoint_every : int
        Steps between checkpoints.
    """

    spec: NetSpec = field(default_factory=NetSpec)
    seed: int = 20241122
    steps: int = 12000
    batch: int = 8
    crop_px: int = 128
    rate: float = 3e-3
    decay: float = 1e-4
    average: float = 0.998
    fall: float = 0.35
    checkpoint_every: int = 250


@dataclass
class TrainingState:
    """Everything a checkpoint holds."""

    net: NucleusNet
    average: NucleusNet
    optimiser: torch.optim.AdamW
    step: int = 0

    def save(self, path: Path) -> None:
        """Write a checkpoint, whole or not at all."""
        parts = {
            "net": self.net.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
        }
        partial = path.with_suffix(".partial")
        torch.save(parts, partial)
        partial.replace(path)

    def load(self, path: Path) -> None:
        """Go back to a checkpoint."""
        parts = torch.load(path, weights_only=True)
        self.net.load_state_dict(parts["net"])
        self.average.load_state_dict(parts["average"])
        self.optimiser.load_state_dict(parts["optimiser"])
        self.step = int(parts["step"])


def start(params: TrainingParams) -> TrainingState:
    """Make a network with its first weights from the seed."""
    torch.manual_seed(params.seed)
    net = NucleusNet(params.spec, normed=True).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = deepcopy(net).requires_grad_(False)
    return TrainingState(net, average, torch.optim.AdamW(net.parameters(), lr=params.rate, weight_decay=params.decay))


def train(
    state: TrainingState,
    data: tuple[list[Sample], NDArray[np.float64]],
    params: TrainingParams,
    checkpoint: Path,
    report: Callable[[int, dict[str, float]], None],
) -> None:
    """Train from the state's step to the last, on crops drawn by the samples' chances.

    Parameters
    ----------
    state : TrainingState
        Changed in place.
    data : list of Sample, ndarray
        Samples and each one's chance to be drawn.
    params : TrainingParams
        Steps, batch, rate.
    checkpoint : Path
        File that is written every `checkpoint_every` steps and at the end.
    report : callable
        Called with the step and the mean losses at each checkpoint.
    """
    sums: dict[str, float] = {}
    state.net.train()
    with ThreadPoolExecutor(1) as drawer:
        coming = drawer.submit(_draw, data, params, state.step)
        while state.step < params.steps:
            batch = coming.result()
            coming = drawer.submit(_draw, data, params, state.step + 1)
            for name, value in _step(state, batch, params).items():
                sums[name] = sums.get(name, 0.0) + value
            state.step += 1
            if state.step % params.checkpoint_every == 0 or state.step == params.steps:
                state.save(checkpoint)
                report(state.step, {name: value / params.checkpoint_every for name, value in sums.items()})
                sums = {}


def _draw(data: tuple[list[Sample], NDArray[np.float64]], params: TrainingParams, step: int) -> Batch:
    """Draw the batch of a step; it depends on the seed and the step alone."""
    rng = np.random.default_rng([params.seed, step])
    return draw_batch(data[0], data[1], params.crop_px, rng, params.batch)


def learning_rate(step: int, params: TrainingParams) -> float:
    """Return the learning rate of a step: a rise over 200 steps, a plateau, and a fall over the last `fall` of them.

    Up to the fall the rate does not depend on the number of steps, so a run can be prolonged from a checkpoint.
    """
    rise = min(1.0, (step + 1) / 200.0)
    left = (params.steps - step) / (params.fall * params.steps)
    return params.rate * rise * float(np.clip(left, 0.005, 1.0))


def _step(state: TrainingState, batch: Batch, params: TrainingParams) -> dict[str, float]:
    for group in state.optimiser.param_groups:
        group["lr"] = learning_rate(state.step, params)
    inputs = torch.from_numpy(batch.inputs).contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        maps = state.net(inputs)
    losses = compute_losses(maps.float(), torch.from_numpy(batch.targets), torch.from_numpy(batch.weights))
    loss = torch.stack(list(losses.values())).sum()
    state.optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(state.net.parameters(), 2.0)
    state.optimiser.step()
    _follow(state.average, state.net, min(params.average, (state.step + 1) / (state.step + 10)))
    return {name: float(value.detach()) for name, value in losses.items()}


def _follow(average: nn.Module, net: nn.Module, keep: float) -> None:
    """Move the average a little towards the network; counters are copied."""
    with torch.no_grad():
        for mean, now in zip(average.state_dict().values(), net.state_dict().values(), strict=True):
            if mean.is_floating_point():
                mean.lerp_(now, 1.0 - keep)
            else:
                mean.copy_(now)


def compute_losses(maps: Tensor, targets: Tensor, weights: Tensor) -> dict[str, Tensor]:
    """Compute the losses of a batch.

    Parameters
    ----------
    maps, targets : Tensor, shape (B, 3, Y, X)
        Network output and what was wanted.
    weights : Tensor, shape (B, 2, Y, X)
        Weight of each pixel, and of its offset.

    Returns
    -------
    dict of str to Tensor
        Cross-entropy plus soft Dice of the foreground, and absolute error of the offsets.
    """
    seen, inside = weights[:, 0], weights[:, 1]
    pixels = seen.sum().clamp_min(1.0)
    entropy = nn.functional.binary_cross_entropy_with_logits
    share = torch.sigmoid(maps[:, FOREGROUND]) * seen
    wanted = targets[:, FOREGROUND] * seen
    dice = 1.0 - (2.0 * (share * wanted).sum((1, 2)) + 50.0) / (share.sum((1, 2)) + wanted.sum((1, 2)) + 50.0)
    error = (maps[:, OFFSET_Y : OFFSET_X + 1] - targets[:, OFFSET_Y : OFFSET_X + 1]).abs().sum(1)
    return {
        "foreground": entropy(maps[:, FOREGROUND], targets[:, FOREGROUND], weight=seen, reduction="sum") / pixels,
        "dice": 0.3 * dice.mean(),
        "offset": (error * inside).sum() / inside.sum().clamp_min(1.0),
    }
