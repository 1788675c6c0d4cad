"""Training images at the native scale, their split, and balanced batches of crops.

A batch is a pure function of the seed and the step, so a training that was interrupted goes on as if it had not been.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray

from ctcfish.nets.normalise import measure_range, network_input, normalise
from ctcfish.nets.rescale import resize_labels
from ctcfish.nets.scale import resample
from ctcfish.nets.training.augment import spoil
from ctcfish.nets.training.synthetic import draw_field
from ctcfish.nets.training.targets import draw_targets

_SYNTHETIC_SIDE = 320


@dataclass(frozen=True)
class Sample:
    """One annotated image.

    Attributes
    ----------
    name : str
        File name without suffix, or `synthetic-N`.
    image : ndarray of float32, shape (Y, X)
        Normalised brightness at the native scale.
    labels : ndarray of int32, shape (Y, X)
        Its nuclei.
    zoom : float
        Native pixels per original pixel.
    """

    name: str
    image: NDArray[np.float32]
    labels: NDArray[np.int32]
    zoom: float


@dataclass(frozen=True)
class Batch:
    """A batch of crops with targets; arrays of float32.

    Attributes
    ----------
    inputs : ndarray, shape (B, INPUT_CHANNELS, S, S)
    targets : ndarray, shape (B, 3, S, S)
    weights : ndarray, shape (B, 2, S, S)
        Weight of a pixel (0 beyond the image) and of its offset.
    """

    inputs: NDArray[np.float32]
    targets: NDArray[np.float32]
    weights: NDArray[np.float32]


def median_diameter_px(labels: NDArray[np.generic]) -> float:
    """Return the median equivalent diameter of the labelled nuclei, pixels; 0 without a nucleus."""
    area = np.bincount(labels.ravel())[1:]
    area = area[area > 0]
    return float(np.median(np.sqrt(area * (4.0 / np.pi)))) if area.size else 0.0


def read_samples(folder: Path, native_px: float) -> list[Sample]:
    """Read `images/NAME.tif` with `masks/NAME.tif`, each brought to a median nucleus of `native_px`, sorted by name."""
    samples = []
    for path in sorted((folder / "images").glob("*.tif")):
        labels = tifffile.imread(folder / "masks" / path.name).astype(np.int32)
        zoom = native_px / median_diameter_px(labels)
        image = resample(tifffile.imread(path), zoom)
        native = resize_labels(labels, (image.shape[0], image.shape[1]))
        samples.append(Sample(path.stem, normalise(image, measure_range(image)), native, zoom))
    return samples


def draw_samples(number: int, native_px: float, seed: int) -> list[Sample]:
    """Draw synthetic samples at the native scale."""
    samples = []
    for index in range(number):
        image, labels = draw_field(_SYNTHETIC_SIDE, native_px, np.random.default_rng([seed, index]))
        samples.append(Sample(f"synthetic-{index}", normalise(image, measure_range(image)), labels, 1.0))
    return samples


def describe(sample: Sample) -> NDArray[np.float64]:
    """Describe a sample's kind: zoom, contrast, share of nuclei, evenness of their brightness, texture, size spread."""
    image, labels = sample.image, sample.labels
    area = np.bincount(labels.ravel())[1:]
    area = area[area > 0].astype(np.float64)
    light = np.bincount(labels.ravel(), image.ravel())[1:]
    mean = light[light > 0][: len(area)] / area[: len(light[light > 0])]
    detail = np.abs(image - cv2.GaussianBlur(image, (0, 0), 2.0))[labels > 0].mean()
    outside = float(np.median(image[labels == 0])) if (labels == 0).any() else 0.0
    return np.array(
        [np.log(sample.zoom), outside * 3, (labels > 0).mean() * 2, mean.std() * 2, detail * 10, np.log(area).std()]
    )


