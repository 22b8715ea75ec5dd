"""The networks of an experiment: one that answers for all values, unless the network itself is what varies.

The weights are the best ones of the run, or those of an epoch of its training, from the checkpoints that it kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from dynvision.base import TemporalBase
from dynvision.config.experiment import ExperimentConfig
from dynvision.config.run import RunConfig, changed_in_test
from dynvision.config.training import LAST
from dynvision.data import DataModule
from dynvision.errors import InputError
from dynvision.models.build import build_model
from dynvision.models.weights import load_run_weights, load_weights, read_training_checkpoint
from dynvision.units import ms_to_steps


@dataclass(frozen=True)
class NetworkSetting:
    """A network and what is asked of it.

    Attributes:
        model_args: arguments that apply instead of the run's.
        checkpoint: epoch whose weights are used; None for the best ones.
        values: values of the parameter.
        varied: the parameter.
        onset_ms: stimulus onset after the idle time, from which a model's own times count.
    """

    model_args: dict[str, Any]
    checkpoint: int | None
    values: tuple[bool | float, ...]
    varied: str = ""
    onset_ms: float = 0.0


def network_settings(experiment: ExperimentConfig) -> list[NetworkSetting]:
    """Return the networks of an experiment, in the order of its values."""
    if experiment.find_parameter().kind in ("stimulus", "noise"):
        return [
            NetworkSetting(
                experiment.model_args, None, experiment.values, experiment.parameter, experiment.baseline_ms
            )
        ]
    settings = [(value, experiment.at(value)) for value in experiment.values]
    return [
        NetworkSetting(
            setting.model_args, setting.checkpoint, (value,), experiment.parameter, experiment.baseline_ms
        )
        for value, setting in settings
    ]


def load_network(run: RunConfig, setting: NetworkSetting, data: DataModule, weights: Path) -> TemporalBase:
    """Return the trained network with the model arguments of a test, in eval mode.

    Args:
        run: the configuration that it was trained with.
        setting: what the test changes.
        data: what it is shown.
        weights: the run's ``model.safetensors``; checkpoints are in the folder ``checkpoints`` beside it.

    Raises:
        InputError: the weights are of another run, or not those of this model.
    """
    changed = changed_in_test(run.model.args, setting.model_args, setting.varied)
    model = build_model(run, data.input_shape, data.n_classes, changed)
    model.onset_steps = ms_to_steps(setting.onset_ms, model.dt, "baseline_ms")
    if setting.checkpoint is None:
        load_run_weights(model, weights, run.run_id)
    else:
        folder = weights.parent / "checkpoints"
        load_weights(model, *checkpoint_weights(folder, setting.checkpoint, run.run_id))
    return model.eval()


def checkpoint_weights(folder: Path, epoch: int, run_id: str) -> tuple[dict[str, Tensor], Path]:
    """Return the weights at the end of an epoch, and the file that they are from.

    Args:
        folder: the run's ``checkpoints/``.
        epoch: the epoch, counted from 1.
        run_id: the run that the checkpoint has to be of.

    Raises:
        InputError: the run kept no checkpoint of that epoch, or its file is damaged or of another run.
    """
    found: dict[int, tuple[dict[str, Tensor], Path]] = {}
    for path in sorted(
        set(folder.glob("*.ckpt")) - {folder / LAST}
    ):  # that one may be of the middle of an epoch
        content = read_training_checkpoint(path, run_id)
        found.setdefault(content["epoch"] + 1, (content["state_dict"], path))  # Lightning counts from 0
    if epoch not in found:
        kept = ", ".join(str(number) for number in sorted(found)) or "none"
        raise InputError(
            f"run {run_id} kept no checkpoint of epoch {epoch} in {folder} (epochs kept: {kept}); set "
            "execution.checkpoint_every to keep one every so many epochs and train again, or change the values"
        )
    return found[epoch]
