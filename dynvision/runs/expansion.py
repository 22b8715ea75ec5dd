"""From a workflow's configuration to its runs, and whether its experiments can be done on them.

The runs are every combination of what is given as a list, and what varies around it. Experiments are checked before
anything is planned.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_origin

from dynvision.config.data import FOLDER_PREFIX, with_own_names
from dynvision.config.experiment import ExperimentConfig
from dynvision.config.model import TemporalArgs
from dynvision.config.models import MODELS, layers_with, without_effect
from dynvision.config.run import ModelConfig, RunConfig, changed_in_test, resolve_model_args
from dynvision.config.section import is_by_layer, validate
from dynvision.config.sweep import replace_value
from dynvision.config.training import TrainingConfig, epoch_file
from dynvision.config.transforms import ALL
from dynvision.config.workflow import WorkflowConfig
from dynvision.errors import InputError, unknown_name
from dynvision.files import expanded


def expand_runs(workflow: WorkflowConfig) -> dict[str, RunConfig]:
    """All runs of a workflow by run id: the product of models, data sets, seeds, lists in ``model_args``, and ``paired``.

    Each group of ``paired`` is one factor of the product. Each run is followed by those that differ from it in one value of
    ``category``.

    Raises:
        InputError: any run is not possible.
    """
    variants = [("", None)] + [
        (name, value) for name, values in workflow.category.items() for value in values
    ]
    known = {entry.args.family() for entry in MODELS.values()} | set(MODELS) | set(workflow.model_name)
    for name in workflow.model_defaults:
        if name not in known:
            raise unknown_name("model or family of models", name, known, key="model_defaults")
    runs: dict[str, RunConfig] = {}
    effects: dict[tuple[str, str], str] = {}
    sources: dict[tuple[str, ...], str] = {}  # of a model and the plugins that are used with it
    for model, data in itertools.product(workflow.model_name, workflow.data_name):
        defaults = workflow.defaults_of(model)
        own = workflow.sections(model, data)
        model_args, data_settings = split_input_dims(own["model_args"], own["data"])
        factors = _factors(workflow, model, model_args)
        for seed, *chosen in itertools.product(workflow.seed, *factors):
            base = {
                "model_args": {**defaults, **model_args},
                "data": data_settings,
                "training": own["training"],
            }
            together = list(itertools.chain.from_iterable(chosen))
            for name, value in together:
                base = _replaced(model, base, name, value)
            for name, value in variants:
                run = _variant(workflow, model, data, seed, base, name, value)
                varies = [name] if name else [given for given, _ in together]
                _note_effects(effects, run, varies)
                used = (model, *run.plugins)
                if used not in sources:
                    sources[used] = run.current_source()
                run._source = sources[used]
                runs[run.run_id] = run
    for (model, name), absent in effects.items():
        if absent:
            raise InputError(
                f"{name} varies and changes nothing in {model}: it is of {absent}, or do not vary it"
            )
    return runs


def _note_effects(effects: dict[tuple[str, str], str], run: RunConfig, varies: Iterable[str]) -> None:
    """Note for parameters that vary what they are of, as long as no run has that; nothing once one has it."""
    for name in varies:
        section, argument, *_ = name.split(".")
        if section == "model_args" and effects.get((run.model.name, argument)) != "":
            absent = without_effect(run.model.name, run.model.args)
            effects[run.model.name, argument] = absent.get(argument, "")


def _replaced(model: str, sections: Mapping[str, Any], name: str, value: Any) -> dict[str, Any]:
    """Replace a value by its dotted name; where one layer of an argument of all is named, the others keep what they had."""
    section, argument, *layer = name.split(".")
    given = sections.get(section, {}).get(argument)
    if section == "model_args" and layer and model in MODELS and isinstance(given, (int, float, str)):
        entry = MODELS[model]
        field = entry.args.model_fields.get(argument)
        if field is not None and (is_by_layer(field) or argument == "recurrence_type"):
            if value == given:
                return dict(sections)
            layers = layers_with(entry, entry.args.model_construct(None, **sections[section]))
            sections = replace_value(sections, f"{section}.{argument}", dict.fromkeys(layers, given))
    return replace_value(sections, name, value)


def _factors(
    workflow: WorkflowConfig, model: str, model_args: Mapping[str, Any]
) -> list[list[list[tuple[str, Any]]]]:
    """Return what varies together and what independently.

    Returns:
        The factors of the product of runs. Each is a list of choices, and a choice a list of parameters with their values.

    Raises:
        InputError: a list is empty, or two of ``model_args``, ``paired`` and ``category`` vary a parameter.
    """
    swept = {
        f"model_args.{name}": values
        for name, values in model_args.items()
        if isinstance(values, (list, tuple)) and not _is_one_value(model, name, values)
    }
    paired = {name for group in workflow.paired for name in group}
    for name, values in swept.items():
        if not values:
            raise InputError(f"{name} is an empty list; give it at least one value")
        for other, names in {"category": {*workflow.category}, "paired": paired}.items():
            if name in names:
                raise InputError(f"{name} is a list and {other} varies it as well; remove one of them")
    for name in paired & {*workflow.category}:
        raise InputError(f"paired and category both vary {name}; remove one of them")
    alone = [[[(name, value)] for value in values] for name, values in swept.items()]
    together = [
        [
            [(name, values[number]) for name, values in group.items()]
            for number in range(len(next(iter(group.values()))))
        ]
        for group in workflow.paired
    ]
    return alone + together


def _is_one_value(model: str, name: str, values: Sequence[Any]) -> bool:
    """Whether a list is the value of an argument that is a list itself, as of ``train``, and no sweep of such lists."""
    field = MODELS[model].args.model_fields.get(name) if model in MODELS else None
    is_list = field is not None and get_origin(field.annotation) is list
    return is_list and not any(isinstance(value, (list, tuple)) for value in values)


def _variant(
    workflow: WorkflowConfig,
    model: str,
    data: str,
    seed: int,
    base: Mapping[str, Any],
    name: str,
    value: Any,
) -> RunConfig:
    """The run of some sections, with one value replaced if there is a name."""
    parts = _replaced(model, base, name, value) if name else base
    try:
        shown = with_own_names(data, parts["data"], workflow.groups, workflow.transforms)
        return run_config(model, parts["model_args"], data, shown, parts["training"], seed)
    except InputError as error:
        raise InputError(f"category {name}={value!r}: {error}" if name else str(error)) from None


def split_input_dims(
    model_args: Mapping[str, Any], data: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Model arguments and data settings, where ``input_dims: [T, C, H, W]`` states how long and how large images are shown.

    Raises:
        InputError: they are not four whole numbers, images are not square, or the data settings state otherwise.
    """
    args, settings = dict(model_args), dict(data)
    dims = args.pop("input_dims", None)
    if dims is None:
        return args, settings
    whole = isinstance(dims, (list, tuple)) and len(dims) == 4 and all(str(size).isdigit() for size in dims)
    if not whole or str(dims[2]) != str(dims[3]):
        raise InputError(
            f"model_args.input_dims={dims!r} is not valid; write [steps, channels, height, width], "
            "with equal height and width"
        )
    n_timesteps, n_channels, resolution = (int(size) for size in dims[:3])
    args.setdefault("n_timesteps", n_timesteps)
    for name, size in {"n_channels": n_channels, "resolution": resolution}.items():
        if settings.get(name) not in (None, 0, "0", size, str(size)):
            raise InputError(
                f"model_args.input_dims={dims!r} and data.{name}={settings[name]} contradict; remove one"
            )
        settings[name] = size
    return args, settings


