"""The values of an experiment that one network answers: all of them, unless the network itself varies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dynvision.config.experiment import ExperimentConfig


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
