"""Residual networks, stateless or with a recurrence in each stage: for photographs, and for images of 32 px.

ResNet-18, -34, -50, -101 and -152:

    stem               conv 7 x 7, stride 2, 64 channels, bn, relu, max-pool 3/2
    layer1 to layer4   residual blocks of width 64, 128, 256, 512, the first of layers 2 to 4 with stride 2
    readout            mean over space, linear

ResNet-20, -32, -44, -56 and -110, of 6 n + 2 layers:

    stem               conv 3 x 3, 16 channels, bn, relu
    layer1 to layer3   n basic blocks each, of 16, 32, 64 channels, the first of layers 2 and 3 with stride 2
    readout            mean over space, linear

A stage is a layer in time: its z is that of its last block, and its activity is rectified after recurrence and leak. The
target `middle` is before the last block. The stem belongs to layer1, whose target `input` is after it. Where the channels
of the smaller networks change, the shortcut is the identity with zeros for the channels that are missing, half of them
before and half after (option A, without parameters).

Source: He, Zhang, Ren & Sun (2016), CVPR, table 1 and section 4.2, with the layout, the names of the weights and the
initialisation of torchvision's ``resnet18`` to ``resnet152``: their state dicts load as they are. What differs: images of
any size, any number of channels and classes; the recurrent variants (``dynvision.base.configured_model``) are ours.
"""

from __future__ import annotations

from torch import nn

from dynvision.base.configured_model import OptionallyRecurrent
from dynvision.config.published_models import CifarResNetArgs, ResNetArgs
from dynvision.model_components import Conv2d
from dynvision.model_components.residual import (
    BasicBlock,
    Bottleneck,
    PadShortcut,
    build_stage,
    initialize,
    name_stages,
    project,
)

WIDTHS = {"layer1": 64, "layer2": 128, "layer3": 256, "layer4": 512}


class ResNet(OptionallyRecurrent):
    """The family's base. The arguments are those of :class:`dynvision.config.ResNetArgs` and of the base classes."""

    schema = ResNetArgs
    optional_operations = (*OptionallyRecurrent.optional_operations, "stem")
    block: type[BasicBlock] | type[Bottleneck] = BasicBlock
    depths: tuple[int, int, int, int] = (2, 2, 2, 2)

    def _define_architecture(self) -> None:
        self.layer_names = list(WIDTHS)
        self.conv1 = Conv2d(self.n_channels, 64, 7, 2, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        channels, block = 64, self.block
        for (layer, width), depth in zip(WIDTHS.items(), self.depths, strict=True):
            stride = 1 if layer == "layer1" else 2
            self.add_module(layer, build_stage(block, channels, width, depth, stride, project))
            self.add_dynamics(layer, channels, width * block.expansion)
            channels = width * block.expansion
        self.classifier_name = "fc"
        self.fc = nn.Linear(channels, self.n_classes)
        self.layer_operations = ("stem", *self.operations(["blocks"], ["layer"]))
        self.module_paths = {
            "stem_layer1": ["conv1", "bn1", "relu", "maxpool"],
            "nonlin": ["relu"],
            **name_stages(dict(zip(WIDTHS, self.depths, strict=True))),
        }
        initialize(self)


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


CIFAR_WIDTHS = {"layer1": 16, "layer2": 32, "layer3": 64}


class CifarResNet(OptionallyRecurrent):
    """The family's base. The arguments are those of :class:`dynvision.config.CifarResNetArgs` and of the base classes."""

    schema = CifarResNetArgs
    published_names = ((r"linear\.(.*)", r"fc.\1"),)  # of the common CIFAR-10 checkpoints
    optional_operations = (*OptionallyRecurrent.optional_operations, "stem")
    n_blocks = 3

    def _define_architecture(self) -> None:
        self.layer_names = list(CIFAR_WIDTHS)
        self.conv1 = Conv2d(self.n_channels, 16, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.relu = nn.ReLU()
        channels = 16
        for layer, width in CIFAR_WIDTHS.items():
            stride = 1 if layer == "layer1" else 2
            stage = build_stage(BasicBlock, channels, width, self.n_blocks, stride, PadShortcut)
            self.add_module(layer, stage)
            self.add_dynamics(layer, channels, width)
            channels = width
        self.classifier_name = "fc"
        self.fc = nn.Linear(channels, self.n_classes)
        self.layer_operations = ("stem", *self.operations(["blocks"], ["layer"]))
        self.module_paths = {
            "stem_layer1": ["conv1", "bn1", "relu"],
            "nonlin": ["relu"],
            **name_stages(dict.fromkeys(CIFAR_WIDTHS, self.n_blocks)),
        }
        initialize(self)


class ResNet20(CifarResNet):
    """20 layers, about 0.27 M parameters."""


class ResNet32(CifarResNet):
    """32 layers."""

    n_blocks = 5


class ResNet44(CifarResNet):
    """44 layers."""

    n_blocks = 7


class ResNet56(CifarResNet):
    """56 layers."""

    n_blocks = 9


class ResNet110(CifarResNet):
    """110 layers."""

    n_blocks = 18
