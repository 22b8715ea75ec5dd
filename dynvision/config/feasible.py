"""Whether an experiment can be done on a model, told before anything is planned."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from dynvision.config.experiment import ExperimentConfig
from dynvision.config.run import ModelConfig, RunConfig, changed_in_test, resolve_model_args
from dynvision.errors import InputError


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
        for args in given if varies else given[:1]:
            changed = changed_in_test(trained.args, args)
            try:
                steps.add(resolve_model_args(trained.name, {**trained.args, **changed}).dt)
            except InputError as error:
                raise InputError(f"experiments.{name}: {error}") from None
    for dt in steps:
        for value in experiment.values:
            experiment.steps(value, dt, f"experiments.{name}.")


def missing_epochs(
    experiment: ExperimentConfig, run: RunConfig, checkpoints: Path, checkpoint_every: int
) -> list[int]:
    """Epochs whose weights an experiment asks for and a run does not keep.

    Args:
        experiment: an experiment whose parameter is the checkpoint.
        run: the run.
        checkpoints: the run's folder of checkpoints, as it is now.
        checkpoint_every: the epochs between two checkpoints that are kept; 0 keeps none.
    """
    epochs = [int(value) for value in experiment.values]
    kept = (
        range(checkpoint_every, run.training.epochs + 1, checkpoint_every) if checkpoint_every else range(0)
    )
    return [
        epoch for epoch in epochs if epoch not in kept and not (checkpoints / checkpoint_file(epoch)).exists()
    ]


def checkpoint_file(epoch: int) -> str:
    """Name of the checkpoint of an epoch, counted from 1."""
    return f"epoch-{epoch:04d}.ckpt"


def check_checkpoints(
    name: str, experiment: ExperimentConfig, runs: Iterable[tuple[RunConfig, Path]], checkpoint_every: int
) -> None:
    """Check that runs keep the checkpoints that an experiment asks for.

    Args:
        name: of the experiment.
        experiment: the experiment.
        runs: the runs, each with its folder of checkpoints.
        checkpoint_every: the epochs between two checkpoints that are kept; 0 keeps none.

    Raises:
        InputError: one does not.
    """
    for run, checkpoints in runs:
        missing = missing_epochs(experiment, run, checkpoints, checkpoint_every)
        if missing:
            raise InputError(
                f"experiments.{name} needs the checkpoints of the epochs {', '.join(map(str, missing))}, which a run of "
                f"training.epochs={run.training.epochs} with execution.checkpoint_every={checkpoint_every} does not keep; "
                f"change one of these or experiments.{name}.values"
            )
