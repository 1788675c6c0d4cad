"""Train the nucleus network from a seed: `python scripts/train_nuclei.py DATA --out RUN`; run again, it goes on.

RUN gets a checkpoint, and at the end `nuclei.safetensors` and `figures.json` with its checksum and its figures on the
images held back, for the card in `models/`. The shipped weights come from one thread: other numbers of threads round
differently.
"""

import argparse
import hashlib
import json
import time
from dataclasses import asdict, replace
from pathlib import Path

import cv2
import numpy as np
import tifffile
import torch
from numpy.typing import NDArray

from ctcfish.metrics import NucleiScores, nuclei_scores, pool_nuclei
from ctcfish.nets.architecture import NATIVE_DIAMETER_PX, NucleusNet
from ctcfish.nets.predict import predict_labels
from ctcfish.nets.rescale import resize_labels
from ctcfish.nets.scale import estimate_zoom, resample
from ctcfish.nets.training.data import Sample, balance, draw_samples, median_diameter_px, read_samples, split
from ctcfish.nets.training.export import fold, write_weights
from ctcfish.nets.training.loop import TrainingParams, TrainingState, start, train

SYNTHETIC, SYNTHETIC_SHARE = 120, 0.15
KINDS, HELD_EVERY = 10, 10


def main() -> None:
    """Read the arguments, the images and the last checkpoint, train to the end, and export."""
    defaults = TrainingParams()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder with images/NAME.tif and masks/NAME.tif")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--steps", type=int, default=defaults.steps)
    parser.add_argument("--seed", type=int, default=defaults.seed)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    arguments.out.mkdir(parents=True, exist_ok=True)
    params = replace(defaults, steps=arguments.steps, seed=arguments.seed)
    samples, chance, held = gather(arguments.data, params.seed)
    state = start(params)
    checkpoint = arguments.out / "checkpoint.pt"
    if checkpoint.exists():
        state.load(checkpoint)
    began = time.monotonic()
    print(f"{len(samples)} samples, {len(held)} held back, at step {state.step}", flush=True)

    def report(step: int, losses: dict[str, float]) -> None:
        text = " ".join(f"{name} {value:.4f}" for name, value in losses.items())
        print(f"{time.monotonic() - began:7.0f} s step {step} {text}", flush=True)

    train(state, (samples, chance), params, checkpoint, report)
    export(state, params, (arguments.data, held), arguments.out)


def gather(folder: Path, seed: int) -> tuple[list[Sample], NDArray[np.float64], list[str]]:
    """Return the samples to train on, each one's chance, and the names of the images held back."""
    real = read_samples(folder, NATIVE_DIAMETER_PX)
    kept, held = split(real, HELD_EVERY)
    drawn = draw_samples(SYNTHETIC, NATIVE_DIAMETER_PX, seed)
    samples = [real[index] for index in kept]
    _, balanced = balance(samples, KINDS, seed)
    chance = np.concatenate([balanced * (1.0 - SYNTHETIC_SHARE), np.full(len(drawn), SYNTHETIC_SHARE / len(drawn))])
    return samples + drawn, chance, [real[index].name for index in held]


def export(state: TrainingState, params: TrainingParams, held: tuple[Path, list[str]], out: Path) -> None:
    """Write the averaged weights, their checksum, and figures on the images held back."""
    net = fold(state.average)
    path = out / "nuclei.safetensors"
    write_weights(net, path)
    figures = {
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "training": asdict(params),
        "held_images": len(held[1]),
        "held_scale_known": describe(evaluate(net, *held)),
        "held_scale_estimated": describe(evaluate(net, *held, scale_known=False)),
    }
    (out / "figures.json").write_text(json.dumps(figures, indent=2))
    print(json.dumps(figures, indent=2))


def evaluate(net: NucleusNet, folder: Path, names: list[str], scale_known: bool = True) -> NucleiScores:
    """Segment annotated images, at a median nucleus of native width or at the scale estimated, and pool the scores."""
    scores = []
    for name in names:
        image = tifffile.imread(folder / "images" / f"{name}.tif")
        true = tifffile.imread(folder / "masks" / f"{name}.tif").astype(np.int32)
        zoom = NATIVE_DIAMETER_PX / median_diameter_px(true) if scale_known else estimate_zoom(image, net)
        labels = predict_labels(resample(image, zoom), net).labels
        scores.append(nuclei_scores(resize_labels(labels, true.shape), true))
    return pool_nuclei(scores)


def describe(scores: NucleiScores) -> dict[str, float]:
    """Return the figures a card quotes."""
    return {
        "nuclei": scores.n_truth,
        "ap50": round(scores.ap(0.5), 3),
        "ap75": round(scores.ap(0.75), 3),
        "map50_90": round(scores.mean_ap, 3),
        "splits": scores.splits,
        "merges": scores.merges,
    }


if __name__ == "__main__":
    main()
