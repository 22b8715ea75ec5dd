"""The parts that models are made of, usable alone in plain PyTorch."""

from dynvision.config.model import SOLVERS
from dynvision.model_components.adaptation import InputAdaptation, IntrinsicSuppression, SynapticDepression
from dynvision.model_components.connection import Connection, Feedback, Pathway, PointwiseConnection, Skip
from dynvision.model_components.convolution import Conv2d, Retina, WeightNormConv2d, WeightNormLinear
from dynvision.model_components.elementwise import (
    DriveNoise,
    FeatureBias,
    ScalarBias,
    SpatialBias,
    SupraLinearity,
    create_bias,
)
from dynvision.model_components.normalization import BatchNormPerStep, DivisiveNormalization, OrganicsStep
from dynvision.model_components.recurrence import (
    LocalLateralConnection,
    RConv2d,
    RecurrentConnectedConv2d,
    RecurrentConnection,
    SelfConnection,
)
from dynvision.model_components.solvers import (
    EulerStep,
    ExponentialEulerStep,
    LiquidStep,
    RungeKuttaStep,
    Solver,
    find_solver,
)
from dynvision.model_components.timing import FeedforwardDelay, StatefulOperation, TimedOperation, ZeroStart

__all__ = [
    "SOLVERS",
    "BatchNormPerStep",
    "Connection",
    "Conv2d",
    "DivisiveNormalization",
    "DriveNoise",
    "EulerStep",
    "ExponentialEulerStep",
    "FeatureBias",
    "Feedback",
    "FeedforwardDelay",
    "InputAdaptation",
    "IntrinsicSuppression",
    "LiquidStep",
    "LocalLateralConnection",
    "OrganicsStep",
    "Pathway",
    "PointwiseConnection",
    "RConv2d",
    "RecurrentConnectedConv2d",
    "RecurrentConnection",
    "Retina",
    "RungeKuttaStep",
    "ScalarBias",
    "SelfConnection",
    "Skip",
    "Solver",
    "SpatialBias",
    "StatefulOperation",
    "SupraLinearity",
    "SynapticDepression",
    "TimedOperation",
    "WeightNormConv2d",
    "WeightNormLinear",
    "ZeroStart",
    "create_bias",
    "find_solver",
]


def __getattr__(name: str):  # type: ignore[no-untyped-def]
    """``LightningBase`` as the guide to custom models imports it from here: the complete base class of a model."""
    if name == "LightningBase":
        from importlib import import_module

        return import_module("dynvision.base").BaseModel
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
