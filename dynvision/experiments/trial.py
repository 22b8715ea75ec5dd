"""Run images through trials, from the idle state of a network, and record what its layers do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from dynvision.base import Frames, TemporalBase
from dynvision.base.observers import measure_layer, units_and_steps
from dynvision.experiments.screen import Screen
from dynvision.trials import Trial


class ResponseRecorder:
    """The activity of one trial: mean and sd over units of |r| for each layer and step, and the units of the first images.

    Args:
        layers: names of the layers.
        batch: number of images, B.
        n_steps: steps of the trial.
        n_kept: images whose units are kept.

    Attributes:
        mean, sd: by layer, (B, n_steps) float32; zero before a layer has started.
        units: by layer that has started, (n_kept, n_steps, C, H, W) in the model's precision; empty if no units are kept.
        offset: steps of the trial before the block that is running.
    """

    def __init__(self, layers: Sequence[str], batch: int, n_steps: int, n_kept: int = 0) -> None:
        self.mean = {layer: np.zeros((batch, n_steps), np.float32) for layer in layers}
        self.sd = {layer: np.zeros((batch, n_steps), np.float32) for layer in layers}
        self.units: dict[str, np.ndarray] = {}
        self.offset = 0
        self._n_kept, self._n_steps = n_kept, n_steps

    def __call__(self, layer: str, frames: Frames) -> None:
        """Record the activity of a block of time, as the engine's observer."""
        measured = measure_layer(layer, frames)
        first = self.offset + frames.first
        at = slice(first, first + frames.n)
        self.mean[layer][:, at] = measured[f"{layer}_mean"].detach().cpu().numpy()
        self.sd[layer][:, at] = measured[f"{layer}_sd"].detach().cpu().numpy()
        if self._n_kept:
            activity = units_and_steps(frames)[: self._n_kept].detach()
            activity = activity if activity.dtype == torch.float64 else activity.float()
            kept = activity.cpu().numpy()
            if layer not in self.units:
                self.units[layer] = np.zeros((self._n_kept, self._n_steps, *kept.shape[2:]), kept.dtype)
            self.units[layer][:, at] = kept

    def first_not_finite(self) -> tuple[str, int] | None:
        """Return the layer and step at which activity is first NaN or infinite; None if it never is."""
        found = []
        for place, (layer, mean) in enumerate(self.mean.items()):
            bad = np.flatnonzero(~np.isfinite(mean).all(axis=0))
            if len(bad):
                found.append((int(bad[0]), place, layer))
        return (min(found)[2], min(found)[0]) if found else None


@torch.inference_mode()
def run_trials(
    model: TemporalBase, images: Tensor | Screen, trials: Sequence[Trial], n_kept: int = 0
) -> Iterator[tuple[Trial, ResponseRecorder, Tensor]]:
    """Show a batch in trials, each from the idle state.

    Args:
        model: in eval mode.
        images: on a screen, or normalised images (B, C, H, W) known by their place in the batch.
        trials: the trials.
        n_kept: images, the first of the batch, of which the recorder keeps every unit.

    Yields:
        The trial, what its layers did, and the outputs (B, n_steps, K).
    """
    screen = images if isinstance(images, Screen) else Screen.of(images, next(model.parameters()).device)
    n_images = len(screen.images)
    plan = model.plan()
    begin = model.initial_state(n_images, plan)
    null = model.null_input(n_images)
    for trial in trials:
        recorder = ResponseRecorder(model.chain, n_images, trial.n_steps, n_kept)
        state, outputs = begin, []
        for frames in screen.frames(trial, null):
            logits, state = model.advance(frames, state, plan, recorder)
            recorder.offset += frames.n
            outputs.append(logits)
        yield trial, recorder, torch.cat(outputs, dim=1)


@torch.inference_mode()
def layer_shapes(model: TemporalBase, n_steps: int) -> dict[str, tuple[int, ...]]:
    """Return the shape (C, H, W) of every layer that starts within a number of steps."""
    shapes: dict[str, tuple[int, ...]] = {}

    def observe(layer: str, frames: Frames) -> None:
        shapes[layer] = tuple(frames.values.shape[1:])

    plan = model.plan()
    model.advance(
        Frames(0, n_steps, model.null_input(1), constant=True), model.initial_state(1, plan), plan, observe
    )
    return shapes
