"""ResNet-20, -32, -44, -56 and -110 for images of 32 px: stateless, or with a recurrence in each of three stages.

    stem               conv 3 x 3, 16 channels, bn, relu
    layer1 to layer3   n basic blocks each, of 16, 32, 64 channels, the first of layers 2 and 3 with stride 2
    readout            mean over space, linear; 6 n + 2 layers in all

A stage is a layer in time, as in ``dynvision.models.resnet``. Where channels change, the shortcut is the identity with
zeros for the channels that are missing, half of them before and half behind (option A, without parameters).

Source: He, Zhang, Ren & Sun (2016), CVPR, section 4.2. Names of the weights are those of torchvision's larger networks.
What differs: images of any size, any number of channels and classes; the recurrent variants are ours.
"""

from __future__ import annotations

from torch import nn

from dynvision.base.configured_model import OptionallyRecurrent
from dynvision.config.published_models import CifarResNetArgs
from dynvision.model_components import Conv2d
from dynvision.model_components.residual import BasicBlock, PadShortcut, build_stage, initialize, name_stages

WIDTHS = {"layer1": 16, "layer2": 32, "layer3": 64}


class CifarResNet(OptionallyRecurrent):
    """The family's base. The arguments are those of :class:`dynvision.config.CifarResNetArgs` and of the base classes."""

    schema = CifarResNetArgs
    published_names = ((r"linear\.(.*)", r"fc.\1"),)  # of the common CIFAR-10 checkpoints
    optional_operations = (*OptionallyRecurrent.optional_operations, "stem")
    n_blocks = 3

    def _define_architecture(self) -> None:
        self.layer_names = list(WIDTHS)
        self.conv1 = Conv2d(self.n_channels, 16, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.relu = nn.ReLU()
        channels = 16
        for layer, width in WIDTHS.items():
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
            **name_stages(dict.fromkeys(WIDTHS, self.n_blocks)),
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
