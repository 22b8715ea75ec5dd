"""Typed configuration. Nothing here imports torch."""

from dynvision.config.data import DATASETS, DataConfig
from dynvision.config.experiment import ExperimentConfig
from dynvision.config.model import DyRCNNArgs, RecurrentArgs, TemporalArgs
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
    "DATASETS",
    "MODELS",
    "AlexNetArgs",
    "CifarResNetArgs",
    "BLArgs",
    "BLTArgs",
    "CORnetArgs",
    "CORnetRArgs",
    "CORnetRTArgs",
    "CordsNetArgs",
    "DataConfig",
    "DyRCNNArgs",
    "ExecutionConfig",
    "ExperimentConfig",
    "LossConfig",
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
