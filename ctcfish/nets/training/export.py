"""A trained network made ready to ship: normalisation folded into the weights, one safetensors file."""

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from ctcfish.nets.architecture import NucleusNet


def fold(trained: NucleusNet) -> NucleusNet:
    """Fold each batch normalisation into the convolution before it.

    With running mean m, variance v, scale g and shift b, the normalised output of a convolution with weights w is that
    of one with weights w g / sqrt(v + eps) and bias b - m g / sqrt(v + eps) (Ioffe & Szegedy 2015, inference form).

    Parameters
    ----------
    trained : NucleusNet
        Built with `normed=True`.

    Returns
    -------
    NucleusNet
        Built without; gives the same maps as `trained.eval()` within rounding.
    """
    plain = NucleusNet(trained.spec)
    parts: dict[str, Tensor] = {}
    for name, module in trained.named_modules():
        if isinstance(module, nn.Sequential) and len(module) == 2 and isinstance(module[1], nn.BatchNorm2d):
            weight, bias = _fold_pair(module[0], module[1])
            parts[f"{name}.weight"], parts[f"{name}.bias"] = weight, bias
    for name, value in trained.state_dict().items():
        if name in plain.state_dict():
            parts.setdefault(name, value)
    plain.load_state_dict(parts)
    return plain.eval().requires_grad_(False)


def _fold_pair(conv: nn.Module, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    variance, mean = norm.running_var, norm.running_mean
    if not isinstance(variance, Tensor) or not isinstance(mean, Tensor) or not isinstance(conv, nn.Conv2d):
        raise TypeError("found a normalisation without running statistics; needed one that was trained with them.")
    gain = norm.weight.double() * torch.rsqrt(variance.double() + norm.eps)
    weight = conv.weight.double() * gain[:, None, None, None]
    return weight.float(), (norm.bias.double() - mean.double() * gain).float()


def write_weights(net: NucleusNet, path: Path) -> None:
    """Write a folded network; the same weights give the same bytes."""
    save_file({name: value.detach().contiguous() for name, value in net.state_dict().items()}, path)