def run_config(
    model_name: str,
    model_args: dict[str, Any],
    data_name: str,
    data: dict[str, Any],
    training: dict[str, Any],
    seed: int,
) -> RunConfig:
    """One run from its parts, validated.

    Args:
        model_name: the model by name, or ``package.module:Class``.
        model_args: its arguments, by the names of its schema.
        data_name: the data set by name, or ``folder:<path>``.
        data, training: the sections; what they do not state is by default.
        seed: of everything that is random.

    Raises:
        InputError: a key or a value that is not possible.
    """
    pretrained = training.get("init_with_pretrained")
    if isinstance(pretrained, str):
        path = expanded(pretrained, "training.init_with_pretrained")
        training = {**training, "init_with_pretrained": path}
    values = {
        "model": {"name": model_name, "args": model_args},
        "data": {**data, "name": data_name},
        "training": training,
        "seed": seed,
    }
    return validate(RunConfig, values, "")


def check_pretrained(training: TrainingConfig) -> None:
    """Check that there is a file of weights to begin with, where the configuration names one.

    Raises:
        InputError: there is none, or it is of a kind that must be imported first.
    """
    path = training.init_with_pretrained
    if path is None:
        if training.pretrained_except:
            raise InputError(
                "training.pretrained_except needs training.init_with_pretrained, the file that weights are taken from"
            )
        return
    if not path.endswith(".safetensors"):
        raise InputError(
            f"training.init_with_pretrained={path} must be a .safetensors file; turn a published checkpoint into one with "
            "'dynvision weights import'"
        )
    if not Path(path).is_file():
        raise InputError(f"training.init_with_pretrained: there is no file {path}")


