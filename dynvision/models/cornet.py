"""CORnet-Z, -R, -RT and -S: the family of Kubilius et al., four areas each, with the numbers of the published networks.

CORnet-Z, one convolution an area, without recurrence:

    r_l(t) = maxpool( Phi( W_l * r_{l-1}(t) + b_l ) ),   Phi = max(., 0)          r_0(t) the image frame at t

CORnet-R and -RT, areas that add their own last output to their input, in two unrollings:

    i_l(t) = Phi( GN( U_l * x_l(t) + b_l ) )              x_1(t) the image frame at t;   i_l(0) = 0 for l > 1
    r_l(t) = Phi( GN( W_l * (i_l(t) + r_l(t - 1)) ) )     GN group normalisation, r_l(-1) = 0
    RT     x_l(t) = r_{l-1}(t - 1)                        an area receives the last step of the area below
    R      x_l(t) = r_{l-1}(t)                            it receives the same step, from step 1 on

At step 0 the areas above V1 receive zeros, and so answer with what their second normalisation's bias gives.

CORnet-S, bottleneck areas that repeat themselves, 2 times in V2, 4 times in V4 and 2 times in IT:

    V1     Phi(BN(W_2 * maxpool(Phi(BN(W_1 * x)))))
    area   y_0 = U * x,   y_{k+1} = Phi( BN_k(W_3 * Phi(BN_k(W_2 * Phi(BN_k(W_1 * y_k))))) + s_k )
           s_0 = BN(S * y_0),   s_k = y_k for k > 0          BN_k batch normalisation of repetition k

W_2 and S have stride 2 in the first repetition, W_2 has stride 1 in the others. All convolutions are without bias. The
repetitions are over before the next area begins, so they are no steps of the model's time.

Source: Kubilius et al. (2018), bioRxiv 10.1101/408385 (Z, R, RT), and (2019), NeurIPS, arXiv 1909.06161 (S); public
weights ``cornet_z``, ``cornet_r``, ``cornet_rt``, ``cornet_s``. What differs: delays are durations (one step
is dt), the input can change from step to step, and the logits come for each step; those published are of the last one.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from dynvision.base.configured_model import ConfiguredModel
from dynvision.config.model import TemporalArgs
from dynvision.config.published_models import GROUPS, CORnetArgs, CORnetRArgs, CORnetRTArgs
from dynvision.config.section import resolve_by_layer
from dynvision.functional.maps import size_after
from dynvision.model_components import RecurrentConnectedConv2d, ZeroStart

# area, channels, kernel, stride
AREAS_Z = (("V1", 64, 7, 2), ("V2", 128, 3, 1), ("V4", 256, 3, 1), ("IT", 512, 3, 1))


class CORnetZ(ConfiguredModel):
    """CORnet-Z (Kubilius et al. 2018): V1, V2, V4 and IT, each a convolution, rectification and pooling.

    Published for inputs (3, 224, 224) with 1000 classes.
    The arguments are the keys of :class:`dynvision.config.CORnetArgs` and those of the base classes.
    """

    schema = CORnetArgs
    published_names = (
        (r"(V1|V2|V4|IT)\.conv\.(.+)", r"\1.\2"),
        (r"decoder\.linear\.(.+)", r"classifier.\1"),
    )

    def _define_architecture(self) -> None:
        self.layer_names = [name for name, *_ in AREAS_Z]
        self.layer_operations = ("layer", "nonlin", "pool", "record", "delay")
        in_channels = self.n_channels
        for name, published, kernel, stride in AREAS_Z:
            channels = self._scaled(published)
            self.add_module(name, nn.Conv2d(in_channels, channels, kernel, stride, kernel // 2))
            in_channels = channels
        self.nonlin = nn.ReLU()
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        self.classifier = nn.Linear(in_channels, self.n_classes)

    def _init_parameters(self) -> None:
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]


# area, channels, kernel, stride of the input's convolution
AREAS_RT = (("V1", 64, 7, 4), ("V2", 128, 3, 2), ("V4", 256, 3, 2), ("IT", 512, 3, 2))


class InputStage(nn.Module):
    """``i = Phi(GN(U * x + b))``, from the area below."""

    def __init__(self, in_channels: int, channels: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, channels, kernel, stride, kernel // 2)
        self.norm = nn.GroupNorm(GROUPS, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Args: x (B, C_in, H, W). Returns: (B, C, H', W')."""
        return self.norm(self.conv(x)).relu()  # type: ignore[no-any-return]


