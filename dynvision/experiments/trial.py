"""Run images through trials, from the idle state of a network, and measure what its layers do.

Several trials can be shown at once: their images lie side by side in the batch, trial by trial (V trials of B images are
V B images), and time is cut wherever one of the trials turns to something else. Measures, units
and outputs stay on the device until the trials have ended, and are then copied at once.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dynvision.base import Frames, TemporalBase
from dynvision.base.observers import measure_layer, units_and_steps
from dynvision.experiments.screen import Screen
from dynvision.model_components.timing import StatefulOperation
from dynvision.trials import Trial


@dataclass(frozen=True)
class Responses:
    """The activity of one trial.

    Attributes:
        mean, sd: over units of |r|, by layer, (B, n_steps) float32; zero before a layer has started.
        units: of the first images, by layer that has started, (n_kept, n_steps, C, H, W) in the model's precision; empty
            if no units are kept.
    """

    mean: dict[str, np.ndarray]
    sd: dict[str, np.ndarray]
    units: dict[str, np.ndarray]

    def first_not_finite(self) -> tuple[str, int] | None:
        """Return the layer and step at which activity is first NaN or infinite; None if it never is."""
        found = []
        for place, (layer, mean) in enumerate(self.mean.items()):
            bad = np.flatnonzero(~np.isfinite(mean).all(axis=0))
            if len(bad):
                found.append((int(bad[0]), place, layer))
        return (min(found)[2], min(found)[0]) if found else None


class ResponseRecorder:
    """The engine's observer of trials that are shown at once.

    Args:
        layers: names of the layers.
        n_trials: V.
        n_images: B.
        n_steps: steps of a trial.
        n_kept: images of each trial whose units are kept.
        device: where the measures stay until the end; units stay where they are computed.

    Attributes:
        offset: steps of the trial before the block that is running.
    """

    def __init__(
        self,
        layers: Sequence[str],
        n_trials: int,
        n_images: int,
        n_steps: int,
        n_kept: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        self.layers = list(layers)
        self.offset = 0
        self._shape = (n_trials, n_images, n_kept, n_steps)
        self._measured = torch.zeros((2, len(layers), n_trials * n_images, n_steps), device=device)
        self._units: dict[str, Tensor] = {}

    def __call__(self, layer: str, frames: Frames) -> None:
        """Record the activity of a block of time."""
        n_trials, _, n_kept, n_steps = self._shape
        first = self.offset + frames.first
        at = slice(first, first + frames.n)
        place = self.layers.index(layer)
        for kept, values in zip(self._measured, measure_layer(layer, frames).values(), strict=True):
            kept[place, :, at] = values
        if n_kept:
            activity = units_and_steps(frames).unflatten(0, (n_trials, -1))[:, :n_kept]
            if layer not in self._units:
                dtype = torch.float64 if activity.dtype == torch.float64 else torch.float32
                shape = (*activity.shape[:2], n_steps, *activity.shape[3:])
                self._units[layer] = torch.zeros(shape, dtype=dtype, device=activity.device)
            self._units[layer][:, :, at] = activity

    def responses(self) -> list[Responses]:
        """Return what was recorded, trial by trial."""
        n_trials, n_images, *_ = self._shape
        mean, sd = self._measured.cpu().unflatten(2, (n_trials, n_images)).numpy()
        kept = {layer: units.cpu().numpy() for layer, units in self._units.items()}
        return [
            Responses(
                {layer: mean[place, v] for place, layer in enumerate(self.layers)},
                {layer: sd[place, v] for place, layer in enumerate(self.layers)},
                {layer: units[v] for layer, units in kept.items()},
            )
            for v in range(n_trials)
        ]


@torch.inference_mode()
def run_trials(
    model: TemporalBase, images: Tensor | Screen, trials: Sequence[Trial], n_kept: int = 0, at_once: int = 1
) -> Iterator[tuple[Trial, Responses, Tensor]]:
    """Show a batch in trials, each from the idle state.

    Args:
        model: in eval mode.
        images: on a screen, or normalised images (B, C, H, W) known by their place in the batch.
        trials: the trials.
        n_kept: images, the first of the batch, of which every unit is kept.
        at_once: how many trials of equal length are shown at once, at most; results are equal but for rounding. A network
            with noise of its own shows one, so that its noise is the same in all of them.

    Yields:
        The trial, what the layers did, and the outputs (B, n_steps, K) in the memory of the host.
    """
    screen = images if isinstance(images, Screen) else Screen.of(images, next(model.parameters()).device)
    n_images = len(screen.images)
    plan = model.plan()
    null = model.null_input(n_images)
    if draws_at_the_start(model):
        at_once = 1
    begin, n_begun = None, 0
    for group in groups(trials, at_once):
        if begin is None or n_begun != len(group):
            begin, n_begun = model.initial_state(len(group) * n_images, plan), len(group)
        n_steps = group[0].n_steps
        recorder = ResponseRecorder(model.chain, len(group), n_images, n_steps, n_kept, null.device)
        state, outputs = begin, []
        for frames in side_by_side([screen.frames(trial, null) for trial in group]):
            logits, state = model.advance(frames, state, plan, recorder)
            recorder.offset += frames.n
            outputs.append(logits)
        by_trial = torch.cat(outputs, dim=1).cpu().split(n_images)
        yield from zip(group, recorder.responses(), by_trial, strict=True)


def draws_at_the_start(model: TemporalBase) -> bool:
    """Return whether an operation of a model begins each trial with something of its own, e.g. a seed of its noise."""
    return any(
        isinstance(module, StatefulOperation) and type(module).start is not StatefulOperation.start
        for module in model.modules()
    )


def groups(trials: Sequence[Trial], at_once: int) -> Iterator[list[Trial]]:
    """Yield trials of equal length that follow each other, at most so many together."""
    for _, alike in itertools.groupby(trials, key=lambda trial: trial.n_steps):
        group = list(alike)
        yield from (group[first : first + at_once] for first in range(0, len(group), at_once))


def side_by_side(shown: Sequence[Iterator[Frames]]) -> Iterator[Frames]:
    """Yield what several trials of equal length show, their images one trial after the other in the batch.

    Args:
        shown: the frames of each trial, in turn, each on a clock of its own that begins with 0.
    """
    if len(shown) == 1:
        yield from shown[0]
        return
    current = [next(frames, None) for frames in shown]
    while current[0] is not None:
        here = [frames for frames in current if frames is not None]
        assert len(here) == len(current), "the trials are of equal length"
        n = min(frames.n for frames in here)
        heads = [frames.head(n) for frames in here]
        if all(head.constant for head in heads):
            yield Frames(0, n, torch.cat([head.values for head in heads]), constant=True)
        else:
            by_step = [_by_step(head) for head in heads]
            yield Frames(0, n, torch.cat(by_step, dim=1).flatten(0, 1))
        current = [
            next(more, None) if frames.n == n else frames.between(frames.first + n, frames.end).shifted(-n)
            for frames, more in zip(here, shown, strict=True)
        ]


def _by_step(frames: Frames) -> Tensor:
    """Return the steps of a signal as an axis, (n, B, C, H, W)."""
    if frames.constant:
        return frames.values.expand(frames.n, *frames.values.shape)
    return frames.values.unflatten(0, (frames.n, -1))


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
