"""What is generated: files from the schemas, and a resolved configuration with the origin of every value.

config_defaults.yaml, README.md, schema/*.json     by `dynvision config sync`
YAML with origins in comments                      by `dynvision config show`
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic_core import PydanticUndefined

from dynvision.config.comparison import ComparisonConfig
from dynvision.config.data import DataConfig
from dynvision.config.experiment import ExperimentConfig
from dynvision.config.layers import DEFAULT, Layers, origin_of
from dynvision.config.measures import MEASURES, TARGET_TABLES, ScorecardConfig
from dynvision.config.models import MODELS, find_model
from dynvision.config.optimization import LOSSES
from dynvision.config.search import Range, SearchConfig
from dynvision.config.section import Section, names_allowed, validate
from dynvision.config.training import ExecutionConfig, TrainingConfig
from dynvision.config.visualization import EXPERIMENT_FIGURES, SWEEP_FIGURES, VisualizationConfig
from dynvision.config.workflow import WorkflowConfig, resolve_layers
from dynvision.config.yaml_text import one_line
from dynvision.errors import InputError
from dynvision.files import write_text
from dynvision.noise.blend import NoiseConfig
from dynvision.noise.kind import NOISES
from dynvision.parameter_names import MODEL_ALIASES, TRAINING_ALIASES
from dynvision.stimuli.stimulus import STIMULI

HEADER = """\
# Every default, with its unit. Generated from the schemas: edit a value to change it for all your runs, or better, put the
# key into config_workflow.yaml, which overrules this file. `dynvision config sync` restores the defaults.
"""


def write_generated(folder: Path) -> None:
    """Write all generated files below the configuration folder."""
    for name, text in generated_files().items():
        write_text(folder / name, text)


def check_generated(folder: Path) -> None:
    """Check that the generated files are what the schemas state.

    Raises:
        InputError: naming the files that are not.
    """
    stale = [
        str(folder / name)
        for name, text in generated_files().items()
        if not (folder / name).exists() or (folder / name).read_text(encoding="utf-8") != text
    ]
    if stale:
        raise InputError(f"not as the schemas state: {', '.join(stale)}; run 'dynvision config sync'")


def generated_files() -> dict[str, str]:
    """Contents by file name."""
    return {
        "config_defaults.yaml": _defaults(),
        "README.md": _readme(),
        "schema/workflow.json": _json(_workflow_schema()),
        "schema/experiments.json": _json(_experiments_schema()),
        "schema/scorecard.json": _json(_wrapped("scorecard", ScorecardConfig)),
        "schema/visualization.json": _json(_wrapped("visualization", VisualizationConfig)),
    }


def _model_sections() -> dict[str, type[Section]]:
    return {entry.args.family(): entry.args for entry in MODELS.values()}


def _defaults() -> str:
    parts = [HEADER]
    for name, schema in (("training", TrainingConfig), ("data", DataConfig), ("execution", ExecutionConfig)):
        parts.append(f"{name}:\n" + _yaml_lines(schema, 2, skip=("name",) if name == "data" else ()))
    parts.append(
        "model_defaults: # by family of models or by model; model_args overrules\n"
        + "\n".join(f"  {name}:\n" + _yaml_lines(schema, 4) for name, schema in _model_sections().items())
    )
    return "\n".join(parts)


def _yaml_lines(schema: type[Section], indent: int, skip: tuple[str, ...] = ()) -> str:
    lines = []
    for name, field in schema.model_fields.items():
        if name not in skip:
            lines.append(f"{' ' * indent}{name}: {_flow(field.default)} # {_comment(field)}")
    return "\n".join(lines) + "\n"


def _comment(field: Any) -> str:
    unit = (field.json_schema_extra or {}).get("unit", "")
    return f"{unit}; {field.description}" if unit else str(field.description)


def _flow(value: Any) -> str:
    """A value in YAML's flow style on one line."""
    if isinstance(value, Section):
        value = value.model_dump(mode="json")
    if isinstance(value, tuple):
        value = [v.model_dump(mode="json") if isinstance(v, Section) else v for v in value]
    return one_line(value)


