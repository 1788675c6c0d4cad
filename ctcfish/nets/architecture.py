"""The nucleus network: a three-level residual U-Net that works at half resolution.

An image is folded 2 x 2 into channels before the first convolution and unfolded after the last, so the costly layers
see a quarter of the pixels and the outlines keep full resolution. Three levels (1/2, 1/4, 1/8) see 71 px around each
pixel, about three nuclei to every side at the native scale: enough to tell neighbours apart, and little enough that a
tile needs a small margin only.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ctcfish.nets.normalise import INPUT_CHANNELS

FOREGROUND, OFFSET_Y, OFFSET_X = range(3)
"""Order of the network's output maps."""

OFFSET_UNIT_PX = 16.0
"""Native pixels that an offset map's value of one stands for."""

STRIDE = 8
"""The input's height and width must be multiples of this."""


REACH_PX = 72
"""Radius of the receptive field, pixels; a test measures it."""

NATIVE_DIAMETER_PX = 24.0
"""Width of the median nucleus at the scale the network is trained for, pixels."""


@dataclass(frozen=True)
class NetSpec:
    """Widths and outputs of a nucleus network.

    Attributes
    ----------
    widths : tuple of int
        Channels at 1/2, 1/4 and 1/8 of the resolution.
    deep_blocks : int
        Residual blocks at 1/8.
    outputs : int
        Output maps.
    """

    widths: tuple[int, int, int] = (16, 64, 80)
    deep_blocks: int = 2
    outputs: int = 3


class _Residual(nn.Module):
    """Two 3 x 3 convolutions beside the identity."""

    def __init__(self, width: int, normed: bool) -> None:
        super().__init__()
        self.first = _conv(width, width, 1, normed)
        self.second = _conv(width, width, 1, normed)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, Y, X) to (B, C, Y, X)."""
        return torch.relu_(self.second(torch.relu_(self.first(x))) + x)


def _conv(before: int, after: int, stride: int, normed: bool) -> nn.Module:
    if not normed:
        return nn.Conv2d(before, after, 3, stride, 1)
    return nn.Sequential(nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after, momentum=0.02))


class NucleusNet(nn.Module):
    """Maps of foreground and of offsets to the centroid from a normalised nucleus image.

    Parameters
    ----------
    spec : NetSpec
        Widths and outputs.
    normed : bool
        True while training: batch normalisation follows each 3 x 3 convolution; `folded` turns it into weights.
    """

    def __init__(self, spec: NetSpec, normed: bool = False) -> None:
        super().__init__()
        one, two, three = spec.widths
        self.spec = spec
        self.stem = _conv(4 * INPUT_CHANNELS, one, 1, normed)
        self.enter_one = _Residual(one, normed)
        self.down_two = _conv(one, two, 2, normed)
        self.enter_two = _Residual(two, normed)
        self.down_three = _conv(two, three, 2, normed)
        self.deep = nn.Sequential(*(_Residual(three, normed) for _ in range(spec.deep_blocks)))
        self.up_two = nn.Conv2d(three, two, 1)
        self.leave_two = _Residual(two, normed)
        self.up_one = nn.Conv2d(two, one, 1)
        self.leave_one = _Residual(one, normed)
        self.head = nn.Conv2d(one, 4 * spec.outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, INPUT_CHANNELS, Y, X) to (B, outputs, Y, X), logits and offsets; Y and X multiples of `STRIDE`."""
        half = self.enter_one(torch.relu_(self.stem(nn.functional.pixel_unshuffle(x, 2))))
        quarter = self.enter_two(torch.relu_(self.down_two(half)))
        eighth = self.deep(torch.relu_(self.down_three(quarter)))
        quarter = self.leave_two(quarter + _double(self.up_two(eighth)))
        half = self.leave_one(half + _double(self.up_one(quarter)))
        maps: Tensor = nn.functional.pixel_shuffle(self.head(half), 2)
        return maps


def _double(x: Tensor) -> Tensor:
    return nn.functional.interpolate(x, scale_factor=2.0, mode="nearest")