class RecurrentSum(RecurrentConnectedConv2d):
    """``W * (i + r(t - t_recurrence))``, without bias."""

    def __init__(self, channels: int, t_recurrence: float, dt: float) -> None:
        super().__init__(
            channels,
            channels,
            bias=False,
            recurrence_type="none",
            recurrence_target="input",
            t_recurrence=t_recurrence,
            dt=dt,
        )
        self.recurrence = nn.Identity()

    def reset_parameters(self) -> None:
        """As torch does, which is what the published networks began with."""
        self.conv.reset_parameters()


class CORnetR(ConfiguredModel):
    """CORnet-R (Kubilius et al. 2018): areas with their own last output, unrolled within the step.

    Published for inputs (5, 3, 224, 224) with 1000 classes.
    The arguments are the keys of :class:`dynvision.config.CORnetRArgs` and those of the base classes.
    """

    schema: ClassVar[type[TemporalArgs]] = CORnetRArgs
    optional_operations = ("begin",)
    published_names = (
        (r"(V1|V2|V4|IT)\.(conv|norm)_input\.(.+)", r"input_\1.\2.\3"),
        (r"(V1|V2|V4|IT)\.conv1\.(.+)", r"\1.conv.\2"),
        (r"(V1|V2|V4|IT)\.norm1\.(.+)", r"norm_\1.\2"),
        (r"decoder\.linear\.(.+)", r"classifier.\1"),
    )

    def _define_architecture(self) -> None:
        args = self.args
        self.layer_names = [name for name, *_ in AREAS_RT]
        self.layer_operations = ("input", "begin", "layer", "norm", "nonlin", "record", "delay")
        self.t_feedforward = {
            **resolve_by_layer(args.t_feedforward, self.chain, 0.0, "t_feedforward"),
            "IT": 0.0,
        }
        deaf = max(1, self.feedforward_delay_steps("V1"))
        in_channels, size = self.n_channels, (self.height, self.width)
        for name, published, kernel, stride in AREAS_RT:
            channels, size = self._scaled(published), size_after(size, kernel, stride, kernel // 2)
            self.add_module(f"input_{name}", InputStage(in_channels, channels, kernel, stride))
            if name != "V1":
                self.add_module(f"begin_{name}", ZeroStart((channels, *size), deaf))
            self.add_module(
                name, RecurrentSum(channels, self.numbers_of_layer(name)["t_recurrence"], args.dt)
            )
            self.add_module(f"norm_{name}", nn.GroupNorm(GROUPS, channels))
            in_channels = channels
        self.nonlin = nn.ReLU()
        self.classifier = nn.Linear(in_channels, self.n_classes)
        self.set_residual_timesteps(0)


class CORnetRT(CORnetR):
    """CORnet-RT (Kubilius et al. 2018): areas with their own last output, unrolled in biological time.

    Published for inputs (5, 3, 224, 224) with 1000 classes.
    The arguments are the keys of :class:`dynvision.config.CORnetRTArgs` and those of the base classes.
    """

    schema = CORnetRTArgs


CorNetRT = CORnetRT


SCALE = 4  # of the channels inside the bottleneck
# area, channels, repetitions
AREAS_S = (("V2", 128, 2), ("V4", 256, 4), ("IT", 512, 2))


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

    Published for inputs (3, 224, 224) with 1000 classes.
    The arguments are the keys of :class:`dynvision.config.CORnetArgs` and those of the base classes.
    """

    schema = CORnetArgs
    published_names = ((r"decoder\.linear\.(.+)", r"classifier.\1"),)

    def _define_architecture(self) -> None:
        self.layer_names = ["V1", *(name for name, *_ in AREAS_S)]
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
        for name, published, repetitions in AREAS_S:
            in_channels, channels = channels, self._scaled(published)
            self.add_module(name, RepeatedBottleneck(in_channels, channels, repetitions))
        self.classifier = nn.Linear(channels, self.n_classes)

    def _init_parameters(self) -> None:
        """Normal weights of variance 2 / (k k C_out), as published."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels
                nn.init.normal_(module.weight, 0.0, math.sqrt(2.0 / fan_out))
