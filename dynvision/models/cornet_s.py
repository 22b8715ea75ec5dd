"""CORnet-S: bottleneck areas that repeat themselves, 2 times in V2, 4 times in V4 and 2 times in IT.

    V1     Phi(BN(W_2 * maxpool(Phi(BN(W_1 * x)))))
    area   y_0 = U * x,   y_{k+1} = Phi( BN_k(W_3 * Phi(BN_k(W_2 * Phi(BN_k(W_1 * y_k))))) + s_k )
           s_0 = BN(S * y_0),   s_k = y_k for k > 0          Phi = max(., 0), BN_k batch normalisation of repetition k

W_2 and S have stride 2 in the first repetition, W_2 has stride 1 in the others. All convolutions are without bias.
Source: Kubilius et al. (2019), NeurIPS, arXiv 1909.06161; public weights ``cornet_s``. The numbers are those of the
published network. An area's repetitions are over before the next area begins, so they are no steps of the model's
time: every frame of a video is seen for itself, and what differs from the original is only that the logits come for
each step.
"""

from __future__ import annotations

import math
from collections import OrderedDict

import torch.nn.functional as F
from torch import Tensor, nn

from dynvision.base.configured_model import ConfiguredModel
from dynvision.config.published_models import CORnetArgs

SCALE = 4  # of the channels inside the bottleneck
# area, channels, repetitions
AREAS = (("V2", 128, 2), ("V4", 256, 4), ("IT", 512, 2))


class StridedConv2d(nn.Conv2d):
    """A convolution whose stride is that of the call."""

    def forward(self, input: Tensor, stride: int = 1) -> Tensor:
        """Args: input (B, C_in, H, W). Returns: (B, C, H / stride, W / stride)."""
        return F.conv2d(input, self.weight, stride=stride, padding=self.padding)


class RepeatedBottleneck(nn.Module):
    """One area, with one batch normalisation for each repetition; the names of its parts are the published ones.

    Args:
        in_channels, channels: of the input and of the area.
        repetitions: how often the bottleneck is passed.
    """

    def __init__(self, in_channels: int, channels: int, repetitions: int) -> None:
        super().__init__()
        self.repetitions = repetitions
        inner = channels * SCALE
        self.conv_input = nn.Conv2d(in_channels, channels, 1, bias=False)
        self.skip = nn.Conv2d(channels, channels, 1, stride=2, bias=False)
        self.norm_skip = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, inner, 1, bias=False)
        self.conv2 = StridedConv2d(inner, inner, 3, padding=1, bias=False)
        self.conv3 = nn.Conv2d(inner, channels, 1, bias=False)
        for k in range(repetitions):
            self.add_module(f"norm1_{k}", nn.BatchNorm2d(inner))
            self.add_module(f"norm2_{k}", nn.BatchNorm2d(inner))
            self.add_module(f"norm3_{k}", nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Args: x (B, C_in, H, W). Returns: (B, C, H / 2, W / 2)."""
        y = self.conv_input(x)
        for k in range(self.repetitions):
            first = k == 0
            skip = self.norm_skip(self.skip(y)) if first else y
            y = self._norm(1, k, self.conv1(y)).relu()
            y = self.conv2(y, stride=2 if first else 1)
            y = self._norm(2, k, y).relu()
            y = (self._norm(3, k, self.conv3(y)) + skip).relu()
        return y

    def _norm(self, stage: int, repetition: int, y: Tensor) -> Tensor:
        return self.get_submodule(f"norm{stage}_{repetition}")(y)  # type: ignore[no-any-return]


class CORnetS(ConfiguredModel):
    """CORnet-S (Kubilius et al. 2019): the network of its family that explains most of the ventral stream.

    Args:
        input_dims: (T, C, H, W) or (C, H, W); published at (3, 224, 224).
        n_classes: number of classes; published with 1000.
        **kwargs: the keys of :class:`dynvision.config.CORnetArgs` and of the base classes.
    """

    schema = CORnetArgs
    published_names = ((r"decoder\.linear\.(.+)", r"classifier.\1"),)

    def _define_architecture(self) -> None:
        self.layer_names = ["V1", *(name for name, *_ in AREAS)]
        self.layer_operations = ("layer", "record", "delay")
        channels = self._scaled(64)
        self.V1 = nn.Sequential(
            OrderedDict(
                conv1=nn.Conv2d(self.n_channels, channels, 7, stride=2, padding=3, bias=False),
                norm1=nn.BatchNorm2d(channels),
                nonlin1=nn.ReLU(),
                pool=nn.MaxPool2d(3, stride=2, padding=1),
                conv2=nn.Conv2d(channels, channels, 3, padding=1, bias=False),
                norm2=nn.BatchNorm2d(channels),
                nonlin2=nn.ReLU(),
            )
        )
        for name, published, repetitions in AREAS:
            in_channels, channels = channels, self._scaled(published)
            self.add_module(name, RepeatedBottleneck(in_channels, channels, repetitions))
        self.classifier = nn.Linear(channels, self.n_classes)

    def _init_parameters(self) -> None:
        """Normal weights of variance 2 / (k k C_out), as published."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels
                nn.init.normal_(module.weight, 0.0, math.sqrt(2.0 / fan_out))
