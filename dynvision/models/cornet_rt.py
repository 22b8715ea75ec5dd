"""CORnet-R and CORnet-RT: four areas that add their own last output to their input, in two unrollings.

    i_l(t) = Phi( GN( U_l * x_l(t) + b_l ) )              x_1(t) the image frame at t;   i_l(0) = 0 for l > 1
    r_l(t) = Phi( GN( W_l * (i_l(t) + r_l(t - 1)) ) )     Phi = max(., 0), GN group normalisation, r_l(-1) = 0
    RT     x_l(t) = r_{l-1}(t - 1)                        an area hears the last step of the area below
    R      x_l(t) = r_{l-1}(t)                            it hears the same step, from step 1 on

At step 0 the areas above V1 hear zeros, and so answer with what their second normalisation's bias gives.
Source: Kubilius et al. (2018), bioRxiv 10.1101/408385; public weights ``cornet_rt``, ``cornet_r``. The numbers are
those of the published networks, whose logits are those of the last step. What differs: the delays are durations (one
step is dt), the input can change from step to step, and the logits come for each step.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from dynvision.base.configured_model import ConfiguredModel
from dynvision.config.model import TemporalArgs
from dynvision.config.published_models import GROUPS, CORnetRArgs, CORnetRTArgs
from dynvision.config.section import resolve_by_layer
from dynvision.functional.maps import size_after
from dynvision.model_components import RecurrentConnectedConv2d, ZeroStart

# area, channels, kernel, stride of the input's convolution
AREAS = (("V1", 64, 7, 4), ("V2", 128, 3, 2), ("V4", 256, 3, 2), ("IT", 512, 3, 2))


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

    Args:
        input_dims: (T, C, H, W) or (C, H, W); published at (5, 3, 224, 224).
        n_classes: number of classes; published with 1000.
        **kwargs: the keys of :class:`dynvision.config.CORnetRArgs` and of the base classes.
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
        self.layer_names = [name for name, *_ in AREAS]
        self.layer_operations = ("input", "begin", "layer", "norm", "nonlin", "record", "delay")
        self.t_feedforward = {
            **resolve_by_layer(args.t_feedforward, self.chain, 0.0, "t_feedforward"),
            "IT": 0.0,
        }
        deaf = max(1, self.feedforward_delay_steps("V1"))
        in_channels, size = self.n_channels, (self.height, self.width)
        for name, published, kernel, stride in AREAS:
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

    Args:
        input_dims: (T, C, H, W) or (C, H, W); published at (5, 3, 224, 224).
        n_classes: number of classes; published with 1000.
        **kwargs: the keys of :class:`dynvision.config.CORnetRTArgs` and of the base classes.
    """

    schema = CORnetRTArgs


CorNetRT = CORnetRT
