"""Monitoring: statistics of parameters, and what is not finite: which parameter or layer, and from when on."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from dynvision.base.batches import unchanged
from dynvision.base.frames import Frames
from dynvision.errors import InputError, unknown_name
from dynvision.text import first_few
from dynvision.units import steps_to_ms

METRICS: dict[str, Callable[[Tensor], Tensor]] = {
    "min": torch.amin,
    "max": torch.amax,
    "norm": torch.linalg.vector_norm,
    "mean": torch.mean,
}


class Monitoring:
    """Looks at a model's parameters. It changes nothing."""

    def log_param_stats(
        self, section: str = "params", metrics: Sequence[str] = ("min", "max", "norm")
    ) -> dict[str, float]:
        """Print statistics of every parameter, and return them.

        Args:
            section: goes before each name.
            metrics: ``min``, ``max``, ``norm`` (Euclidean) or ``mean``.

        Returns:
            Value by ``{section}/{parameter}_{metric}``.
        """
        stats = parameter_statistics(self._as_module(), section, metrics)
        for name, value in stats.items():
            print(f"{name} {value:.6g}")
        return stats

    def _check_weights(self, raise_error: bool = False) -> None:
        """Find parameters that are not finite, or of another dtype than the first.

        Raises:
            InputError: there is one, and ``raise_error`` is set; otherwise a warning names it.
        """
        model = self._as_module()
        problems = [f"{name} holds values that are not finite" for name in non_finite_parameters(model)]
        parameters = list(model.named_parameters())
        problems += [
            f"{name} is {parameter.dtype} instead of {parameters[0][1].dtype}"
            for name, parameter in parameters
            if parameter.dtype != parameters[0][1].dtype
        ]
        if problems and raise_error:
            raise InputError(f"weights: {first_few(problems, 5, '; ')}")
        if problems:
            warnings.warn(f"weights: {first_few(problems, 5, '; ')}", stacklevel=2)

    def _as_module(self) -> nn.Module:
        assert isinstance(self, nn.Module)
        return self


def parameter_statistics(model: nn.Module, section: str, metrics: Sequence[str]) -> dict[str, float]:
    """Statistics of every parameter that has elements, by ``{section}/{parameter}_{metric}``.

    Raises:
        InputError: an unknown metric.
    """
    for metric in metrics:
        if metric not in METRICS:
            raise unknown_name("metric", metric, METRICS)
    parameters = [
        (name, parameter.detach()) for name, parameter in model.named_parameters() if parameter.numel()
    ]
    names = [f"{section}/{name}_{metric}" for name, _ in parameters for metric in metrics]
    values = [METRICS[metric](parameter).float() for _, parameter in parameters for metric in metrics]
    return dict(zip(names, torch.stack(values).tolist(), strict=True)) if values else {}


def non_finite_names(tensors: Iterable[tuple[str, Tensor]]) -> list[str]:
    """Names of the tensors that hold a value which is not finite."""
    given = [(name, tensor.detach()) for name, tensor in tensors]
    if not given:
        return []
    finite = torch.stack([tensor.isfinite().all().cpu() for _, tensor in given]).tolist()
    return [name for (name, _), good in zip(given, finite, strict=True) if not good]


def non_finite_parameters(model: nn.Module) -> list[str]:
    """Names of the parameters that hold NaN or infinity."""
    return non_finite_names(model.named_parameters())


class ActivityCheck:
    """An observer of the engine that finds the first activity which is not finite.

    Attributes:
        layer: the first layer, in the order of time and then of the layers; None while all is finite.
        step: the step at which it happens, 0 at stimulus onset.
    """

    def __init__(self) -> None:
        self.layer: str | None = None
        self.step = 0

    def __call__(self, layer: str, frames: Frames) -> None:
        finite = frames.values.detach().unflatten(0, (-1, frames.batch)).flatten(1).isfinite().all(dim=1)
        if not finite.all():
            step = frames.first + int(finite.int().argmin())
            if self.layer is None or step < self.step:
                self.layer, self.step = layer, step

    def where(self, dt: float) -> str:
        """The layer and the time in words; empty while all is finite."""
        return "" if self.layer is None else f"layer {self.layer} at {steps_to_ms(self.step + 1, dt):g} ms"


