"""Typed configuration. Nothing here imports torch.

Names are imported when they are first used, so that a command reads only the schemas that it needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynvision.registry import lazy_names

if TYPE_CHECKING:
    from dynvision.config.data import DATASETS, DataConfig
    from dynvision.config.dyrcnn import DyRCNNArgs
    from dynvision.config.experiment import ExperimentConfig
    from dynvision.config.model import RecurrentArgs, TemporalArgs
    from dynvision.config.models import MODELS, register
    from dynvision.config.optimization import LossConfig
    from dynvision.config.published_models import (
        AlexNetArgs,
        BLArgs,
        BLTArgs,
        CifarResNetArgs,
        CordsNetArgs,
        CORnetArgs,
        CORnetRArgs,
        CORnetRTArgs,
        ResNetArgs,
    )
    from dynvision.config.run import ModelConfig, RunConfig, read_run_config, resolve_model_args
    from dynvision.config.training import ExecutionConfig, TrainingConfig
    from dynvision.config.visualization import VisualizationConfig
    from dynvision.config.workflow import WorkflowConfig, load_workflow_config
    from dynvision.config.yaml_text import to_yaml
    from dynvision.stimuli.stimulus import Stimulus

__all__ = [
    "AlexNetArgs",
    "BLArgs",
    "BLTArgs",
    "CORnetArgs",
    "CORnetRArgs",
    "CORnetRTArgs",
    "CifarResNetArgs",
    "CordsNetArgs",
    "DATASETS",
    "DataConfig",
    "DyRCNNArgs",
    "ExecutionConfig",
    "ExperimentConfig",
    "LossConfig",
    "MODELS",
    "ModelConfig",
    "RecurrentArgs",
    "ResNetArgs",
    "RunConfig",
    "Stimulus",
    "TemporalArgs",
    "TrainingConfig",
    "VisualizationConfig",
    "WorkflowConfig",
    "load_workflow_config",
    "read_run_config",
    "register",
    "resolve_model_args",
    "to_yaml",
]

__getattr__ = lazy_names(__name__)
