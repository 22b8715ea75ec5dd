"""DyRCNN: recurrent convolutional networks with cortical time constants and delays.

    tau dr/dt = -r + z,   z = W * x + b + recurrence + skip + feedback,   r = Phi(y)          (Phi after the step)

The position of Phi, the solver, the recurrence and all delays are arguments; see ``dynvision.config.DyRCNNArgs``.
Source: Gutzen & Lindsay (2025), bioRxiv 10.1101/2025.08.11.669756. What differs from DynVision 0.1: delays are exact
multiples of dt, `self` recurrence applies its bias, solvers can be chosen, connections are built with known shapes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn

from dynvision.base.configured_model import ConfiguredModel
from dynvision.config.dyrcnn import DyRCNNArgs, layers_of_area
from dynvision.config.models import FEEDBACKS, FEEDBACKS_X2, SKIPS, SKIPS_X2
from dynvision.functional.maps import size_after
from dynvision.model_components import (
    DivisiveNormalization,
    DriveNoise,
    Feedback,
    FeedforwardDelay,
    InputAdaptation,
    IntrinsicSuppression,
    RecurrentConnectedConv2d,
    Retina,
    Skip,
    SupraLinearity,
    SynapticDepression,
    create_bias,
    find_solver,
)
from dynvision.models import dynvision_0_1

BEFORE_STEP = ("adapt", "retina", "layer", "addskip", "addfeedback", "addbias", "addnoise", "suppress")
AFTER_STEP = ("norm", "record", "depress", "delay", "pool")
NONLINEAR = ("nonlin", "supralin")


@dataclass(frozen=True)
class Area:
    """One layer: output channels, kernel, stride, pooling (kernel, stride, padding), and channels between two stages."""

    name: str
    channels: int
    kernel: int
    stride: int = 1
    pool: tuple[int, int, int] | None = None
    mid_channels: int | None = None


class DyRCNN(ConfiguredModel):
    """The family's base: areas in a chain, with skip and feedback connections between pairs of them.

    A subclass gives ``areas``, ``skips`` and ``feedbacks`` as (source, target) pairs; or it overrides
    ``_define_architecture``.

    Args:
        input_dims: (T, C, H, W).
        n_classes: number of classes.
        **kwargs: the keys of :class:`dynvision.config.DyRCNNArgs` (durations in ms) and of the base classes.

    Raises:
        InputError: an unknown argument, or a value or combination that is not possible.
    """

    areas: Sequence[Area] = ()
    optional_operations = tuple(
        name for name in (*BEFORE_STEP, "supralin", "norm", "depress", "pool") if name != "layer"
    )

    schema = DyRCNNArgs

    def __init__(
        self, input_dims: Sequence[int] = (20, 3, 32, 32), n_classes: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(input_dims=input_dims, n_classes=n_classes, **kwargs)

    @classmethod
    def translate_pretrained_layer_names(cls, state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Weights of DynVision 0.1, or of this package, by the names of this class."""
        if not dynvision_0_1.wrote(state_dict):
            return dict(state_dict)
        sources = {f"addskip_{target}": source for source, target in cls.skips}
        sources |= {f"addfeedback_{target}": source for source, target in cls.feedbacks}
        return dynvision_0_1.translate(state_dict, sources)

    @classmethod
    def published_arguments(cls, state_dict: Mapping[str, Tensor]) -> dict[str, Any]:
        """The arguments that follow from weights of DynVision 0.1."""
        return dynvision_0_1.arguments(state_dict) if dynvision_0_1.wrote(state_dict) else {}

    def _define_architecture(self) -> None:
        args, areas = self.args, self._built_areas()
        self.layer_names = [area.name for area in areas]
        position = ("tstep", *NONLINEAR) if args.nonlinearity_position == "state" else (*NONLINEAR, "tstep")
        self.layer_operations = (*BEFORE_STEP, *position, *AFTER_STEP)
        channels, size = self.n_channels, (self.height, self.width)
        shapes: dict[str, tuple[int, tuple[int, int]]] = {}  # channels and size
        for area in areas:
            if area is areas[0] and args.retina:
                retina = Retina(channels)
                self.add_module(f"retina_{area.name}", retina)
                channels = retina.out_channels
            in_size, size = size, _after_conv(size, area)
            self._define_area(area, channels, in_size, size)
            channels = area.channels
            shapes[area.name] = (channels, size)
            if area.pool is not None:
                self.add_module(f"pool_{area.name}", nn.MaxPool2d(*area.pool))
                size = size_after(size, *area.pool)
        if args.skip:
            for source, target in self.skips:
                delay = self.numbers_of_layer(target)["t_skip"]
                skip = Skip(source, shapes[source][0], *shapes[target], delay, args.dt)
                self.add_module(f"addskip_{target}", skip)
        if args.feedback != "none":
            for source, target in self.feedbacks:
                delay = self.numbers_of_layer(target)["t_feedback"]
                feedback = Feedback(source, shapes[source][0], *shapes[target], delay, args.dt, args.feedback)
                self.add_module(f"addfeedback_{target}", feedback)
        self.nonlin = nn.ReLU()
        self.classifier = nn.Linear(channels, self.n_classes)
        nn.init.trunc_normal_(self.classifier.weight, std=0.004, a=-0.008, b=0.008)
        nn.init.zeros_(self.classifier.bias)

    def _built_areas(self) -> tuple[Area, ...]:
        """The areas in the width that is asked for, each with its further layers before it, as ``V1_1``.

        The first layer of an area has its kernel and stride, the last its name and pooling; in between are 3 x 3 kernels.
        """
        built = []
        for area in self.areas:
            mid = None if area.mid_channels is None else self._scaled(area.mid_channels)
            area = replace(area, channels=self._scaled(area.channels), mid_channels=mid)
            names = layers_of_area(area.name, self.args.extra_layers)
            for name in names:
                first = {} if name == names[0] else {"kernel": 3, "stride": 1}
                pool = area.pool if name == area.name else None
                built.append(replace(area, name=name, pool=pool, **first))
        return tuple(built)

    def _define_area(
        self, area: Area, in_channels: int, in_size: tuple[int, int], size: tuple[int, int]
    ) -> None:
        args = self.args
        own = self.numbers_of_layer(area.name)
        two_stages = area.mid_channels is not None
        target_sizes = {
            "input": in_size,
            "middle": size_after(in_size, area.kernel, area.stride, area.kernel // 2),
        }
        everywhere = isinstance(args.input_adaptation, Mapping)  # one number is of the image
        if own["input_adaptation"] and (everywhere or area.name == self.layer_names[0]):
            adaptation = InputAdaptation(
                own["input_adaptation"], own["tau_input_adaptation"], args.dt, own["input_adaptation_offset"]
            )
            self.add_module(f"adapt_{area.name}", adaptation)
        layer = RecurrentConnectedConv2d(
            in_channels,
            area.channels,
            area.kernel,
            stride=(area.stride, 1) if two_stages else area.stride,
            mid_channels=area.mid_channels,
            bias=args.bias,
            recurrence_type=own["recurrence_type"],
            recurrence_target=args.recurrence_target,
            recurrence_merge=args.recurrence_merge,
            t_recurrence=own["t_recurrence"],
            dt=args.dt,
            max_weight_init=args.max_weight_init,
            target_size=target_sizes.get(args.recurrence_target),
        )
        self.add_module(area.name, layer)
        if "t_feedforward" in args.train:
            self.add_module(f"delay_{area.name}", FeedforwardDelay(own["t_feedforward"], args.dt))
        solver = find_solver(args.dynamics_solver)
        step = solver.of_layer(args.dt, own, self.learned_tau, area.channels, args.train)
        self.add_module(f"tstep_{area.name}", step)
        bias = create_bias(args.unit_bias, area.channels, *size)
        if bias is not None:
            self.add_module(f"addbias_{area.name}", bias)
        if own["drive_noise"]:
            self.add_module(f"addnoise_{area.name}", DriveNoise(own["drive_noise"]))
        if own["intrinsic_suppression"]:
            suppression = IntrinsicSuppression(
                own["intrinsic_suppression"],
                own["tau_intrinsic_suppression"],
                args.dt,
                own["intrinsic_suppression_offset"],
            )
            self.add_module(f"suppress_{area.name}", suppression)
        if own["supralinearity"] != 1:
            supralinearity = SupraLinearity(own["supralinearity"], own["supralinearity_gain"])
            self.add_module(f"supralin_{area.name}", supralinearity)
        if args.divisive_normalization:
            normalization = DivisiveNormalization(
                own["tau_divisive_normalization"],
                args.dt,
                own["sigma"],
                own["normalization_exponent"],
                own["normalization_gain"],
                args.normalization_pool,
                args.normalization_size,
                [name.removeprefix("normalization_") for name in args.train],
                area.channels,
            )
            self.add_module(f"norm_{area.name}", normalization)
        if own["synaptic_depression"]:
            depression = SynapticDepression(
                own["synaptic_depression"], own["tau_recovery"], own["tau_inactivation"], args.dt
            )
            self.add_module(f"depress_{area.name}", depression)


def _after_conv(size: tuple[int, int], area: Area) -> tuple[int, int]:
    size = size_after(size, area.kernel, area.stride, area.kernel // 2)
    return size if area.mid_channels is None else size_after(size, area.kernel, 1, area.kernel // 2)


class DyRCNNx2(DyRCNN):
    """Two convolutional layers, for images of 28 pixels."""

    areas = (Area("layer1", 36, 3, pool=(3, 2, 1)), Area("layer2", 64, 3))
    skips, feedbacks = SKIPS_X2, FEEDBACKS_X2


class DyRCNNx4(DyRCNN):
    """Four areas of one convolution each."""

    areas = (
        Area("V1", 36, 3, pool=(3, 2, 1)),
        Area("V2", 64, 3, pool=(3, 2, 1)),
        Area("V4", 121, 3),
        Area("IT", 256, 3, stride=2),
    )
    skips, feedbacks = SKIPS, FEEDBACKS


class DyRCNNx8(DyRCNN):
    """Four areas of two convolutions each."""

    areas = (
        Area("V1", 64, 5, stride=2, pool=(3, 2, 1), mid_channels=64),
        Area("V2", 144, 3, stride=2, pool=(3, 2, 1), mid_channels=144),
        Area("V4", 256, 3, stride=2, mid_channels=256),
        Area("IT", 529, 3, stride=2, mid_channels=529),
    )
    skips, feedbacks = SKIPS, FEEDBACKS
