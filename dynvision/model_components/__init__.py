"""The parts that models are made of, usable alone in plain PyTorch."""

from dynvision.model_components.batch_norm_per_step import BatchNormPerStep
from dynvision.model_components.bias import FeatureBias, ScalarBias, SpatialBias, create_bias
from dynvision.model_components.connection import Connection, Feedback, Pathway, PointwiseConnection, Skip
from dynvision.model_components.conv import Conv2d
from dynvision.model_components.drive_noise import DriveNoise
from dynvision.model_components.euler import EulerStep
from dynvision.model_components.exponential_euler import ExponentialEulerStep
from dynvision.model_components.input_adaptation import InputAdaptation
from dynvision.model_components.intrinsic_suppression import IntrinsicSuppression
from dynvision.model_components.liquid import LiquidStep
from dynvision.model_components.normalization import DivisiveNormalization
from dynvision.model_components.recurrence import LocalLateralConnection, SelfConnection
from dynvision.model_components.recurrent_connection import RecurrentConnection
from dynvision.model_components.recurrent_conv import RConv2d, RecurrentConnectedConv2d
from dynvision.model_components.retina import Retina
from dynvision.model_components.runge_kutta import RungeKuttaStep
from dynvision.model_components.solver import Solver
from dynvision.model_components.solvers import SOLVERS, find_solver
from dynvision.model_components.stateful import StatefulOperation
from dynvision.model_components.supralinearity import SupraLinearity
from dynvision.model_components.timed import TimedOperation
from dynvision.model_components.weight_norm import WeightNormConv2d, WeightNormLinear
from dynvision.model_components.zero_start import ZeroStart

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
    "InputAdaptation",
    "IntrinsicSuppression",
    "LiquidStep",
    "LocalLateralConnection",
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
