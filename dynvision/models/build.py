"""From a run's configuration to its model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dynvision.base import BaseModel
from dynvision.config.model import TemporalArgs
from dynvision.config.run import RunConfig, resolve_model_args
from dynvision.config.training import loss_arguments
from dynvision.errors import InputError
from dynvision.models import create
from dynvision.parameter_names import MODEL_ALIASES, expand_aliases


def build_model(
    run: RunConfig,
    input_shape: tuple[int, int, int],
    n_classes: int,
    overrides: Mapping[str, Any] | None = None,
    checkpoint_segments: int = 0,
) -> BaseModel:
    """The model of a run.

    Args:
        run: the frozen configuration.
        input_shape: (C, H, W) of an image.
        n_classes: number of classes.
        overrides: model arguments that apply instead of the run's, e.g. during a test.
        checkpoint_segments: parts of a trial that are computed again in the backward pass; 0 keeps everything.

    Raises:
        InputError: an argument is unknown or not possible, or the source of a model of one's own has been edited.
    """
    if run.source and run.source != run.current_source():
        own = ", ".join([run.model.name, *run.plugins])
        raise InputError(
            f"the source of {own} is not that of {run.run_id} any more: it has been edited since the run was "
            "planned; undo the edit, or call the workflow again, which makes another run"
        )
    given = dict(run.model.args)
    if overrides:
        changed = expand_aliases(overrides, MODEL_ALIASES, "model_args")
        given = resolve_model_args(run.model.name, {**given, **changed}).model_dump(exclude_unset=True)
    training = run.training
    n_timesteps = given.get("n_timesteps", TemporalArgs.model_fields["n_timesteps"].default)
    of_data = {"input_dims": (n_timesteps, *input_shape), "n_classes": n_classes}
    of_training = {
        "optimizer": training.optimizer,
        "optimizer_args": training.optimizer_args,
        "learning_rate": training.scaled_learning_rate,
        "weight_decay": training.weight_decay,
        "scheduler": training.scheduler,
        "scheduler_args": training.scheduler_args,
        "warmup_epochs": training.warmup_epochs,
        "learning_rate_factors": training.learning_rate_factors,
        "criterion_params": [(term.name, loss_arguments(term, training)) for term in training.loss],
    }
    of_run = {"seed": run.seed, "checkpoint_segments": checkpoint_segments}
    for owner, settled in (("data", of_data), ("training", of_training), ("run", of_run)):
        for name in given.keys() & settled.keys():
            raise InputError(
                f"model_args.{name}={given[name]!r} is no argument of a model in a run: its {owner} sets "
                f"{settled[name]!r}; leave it out of model_args"
            )
    model = create(run.model.name, **of_data, **of_training, **of_run, **given)
    assert isinstance(model, BaseModel)
    return model
