"""Runs that are repetitions of each other with another seed, and what tells the others apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dynvision.config.run import RunConfig
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
