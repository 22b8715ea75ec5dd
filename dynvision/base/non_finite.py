"""Where NaN and infinity are: in which parameter, in which gradient, in which layer and when."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from dynvision.base.frames import Frames
from dynvision.units import steps_to_ms


def non_finite_names(tensors: Iterable[tuple[str, Tensor | None]]) -> list[str]:
    """Names of the tensors that hold a value which is not finite; None is passed over."""
    given = [(name, tensor.detach()) for name, tensor in tensors if tensor is not None]
    if not given:
        return []
    finite = torch.stack([tensor.isfinite().all().cpu() for _, tensor in given]).tolist()
    return [name for (name, _), good in zip(given, finite, strict=True) if not good]


def non_finite_parameters(model: nn.Module) -> list[str]:
    """Names of the parameters that hold NaN or infinity."""
    return non_finite_names(model.named_parameters())


def non_finite_gradients(model: nn.Module) -> list[str]:
    """Names of the parameters whose gradient holds NaN or infinity."""
    return non_finite_names((name, parameter.grad) for name, parameter in model.named_parameters())


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
    """What is the first to be not finite, and what to change."""
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
