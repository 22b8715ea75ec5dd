"""What is compared: runs that differ in their seed only, the factors of a sweep, and frozen experiments.

A condition is all runs that repeat each other with another seed. A sweep varies one parameter at a time around a base, or
several together. An experiment is frozen beside its results, with its name, in one YAML file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dynvision.config.experiment import ExperimentConfig, thaw_experiment
from dynvision.config.run import RunConfig
from dynvision.config.yaml_text import read_yaml
from dynvision.errors import InputError
from dynvision.runs import flat_parameters

SEED_PARAMETERS = ("run_id", "seed", "data.split_seed")
ABSENT = None


@dataclass(frozen=True)
class Condition:
    """Runs of one configuration, apart from the seed.

    Attributes:
        run_ids: the runs, by ascending seed.
        config: the configuration of the first of them.
        differing: the parameters in which the compared conditions differ, by dotted name, with this one's values;
            empty if there is one condition only.
    """

    run_ids: tuple[str, ...]
    config: RunConfig
    differing: dict[str, Any]


def group_runs(configs: Sequence[RunConfig]) -> list[Condition]:
    """Group runs into conditions, in the order in which they are given.

    A parameter that one model has and another has not is None where it is absent.
    """
    groups: dict[str, dict[str, RunConfig]] = {}
    parameters: dict[str, dict[str, Any]] = {}
    for config in configs:
        flat = {name: value for name, value in flat_parameters(config).items() if name not in SEED_PARAMETERS}
        identity = repr(sorted(flat.items()))
        groups.setdefault(identity, {})[config.run_id] = config
        parameters[identity] = flat
    names = list(dict.fromkeys(name for flat in parameters.values() for name in flat))
    differing = [
        name for name in names if len({repr(flat.get(name, ABSENT)) for flat in parameters.values()}) > 1
    ]
    conditions = []
    for identity, runs in groups.items():
        by_seed = sorted(runs.values(), key=lambda config: (config.seed, config.data.split_seed or 0))
        values = {name: parameters[identity].get(name, ABSENT) for name in differing}
        conditions.append(Condition(tuple(config.run_id for config in by_seed), by_seed[0], values))
    return conditions


def find_base(conditions: Sequence[Mapping[str, Any]]) -> int | None:
    """Return the condition from which each other one differs in a single parameter.

    Args:
        conditions: for each condition the values of the parameters that differ among them, by name.

    Returns:
        Its index; None where there is no such condition, or where only one parameter differs at all, so that each
        condition would be it.
    """
    parameters = list(conditions[0]) if conditions else []
    if len(parameters) < 2:
        return None
    for number, base in enumerate(conditions):
        if all(len(changes(base, other)) == 1 for other in conditions if other is not base):
            return number
    return None


def changes(base: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Return the parameters in which a condition differs from another one."""
    return [name for name in base if repr(base[name]) != repr(other[name])]


def comparable(conditions: Sequence[Mapping[str, Any]], parameter: str) -> list[int]:
    """Return the conditions that show what a parameter does.

    Around a base these are the base and those that differ from it in the parameter; without a base all conditions,
    whose other parameters are averaged over.
    """
    base = find_base(conditions)
    if base is None:
        return list(range(len(conditions)))
    return [
        number
        for number, condition in enumerate(conditions)
        if changes(conditions[base], condition) in ([], [parameter])
    ]


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