@torch.no_grad()
def not_finite_since(model: Any, batch: tuple[Tensor, Tensor]) -> str:
    """From where and when on a trial is not finite, in words; empty where all of it is.

    Args:
        model: a model that is trained; it is run once more, as in validation.
        batch: images (B, C, H, W) or videos (B, T, C, H, W), and their labels.
    """
    if non_finite_names([("images", batch[0])]):
        return "the images themselves hold values that are not finite"
    check = ActivityCheck()
    with unchanged(model):
        logits = model.respond(batch, shuffle=False, observer=check).logits
    parameters = non_finite_parameters(model)
    at_fault = f" (parameter {parameters[0]} is not finite)" if parameters else ""
    if check.layer is not None:
        return f"the first activity that is not finite is in {check.where(model.dt)}{at_fault}"
    finite = logits.isfinite().all(dim=-1).all(dim=0)
    if finite.all():
        return ""
    time_ms = steps_to_ms(int(finite.int().argmin()) + 1, model.dt)
    return f"all layers are finite, the outputs from {time_ms:g} ms on are not{at_fault}"


class NotFinite:
    """Counts images of an epoch whose outputs are not finite, and finds out where that begins.

    Attributes:
        n_bad: images with an output that is not finite.
        n_images: images that were shown.
        since: from where and when on, in words.
    """

    def __init__(self) -> None:
        self.n_bad, self.n_images, self.since = 0, 0, ""

    def __call__(self, model: Any, batch: tuple[Tensor, Tensor], finite: Tensor) -> None:
        """Count a batch, of which it is known whether each output is finite, (B, T)."""
        n_bad = int((~finite).any(dim=1).sum())
        self.n_images += len(finite)
        self.n_bad += n_bad
        if n_bad and not self.since:
            self.since = not_finite_since(model, batch)

    def said(self, stage: str) -> str:
        """One sentence; empty while all is finite."""
        if not self.n_bad:
            return ""
        return (
            f"{stage}: {self.n_bad} of {self.n_images} images have outputs that are not finite, which are no guess: "
            f"{self.since}"
        )

    def warn(self, stage: str) -> None:
        """Warn in that sentence; nothing while all is finite."""
        if self.n_bad:
            warnings.warn(self.said(stage), stacklevel=2)


@torch.no_grad()
def explain_non_finite_loss(model: Any, batch: tuple[Tensor, Tensor], loss: Tensor) -> str:
    """One sentence on a training loss that is not finite: when, where it began, and what to change.

    Args:
        model: a model that trains, in the training step.
        batch: images and labels of the step.
        loss: the loss.
    """
    when = f"training stops in epoch {model.current_epoch + 1}, step {model.global_step + 1}"
    begins, mend = _origin(model, batch)
    return f"{when}, since the loss is {loss.item()}: {begins}; checkpoints written before are kept; {mend}"


def _origin(model: Any, batch: tuple[Tensor, Tensor]) -> tuple[str, str]:
    """Return the first thing that is not finite, and the advice what to change."""
    slower = "lower the learning_rate"
    if non_finite_names([("images", batch[0])]):
        return "the images themselves hold values that are not finite", "check the data"
    parameters = non_finite_parameters(model)
    if parameters:
        return f"the last update left values that are not finite in {parameters[0]}", slower
    check = ActivityCheck()
    outputs = model.respond(batch, shuffle=True, observer=check)
    if check.layer is not None:
        return f"the first activity that is not finite is in {check.where(model.dt)}", slower
    where = "the loss itself" if outputs.logits.isfinite().all() else "the outputs"
    return f"all layers are finite, {where} not", slower
