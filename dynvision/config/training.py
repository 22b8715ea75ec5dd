"""Training configuration, the settings of execution that cannot change a result, and the names of a run's checkpoints.

best.ckpt         of the epoch that is best by validation
last.ckpt         of an unfinished training, also within an epoch; removed at its end
epoch-0005.ckpt   of every n-th epoch, where the configuration asks for them
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import NonNegativeFloat, ValidationInfo, field_validator, model_validator

from dynvision.config.optimization import (
    SCHEDULES,
    CrossEntropyTerm,
    LossConfig,
    LossTerm,
    check_optimization,
    loss_forms,
    loss_terms,
    numbers,
)
from dynvision.config.section import Section, key, validate
from dynvision.errors import InputError

BEST, LAST = "best.ckpt", "last.ckpt"


def epoch_file(epoch: int) -> str:
    """The file of an epoch, counted from 1."""
    return f"epoch-{epoch:04d}.ckpt"


# Of training.csv; terms of the loss have columns of their own after them.
TRAINING_COLUMNS = (
    "epoch",
    "train_loss",
    "train_accuracy",
    "val_loss",
    "val_accuracy",
    "learning_rate",
    "seconds",
)
LEARNING_RATE_SCALINGS = {"none": 0.0, "linear": 1.0, "sqrt": 0.5}  # exponent of the images per update


class TrainingConfig(Section):
    """How a model is trained. Every key here is part of a run's identity."""

    epochs: int = key(4, "passes over the training data", ge=1)
    batch_size: int = key(16, "images per batch, over all devices together", "images", ge=1)
    accumulate_batches: int = key(1, "batches whose gradients make one update", ge=1)
    limit_batches: int = key(
        0, "batches of an epoch that are shown, of training and of validation; 0 shows all", ge=0
    )
    learning_rate: float = key(0.002, "base learning rate; the highest of OneCycleLR", gt=0)
    learning_rate_scaling: Literal["none", "linear", "sqrt"] = key(
        "none", "how the learning rate grows with the images per update (batch_size x accumulate_batches)"
    )
    reference_batch_size: int = key(
        16, "images per update at which learning_rate applies as it is, if it is scaled", "images", ge=1
    )
    optimizer: str = key("Adam", "optimizer by its name in torch.optim")
    optimizer_args: dict[str, Any] = key({}, "arguments of the optimizer, e.g. {momentum: 0.9} for SGD")
    weight_decay: float = key(0.0, "weight decay", ge=0)
    scheduler: str = key(
        "OneCycleLR", "learning rate schedule by its name in torch.optim.lr_scheduler, or none"
    )
    scheduler_args: dict[str, Any] = key(
        {},
        "arguments of the schedule, lengths in epochs; its own length follows from the training unless it is given",
    )
    warmup_epochs: float = key(
        0.0,
        "linear warm-up of the learning rate, before the schedule",
        "epochs",
        ge=0,
    )
    learning_rate_factors: dict[str, NonNegativeFloat] = key(
        {"recurrence": 0.2, "feedback": 0.5},
        "factor on the learning rate of parameters whose name has this word",
    )
    gradient_clip: float = key(1.0, "largest norm of the gradient; 0: no clipping", ge=0)
    precision: Literal["32", "bf16-mixed", "16-mixed", "64"] = key(
        "32", "floating-point precision of training"
    )
    loss: tuple[LossTerm, ...] = key((CrossEntropyTerm(),), "terms of the loss, summed with their weights")
    loss_time_weighting: Literal["uniform", "last", "linear", "discounted"] = key(
        "uniform",
        "weight of the k-th scored step in CrossEntropyLoss: 1, the last step alone, k or loss_discount^k",
    )
    loss_discount: float = key(
        0.9, "factor from each step to the next of the discounted weighting", gt=0, le=1
    )
    label_smoothing: float = key(
        0.0, "part of the target that CrossEntropyLoss spreads over all classes", ge=0, lt=1
    )
    ema_decay: float = key(
        0.0,
        "validate and keep a moving average of the weights, which keeps this part at each update; 0 averages nothing",
        ge=0,
        lt=1,
    )
    best_by: Literal["val_loss", "val_accuracy"] = key(
        "val_loss", "criterion for the best epoch, whose weights are kept, and for early stopping"
    )
    early_stopping_patience: int = key(
        0, "stop after this many epochs without improvement; 0 never stops early", "epochs", ge=0
    )
    early_stopping_min_delta: float = key(0.0, "smallest improvement that counts for early stopping", ge=0)
    init_with_pretrained: str | None = key(
        None, "file of weights to begin with (.safetensors, of another run or of 'dynvision weights import')"
    )
    pretrained_except: tuple[str, ...] = key(
        (), "names of weights, * for anything, that are not taken from that file, e.g. [classifier.*]"
    )
    trainable: tuple[str, ...] = key(
        (),
        "names of parameters, * for anything, that are trained; the others stay as they are; empty trains all",
    )

    @model_validator(mode="after")
    def _parts_go_together(self) -> TrainingConfig:
        check_optimization(self.optimizer, self.optimizer_args, self.scheduler, self.scheduler_args)
        if self.warmup_epochs >= self.epochs:
            raise InputError(f"warmup_epochs={self.warmup_epochs:g} must be less than epochs={self.epochs}")
        if self.warmup_epochs and SCHEDULES[self.scheduler].warms_up:
            raise InputError(
                f"scheduler={self.scheduler} has a warm-up of its own; set warmup_epochs: 0, or another scheduler"
            )
        if not any(isinstance(term, CrossEntropyTerm) and term.weight for term in self.loss):
            for name in ("loss_time_weighting", "label_smoothing"):
                if getattr(self, name) != type(self).model_fields[name].default:
                    raise InputError(
                        f"{name}={getattr(self, name)} acts on CrossEntropyLoss, which loss does not have"
                    )
        return self

    @field_validator("scheduler", mode="before")
    @classmethod
    def _no_schedule(cls, value: Any) -> Any:
        return "none" if value is None or str(value).lower() in ("none", "false") else value

    @field_validator("optimizer_args", "scheduler_args", mode="before")
    @classmethod
    def _arguments_are_numbers(cls, value: Any, info: ValidationInfo) -> Any:
        return numbers(value, str(info.field_name)) if isinstance(value, Mapping) else value

    @field_validator("init_with_pretrained", mode="before")
    @classmethod
    def _no_file(cls, value: Any) -> Any:
        return None if str(value).lower() in ("none", "null", "false", "") else value

    @field_validator("pretrained_except", "trainable", mode="before")
    @classmethod
    def _one_pattern(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("precision", mode="before")
    @classmethod
    def _precision_is_text(cls, value: Any) -> Any:
        return str(value) if isinstance(value, int) else value

    @field_validator("loss", mode="before")
    @classmethod
    def _loss_forms(cls, value: Any) -> Any:
        return loss_terms(value)

    @property
    def images_per_update(self) -> int:
        """Images whose gradient is taken together, over all devices."""
        return self.batch_size * self.accumulate_batches

    @property
    def scaled_learning_rate(self) -> float:
        """The learning rate for this number of images per update."""
        ratio = self.images_per_update / self.reference_batch_size
        return self.learning_rate * ratio ** LEARNING_RATE_SCALINGS[self.learning_rate_scaling]


# What the arguments of CrossEntropyLoss are called as settings of a training.
CROSS_ENTROPY_KEYS = {
    "label_smoothing": "label_smoothing",
    "time_weighting": "loss_time_weighting",
    "discount": "loss_discount",
}
WITHOUT_END = 10**9  # epochs of a training whose length is stated elsewhere


def training_arguments(**arguments: Any) -> TrainingConfig:
    """Check settings of a training that come as arguments in Python, by the rules of a configuration.

    Args:
        **arguments: by the names of a configuration.

    Raises:
        InputError: one is unknown or not possible.
    """
    return validate(TrainingConfig, {"epochs": WITHOUT_END, **arguments}, "")


def loss_arguments(term: LossConfig, training: TrainingConfig) -> dict[str, Any]:
    """Weight and arguments of a loss; those of cross-entropy are settings of the training."""
    arguments = term.model_dump(exclude={"name"})
    if isinstance(term, CrossEntropyTerm):
        arguments |= {argument: getattr(training, key) for argument, key in CROSS_ENTROPY_KEYS.items()}
    return arguments


def criterion_arguments(value: Any) -> list[tuple[str, dict[str, Any]]]:
    """Losses that come as an argument in Python, checked by the rules of a configuration.

    Args:
        value: every form of ``training.loss``, and (name, settings) pairs; CrossEntropyLoss may have its arguments beside
            its weight.

    Returns:
        Pairs of a name and its arguments, the weight among them.

    Raises:
        InputError: another form, an unknown loss or argument, a value that is not possible, or no term that weighs.
    """
    forms = loss_forms(_without_pairs(value))
    given = [
        {argument: form.pop(argument) for argument in CROSS_ENTROPY_KEYS if argument in form}
        if form.get("name") == "CrossEntropyLoss"
        else {}
        for form in forms
    ]
    settings = [{CROSS_ENTROPY_KEYS[argument]: value for argument, value in own.items()} for own in given]
    return [
        (term.name, loss_arguments(term, training_arguments(**own)))
        for term, own in zip(loss_terms(forms), settings, strict=True)
    ]


def _without_pairs(value: Any) -> Any:
    """(name, settings) and (name, weight) as mappings, alone or in a list; a list of two names stays two terms."""
    if not isinstance(value, (list, tuple)):
        return value
    if len(value) == 2 and isinstance(value[0], str) and not isinstance(value[1], str):
        return {value[0]: value[1]}
    return [_without_pairs(item) for item in value]


LoaderName = Literal["auto", "ffcv", "torch", "memory"]


class ExecutionConfig(Section):
    """Where and how the same computation runs. Not part of a run's identity."""

    loader: LoaderName = key(
        "auto", "how batches are read; auto keeps small data in memory, else takes ffcv where it is installed"
    )
    num_workers: int = key(1, "threads that prefetch images, for the torch loader; 0 reads on demand", ge=0)
    accelerator: Literal["auto", "cpu", "gpu"] = key(
        "auto", "where to compute; auto takes a GPU if there is one"
    )
    devices: int = key(1, "processes that train together on each node, one for each GPU", ge=1)
    num_nodes: int = key(1, "machines that train together; above 1 the processes are started by srun", ge=1)
    strategy: Literal["auto", "ddp", "ddp_find_unused_parameters_true"] = key(
        "auto",
        "how several processes train together; auto also trains models with unused parameters",
    )
    pack: int = key(
        1, "jobs that share a GPU at the same time, each a training or an experiment of its own", "jobs", ge=1
    )
    logger: Literal["csv", "wandb", "tensorboard", "none"] = key(
        "csv",
        "a further logger beside training.csv, which is always written; csv and none add nothing",
    )
    wandb_mode: Literal["offline", "online"] = key(
        "offline", "W&B needs an account and a network when online"
    )
    checkpoint_every: int = key(
        0,
        "keep a checkpoint every this many epochs, in addition to the best and the last; 0 keeps none",
        "epochs",
        ge=0,
    )
    checkpoint_minutes: float = key(
        10.0,
        "write the last checkpoint this often within an epoch too; 0: only at its end and when the training is stopped",
        "minutes",
        ge=0,
    )
    checkpoint_segments: int = key(
        0, "parts of a trial computed again in the backward pass to save memory; 0 keeps everything", ge=0
    )
    test_batch_size: int = key(64, "images per batch in experiments", "images", ge=1)

    @model_validator(mode="after")
    def _pack_is_possible(self) -> ExecutionConfig:
        if self.pack > 1 and self.n_processes > 1:
            raise InputError(
                f"pack={self.pack} jobs share one GPU, and this training has {self.n_processes} processes (devices x "
                "num_nodes); set pack, or devices and num_nodes, to 1"
            )
        if self.pack > 1 and self.accelerator == "cpu":
            raise InputError(
                f"pack={self.pack} jobs share a GPU, and accelerator=cpu uses none; set pack to 1, or accelerator to auto"
            )
        return self

    @property
    def n_processes(self) -> int:
        """Processes that train together."""
        return self.devices * self.num_nodes
