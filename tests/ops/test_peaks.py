"""Peaks: the fast path on a CPU agrees with plain torch, and both with SciPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import maximum_filter

from ctcfish.ops.bands import Bands, axial_filter, band_pass
from ctcfish.ops.buffers import Buffers
from ctcfish.ops.peaks import Peaks, peaks, peaks_torch


def scene(planes: int, dtype: str) -> np.ndarray:
    """Noise with a few blobs, in camera numbers.

    ::

        . . o . .      o: blob of 60 counts, 1.3 px wide
        . . . . o
    """
    rng = np.random.default_rng(4)
    image = rng.poisson(30, (planes, 60, 90)).astype(np.float64)
    z, y, x = np.mgrid[:planes, :60, :90]
    for cz, cy, cx in ((planes // 2, 20, 30), (0, 40, 70), (planes - 1, 5, 5), (planes // 2, 20, 36)):
        image += 60 * np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / 3.4 - (z - cz) ** 2 / 4)
    return image.astype(dtype)


def bands(planes: int) -> Bands:
    return Bands.of((1.4, 1.3), planes, 1.8)


@pytest.mark.parametrize("planes", [1, 3, 9])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_fast_path_equals_plain_torch(planes: int, dtype: str) -> None:
    image = scene(planes, dtype)
    fast = peaks(image, bands(planes), 2.0, "cpu", Buffers())
    plain = peaks_torch(torch.from_numpy(image.astype(np.float32)), bands(planes), 2.0)
    assert len(fast.place) > 3
    assert torch.equal(fast.place, plain.place)
    assert torch.allclose(fast.response, plain.response, atol=1e-3)
    assert torch.allclose(fast.surround, plain.surround, rtol=1e-4)
    assert torch.allclose(fast.smooth, plain.smooth, rtol=1e-4)


@pytest.mark.parametrize("planes", [1, 9])
def test_peaks_are_maxima_of_the_response(planes: int, device: str) -> None:
    image = scene(planes, "uint16")
    found = peaks(image, bands(planes), 2.0, device, Buffers())
    smooth = axial_filter(torch.from_numpy(image.astype(np.float32)), bands(planes))
    response = band_pass(smooth, bands(planes))[0].numpy()
    expected = np.argwhere((response >= maximum_filter(response, 3, mode="nearest")) & (response > 2.0))
    assert found.place.cpu().numpy().tolist() == expected.tolist()


def test_parity_between_devices(device: str) -> None:
    if device == "cpu":
        pytest.skip("the device under test is the CPU itself")
    image = scene(9, "uint16")
    here, there = (peaks(image, bands(9), 2.0, d, Buffers()) for d in ("cpu", device))
    assert torch.equal(here.place, there.place.cpu())
    assert torch.allclose(here.response, there.response.cpu(), atol=1e-3)


def test_a_blank_image_has_no_peaks() -> None:
    found = peaks(np.full((3, 20, 20), 7, np.uint16), bands(3), 0.5, "cpu", Buffers())
    assert found.place.shape == (0, 3)
    assert len(found.response) == len(found.surround) == 0


def test_buffers_used_again_do_not_change_the_answer() -> None:
    buffers = Buffers()
    large, small = scene(9, "uint16"), scene(9, "uint16")[:, :30, :40]

    def look(image: np.ndarray, own: Buffers) -> Peaks:
        return peaks(image, bands(9), 2.0, "cpu", own)

    look(large, buffers)
    again = look(small, buffers)
    assert torch.equal(again.place, look(small, Buffers()).place)


def test_buffers_hand_out_the_same_memory_and_grow() -> None:
    buffers = Buffers()
    first = buffers.array("a", (4, 5))
    assert np.shares_memory(first, buffers.array("a", (2, 3)))
    assert not np.shares_memory(first, buffers.array("b", (4, 5)))
    assert buffers.array("a", (40, 5)).shape == (40, 5)
    assert buffers.array("a", (0, 5)).size == 0
