"""Whether an experiment can be done on a model, checked before anything is planned."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from dynvision.config.data import FOLDER_PREFIX
from dynvision.config.experiment import ExperimentConfig
from dynvision.config.run import ModelConfig, RunConfig, changed_in_test, resolve_model_args
from dynvision.config.training import epoch_file
from dynvision.config.transforms import ALL
from dynvision.errors import InputError, unknown_name


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
    for trained in models:
        # Where the parameter is of the stimulus, the model is the same at each of its values.
        for args in given if varies else given[:1]:
            changed = changed_in_test(trained.args, args, experiment.parameter)
            try:
                steps.add(resolve_model_args(trained.name, {**trained.args, **changed}).dt)
            except InputError as error:
                raise InputError(f"experiments.{name}: {error}") from None
    for dt in steps:
        for value in experiment.values:
            experiment.steps(value, dt, f"experiments.{name}.")


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