def _readme() -> str:
    lines = [
        "# Configuration",
        "",
        "Every key: meaning, unit and default. Generated from the schemas by `dynvision config sync`.",
        "",
        "Precedence, lowest first: defaults (`config_defaults.yaml`, `config_data.yaml`, `config_experiments.yaml`,",
        "`config_scorecard.yaml`, `config_visualization.yaml`), `data_defaults` of the data set, modes (`modes/*.yaml`, by",
        "`mode=name`), your `config_workflow.yaml`, `snakemake --config`. Dictionaries merge key by key, lists replace.",
        "`dynvision config show mode=debug` prints what comes out, with the origin of every value. An unknown key is an",
        "error that names the nearest valid one. Durations, delays and time constants are in ms.",
        "",
        "## Short names",
        "",
        "| short | long |",
        "|---|---|",
        *[f"| `{short}` | `model_args.{name}` |" for short, name in MODEL_ALIASES.items()],
        *[f"| `{short}` | `training.{name}` |" for short, name in TRAINING_ALIASES.items()],
        "",
    ]
    sections: dict[str, type[Section]] = {
        "Workflow (`config_workflow.yaml`)": WorkflowConfig,
        **{f"`model_args` of {name}": schema for name, schema in _model_sections().items()},
        "`training`": TrainingConfig,
        **{f"`{name}` in `training.loss`": schema for name, schema in LOSSES.items()},
        "`data`": DataConfig,
        "`execution`": ExecutionConfig,
        "An experiment (`experiments.<name>`)": ExperimentConfig,
        **{f"`stimulus` of type `{name}`": stimulus for name, stimulus in STIMULI.items()},
        "`noise` of an experiment": NoiseConfig,
        "A comparison (`comparisons.<name>`)": ComparisonConfig,
        "`search`": SearchConfig,
        "A range of numbers in `search.parameters`": Range,
        "`scorecard`": ScorecardConfig,
        "`visualization`": VisualizationConfig,
    }
    for title, schema in sections.items():
        lines += [f"## {title}", "", "| key | meaning | unit | values | default |", "|---|---|---|---|---|"]
        for name, field in schema.model_fields.items():
            unit = (field.json_schema_extra or {}).get("unit", "")  # type: ignore[union-attr]
            default = "" if field.default is PydanticUndefined else f"`{_flow(field.default)}`"
            cells = (f"`{name}`", field.description, unit, _allowed(field), default)
            lines.append("| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |")
        lines.append("")
    lines += ["## Names", "", "| concept | name | meaning |", "|---|---|---|"]
    lines += [f"| {concept} | `{name}` | {about} |" for concept, name, about in _named()]
    return "\n".join([*lines, ""])


def _named() -> list[tuple[str, str, str]]:
    """Concept, name and meaning of what can be named and has no table of its own."""
    named = [("model (`model_name`)", name, entry.target) for name, entry in MODELS.items()]
    named += [("noise (`noise.type`)", name, kind.about) for name, kind in NOISES.items()]
    named += [("measure (`measures`)", name, about) for name, about in MEASURES.items()]
    figures = {**EXPERIMENT_FIGURES, **SWEEP_FIGURES}
    named += [("figure (`visualization.figures`)", name, about) for name, about in figures.items()]
    return named + [("targets (`plugins`)", name, "numbers of cortex of one's own") for name in TARGET_TABLES]


def _allowed(field: Any) -> str:
    if names := names_allowed(field):
        return ", ".join(f"`{name}`" for name in names)
    return {float: "number", int: "whole number", bool: "true, false", str: "text"}.get(field.annotation, "")


def _json(schema: dict[str, Any]) -> str:
    return json.dumps(schema, indent=2) + "\n"


def _wrapped(name: str, schema: type[Section]) -> dict[str, Any]:
    content = schema.model_json_schema()
    definitions = content.pop("$defs", {})
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {name: content},
        "$defs": definitions,
    }


