"""Training with PyTorch Lightning: presentation, loss, metrics and optimiser of a model.

The images of a batch are shown by the model's presentation pattern; labels count while the stimulus is on and the
reaction time has passed, R steps later at the output (see ``dynvision.trials``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from pytorch_lightning.plugins.precision import MixedPrecision
from torch import Tensor

from dynvision.base.architecture import whole_number
from dynvision.base.batches import (
    check_batch_of_one,
    check_pair,
    class_indices,
    explained_normalisation,
    last_batch,
    without_labels,
)
from dynvision.base.epoch_means import log_means
from dynvision.base.kept_arguments import KeptArguments
from dynvision.base.monitoring import NotFinite, explain_non_finite_loss
from dynvision.base.observers import CostObserver, Observer, watch_costs
from dynvision.base.optimization import (
    Epoch,
    TrainingLength,
    build_optimizer,
    build_schedule,
    parameter_groups,
    training_length,
)
from dynvision.base.scores import Scoring, explanation, weighted_losses
from dynvision.base.temporal_base import ARGS, TemporalBase
from dynvision.config.model import presentation_arguments
from dynvision.config.optimization import check_optimization
from dynvision.config.training import TrainingConfig, criterion_arguments, training_arguments
from dynvision.errors import InputError
from dynvision.losses import MonitoringLoss, Outputs, Verdict
from dynvision.trials.presentation import presentation_trial, shuffled_by
from dynvision.trials.segment import Trial
from dynvision.units import ms_to_steps

TRAINING = TrainingConfig()  # its defaults are those of a run of the workflow


class Presentation(NamedTuple):
    """How a batch is shown: whether the stimulus is on at each of T steps, and labels of the outputs, (B, T + R)."""

    on: list[bool]
    labels: Tensor


class LightningBase(KeptArguments):
    """Loss, metrics and optimiser. In the bases of a class it stands after :class:`TemporalBase`.

    Args:
        optimizer: class name in ``torch.optim``, of those that a configuration can name.
        learning_rate: base learning rate, above 0.
        weight_decay: weight decay, not below 0.
        optimizer_args: further arguments of the optimiser.
        scheduler: class name in ``torch.optim.lr_scheduler``, of those that a configuration can name; ``none`` or None
            keeps the rate.
        scheduler_args: its arguments, lengths in epochs.
        warmup_epochs: time in which the learning rate grows linearly before the schedule, in epochs.
        learning_rate_factors: factor on the learning rate of parameters whose name contains the word.
        criterion_params: losses as (name, {"weight": w, argument: value}) pairs, or in a form of ``training.loss``.
        data_presentation_pattern: symbols 0 and 1 stretched over the presentation.
        shuffle_presentation_pattern: permute the symbols once per training batch.
        loss_reaction_time: labels are ignored for this long after each onset, ms.
        non_label_index: label of steps that do not count.
        truncated_bptt_timesteps: cut the gradient every so many steps; 0 never does.
        seed: of what varies from batch to batch in the presentation.
        log_every_n_steps: how often parameters are logged, where a monitor does so; at least 1.

    Raises:
        InputError: a value that a configuration could not have, either, for the same reason and in the same words.
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
        optimizer: str = TRAINING.optimizer,
        learning_rate: float = TRAINING.learning_rate,
        weight_decay: float = TRAINING.weight_decay,
        optimizer_args: Mapping[str, Any] | None = None,
        scheduler: str | None = TRAINING.scheduler,
        scheduler_args: Mapping[str, Any] | None = None,
        warmup_epochs: float = TRAINING.warmup_epochs,
        learning_rate_factors: Mapping[str, float] | None = TRAINING.learning_rate_factors,
        criterion_params: Any = (("CrossEntropyLoss", {"weight": 1.0}),),
        data_presentation_pattern: str = ARGS.data_presentation_pattern,
        shuffle_presentation_pattern: bool = ARGS.shuffle_presentation_pattern,
        loss_reaction_time: float = ARGS.loss_reaction_time,
        non_label_index: int = ARGS.non_label_index,
        truncated_bptt_timesteps: int = ARGS.truncated_bptt_timesteps,
        seed: int = 0,
        log_every_n_steps: int = 50,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        training = training_arguments(
            optimizer=optimizer,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            optimizer_args=optimizer_args or {},
            scheduler=scheduler,
            scheduler_args=scheduler_args or {},
            warmup_epochs=warmup_epochs,
            learning_rate_factors=learning_rate_factors or {},
        )
        self.optimizer, self.optimizer_args = training.optimizer, training.optimizer_args
        self.learning_rate, self.weight_decay = training.learning_rate, training.weight_decay
        self.scheduler, self.scheduler_args = training.scheduler, training.scheduler_args
        self.warmup_epochs = training.warmup_epochs
        self.learning_rate_factors = training.learning_rate_factors
        presentation = presentation_arguments(
            data_presentation_pattern=data_presentation_pattern,
            shuffle_presentation_pattern=shuffle_presentation_pattern,
            loss_reaction_time=loss_reaction_time,
            non_label_index=non_label_index,
            truncated_bptt_timesteps=truncated_bptt_timesteps,
        )
        self.data_presentation_pattern = presentation.data_presentation_pattern
        self.shuffle_presentation_pattern = presentation.shuffle_presentation_pattern
        self.loss_reaction_time = presentation.loss_reaction_time
        self.non_label_index = presentation.non_label_index
        self.truncated_bptt_timesteps = presentation.truncated_bptt_timesteps
        self.presentation_seed = whole_number("seed", seed, 0)
        self.log_every_n_steps = whole_number("log_every_n_steps", log_every_n_steps, 1)
        # Set by who knows the data; without it batches of all sizes weigh the same.
        self.epoch: Epoch | None = None
        self.losses = weighted_losses(criterion_arguments(criterion_params))
        self._batches_checked = False
        self._scoring = Scoring()
        self._verdict: Verdict | None = None  # on the training batch that was shown last
        self.not_finite = NotFinite()  # of the validation, test or prediction that runs or ran last

    # --- steps ------------------------------------------------------------------------------------------------------

    def on_fit_start(self) -> None:
        super().on_fit_start()
        self._verdict = None  # one of a training that was broken off

    def on_train_start(self) -> None:
        super().on_train_start()
        self._batches_checked = False

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> int | None:
        if not self._batches_checked:  # here callbacks have stated which normalisations are trained
            check_batch_of_one(self, last_batch(self.trainer, self.epoch))
            self._batches_checked = True
        return super().on_train_batch_start(batch, batch_idx)

    def on_validation_start(self) -> None:
        super().on_validation_start()
        self.not_finite = NotFinite()

    def on_validation_end(self) -> None:
        super().on_validation_end()
        self.not_finite.warn("validation")

    def on_test_start(self) -> None:
        super().on_test_start()
        self.not_finite = NotFinite()

    def on_test_end(self) -> None:
        super().on_test_end()
        self.not_finite.warn("test")

    def on_predict_start(self) -> None:
        super().on_predict_start()
        self.not_finite = NotFinite()

    def on_predict_end(self) -> None:
        super().on_predict_end()
        self.not_finite.warn("prediction")

    # What torch.compile compiles of a training is the network: the rest of a step is Lightning's logging and plain Python.

    @torch.compiler.disable
    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Loss of one batch, weighted as its images are; logs ``train_loss`` and ``train_accuracy`` without the weight."""
        loss = self.model_step(batch, "train")
        return loss if self.epoch is None else loss * self.epoch.weight(batch_idx)

    @torch.compiler.disable
    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Loss of one validation batch; logs ``val_loss`` and ``val_accuracy``."""
        return self.model_step(batch, "val")

    @torch.compiler.disable
    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Loss of one test batch; logs ``test_loss`` and ``test_accuracy``."""
        return self.model_step(batch, "test")

    @torch.compiler.disable
    def predict_step(self, batch: Any, batch_idx: int = 0, dataloader_idx: int = 0) -> Tensor:
        """Show a batch as in validation.

        Args:
            batch: images (B, C, H, W) or videos (B, T, C, H, W), or a tuple that begins with them.
            batch_idx, dataloader_idx: of no meaning.

        Returns:
            Outputs (B, T + R, n_classes).
        """
        unlabelled = without_labels(batch)
        outputs = self.respond(unlabelled, shuffle=False)
        self.not_finite(self, unlabelled, outputs.finite)
        return outputs.logits

    def model_step(self, batch: tuple[Tensor, Tensor], stage: str) -> Tensor:
        """Run a batch, log loss, accuracy and, where the loss has several, its terms; return the loss.

        Args:
            batch: images (B, C, H, W) or videos (B, T, C, H, W), and labels (B,) or (B, T).
            stage: ``train``, ``val`` or ``test``, the beginning of what is logged.

        Returns:
            The loss, a scalar.

        Raises:
            InputError: the training loss is not finite; it states where that began.
        """
        self._look()
        batch = check_pair(batch)
        with explained_normalisation():
            outputs = self.respond(batch, stage == "train")
        scores = self._scoring(self, outputs, batch[1], finite=stage == "train")
        if scores.fine is None:
            if stage == "train" and not scores.loss.isfinite():
                raise InputError(explain_non_finite_loss(self, batch, scores.loss))
        else:
            self._verdict = Verdict(scores.fine, explanation(self, batch, stage, scores.loss.detach()))
            trainer: Any = self._trainer  # processes that train together share gradients in backward
            if stage != "train" or trainer is None or not trainer.training or trainer.world_size > 1:
                self._look()
        if stage != "train":
            self.not_finite(self, batch, outputs.finite)
        n_images = len(outputs.logits)
        shown = {f"{stage}_loss": scores.loss.detach(), f"{stage}_accuracy": scores.accuracy}
        log_means(self, shown, n_images, prog_bar=True)
        log_means(self, {f"{stage}_{name}": value for name, value in scores.terms.items()}, n_images)
        return scores.loss

    def _look(self) -> None:
        verdict, self._verdict = self._verdict, None
        if verdict is not None:
            verdict.look()

    def backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        verdict, self._verdict = self._verdict, None  # nothing is left to look at where this fails
        super().backward(loss, *args, **kwargs)
        if verdict is not None:
            verdict.look()

    def on_before_optimizer_step(self, optimizer: Any) -> None:
        self._look()

    def on_train_epoch_end(self) -> None:
        super().on_train_epoch_end()
        self._look()

    def loss(self, outputs: Outputs) -> Tensor:
        """The weighted sum of the losses, a scalar; errors as of :meth:`loss_terms`."""
        return self.weighted_sum(self.loss_terms(outputs))

    @property
    def captures_loss(self) -> bool:
        """Whether a GPU may replay the loss: it is the sum of the losses, and graphs are on."""
        own = type(self).loss_terms, type(self).weighted_sum
        return bool(self.cuda_graphs) and own == (LightningBase.loss_terms, LightningBase.weighted_sum)

    @property
    def loss_names(self) -> list[str]:
        """Names of the losses that have a weight."""
        return [name for name, (weight, _) in self.losses.items() if weight]

    def loss_terms(self, outputs: Outputs) -> dict[str, Tensor]:
        """Every loss that has a weight, by name, without its weight; each a scalar.

        Raises:
            InputError: none has a weight above 0, or one of them cannot be computed of these outputs.
        """
        terms = {name: self.losses[name][1](outputs) for name in self.loss_names}
        if not terms:
            raise InputError("no loss has a weight above 0; set training.loss")
        return terms

    def weighted_sum(self, terms: Mapping[str, Tensor]) -> Tensor:
        """The loss, a scalar."""
        return torch.stack([self.losses[name][0] * value for name, value in terms.items()]).sum()

    def presentation(self, batch: tuple[Tensor, Tensor], shuffle: bool) -> Presentation:
        """How a batch is shown and scored.

        Args:
            batch: images (B, C, H, W) or videos (B, T, C, H, W), and labels (B,) or (B, T).
            shuffle: permute the symbols of the pattern, if the model does so in training.
        """
        x, labels = batch
        course = self.trial_course(shuffle, x.shape[1] if x.dim() == 5 and x.shape[1] > 1 else None)
        indices = class_indices(x, labels, len(course.on))
        return Presentation(list(course.on), course.labels(indices, self.non_label_index))

    def trial_course(self, shuffle: bool, n_timesteps: int | None = None, batch: int | None = None) -> Trial:
        """What the network sees in a trial, and which of its outputs are scored.

        Args:
            shuffle: permute the symbols of the pattern, if the model does so in training.
            n_timesteps: length of the presentation in steps, if not the model's own.
            batch: the training batch whose permutation it is, by the number of those before it; None for the next.
        """
        model: Any = self
        generator = None
        if shuffle and self.shuffle_presentation_pattern:
            generator = shuffled_by(self.presentation_seed, self.global_step if batch is None else batch)
        return presentation_trial(
            self.data_presentation_pattern,
            n_timesteps or model.n_timesteps,
            model.dt,
            ms_to_steps(self.loss_reaction_time, model.dt, "loss_reaction_time"),
            model.idle_steps,
            model.n_residual_timesteps,
            generator,
        )

    def respond(
        self, batch: tuple[Tensor, Tensor], shuffle: bool, observer: Observer | None = None
    ) -> Outputs:
        """Show a batch and collect outputs.

        Args:
            batch, shuffle: as for :meth:`presentation`.
            observer: receives the activity of every layer, as in :meth:`TemporalBase.forward`.
        """
        x, labels = batch
        model: Any = self
        on, timed = self.presentation(batch, shuffle)
        observers = [
            CostObserver(criterion, model.chain)
            for weight, criterion in self.losses.values()
            if weight and isinstance(criterion, MonitoringLoss) and criterion.monitor != "output"
        ]
        watch = watch_costs(observers)
        truncate = self.truncated_bptt_timesteps
        logits = self(x, shown=on, truncate_steps=truncate, observer=observer, watch=watch)
        costs = {told.criterion: told.costs for told in observers}
        return Outputs(logits, timed, self.non_label_index, costs)

    # --- optimiser --------------------------------------------------------------------------------------------------

    def configure_optimizers(self) -> Any:
        """The optimiser with its parameter groups, and the schedule, in Lightning's form.

        Without a trainer, or with data of unknown length, the schedule moves once an epoch instead of after every
        update; ``interval`` states which.

        Raises:
            InputError: an optimiser or schedule that torch does not have, an argument that it does not take, or a schedule
                that needs the length of a training without an end.
        """
        scheduler = "none" if self.scheduler is None else self.scheduler
        check_optimization(self.optimizer, self.optimizer_args, scheduler, self.scheduler_args)
        # Lightning's mixed precision clips no gradients of an optimiser with one kernel.
        mixed = self._trainer is not None and isinstance(self.trainer.precision_plugin, MixedPrecision)
        optimizer = build_optimizer(
            self.optimizer,
            self.parameter_groups(),
            self.learning_rate,
            self.weight_decay,
            self.optimizer_args,
            one_kernel=self.device.type == "cuda" and not mixed,
        )
        length = TrainingLength() if self._trainer is None else training_length(self.trainer)
        arguments, warmup = self.scheduler_args, self.warmup_epochs
        n_moves, per_epoch, unit = length.schedule_units(scheduler, arguments, warmup)
        tried = self._trainer is not None and self.trainer.fast_dev_run  # type: ignore[attr-defined]
        if warmup and warmup * per_epoch >= n_moves and not tried:
            raise InputError(f"warmup_epochs={warmup:g} must be less than epochs={n_moves / per_epoch:g}")
        schedule = build_schedule(scheduler, optimizer, arguments, n_moves, per_epoch, warmup)
        if schedule is None:
            return {"optimizer": optimizer}
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": unit}}

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Trainable parameters in groups of equal learning rate."""
        return parameter_groups(self.named_parameters(), self.learning_rate, self.learning_rate_factors)
