"""A resolved configuration as YAML text, with the origin of every value behind it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

from dynvision.config.data import DataConfig
from dynvision.config.layers import DEFAULT, Layers, origin_of
from dynvision.config.models import find_model
from dynvision.config.section import validate
from dynvision.config.training import TrainingConfig
from dynvision.config.workflow import WorkflowConfig, resolve_layers
from dynvision.config.yaml_text import one_line

Origin = Callable[[tuple[str, ...], Any], str]  # of a value, by its keys from the outermost


def show_configuration(layers: Layers) -> str:
    """The configuration that some layers make: a YAML document for each model and data set that is asked for.

    Raises:
        InputError: anything that is misspelt, mistyped or impossible.
    """
    workflow = resolve_layers(layers)
    return "---\n".join(
        annotated(resolved(workflow, model, data), _origins(layers, model, data))
        for model, data in itertools.product(workflow.model_name, workflow.data_name)
    )


def resolved(workflow: WorkflowConfig, model: str, data_name: str) -> dict[str, Any]:
    """Everything that is set for the runs of one model on one data set, by section and key; sweeps stay lists."""
    sections = workflow.sections(model, data_name)
    schema = find_model(model).args
    defaults = schema().model_dump(mode="json") | workflow.defaults_of(model)
    data = validate(DataConfig, {**sections["data"], "name": data_name}, "data")
    training = validate(TrainingConfig, sections["training"], "training")
    experiments = workflow.selected_experiments()
    elsewhere = {
        "data_defaults",
        "model_defaults",
        "categories",
    }  # what they say is in the sections that they act on
    return workflow.model_dump(mode="json", exclude=elsewhere) | {
        "model_name": model,
        "model_args": defaults | sections["model_args"],
        "data_name": data_name,
        "data": data.model_dump(mode="json", exclude={"name"}),
        "training": training.model_dump(mode="json"),
        "experiments": {name: chosen.model_dump(mode="json") for name, chosen in experiments.items()},
    }


def _origins(layers: Layers, model: str, data_name: str) -> Origin:
    family = find_model(model).args.family()
    applied = layers.all(data_name, model)

    def origin(path: tuple[str, ...], value: Any) -> str:
        found = origin_of(path, value, applied)
        for name in (model, family):
            if found == DEFAULT and path[0] == "model_args":
                found = origin_of(("model_defaults", name, *path[1:]), value, applied)
        return found

    return origin


def annotated(values: Mapping[str, Any], origin: Origin, path: tuple[str, ...] = ()) -> str:
    """Nested keys and values as YAML, each value with its origin in a comment.

    Args:
        values: keys and values.
        origin: tells the origin.
        path: keys that lead to the values.
    """
    lines = []
    for name, value in values.items():
        here = (*path, str(name))
        label = "  " * len(path) + one_line(str(name))
        if isinstance(value, Mapping) and value:
            lines.append(f"{label}:\n{annotated(value, origin, here)}")
        else:
            lines.append(f"{label}: {one_line(value)} # {origin(here, value)}\n")
    return "".join(lines)
