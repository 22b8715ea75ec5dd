"""Run images through trials, from the idle state of a network, and measure what its layers do.

Several trials can be shown at once: their images lie side by side in the batch, trial by trial (V trials of B images are
V B images), and time is cut wherever one of the trials turns to something else. Measures, units and outputs stay on the
device until the trials have ended, and are then copied at once. A GPU is not waited for until the results are asked for.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from dynvision.base import Frames, TemporalBase
from dynvision.base.observers import mean_and_sd, units_and_steps
from dynvision.base.trial_pieces import PiecewiseTrials
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


@dataclass(frozen=True)
class Extent:
    """Of what responses are recorded.

    Attributes:
        layers: names of the layers.
        n_trials: V, trials that are shown at once.
        n_images: B.
        n_steps: steps of a trial.
        n_kept: images of each trial whose units are kept.
    """

    layers: tuple[str, ...]
    n_trials: int
    n_images: int
    n_steps: int
    n_kept: int = 0

    def responses(self, kept: dict[str, Tensor]) -> list[Responses]:
        """Return what a recorder kept, in the memory of the host, trial by trial."""
        mean, sd = kept[MEASURED].unflatten(2, (self.n_trials, self.n_images)).numpy()
        units = {layer: kept[layer].numpy() for layer in self.layers if layer in kept}
        return [
            Responses(
                {layer: mean[place, v] for place, layer in enumerate(self.layers)},
                {layer: sd[place, v] for place, layer in enumerate(self.layers)},
                {layer: values[v] for layer, values in units.items()},
            )
            for v in range(self.n_trials)
        ]


MEASURED = ""  # name of the measures beside the layers' units


class ResponseRecorder:
    """The engine's observer of trials that are shown at once.

    Args:
        extent: what is recorded.
        device: where the measures stay until the end; units stay where they are computed.
    """

    def __init__(self, extent: Extent, device: torch.device | str = "cpu") -> None:
        self.extent = extent
        shape = (2, len(extent.layers), extent.n_trials * extent.n_images, extent.n_steps)
        self._measured = torch.zeros(shape, device=device)
        self._units: dict[str, Tensor] = {}

    def __call__(self, layer: str, frames: Frames) -> None:
        """Record the activity of a block of time."""
        at = slice(frames.first, frames.end)
        place = self.extent.layers.index(layer)
        self._measured[:, place, :, at] = mean_and_sd(frames)
        if self.extent.n_kept:
            by_trial = units_and_steps(frames).unflatten(0, (self.extent.n_trials, -1))
            activity = by_trial[:, : self.extent.n_kept]
            if layer not in self._units:
                dtype = torch.float64 if activity.dtype == torch.float64 else torch.float32
                shape = (*activity.shape[:2], self.extent.n_steps, *activity.shape[3:])
                self._units[layer] = torch.zeros(shape, dtype=dtype, device=activity.device)
            self._units[layer][:, :, at] = activity

    def tensors(self) -> dict[str, Tensor]:
        """Return the measures (2, n_layers, V B, n_steps) and the units by layer, (V, n_kept, n_steps, C, H, W)."""
        return {MEASURED: self._measured, **self._units}


@dataclass(frozen=True)
class ShownTrials:
    """Trials that were shown at once; a GPU may still be computing them.

    Attributes:
        trials: what was shown.
        extent: of the responses.
        logits: outputs, (V B, n_steps, K).
        kept: what the recorder kept.
        copied: both are in the memory of the host from then on; None if they are already.
    """

    trials: Sequence[Trial]
    extent: Extent
    logits: Tensor
    kept: dict[str, Tensor]
    copied: torch.cuda.Event | None

    def results(self) -> Iterator[tuple[Trial, Responses, Tensor]]:
        """Wait for the device, and yield each trial, what the layers did, and the outputs (B, n_steps, K)."""
        if self.copied is not None:
            self.copied.synchronize()
        yield from zip(
            self.trials,
            self.extent.responses(self.kept),
            self.logits.split(self.extent.n_images),
            strict=True,
        )


def run_trials(
    model: TemporalBase, images: Tensor | Screen, trials: Sequence[Trial], n_kept: int = 0, at_once: int = 1
) -> Iterator[tuple[Trial, Responses, Tensor]]:
    """Show a batch in trials, each from the idle state, and yield the results in turn.

    Args:
        model: in eval mode.
        images: on a screen, or normalised images (B, C, H, W) known by their place in the batch.
        trials: the trials.
        n_kept: images, the first of the batch, of which every unit is kept.
        at_once: as of :func:`show_trials`.

    Yields:
        The trial, what the layers did, and the outputs (B, n_steps, K) in the memory of the host.
    """
    screen = images if isinstance(images, Screen) else Screen.of(images, next(model.parameters()).device)
    for shown in show_trials(from_idle_state(model), screen, trials, n_kept, at_once):
        yield from shown.results()


@torch.inference_mode()
def from_idle_state(model: TemporalBase) -> PiecewiseTrials:
    """Return the trials of a model, in eval mode, with its idle state."""
    made = PiecewiseTrials(model)
    made.idle  # noqa: B018  computed here, so that it is that of the first call
    return made


@torch.inference_mode()
def show_trials(
    runs: PiecewiseTrials, screen: Screen, trials: Sequence[Trial], n_kept: int = 0, at_once: int = 1
) -> Iterator[ShownTrials]:
    """Show a batch in trials, each from the idle state, without waiting for a GPU.

    Args:
        runs: trials of the model.
        screen: the images.
        trials: the trials.
        n_kept: images, the first of the batch, of which every unit is kept.
        at_once: how many trials of equal length are shown at once, at most; results are equal but for rounding. A network
            with noise of its own shows one, so that its noise is the same in all of them.

    Yields:
        What was shown at once.
    """
    model = runs.model
    n_images = len(screen.images)
    null = model.null_input(n_images)
    if draws_at_the_start(model):
        at_once = 1
    for group in groups(trials, at_once):
        extent = Extent(tuple(model.chain), len(group), n_images, group[0].n_steps, n_kept)
        logits, kept = runs.run(
            side_by_side([screen.frames(trial, null) for trial in group]),
            partial(ResponseRecorder, extent, null.device),
            None if n_kept else extent,  # units as a graph's own memory would be held as long as the graph
        )
        yield ShownTrials(group, extent, *to_host(logits, kept))


def to_host(
    logits: Tensor, kept: dict[str, Tensor]
) -> tuple[Tensor, dict[str, Tensor], torch.cuda.Event | None]:
    """Copy results to the memory of the host; units at once, as they are large, and others while a GPU computes.

    Args:
        logits: outputs.
        kept: what a recorder kept.

    Returns:
        The copies, and the event from which on they are there; None if they are there already.
    """
    if not logits.is_cuda:
        return logits.cpu(), {name: values.cpu() for name, values in kept.items()}, None
    units = {name: values.cpu() for name, values in kept.items() if name != MEASURED}
    outputs, measured = (x.to("cpu", non_blocking=True) for x in (logits, kept[MEASURED]))  # pinned memory
    copied = torch.cuda.Event(blocking=True)  # a thread that waits for it leaves the processor to others
    copied.record(torch.cuda.current_stream(logits.device))
    return outputs, {MEASURED: measured, **units}, copied


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
