"""Training configuration, and the settings of execution that cannot change a result."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import NonNegativeFloat, field_validator, model_validator

from dynvision.config.optimization import check_optimization
from dynvision.config.section import Section, key, validate
from dynvision.errors import InputError, unknown_name


class LossConfig(Section):
    """One term of the loss."""

    name: str = key("CrossEntropyLoss", "loss by name")
    weight: float = key(1.0, "factor of this term in the sum", ge=0)


LOSSES = ("CrossEntropyLoss", "ActivityLoss")


def _loss_terms(value: Any) -> list[dict[str, Any]]:
    """The forms a loss can be written in: a name, a list of names, ``{name: weight}``, ``{name: {weight: w}}``."""
    if isinstance(value, str):
        return [{"name": value}]
    if isinstance(value, dict):
        if "name" in value:
            return [value]
        return [
            {"name": name, **(spec if isinstance(spec, dict) else {"weight": spec})}
            for name, spec in value.items()
        ]
    if isinstance(value, (list, tuple)):
        return [term for item in value for term in _loss_terms(item)]
    if isinstance(value, LossConfig):
        return [value.model_dump()]
    raise InputError(
        f"loss={value!r} is not valid; write a list of loss names, e.g. loss: [CrossEntropyLoss]"
    )


class TrainingConfig(Section):
    """How a model is trained. Every key here is part of a run's identity."""

    epochs: int = key(4, "passes over the training data", ge=1)
    batch_size: int = key(16, "images per step", "images", ge=1)
    learning_rate: float = key(0.004, "base learning rate; the highest of OneCycleLR", gt=0)
    optimizer: str = key("Adam", "optimizer by its name in torch.optim")
    weight_decay: float = key(0.0, "weight decay", ge=0)
    scheduler: str = key(
        "OneCycleLR", "learning rate schedule by its name in torch.optim.lr_scheduler, or none"
    )
    scheduler_args: dict[str, Any] = key(
        {}, "arguments of the schedule; its length follows from the training unless it is given"
    )
    learning_rate_factors: dict[str, NonNegativeFloat] = key(
        {"recurrence": 0.2, "feedback": 0.5},
        "factor on the learning rate of parameters whose name has this word",
    )
    gradient_clip: float = key(1.0, "largest norm of the gradient; 0 does not clip", ge=0)
    precision: Literal["32", "bf16-mixed", "16-mixed", "64"] = key(
        "32", "floating-point precision of training"
    )
    loss: tuple[LossConfig, ...] = key((LossConfig(),), "terms of the loss, summed with their weights")

    @model_validator(mode="after")
    def _optimization_is_possible(self) -> TrainingConfig:
        check_optimization(self.optimizer, self.scheduler, self.scheduler_args)
        return self

    @field_validator("scheduler", mode="before")
    @classmethod
    def _no_schedule(cls, value: Any) -> Any:
        return "none" if value is None or str(value).lower() in ("none", "false") else value

    @field_validator("precision", mode="before")
    @classmethod
    def _precision_is_text(cls, value: Any) -> Any:
        return str(value) if isinstance(value, int) else value

    @field_validator("loss", mode="before")
    @classmethod
    def _loss_forms(cls, value: Any) -> Any:
        terms = tuple(validate(LossConfig, term, "training.loss") for term in _loss_terms(value))
        for term in terms:
            if term.name not in LOSSES:
                raise unknown_name("loss", term.name, LOSSES, key="training.loss")
        if not terms:
            raise InputError("training.loss is empty; name at least one loss, e.g. loss: [CrossEntropyLoss]")
        if not any(term.weight for term in terms):
            raise InputError("training.loss: no term has a weight above 0; raise at least one")
        return terms


class ExecutionConfig(Section):
    """Where and how the same computation runs. Not part of a run's identity."""

    loader: Literal["auto", "ffcv", "torch"] = key(
        "auto", "how batches are read; auto is ffcv where it is installed"
    )
    num_workers: int = key(1, "loader processes or threads", ge=0)
    accelerator: Literal["auto", "cpu", "gpu"] = key(
        "auto", "where to compute; auto takes a GPU if there is one"
    )
    devices: int = key(1, "processes that train together on each node, one for each GPU", ge=1)
    num_nodes: int = key(1, "machines that train together; above 1 the processes are started by srun", ge=1)
    strategy: Literal["auto", "ddp", "ddp_find_unused_parameters_true"] = key(
        "auto",
        "how several processes train together; auto also trains models with parameters that are at rest",
    )
    logger: Literal["csv", "wandb"] = key(
        "csv", "csv always writes training.csv; wandb logs there as well, offline"
    )
    wandb_mode: Literal["offline", "online"] = key(
        "offline", "W&B needs an account and a network when online"
    )
    checkpoint_segments: int = key(
        0, "parts of a trial computed again in the backward pass to save memory; 0 keeps everything", ge=0
    )
    test_batch_size: int = key(64, "images per batch in experiments", "images", ge=1)
