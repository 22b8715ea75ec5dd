"""CordsNet: a convolutional network of continuous-time rate units, in ResNet's arrangement of areas.

    r_l(t) = (1 - a) r_l(t - 1) + a Phi( R_l * r_l(t - 1) + b_l + W_l * x_l(t) ),   a = dt / tau,   Phi = max(., 0)
    x_1(t) = s(t) = avgpool( V * image(t) ),            x_2(t) = r_1(t - 1) + S_2 * s(t)
    x_l(t) = r_{l-1}(t - 1) + S_l * r_{l-2}(t - 1)      S_l the identity for odd l, a 1 x 1 convolution for even l
    logits(t) = W_out mean( r_L(t) + r_{L-1}(t) ) + b_out

b_l is a bias per unit (C, H, W). V, W, R, S and W_out have normalised weights. Every area begins at zero activity and
settles during 100 steps (200 ms) without input, computed for one image; then the image is shown for 100 steps.
Source: Soo, Battista, Radmard & Wang (2024), NeurIPS; public weights ``cordsnetr8``. The numbers are those of the
published network, whose logits are those of the last step. What differs: r is never negative, so that the
rectification of what an area receives is left out; the delays of one step are durations; images may have any size, which
b_l follows.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import ClassVar

from torch import nn

from dynvision.base.configured_model import ConfiguredModel
from dynvision.config.published_models import CordsNetArgs
from dynvision.config.section import resolve_by_layer
from dynvision.functional.maps import size_after
from dynvision.model_components import (
    EulerStep,
    Pathway,
    RecurrentConnectedConv2d,
    SpatialBias,
    WeightNormConv2d,
    WeightNormLinear,
    ZeroStart,
)

CHANNELS = (64, 64, 64, 128, 128, 256, 256, 512, 512)  # of the input stage and of areas 1 to 8
STRIDES = (1, 1, 2, 1, 2, 1, 2, 1)  # of areas 1 to 8


class CordsArea(RecurrentConnectedConv2d):
    """``W * x + R * r(t - t_recurrence)`` with normalised weights, without bias."""

    def __init__(self, in_channels: int, channels: int, stride: int, t_recurrence: float, dt: float) -> None:
        super().__init__(in_channels, channels, stride=stride, bias=False, t_recurrence=t_recurrence, dt=dt)
        self.conv = WeightNormConv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.recurrence = WeightNormConv2d(channels, channels, 3, padding=1, bias=False)


class CordsNetR8(ConfiguredModel):
    """CordsNet-R8 (Soo et al. 2024): eight areas of rate units with dense lateral connections; also called CordsNet.

    Published for inputs (100, 3, 224, 224) with 1000 classes.
    The arguments are the keys of :class:`dynvision.config.CordsNetArgs` and those of the base classes.
    """

    schema = CordsNetArgs
    n_areas: ClassVar[int] = 8
    optional_operations = ("begin", "addskip", "addbias", "nonlin", "tstep", "addreadout")
    published_names = (
        (r"inp_conv\.(.+)", r"layer0.conv.\1"),
        (r"inp_skip\.(.+)", r"addskip_layer2.path.\1"),
        *((rf"area_area\.{k}\.(.+)", rf"layer{k + 1}.conv.\1") for k in range(8)),
        *((rf"area_conv\.{k}\.(.+)", rf"layer{k + 1}.recurrence.\1") for k in range(8)),
        *((rf"conv_bias\.{k}", rf"addbias_layer{k + 1}.bias") for k in range(8)),
        *((rf"skip_area\.{k}\.(.+)", rf"addskip_layer{2 * k + 4}.path.\1") for k in range(3)),
        (r"out_fc\.(.+)", r"classifier.\1"),
    )

    def _define_architecture(self) -> None:
        last = f"layer{self.n_areas}"
        self.layer_names = [f"layer{k}" for k in range(self.n_areas + 1)]
        self.layer_operations = (
            "begin", "addskip", "layer", "addbias", "nonlin", "tstep", "record", "delay", "addreadout"
        )  # fmt: skip
        self.t_feedforward = {
            **resolve_by_layer(self.args.t_feedforward, self.chain, 0.0, "t_feedforward"), "layer0": 0.0, last: 0.0
        }  # fmt: skip
        channels = [self._scaled(published) for published in CHANNELS]
        conv = WeightNormConv2d(self.n_channels, channels[0], 7, stride=2, padding=3, bias=False)
        pool = nn.AvgPool2d(3, stride=2, padding=1)
        self.layer0 = nn.Sequential(OrderedDict(conv=conv, pool=pool))
        size = size_after(size_after((self.height, self.width), 7, 2, 3), 3, 2, 1)
        for k in range(1, self.n_areas + 1):
            size = self._define_area(k, channels, size)
        self.add_module(
            f"addreadout_{last}", Pathway(f"layer{self.n_areas - 1}", nn.Identity(), 0.0, self.dt)
        )
        self.classifier = WeightNormLinear(channels[self.n_areas], self.n_classes)
        self.set_residual_timesteps(0)

    def _define_area(self, k: int, channels: list[int], in_size: tuple[int, int]) -> tuple[int, int]:
        """Area k with what it receives; returns the size of its maps."""
        args, name = self.args, f"layer{k}"
        own = self.numbers_of_layer(name)
        size = size_after(in_size, 3, STRIDES[k - 1], 1)
        if k > 1:
            self.add_module(f"begin_{name}", ZeroStart((channels[k - 1], *in_size)))
            delay = self.numbers_of_layer(f"layer{k - 1}")["t_feedforward"] if k > 2 else 0.0
            self.add_module(
                f"addskip_{name}", Pathway(f"layer{k - 2}", self._skip(k, channels), delay, args.dt)
            )
        self.add_module(
            name, CordsArea(channels[k - 1], channels[k], STRIDES[k - 1], own["t_recurrence"], args.dt)
        )
        self.add_module(f"addbias_{name}", SpatialBias(channels[k], *size))
        self.add_module(f"nonlin_{name}", nn.ReLU())
        self.add_module(f"tstep_{name}", EulerStep(args.dt, own["tau"], self.learned_tau, channels[k]))
        return size

    @staticmethod
    def _skip(k: int, channels: list[int]) -> nn.Module:
        """The path from area k - 2 into the signal that area k receives from area k - 1."""
        if k == 2:
            return WeightNormConv2d(channels[0], channels[1], 3, padding=1, bias=False)
        if k % 2:
            return nn.Identity()
        return WeightNormConv2d(channels[k - 2], channels[k - 1], 1, stride=2, bias=False)


class CordsNetR2(CordsNetR8):
    """CordsNet-R2 (Soo et al. 2024): the first two areas of CordsNet-R8."""

    n_areas = 2


class CordsNetR4(CordsNetR8):
    """CordsNet-R4 (Soo et al. 2024): the first four areas of CordsNet-R8."""

    n_areas = 4


class CordsNetR6(CordsNetR8):
    """CordsNet-R6 (Soo et al. 2024): the first six areas of CordsNet-R8."""

    n_areas = 6


CordsNet = CordsNetR8
