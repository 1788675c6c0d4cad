"""Peaks: the fast path on a CPU agrees with plain torch, and both with SciPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import maximum_filter

from ctcfish.ops.bands import Bands, axial_filter, band_pass
from ctcfish.ops.buffers import Buffers
from ctcfish.ops.peaks import Floor, Peaks, Window, peaks, peaks_torch

WHOLE = Window(0, 60, 0, 90)


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


def flat(planes: int, level: float = 2.0) -> Floor:
    """A floor of one level: its surround is never below ``least``, by far."""
    return Floor((level**2,) * planes, 1e6 - 1.0, 1e6)


def rising(planes: int) -> Floor:
    """Twice the noise of a surround whose level is read as photons above 5, another one in every plane."""
    gain = Bands.of((1.4, 1.3), planes, 1.8).noise_gain()
    return Floor(tuple((4.0 * gain).tolist()), 5.0, 6.0)


@pytest.mark.parametrize("planes", [1, 3, 9])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_fast_path_equals_plain_torch(planes: int, dtype: str) -> None:
    image = scene(planes, dtype)
    fast = peaks(image, bands(planes), rising(planes), WHOLE, "cpu", Buffers())
    plain = peaks_torch(torch.from_numpy(image.astype(np.float32)), bands(planes), rising(planes), WHOLE)
    assert len(fast.place) > 3
    assert torch.equal(fast.place, plain.place)
    assert torch.allclose(fast.response, plain.response, atol=1e-3)
    assert torch.allclose(fast.surround, plain.surround, rtol=1e-4)
    assert torch.allclose(fast.smooth, plain.smooth, rtol=1e-4)


@pytest.mark.parametrize("shape", [(4, 32), (7, 33), (60, 71), (1, 90)])
def test_small_blocks_and_odd_widths_are_filtered_as_by_torch(shape: tuple[int, int]) -> None:
    image, whole = scene(1, "uint16")[:, : shape[0], : shape[1]], Window(0, shape[0], 0, shape[1])
    fast = peaks(image, bands(1), flat(1, 0.5), whole, "cpu", Buffers())
    plain = peaks_torch(torch.from_numpy(image.astype(np.float32)), bands(1), flat(1, 0.5), whole)
    assert len(fast.place)
    assert torch.equal(fast.place, plain.place)
    assert torch.allclose(fast.response, plain.response, atol=1e-3)
    assert torch.allclose(fast.surround, plain.surround, rtol=1e-4)


@pytest.mark.parametrize("planes", [1, 9])
def test_peaks_are_maxima_of_the_response(planes: int, device: str) -> None:
    image = scene(planes, "uint16")
    found = peaks(image, bands(planes), flat(planes), WHOLE, device, Buffers())
    smooth = axial_filter(torch.from_numpy(image.astype(np.float32)), bands(planes))
    response = band_pass(smooth, bands(planes))[0].numpy()
    expected = np.argwhere((response >= maximum_filter(response, 3, mode="nearest")) & (response > 2.0))
    assert found.place.cpu().numpy().tolist() == expected.tolist()


@pytest.mark.parametrize("planes", [1, 9])
def test_the_floor_follows_the_surround(planes: int, device: str) -> None:
    image, floor = scene(planes, "uint16"), rising(planes)
    found = peaks(image, bands(planes), floor, WHOLE, device, Buffers())
    everything = peaks(image, bands(planes), flat(planes, 1e-3), WHOLE, device, Buffers())
    slope = np.array(floor.slope)[everything.place[:, 0].cpu().numpy()]
    response, surround = (v.cpu().numpy() for v in (everything.response, everything.surround))
    above = response > np.sqrt(slope * (np.maximum(surround, floor.least) - floor.dark))
    assert 3 < above.sum() < len(above)
    assert found.place.tolist() == everything.place[torch.from_numpy(above).to(device)].tolist()
    assert torch.equal(found.response, everything.response[torch.from_numpy(above).to(device)])


@pytest.mark.parametrize("planes", [1, 9])
def test_a_window_owns_its_peaks_and_sees_beyond_itself(planes: int, device: str) -> None:
    """Four windows share the peaks of the whole: on its rim a window still sees higher neighbours outside."""
    image, floor = scene(planes, "uint16"), flat(planes, 0.5)
    whole = peaks(image, bands(planes), floor, WHOLE, device, Buffers()).place.tolist()
    windows = [Window(y, y + 30, x, x + 45) for y in (0, 30) for x in (0, 45)]
    shared = [peaks(image, bands(planes), floor, w, device, Buffers()).place.tolist() for w in windows]
    assert all(shared)
    assert sorted(p for part in shared for p in part) == whole
    assert all(30 <= y < 60 and 0 <= x < 45 for _, y, x in shared[2])


def test_parity_between_devices(device: str) -> None:
    if device == "cpu":
        pytest.skip("the device under test is the CPU itself")
    image = scene(9, "uint16")
    here, there = (peaks(image, bands(9), rising(9), WHOLE, d, Buffers()) for d in ("cpu", device))
    assert torch.equal(here.place, there.place.cpu())
    assert torch.allclose(here.response, there.response.cpu(), atol=1e-3)


def test_a_blank_image_has_no_peaks() -> None:
    found = peaks(np.full((3, 20, 20), 7, np.uint16), bands(3), flat(3, 0.5), Window(0, 20, 0, 20), "cpu", Buffers())
    assert found.place.shape == (0, 3)
    assert len(found.response) == len(found.surround) == 0


def test_buffers_used_again_do_not_change_the_answer() -> None:
    buffers = Buffers()
    large, small = scene(9, "uint16"), scene(9, "uint16")[:, :30, :40]

    def look(image: np.ndarray, own: Buffers) -> Peaks:
        return peaks(image, bands(9), flat(9), Window(0, *image.shape[1:2], 0, image.shape[2]), "cpu", own)

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


def test_what_lies_outside_the_window_still_stands_in_the_way() -> None:
    """A slope that rises out of the window has no maximum in it, however the window cuts."""
    image = np.repeat(np.linspace(10, 400, 90)[None, None] ** 1.5, 60, 1)
    image[0, 30, 45] += 4000
    found = peaks(image.astype(np.float32), bands(1), flat(1, 100.0), Window(20, 40, 30, 46), "cpu", Buffers())
    assert found.place.tolist() == [[0, 30, 45]]
    found = peaks(image.astype(np.float32), bands(1), flat(1, 100.0), Window(20, 40, 30, 45), "cpu", Buffers())
    assert found.place.tolist() == []
