"""Residual blocks and stages, with the names of torchvision's weights.

    basic        z = bn2(conv2(relu(bn1(conv1(x))))) + shortcut(x)                              3 x 3, 3 x 3
    bottleneck   z = bn3(conv3(relu(bn2(conv2(relu(bn1(conv1(x)))))))) + shortcut(x)            1 x 1, 3 x 3, 1 x 1

A block returns z; the rectification that follows it is the caller's, so that a layer's recurrence can come before it.
Source: He, Zhang, Ren & Sun (2016), CVPR, figure 5; the stride in the 3 x 3 convolution of a bottleneck is torchvision's.
"""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from dynvision.model_components.convolution import Conv2d

Shortcut = Callable[[int, int, int], nn.Module]


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions.

    Args:
        in_channels: channels of the input.
        width: channels of the convolutions.
        stride: of the first convolution.
        shortcut: builds the path beside them from (in_channels, out_channels, stride), where it is not the identity.
    """

    expansion = 1

    def __init__(self, in_channels: int, width: int, stride: int, shortcut: Shortcut) -> None:
        super().__init__()
        self.conv1 = Conv2d(in_channels, width, 3, stride, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        self.conv2 = Conv2d(width, width, 3, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _shortcut(in_channels, width, stride, shortcut)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C_in, H, W) to (B, width, H / stride, W / stride), before the rectification."""
        z = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return z + (x if self.downsample is None else self.downsample(x))


class Bottleneck(nn.Module):
    """1 x 1, 3 x 3 and 1 x 1 convolutions; the arguments are those of :class:`BasicBlock`."""

    expansion = 4

    def __init__(self, in_channels: int, width: int, stride: int, shortcut: Shortcut) -> None:
        super().__init__()
        out_channels = width * self.expansion
        self.conv1 = Conv2d(in_channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = Conv2d(width, width, 3, stride, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = Conv2d(width, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU()
        self.downsample = _shortcut(in_channels, out_channels, stride, shortcut)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C_in, H, W) to (B, 4 width, H / stride, W / stride), before the rectification."""
        z = self.relu(self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x))))))
        return self.bn3(self.conv3(z)) + (x if self.downsample is None else self.downsample(x))


class PadShortcut(nn.Module):
    """Every ``stride``-th pixel, with zeros as the channels that are missing, half of them before (option A)."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.stride, self.extra = stride, (out_channels - in_channels) // 2

    def forward(self, x: Tensor) -> Tensor:
        """(B, C_in, H, W) to (B, C_out, H / stride, W / stride)."""
        return F.pad(x[..., :: self.stride, :: self.stride], (0, 0, 0, 0, self.extra, self.extra))


def project(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """A 1 x 1 convolution and its normalisation (option B)."""
    return nn.Sequential(
        Conv2d(in_channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels)
    )


def build_stage(
    block: type[BasicBlock] | type[Bottleneck],
    in_channels: int,
    width: int,
    n_blocks: int,
    stride: int,
    shortcut: Shortcut,
) -> nn.Sequential:
    """Blocks in a row, the first of them with the stride.

    Args:
        block: what the stage is made of.
        in_channels: channels of what the stage receives.
        width: channels inside a block; it puts out ``width * block.expansion``.
        n_blocks: how many, at least 1.
        stride: of the first block, in px.
        shortcut: makes the path around a block whose input has another shape than its output.
    """
    channels = width * block.expansion
    blocks = [block(in_channels, width, stride, shortcut)]
    blocks += [block(channels, width, 1, shortcut) for _ in range(n_blocks - 1)]
    return nn.Sequential(*blocks)


def name_stages(depths: dict[str, int]) -> dict[str, list[str]]:
    """Module paths of stages in time: `blocks` is all blocks but the last, rectified, and `layer` is the last one.

    Args:
        depths: number of blocks by stage, each at least 2.
    """
    paths: dict[str, list[str]] = {}
    for stage, n_blocks in depths.items():
        paths[f"blocks_{stage}"] = [path for i in range(n_blocks - 1) for path in (f"{stage}.{i}", "relu")]
        paths[stage] = [f"{stage}.{n_blocks - 1}"]
    return paths


def initialize(model: nn.Module) -> None:
    """Kaiming-normal convolutions by their output; normalisations start as they are built, with scale 1 and shift 0."""
    for module in model.modules():
        if isinstance(module, Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def _shortcut(in_channels: int, out_channels: int, stride: int, shortcut: Shortcut) -> nn.Module | None:
    return shortcut(in_channels, out_channels, stride) if stride > 1 or in_channels != out_channels else None
