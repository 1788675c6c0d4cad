"""The network's size, shapes and receptive field, measured on the network itself."""

import pytest
import torch

from ctcfish.nets.architecture import INPUT_CHANNELS, REACH_PX, STRIDE, NetSpec, NucleusNet


@pytest.fixture(scope="module")
def net() -> NucleusNet:
    torch.manual_seed(0)
    return NucleusNet(NetSpec()).eval().requires_grad_(False)


def test_it_is_small(net: NucleusNet) -> None:
    assert sum(part.numel() for part in net.parameters()) <= 500_000


@pytest.mark.parametrize("shape", [(8, 8), (16, 64), (72, 40)])
def test_maps_have_the_shape_of_the_input(net: NucleusNet, shape: tuple[int, int]) -> None:
    assert net(torch.zeros(2, INPUT_CHANNELS, *shape)).shape == (2, net.spec.outputs, *shape)


@pytest.mark.parametrize("offset", [(0, 0), (3, 5), (7, 7), (4, 0)])
def test_no_pixel_sees_farther_than_the_reach(net: NucleusNet, offset: tuple[int, int]) -> None:
    side = 2 * STRIDE * (REACH_PX // STRIDE + 2)
    at = torch.tensor([side // 2 + offset[0], side // 2 + offset[1]])
    image = torch.randn(1, INPUT_CHANNELS, side + STRIDE, side + STRIDE, requires_grad=True)
    net(image)[0, :, at[0], at[1]].abs().sum().backward()
    assert image.grad is not None
    seen = torch.nonzero(image.grad.abs().sum((0, 1)))
    farthest = int((seen - at).abs().max())
    assert 48 <= farthest <= REACH_PX


def test_a_shift_by_the_stride_shifts_the_maps(net: NucleusNet) -> None:
    side = 4 * REACH_PX
    image = torch.zeros(1, INPUT_CHANNELS, side, side)
    image[..., side // 2 - 8 : side // 2 + 8, side // 2 - 8 : side // 2 + 8] = 1.0
    shifted = torch.roll(image, (STRIDE, -STRIDE), (2, 3))
    inner = slice(REACH_PX + STRIDE, -REACH_PX - STRIDE)
    expected = torch.roll(net(image), (STRIDE, -STRIDE), (2, 3))[..., inner, inner]
    torch.testing.assert_close(net(shifted)[..., inner, inner], expected)


def test_normalised_and_plain_networks_share_their_unnormalised_parts() -> None:
    plain, normed = NucleusNet(NetSpec()), NucleusNet(NetSpec(), normed=True)
    assert {"head.weight", "up_two.bias"} <= set(plain.state_dict()) & set(normed.state_dict())