def check_on_models(name: str, experiment: ExperimentConfig, models: Iterable[ModelConfig]) -> None:
    """Check that models can be what an experiment asks for, and that every duration is a multiple of their dt.

    Args:
        name: of the experiment.
        experiment: the experiment.
        models: the models as they are trained.

    Raises:
        InputError: a model argument is not possible for a model at some value, or a duration is off its grid.
    """
    varies = experiment.find_parameter().kind == "model"
    given = [experiment.at(value).model_args for value in experiment.values]
    steps: set[float] = set()
    absent: dict[str, str] = {}
    for trained in models:
        # Where the parameter is of the stimulus, the model is the same at each of its values.
        for args in given if varies else given[:1]:
            changed = changed_in_test(trained.args, args, experiment.parameter)
            try:
                resolved = resolve_model_args(trained.name, {**trained.args, **changed})
                _check_lesion(experiment, resolved)
                steps.add(resolved.dt)
            except InputError as error:
                raise InputError(f"experiments.{name}: {error}") from None
            if varies:
                reason = without_effect(trained.name, vars(resolved)).get(experiment.parameter, "")
                absent[trained.name] = reason and absent.get(trained.name, reason)
    if absent and all(absent.values()):
        model, reason = next(iter(absent.items()))
        raise InputError(
            f"experiments.{name}: parameter {experiment.parameter} changes nothing in {model}: it is of {reason}, or vary "
            "another"
        )
    for dt in steps:
        for value in experiment.values:
            experiment.steps(value, dt, f"experiments.{name}.")


def _check_lesion(experiment: ExperimentConfig, args: TemporalArgs) -> None:
    """Check that the window of a lesion is not all before the trial or all after the record.

    Raises:
        InputError: the lesion would change nothing that is recorded.
    """
    begin = -experiment.baseline_ms - args.t_idle
    if args.t_lesion_start is not None and args.t_lesion_start >= experiment.recorded_ms:
        raise InputError(
            f"t_lesion_start={args.t_lesion_start:g} ms is not before the record ends; lower it, or raise "
            f"recorded_ms={experiment.recorded_ms:g}"
        )
    if args.t_lesion_end is not None and args.t_lesion_end <= begin:
        raise InputError(
            f"t_lesion_end={args.t_lesion_end:g} ms is not after the trial begins at {begin:g} ms; raise it, or "
            f"baseline_ms={experiment.baseline_ms:g}"
        )


def check_classes(name: str, experiment: ExperimentConfig, runs: Iterable[RunConfig]) -> None:
    """Check that the classes of an experiment are among those of the data that the runs are trained on.

    Args:
        name: of the experiment.
        experiment: the experiment, with the classes of its group written out.
        runs: the runs.

    Raises:
        InputError: a class was left out of a run's data, or a folder of images has no such class folder.
    """
    for run in runs:
        classes, trained = experiment.classes(run.data.name), run.data.group
        for given in classes:
            known = [own for own in trained if isinstance(own, type(given))] if trained != ALL else []
            if known and given not in known and len(known) == len(trained):
                raise InputError(
                    f"experiments.{name}.group: class {given!r} is not among those of {run.data.name} that the run is "
                    f"trained on (data.group: {', '.join(map(str, trained))})"
                )
        # Only names are asked for: planning reads no image, and a folder may appear later.
        folder = Path(run.data.name.removeprefix(FOLDER_PREFIX))
        if run.data.name.startswith(FOLDER_PREFIX) and folder.is_dir():
            root = folder / "test" if (folder / "test").is_dir() else folder
            folders = sorted(path.name for path in root.iterdir() if path.is_dir() and path.name[0] != ".")
            for given in classes:
                if isinstance(given, str) and given not in folders:
                    raise unknown_name("class", given, folders, key=f"experiments.{name}.group")
                if isinstance(given, int) and given >= len(folders):
                    raise InputError(
                        f"experiments.{name}.group: {folder} has no class {given}; its {len(folders)} classes are 0 to "
                        f"{len(folders) - 1}"
                    )


def with_checkpoints(
    experiments: Mapping[str, ExperimentConfig],
    runs: Sequence[tuple[RunConfig, Path]],
    checkpoint_every: int,
    leave_out: bool,
) -> dict[str, ExperimentConfig]:
    """Return the experiments whose checkpoints the runs keep; most need none.

    Args:
        experiments: by name.
        runs: the runs, each with its folder of checkpoints as it is now.
        checkpoint_every: the epochs between two checkpoints that are kept; 0 keeps none.
        leave_out: leave the others out, instead of refusing them.

    Raises:
        InputError: a run does not keep what an experiment asks for, and it is not left out.
    """
    possible = dict(experiments)
    for name, experiment in experiments.items():
        if experiment.find_parameter().kind != "checkpoint":
            continue
        for run, folder in runs:
            missing = _missing_epochs(experiment, run, folder, checkpoint_every)
            if missing and not leave_out:
                raise InputError(
                    f"experiments.{name} needs the checkpoints of the epochs {', '.join(map(str, missing))}, which a run "
                    f"of training.epochs={run.training.epochs} with execution.checkpoint_every={checkpoint_every} does "
                    f"not keep; change one of these or experiments.{name}.values"
                )
            if missing:
                del possible[name]
                break
    return possible


def _missing_epochs(
    experiment: ExperimentConfig, run: RunConfig, folder: Path, checkpoint_every: int
) -> list[int]:
    last = run.training.epochs
    kept = range(checkpoint_every, last + 1, checkpoint_every) if checkpoint_every else range(0)
    epochs = (int(value) for value in experiment.values)
    return [epoch for epoch in epochs if epoch not in kept and not (folder / epoch_file(epoch)).exists()]
