"""Trained models that answer: one input, several, or asynchronously, with what they cost.

`InferenceModel` is the base of models that answer; `BaseModel` is its name on the page that it follows, and not
``dynvision.base.BaseModel``, the trainable network. Names are imported when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynvision.registry import lazy_names

if TYPE_CHECKING:
    from dynvision.inference.config import (
        BatchConfig,
        DeviceConfig,
        InferenceConfig,
        OptimizationConfig,
        PerformanceConfig,
    )
    from dynvision.inference.inference_model import InferenceModel
    from dynvision.inference.inference_model import InferenceModel as BaseModel
    from dynvision.inference.inputs import Film
    from dynvision.inference.model_manager import ModelManager, get_model_manager
    from dynvision.inference.prediction import ModelInferenceError, ModelLoadError, ModelMetadata, Prediction
    from dynvision.inference.predictor import Predictor
    from dynvision.inference.run_model import RunModel

__all__ = [
    "BaseModel",
    "BatchConfig",
    "DeviceConfig",
    "Film",
    "InferenceConfig",
    "InferenceModel",
    "ModelInferenceError",
    "ModelLoadError",
    "ModelManager",
    "ModelMetadata",
    "OptimizationConfig",
    "PerformanceConfig",
    "Prediction",
    "Predictor",
    "RunModel",
    "get_model_manager",
]

__getattr__ = lazy_names(__name__)
