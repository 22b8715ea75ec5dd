"""The networks of an experiment: one that answers for all values, unless the network itself is what varies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dynvision.base import TemporalBase
from dynvision.config.experiment import ExperimentConfig
from dynvision.config.run import RunConfig, changed_in_test
from dynvision.data import DataModule
from dynvision.experiments.checkpoints import checkpoint_weights
from dynvision.models.build import build_model
from dynvision.models.weights import load_run_weights, load_weights


@dataclass(frozen=True)
class NetworkSetting:
    """A network and what is asked of it.

    Attributes:
        model_args: arguments that apply instead of the run's.
        checkpoint: epoch whose weights are used; None for the best ones.
        values: values of the parameter.
    """

    model_args: dict[str, Any]
    checkpoint: int | None
    values: tuple[bool | float, ...]


def network_settings(experiment: ExperimentConfig) -> list[NetworkSetting]:
    """The networks of an experiment, in the order of its values."""
    if experiment.find_parameter().kind in ("stimulus", "noise"):
        return [NetworkSetting(experiment.model_args, None, experiment.values)]
    settings = [(value, experiment.at(value)) for value in experiment.values]
    return [NetworkSetting(setting.model_args, setting.checkpoint, (value,)) for value, setting in settings]


def load_network(run: RunConfig, setting: NetworkSetting, data: DataModule, weights: Path) -> TemporalBase:
    """The trained network with the model arguments of a test, ready to be tested.

    Args:
        run: the configuration that it was trained with.
        setting: what the test changes.
        data: what it is shown.
        weights: the run's ``model.safetensors``; checkpoints are in the folder ``checkpoints`` beside it.

    Raises:
        InputError: the weights are of another run, or not those of this model.
    """
    changed = changed_in_test(run.model.args, setting.model_args)
    model = build_model(run, data.input_shape, data.n_classes, changed)
    if setting.checkpoint is None:
        load_run_weights(model, weights, run.run_id)
    else:
        folder = weights.parent / "checkpoints"
        load_weights(model, *checkpoint_weights(folder, setting.checkpoint, run.run_id))
    return model.eval()