def _experiments_schema() -> dict[str, Any]:
    schema = _wrapped("experiments", ExperimentConfig)
    schema["properties"]["experiments"] = {
        "type": "object",
        "additionalProperties": schema["properties"]["experiments"],
    }
    return schema


def _loss_forms(terms: dict[str, Any]) -> dict[str, Any]:
    """A loss by name, by ``{name: weight}``, by ``{name: {argument: value}}``, in full, or a list of these."""
    full = [{"$ref": f"#/$defs/{schema.__name__}"} for schema in LOSSES.values()]
    named = {name: {"anyOf": [{"type": "number"}, term]} for name, term in zip(LOSSES, full, strict=True)}
    by_name = {"type": "object", "properties": named, "additionalProperties": False}
    one = {"anyOf": [{"enum": list(LOSSES)}, by_name, *full]}
    about = {name: terms[name] for name in ("title", "description", "default")}
    return {**about, "anyOf": [one, {"type": "array", "items": one}]}


def _model_arguments() -> dict[str, Any]:
    """The arguments of all families; one that several families have may be what any of them allows, or a list of it."""
    forms: dict[str, list[Any]] = {}
    for section in _model_sections().values():
        for name, value in section.model_json_schema()["properties"].items():
            allowed = {what: value[what] for what in value if what not in ("default", "description")}
            if allowed not in forms.setdefault(name, []):
                forms[name].append(allowed)
    return {
        name: {
            "description": _described(name),
            "anyOf": [*allowed, {"type": "array", "items": {"anyOf": allowed}}],
        }
        for name, allowed in forms.items()
    }


def _described(name: str) -> str:
    fields = (section.model_fields.get(name) for section in _model_sections().values())
    return next(str(field.description) for field in fields if field is not None)


def _workflow_schema() -> dict[str, Any]:
    """The workflow's schema, with the keys of the free sections written out and short names allowed."""
    schema = WorkflowConfig.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    arguments = _model_arguments()
    arguments |= {short: arguments[name] for short, name in MODEL_ALIASES.items()}
    schema["properties"]["model_args"] = {"type": "object", "properties": arguments}
    for name, part, aliases in (("training", TrainingConfig, TRAINING_ALIASES), ("data", DataConfig, {})):
        content = part.model_json_schema()
        schema.setdefault("$defs", {}).update(content.pop("$defs", {}))
        if part is TrainingConfig:
            content["properties"]["loss"] = _loss_forms(content["properties"]["loss"])
            del schema["$defs"]["LossConfig"]
            schema["$defs"] |= {term.__name__: term.model_json_schema() for term in LOSSES.values()}
        content["properties"] |= {short: content["properties"][long] for short, long in aliases.items()}
        schema["properties"][name] = content
    for name in ("model_name", "data_name", "experiment", "seed"):
        many = schema["properties"][name]
        items = many.get("items", {})
        schema["properties"][name] = {"description": many.get("description", ""), "anyOf": [items, many]}
    sweep = {"type": "object", "additionalProperties": True}
    one = {"anyOf": [{"type": "string"}, sweep]}
    schema["properties"]["category"] = {
        "description": schema["properties"]["category"]["description"],
        "anyOf": [*one["anyOf"], {"type": "array", "items": one}, {"type": "null"}],
    }
    schema["properties"]["paired"] = {
        "description": schema["properties"]["paired"]["description"],
        "anyOf": [sweep, {"type": "array", "items": sweep}, {"type": "null"}, {"enum": ["none"]}],
    }
    schema["properties"]["seed"]["anyOf"].append({"type": "string", "pattern": "^[0-9]+$"})
    schema["properties"]["model"] = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "args": schema["properties"]["model_args"]},
        "additionalProperties": False,
    }
    return schema


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
    # What these state is in the sections that they act on.
    elsewhere = {"data_defaults", "model_defaults", "categories"}
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
        origin: returns where a value is from.
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
