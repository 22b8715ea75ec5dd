"""A frozen experiment: the keys of an experiment's configuration and its name, in one YAML file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dynvision.config.experiment import ExperimentConfig, thaw_experiment
from dynvision.config.yaml_text import read_yaml
from dynvision.errors import InputError


@dataclass(frozen=True)
class NamedExperiment:
    """An experiment's name and configuration."""

    name: str
    config: ExperimentConfig


def read_experiment(path: str | Path) -> NamedExperiment:
    """Read a frozen experiment.

    Raises:
        InputError: the file is missing, is not YAML, has no name, or is not a valid experiment.
    """
    values = read_yaml(path)
    name = values.pop("name", None)
    if not isinstance(name, str) or not name:
        raise InputError(f"experiment file {path} has no key 'name'; is it an experiment's config.yaml?")
    try:
        return NamedExperiment(name, thaw_experiment(name, values))
    except InputError as error:
        raise InputError(f"experiment file {path}: {error}") from None
