"""Patches against slices of a padded image."""

from __future__ import annotations

import numpy as np
import torch

from ctcfish.ops.crops import patches


def test_patches_are_slices_of_the_padded_image(device: str) -> None:
    image = np.random.default_rng(5).random((3, 12, 9)).astype(np.float32)
    centres = np.array([[0, 0, 0], [1, 5, 4], [2, 11, 8], [1, 0, 8]])
    padded = np.pad(image, ((0, 0), (3, 3), (3, 3)), mode="edge")
    found = patches(torch.from_numpy(image).to(device), torch.from_numpy(centres).to(device), 3).cpu().numpy()
    assert found.shape == (4, 7, 7)
    for patch, (z, y, x) in zip(found, centres, strict=True):
        assert (patch == padded[z, y : y + 7, x : x + 7]).all()


def test_no_place_gives_no_patch() -> None:
    assert patches(torch.zeros(1, 5, 5), torch.empty(0, 3, dtype=torch.int64), 2).shape == (0, 5, 5)