def balance(samples: list[Sample], groups: int, seed: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Group samples of one kind by k-means and give every sample a chance that lifts the rare kinds.

    Returns
    -------
    group : ndarray of intp, shape (samples,)
    chance : ndarray of float64, shape (samples,)
        A group counts by the square root of its size, an image in it by the square root of its nuclei.
    """
    from scipy.cluster.vq import kmeans2

    features = np.stack([describe(sample) for sample in samples])
    _, group = kmeans2(features, groups, minit="++", seed=seed, iter=50)
    nuclei = np.sqrt([float(len(np.unique(sample.labels))) for sample in samples])
    total = np.bincount(group, nuclei, minlength=groups)
    size = np.bincount(group, minlength=groups)
    chance = nuclei / total[group] * np.sqrt(size[group])
    return group, chance / chance.sum()


def split(samples: list[Sample], every: int) -> tuple[list[int], list[int]]:
    """Split by image: in the order of nucleus size each `every`-th is held back; returns indices kept and held."""
    order = np.argsort([sample.zoom for sample in samples], kind="stable")
    held = set(order[every // 2 :: every].tolist())
    return [index for index in range(len(samples)) if index not in held], sorted(held)


def draw_batch(
    samples: list[Sample], chance: NDArray[np.float64], side: int, rng: np.random.Generator, size: int
) -> Batch:
    """Cut, turn, scale and spoil `size` crops of `side` pixels."""
    inputs, targets, weights = [], [], []
    for index in rng.choice(len(samples), size, p=chance):
        image, labels, inside = _cut(samples[index], side, rng)
        drawn, offset_weight = draw_targets(labels)
        inputs.append(network_input(spoil(image, labels, rng)))
        targets.append(drawn)
        weights.append(np.stack([inside, offset_weight * inside]))
    return Batch(np.stack(inputs), np.stack(targets), np.stack(weights))


def _zoom(rng: np.random.Generator) -> float:
    """Draw a crop's scale: mostly near the native one, one in four from 0.4 to 2.8."""
    if rng.random() < 0.25:
        return float(np.exp(rng.uniform(np.log(0.4), np.log(2.8))))
    return float(np.exp(np.clip(rng.normal(0.0, 0.22), -0.6, 0.6)))


def _cut(
    sample: Sample, side: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.float32]]:
    """Cut a turned, scaled, slightly stretched crop; returns brightness, nuclei, and where the image is."""
    zoom, stretch = _zoom(rng), float(np.exp(rng.uniform(-0.12, 0.12)))
    angle = rng.uniform(0.0, 2.0 * np.pi) if rng.random() < 0.5 else 0.5 * np.pi * rng.integers(4)
    flip = rng.choice([-1.0, 1.0])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    forward = turn @ np.diag([zoom * stretch * flip, zoom / stretch])
    height, width = sample.image.shape
    reach = 0.5 * side / zoom
    focus = np.array([_focus(width, reach, rng), _focus(height, reach, rng)])
    box = _box(focus, reach, (height, width))
    corner = np.array([box[1].start, box[0].start])
    matrix = np.column_stack([forward, 0.5 * side - 0.5 - forward @ (focus - corner)])
    source = sample.image[box] if zoom > 0.8 else cv2.GaussianBlur(sample.image[box], (0, 0), 0.35 / zoom)
    image = cv2.warpAffine(source, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    shifted = (sample.labels[box] + 1).astype(np.float32)
    labels = cv2.warpAffine(shifted, matrix, (side, side), flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT)
    inside = (labels > 0).astype(np.float32)
    own = np.maximum(labels.astype(np.int32) - 1, 0)
    present = np.bincount(own.ravel()) > 0
    present[0] = False
    number = (np.cumsum(present) * present).astype(np.int32)
    return image.astype(np.float32), number[own], inside


def _box(focus: NDArray[np.float64], reach: float, shape: tuple[int, int]) -> tuple[slice, slice]:
    """Return the part of an image that a crop can show however it is turned and stretched."""
    far = 1.7 * reach + 8.0
    rows, columns = (
        slice(max(int(middle - far), 0), min(int(middle + far) + 1, side))
        for middle, side in zip(focus[::-1], shape, strict=True)
    )
    return rows, columns


def _focus(extent: int, reach: float, rng: np.random.Generator) -> float:
    """Choose a crop's middle along one axis so that the crop stays inside where it fits."""
    if 2.0 * reach >= extent:
        return 0.5 * extent
    return float(rng.uniform(reach, extent - reach))
