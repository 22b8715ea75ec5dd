"""Training with PyTorch Lightning: presentation, loss, metrics and optimiser of a model.

The images of a batch are shown by the model's presentation pattern; labels count while the stimulus is on and the
reaction time has passed, R steps later at the output (see ``dynvision.functional.presentation``).
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor

from dynvision.base.frames import Frames
from dynvision.base.non_finite import explain_non_finite_loss
from dynvision.base.temporal_base import TemporalBase
from dynvision.base.watch import Observer
from dynvision.errors import InputError, unknown_name
from dynvision.functional.presentation import scored_steps, stretch_pattern, timed_labels
from dynvision.losses import BaseLoss, Outputs, find_loss
from dynvision.units import ms_to_steps

# Schedules that move after every batch, and their argument for the number of batches; others move after every epoch.
PER_STEP = {"OneCycleLR": "total_steps", "CosineAnnealingLR": "T_max"}


class Presentation(NamedTuple):
    """How a batch is shown: whether the stimulus is on at each of T steps, and labels of the outputs, (B, T + R)."""

    on: list[bool]
    labels: Tensor


class LightningBase(pl.LightningModule):
    """Loss, metrics and optimiser. In the bases of a class it stands after :class:`TemporalBase`.

    Args:
        optimizer: class name in ``torch.optim``.
        learning_rate: base learning rate.
        weight_decay: weight decay.
        scheduler: class name in ``torch.optim.lr_scheduler``; ``none`` keeps the rate.
        scheduler_args: its arguments.
        learning_rate_factors: factor on the learning rate of parameters whose name contains the word.
        criterion_params: losses as (name, {"weight": w}) pairs.
        data_presentation_pattern: symbols 0 and 1 stretched over the presentation.
        shuffle_presentation_pattern: permute the symbols once per training batch.
        loss_reaction_time: labels are ignored for this long after each onset, ms.
        non_label_index: label of steps that do not count.
        truncated_bptt_timesteps: cut the gradient every so many steps; 0 never does.
        seed: of what varies from batch to batch in the presentation.
        log_every_n_steps: how often parameters are logged, where a monitor does so.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if TemporalBase in cls.__mro__[cls.__mro__.index(LightningBase) :]:
            raise TypeError(
                f"class {cls.__name__}: write TemporalBase before LightningBase in its bases, since the constructor of "
                "pytorch_lightning.LightningModule hands no arguments on"
            )

    def __init__(
        self,
        optimizer: str = "Adam",
        learning_rate: float = 0.001,
        weight_decay: float = 0.0,
        scheduler: str = "StepLR",
        scheduler_args: Mapping[str, Any] | None = None,
        learning_rate_factors: Mapping[str, float] | None = None,
        criterion_params: Sequence[tuple[str, Mapping[str, Any]]] = (("CrossEntropyLoss", {"weight": 1.0}),),
        data_presentation_pattern: str = "1",
        shuffle_presentation_pattern: bool = False,
        loss_reaction_time: float = 0.0,
        non_label_index: int = -1,
        truncated_bptt_timesteps: int = 0,
        seed: int = 0,
        log_every_n_steps: int = 50,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.optimizer = optimizer
        self.learning_rate, self.weight_decay = float(learning_rate), float(weight_decay)
        self.scheduler, self.scheduler_args = scheduler, dict(scheduler_args or {})
        self.learning_rate_factors = dict(learning_rate_factors or {})
        self.data_presentation_pattern = data_presentation_pattern
        self.shuffle_presentation_pattern = shuffle_presentation_pattern
        self.loss_reaction_time = float(loss_reaction_time)
        self.non_label_index = non_label_index
        self.truncated_bptt_timesteps = truncated_bptt_timesteps
        self.presentation_seed = seed
        self.log_every_n_steps = log_every_n_steps
        self.losses: list[tuple[float, BaseLoss]] = [
            (float(settings.get("weight", 1.0)), find_loss(name)()) for name, settings in criterion_params
        ]

    # --- steps ------------------------------------------------------------------------------------------------------

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Loss of one batch; logs ``train_loss`` and ``train_accuracy``."""
        return self.model_step(batch, "train")

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Loss of one validation batch; logs ``val_loss`` and ``val_accuracy``."""
        return self.model_step(batch, "val")

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Loss of one test batch; logs ``test_loss`` and ``test_accuracy``."""
        return self.model_step(batch, "test")

    def model_step(self, batch: tuple[Tensor, Tensor], stage: str) -> Tensor:
        """Run a batch, log loss and accuracy, and return the loss.

        Raises:
            InputError: the training loss is not finite; it says where that began.
        """
        outputs = self.respond(batch, stage == "train")
        loss = self.loss(outputs)
        if stage == "train" and not loss.isfinite():
            raise InputError(explain_non_finite_loss(self, batch, loss))
        valid = outputs.labels != outputs.ignore_index
        correct = (outputs.logits.argmax(dim=-1) == outputs.labels) & valid
        accuracy = correct.sum() / valid.sum().clamp_min(1)
        shown = {f"{stage}_loss": loss.detach(), f"{stage}_accuracy": accuracy}
        self.log_dict(shown, prog_bar=True, on_step=False, on_epoch=True, batch_size=outputs.logits.shape[0])
        return loss

    def loss(self, outputs: Outputs) -> Tensor:
        """The weighted sum of the losses."""
        terms = [weight * criterion(outputs) for weight, criterion in self.losses if weight]
        if not terms:
            raise InputError("no loss has a weight above 0; set training.loss")
        return torch.stack(terms).sum()

    def presentation(self, batch: tuple[Tensor, Tensor], shuffle: bool) -> Presentation:
        """How a batch is shown and scored.

        Args:
            batch: images (B, C, H, W) or videos (B, T, C, H, W), and labels (B,) or (B, T).
            shuffle: permute the symbols of the pattern, if the model does so in training.
        """
        x, labels = batch
        model: Any = self
        n_steps = x.shape[1] if x.dim() == 5 and x.shape[1] > 1 else model.n_timesteps
        generator = None
        if shuffle and self.shuffle_presentation_pattern:
            mixed = np.random.SeedSequence([self.presentation_seed, self.global_step]).generate_state(1)
            generator = torch.Generator().manual_seed(int(mixed[0]))  # torch heeds 32 bits of a seed, no more
        on = stretch_pattern(self.data_presentation_pattern, n_steps, generator)
        scored = scored_steps(on, ms_to_steps(self.loss_reaction_time, model.dt, "loss_reaction_time"))
        return Presentation(
            on, timed_labels(labels, scored, model.n_residual_timesteps, self.non_label_index)
        )

    def respond(
        self, batch: tuple[Tensor, Tensor], shuffle: bool, observer: Observer | None = None
    ) -> Outputs:
        """Show a batch and collect outputs.

        A model with a ``forward`` of its own that does not take ``shown`` is called with the images alone.

        Args:
            batch, shuffle: as for :meth:`presentation`.
            observer: hears the activity of every layer, as in :meth:`TemporalBase.forward`.
        """
        x, labels = batch
        if not self._forward_takes("shown"):
            logits = self(x)
            logits = logits.unsqueeze(1) if logits.dim() == 2 else logits
            return Outputs(logits, timed_labels(labels, [True] * logits.shape[1], 0, -1), -1)
        on, timed = self.presentation(batch, shuffle)
        activity: dict[str, Tensor] = {}
        needs_activity = any(criterion.needs_activity for weight, criterion in self.losses if weight)

        def observe(layer: str, frames: Frames) -> None:
            if observer is not None:
                observer(layer, frames)
            if needs_activity:
                spent = frames.values.abs().flatten(1).mean(dim=1)
                spent = spent * frames.n if frames.constant else spent.unflatten(0, (frames.n, -1)).sum(dim=0)
                activity[layer] = activity[layer] + spent if layer in activity else spent

        listens = needs_activity or observer is not None
        logits = self(
            x, shown=on, truncate_steps=self.truncated_bptt_timesteps, observer=observe if listens else None
        )
        return Outputs(logits, timed, self.non_label_index, activity)

    def _forward_takes(self, argument: str) -> bool:
        parameters = inspect.signature(self.forward).parameters.values()
        return any(p.name == argument or p.kind is p.VAR_KEYWORD for p in parameters)

    # --- optimiser --------------------------------------------------------------------------------------------------

    def configure_optimizers(self) -> Any:
        """The optimiser with its parameter groups, and the schedule.

        Raises:
            InputError: an optimiser or schedule that torch does not have.
        """
        optimizer_class = _torch_class(torch.optim, self.optimizer, torch.optim.Optimizer, "optimizer")
        optimizer = optimizer_class(
            self.parameter_groups(), lr=self.learning_rate, weight_decay=self.weight_decay
        )
        if self.scheduler.lower() == "none":
            return {"optimizer": optimizer}
        base = torch.optim.lr_scheduler.LRScheduler
        scheduler_class = _torch_class(torch.optim.lr_scheduler, self.scheduler, base, "scheduler")
        arguments = {**self._schedule_length(), **self.scheduler_args}
        if self.scheduler == "OneCycleLR":
            arguments.setdefault("max_lr", [group["lr"] for group in optimizer.param_groups])
        interval = "step" if self.scheduler in PER_STEP else "epoch"
        schedule = {"scheduler": scheduler_class(optimizer, **arguments), "interval": interval}
        return {"optimizer": optimizer, "lr_scheduler": schedule}

    def _schedule_length(self) -> dict[str, Any]:
        """The argument that tells a schedule how long the training is, for those that must know."""
        if self.scheduler in PER_STEP:
            return {PER_STEP[self.scheduler]: int(self.trainer.estimated_stepping_batches)}
        return {"step_size": 30} if self.scheduler == "StepLR" else {}

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Trainable parameters in groups of equal learning rate."""
        groups: dict[float, list[Tensor]] = {}
        for name, parameter in self.named_parameters():
            if parameter.requires_grad:
                factors = [factor for word, factor in self.learning_rate_factors.items() if word in name]
                groups.setdefault(factors[0] if factors else 1.0, []).append(parameter)
        return [{"params": members, "lr": self.learning_rate * factor} for factor, members in groups.items()]


def _torch_class(module: Any, name: str, base: type, key: str) -> Any:
    found = getattr(module, name, None)
    if not (isinstance(found, type) and issubclass(found, base)):
        known = [
            n
            for n, c in vars(module).items()
            if isinstance(c, type) and issubclass(c, base) and c is not base
        ]
        raise unknown_name(key, name, known, key=f"training.{key}")
    return found
