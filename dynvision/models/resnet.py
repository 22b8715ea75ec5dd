"""Residual networks, stateless or with a recurrence in each stage: for photographs, and for images of 32 px.

ResNet-18, -34, -50, -101 and -152:

    stem               conv 7 x 7, stride 2, 64 channels, bn, relu, max-pool 3/2
    layer1 to layer4   residual blocks of width 64, 128, 256, 512, the first of layers 2 to 4 with stride 2
    readout            mean over space, linear

ResNet-20, -32, -44, -56 and -110, of 6 n + 2 layers:

    stem               conv 3 x 3, 16 channels, bn, relu
    layer1 to layer3   n basic blocks each, of 16, 32, 64 channels, the first of layers 2 and 3 with stride 2
    readout            mean over space, linear

Blocks:

    basic        z = bn2(conv2(relu(bn1(conv1(x))))) + shortcut(x)                              3 x 3, 3 x 3
    bottleneck   z = bn3(conv3(relu(bn2(conv2(relu(bn1(conv1(x)))))))) + shortcut(x)            1 x 1, 3 x 3, 1 x 1

A block returns z; the rectification that follows it is the caller's, so that a layer's recurrence can come before it.

A stage is a layer in time: its z is that of its last block, and its activity is rectified after recurrence and leak. The
target `middle` is before the last block. The stem belongs to layer1, whose target `input` is after it. Where the channels
of the smaller networks change, the shortcut is the identity with zeros for the channels that are missing, half of them
before and half after (option A, without parameters).

Source: He, Zhang, Ren & Sun (2016), CVPR, figure 5, table 1 and section 4.2, with the layout, the names of the weights, the
stride in the 3 x 3 convolution of a bottleneck and the initialisation of torchvision's ``resnet18`` to ``resnet152``: their
state dicts load as they are. What differs: images of any size, any number of channels and classes; the recurrent variants
(``dynvision.base.configured_model``) are ours.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from dynvision.base.configured_model import OptionallyRecurrent
from dynvision.config.published_models import CifarResNetArgs, OptionallyRecurrentArgs, ResNetArgs
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


class ResNet(OptionallyRecurrent):
    """The family's base. The arguments are those of :class:`dynvision.config.ResNetArgs` and of the base classes."""

    schema: ClassVar[type[OptionallyRecurrentArgs]] = ResNetArgs
    optional_operations = (*OptionallyRecurrent.optional_operations, "stem")
    block: type[BasicBlock] | type[Bottleneck] = BasicBlock
    widths: tuple[int, ...] = (64, 128, 256, 512)
    depths: tuple[int, ...] = (2, 2, 2, 2)
    shortcut: Shortcut = staticmethod(project)

    def _define_architecture(self) -> None:
        self.layer_names = [f"layer{k}" for k in range(1, len(self.widths) + 1)]
        stem = self._define_stem()
        channels = self.conv1.out_channels
        for layer, width, depth in zip(self.layer_names, self.widths, self.depths, strict=True):
            stride = 1 if layer == "layer1" else 2
            self.add_module(layer, build_stage(self.block, channels, width, depth, stride, self.shortcut))
            self.add_dynamics(layer, channels, width * self.block.expansion)
            channels = width * self.block.expansion
        self.classifier_name = "fc"
        self.fc = nn.Linear(channels, self.n_classes)
        self.layer_operations = ("stem", *self.operations(["blocks"], ["layer"]))
        self.module_paths = {
            "stem_layer1": stem,
            "nonlin": ["relu"],
            **name_stages(dict(zip(self.layer_names, self.depths, strict=True))),
        }
        initialize(self)

    def _define_stem(self) -> list[str]:
        """Build the modules before the first stage; returns their names in their order."""
        self.conv1 = Conv2d(self.n_channels, 64, 7, 2, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        return ["conv1", "bn1", "relu", "maxpool"]


class ResNet18(ResNet):
    """Basic blocks, 18 layers."""


class ResNet34(ResNet):
    """Basic blocks, 34 layers."""

    depths = (3, 4, 6, 3)


class ResNet50(ResNet):
    """Bottlenecks, 50 layers."""

    block = Bottleneck
    depths = (3, 4, 6, 3)


class ResNet101(ResNet):
    """Bottlenecks, 101 layers."""

    block = Bottleneck
    depths = (3, 4, 23, 3)


class ResNet152(ResNet):
    """Bottlenecks, 152 layers."""

    block = Bottleneck
    depths = (3, 8, 36, 3)


class CifarResNet(ResNet):
    """The family's base. The arguments are those of :class:`dynvision.config.CifarResNetArgs` and of the base classes."""

    schema = CifarResNetArgs
    published_names = ((r"linear\.(.*)", r"fc.\1"),)  # of the common CIFAR-10 checkpoints
    widths = (16, 32, 64)
    depths = (3, 3, 3)
    shortcut = PadShortcut

    def _define_stem(self) -> list[str]:
        self.conv1 = Conv2d(self.n_channels, 16, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.relu = nn.ReLU()
        return ["conv1", "bn1", "relu"]


class ResNet20(CifarResNet):
    """20 layers, about 0.27 M parameters."""


class ResNet32(CifarResNet):
    """32 layers."""

    depths = (5, 5, 5)


class ResNet44(CifarResNet):
    """44 layers."""

    depths = (7, 7, 7)


class ResNet56(CifarResNet):
    """56 layers."""

    depths = (9, 9, 9)


class ResNet110(CifarResNet):
    """110 layers."""

    depths = (18, 18, 18)
