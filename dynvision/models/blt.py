"""BL and BLT: networks with bottom-up, lateral and top-down connections.

    z_l(t) = B_l * x_l(t) + L_l * r_l(t - 1) + T_l * up( r_{l+1}(t - 1) )     no biases; the top-down term in BLT only
    r_l(t) = Phi( BN_{l,t}( z_l(t) ) ),   Phi = max(., 0)                     BN one batch normalisation a layer and step
    x_1(t) the image frame at t,   x_l(t) = maxpool_2x2( r_{l-1}(t) )         engineering time: t_feedforward 0
                                   x_l(t) = maxpool_2x2( r_{l-1}(t - 1) )     biological time: t_feedforward dt
    logits(t) = W mean( r_7(t) ) + b

Kernels of B, L and T of a layer are equally large; up is nearest-neighbour resizing to the layer's size. In
biological time a layer is silent until it is reached, and its steps are counted from then on.
Source: Spoerer, Kietzmann, Mehrer, Charest & Kriegeskorte (2020), PLoS Computational Biology 16:e1008215 (BL, public
as ``rcnn-sat``); top-down: Spoerer, McClure & Kriegeskorte (2017), Frontiers in Psychology 8:1551. The numbers of BL
are those of the published network before its softmax. What differs: delays are durations (one step is dt), images may
have any size (maps of one pixel are not pooled), steps beyond the last normalisation share it.
"""

from __future__ import annotations

from typing import Any, ClassVar

from torch import nn

from dynvision.base.configured_model import ConfiguredModel
from dynvision.config.model import TemporalArgs
from dynvision.config.models import TOP_DOWN
from dynvision.config.published_models import BLArgs, BLTArgs
from dynvision.functional.maps import size_after
from dynvision.model_components import BatchNormPerStep, Pathway, RecurrentConnectedConv2d

# channels and kernel of layers 1 to 7
LAYERS = ((96, 7), (128, 5), (192, 3), (256, 3), (512, 3), (1024, 3), (2048, 1))


class TopDown(Pathway):
    """From a layer to the one below."""

    delay_name = "t_feedback"
    shortest_delay_is_dt = True


class BL(ConfiguredModel):
    """BL (Spoerer et al. 2020): seven layers with lateral connections, batch-normalised for each step.

    Published for inputs (8, 3, 128, 128) with 565 (ecoset) and 1000 classes.
    The arguments are the keys of :class:`dynvision.config.BLArgs` and those of the base classes.
    """

    schema: ClassVar[type[TemporalArgs]] = BLArgs
    top_down: ClassVar[bool] = False
    optional_operations = ("addfeedback", "pool")

    def __init__(self, input_dims: Any = (3, 128, 128), n_classes: int | None = None, **kwargs: Any) -> None:
        super().__init__(input_dims, n_classes, **kwargs)

    def _define_architecture(self) -> None:
        args = self.args
        self.layer_names = [f"layer{k}" for k in range(1, len(LAYERS) + 1)]
        self.layer_operations = ("layer", "addfeedback", "norm", "nonlin", "record", "delay", "pool")
        in_channels, size = self.n_channels, (self.height, self.width)
        for k, (published, kernel) in enumerate(LAYERS, start=1):
            name, channels = f"layer{k}", self._scaled(published)
            layer = RecurrentConnectedConv2d(
                in_channels,
                channels,
                kernel,
                bias=False,
                t_recurrence=self.numbers_of_layer(name)["t_recurrence"],
                dt=args.dt,
            )
            self.add_module(name, layer)
            if k < len(LAYERS):
                if self.top_down:
                    above = self._scaled(LAYERS[k][0])
                    self._define_top_down(name, f"layer{k + 1}", above, channels, kernel, size)
                window = (min(2, size[0]), min(2, size[1]))
                self.add_module(f"pool_{name}", nn.Identity() if window == (1, 1) else nn.MaxPool2d(window))
                size = (size_after(size, window[0], window[0])[0], size_after(size, window[1], window[1])[1])
            self.add_module(f"norm_{name}", BatchNormPerStep(channels, args.norm_steps or args.n_timesteps))
            in_channels = channels
        self.nonlin = nn.ReLU()
        self.classifier = nn.Linear(in_channels, self.n_classes)

    def _define_top_down(
        self, name: str, above: str, in_channels: int, channels: int, kernel: int, size: tuple[int, int]
    ) -> None:
        conv = nn.Conv2d(in_channels, channels, kernel, padding=kernel // 2, bias=False)
        path = nn.Sequential(nn.Upsample(size), conv)
        self.add_module(
            f"addfeedback_{name}", TopDown(above, path, self.numbers_of_layer(name)["t_feedback"], self.dt)
        )

    def _init_parameters(self) -> None:
        """Glorot-uniform weights, as published."""
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.xavier_uniform_(module.weight)


class BLT(BL):
    """BLT (after Spoerer et al. 2017, 2020): BL with top-down connections from each layer to the one below.

    For inputs (8, 3, 128, 128) by default.
    The arguments are the keys of :class:`dynvision.config.BLTArgs` and those of the base classes.
    """

    schema = BLTArgs
    top_down = True
    feedbacks = TOP_DOWN
