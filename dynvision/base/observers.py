"""Observers of the engine: they are called with pieces of time, layer by layer, and change nothing that is computed.

    state      r(t), where the operation ``record`` stands
    drive      z(t), what the solver integrates: recurrence, skip and feedback included
    recurrent  R(r(t - t_recurrence)), the recurrent signal before it is merged into its target
    conv       output of the layer's own (last) convolution, before anything is merged into it

A layer that has no such quantity, or in which it has not started yet, is not observed. The gradient at a piece of ``state``
is what reaches it from other layers and from later pieces: the layer's own recurrence within the piece is inside of it.

A recording keeps responses on the CPU, within a bound, at one of two resolutions:

    unit       r(b, t, c, h, w)                                    the full activity, (N, T, C, H, W), as it was computed
    layer      mean and sd over units (c, h, w) of |r(b, t, ...)|  two numbers an image, layer and step, (N, T), float32

N images, T steps of a trial: presentation and residual, the time axis of the outputs. A layer is zero until it starts.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dynvision.base.frames import Frames
from dynvision.errors import InputError, unknown_name
from dynvision.functional.leaky_steps import HAS_TRITON
from dynvision.functional.maps import is_transformed
from dynvision.losses import MonitoringLoss

Observer = Callable[[str, Frames], None]  # called with a layer's name and a piece of time
Watch = Mapping[str, Observer]  # by quantity
QUANTITIES = ("state", "drive", "recurrent", "conv")
INSIDE_SCAN = frozenset({"drive", "recurrent"})  # never there as a whole where a layer runs as one operation


def all_of(observers: Sequence[Observer]) -> Observer:
    """One observer that calls several."""

    def call_all(layer: str, frames: Frames) -> None:
        for observer in observers:
            observer(layer, frames)

    return call_all


def joined(*observers: Observer | None, watch: Watch | None = None) -> Watch:
    """All observers by quantity: those of ``watch``, and others of the state.

    Raises:
        InputError: an unknown quantity.
    """
    by_quantity: dict[str, list[Observer]] = {}
    for quantity, observer in (*(watch or {}).items(), *(("state", observer) for observer in observers)):
        if quantity not in QUANTITIES:
            raise unknown_name("quantity", quantity, QUANTITIES, key="watch")
        if observer is not None:
            by_quantity.setdefault(quantity, []).append(observer)
    return {quantity: all_of(several) for quantity, several in by_quantity.items()}


def shifted(watch: Watch, by: int) -> Watch:
    """The same, on a clock that runs ``by`` steps ahead of the engine's."""
    return {quantity: _later(observer, by) for quantity, observer in watch.items()}


def _later(observer: Observer, by: int) -> Observer:
    return lambda layer, frames: observer(layer, frames.shifted(by))


class CostObserver:
    """Observes one quantity and sums one loss's cost of it over the steps of a trial.

    Args:
        criterion: the loss.
        chain: names of the model's layers.

    Attributes:
        costs: by layer, (B,).

    Raises:
        InputError: the loss names a layer that is not there.
    """

    def __init__(self, criterion: MonitoringLoss, chain: Sequence[str]) -> None:
        for layer in criterion.layers:
            if layer not in chain:
                raise unknown_name("layer", layer, chain, key="training.loss")
        self.criterion = criterion
        self.layers = criterion.layers or tuple(chain)
        self.costs: dict[str, Tensor] = {}
        # The last step of each piece by the step after it: a piece may be computed a second time, for the gradient.
        self._ends: dict[tuple[str, int], Tensor] = {}

    def __call__(self, layer: str, frames: Frames) -> None:
        """Take a piece of time of a layer."""
        if layer not in self.layers:
            return
        values = frames.values.movedim(
            1, -1
        )  # as maps lie in memory, so that units are flattened without a copy
        a = values.unflatten(0, (-1, frames.batch)).flatten(2)
        a = a.to(torch.promote_types(a.dtype, torch.float32))
        repeats = frames.n if frames.constant else 1
        if self.criterion.of_changes:
            a, repeats = self._changes(layer, frames, a), 1
        spent = repeats * self.criterion.cost(a).sum(dim=0)
        self.costs[layer] = self.costs[layer] + spent if layer in self.costs else spent

    def _changes(self, layer: str, frames: Frames, a: Tensor) -> Tensor:
        """Differences between steps, the step before the piece included where there was one; (m, B, units)."""
        before = self._ends.get((layer, frames.first))
        self._ends[layer, frames.end] = a[-1:]
        return a.diff(dim=0) if before is None else torch.cat([before, a]).diff(dim=0)


def watch_costs(observers: Sequence[CostObserver]) -> Watch:
    """The observers by the quantity that they observe, as the engine takes them."""
    by_quantity: dict[str, list[Observer]] = {}
    for observer in observers:
        by_quantity.setdefault(observer.criterion.monitor, []).append(observer)
    return {quantity: all_of(several) for quantity, several in by_quantity.items()}


NOT_SCORED = -1  # label of a step that does not count, or whose label is not known


@dataclass(frozen=True)
class TrialShape:
    """The shape of a trial that is about to run.

    Attributes:
        n_images: B.
        n_steps: T, steps of the presentation and residual ones.
        layers: names of the layers.
        classifier: name under which the outputs are kept.
    """

    n_images: int
    n_steps: int
    layers: tuple[str, ...]
    classifier: str


class Recordable:
    """A model whose trials can be recorded. What records is added by :class:`dynvision.base.StorageBuffer`."""

    def open_recording(self, trial: TrialShape, store_responses: bool) -> TrialRecorder | None:
        """The recorder of a trial that is about to run; None if there is none.

        Raises:
            InputError: responses are asked for and the model has no storage.
        """
        if store_responses:
            raise InputError(
                f"store_responses=True, but {type(self).__name__} keeps no responses; derive it from StorageBuffer too, "
                "or from BaseModel"
            )
        return None


def units_and_steps(frames: Frames) -> Tensor:
    """The activity of each image at each step, (B, n, ...); (B, 1, ...) where it is the same at every step."""
    return frames.values.unflatten(0, (-1, frames.batch)).transpose(0, 1)


def mean_and_sd(frames: Frames) -> Tensor:
    """Mean and sd over units of |r|, (2, B, n or 1), float32.

    Passes in the order of memory, without copies: ten times as fast on a CPU as ``torch.std_mean``. A GPU passes once.
    """
    r = frames.values
    if HAS_TRITON and r.is_cuda and not r.requires_grad and not is_transformed():
        from dynvision.functional.mean_sd_triton import mean_sd

        measured = mean_sd(r)
    else:
        maps = r.movedim(1, -1) if r.dim() == 4 else r
        units = maps.abs().flatten(1).float()
        mean = units.mean(dim=1)
        sd = torch.linalg.vector_norm(units.sub_(mean[:, None]), dim=1) / math.sqrt(units.shape[1])
        measured = torch.stack([mean, sd])
    return measured.unflatten(1, (-1, frames.batch)).transpose(1, 2)


def measure_layer(layer: str, frames: Frames) -> dict[str, Tensor]:
    """Mean and sd over units of |r|: (B, n or 1) each, float32, as ``{layer}_mean`` and ``{layer}_sd``."""
    mean, sd = mean_and_sd(frames)
    return {f"{layer}_mean": mean, f"{layer}_sd": sd}


def keep_units(layer: str, frames: Frames) -> dict[str, Tensor]:
    """Every unit at every step, as ``{layer}``."""
    return {layer: units_and_steps(frames)}


# Functions with a name, since a model that records can be pickled.
RESOLUTIONS: dict[str, Callable[[str, Frames], dict[str, Tensor]]] = {
    "unit": keep_units,
    "layer": measure_layer,
}


class Recording:
    """Responses of the first images that were shown, up to a bound.

    Args:
        max_images: how many images are kept.
        max_bytes: how much memory their responses may take.
        resolution: ``unit`` or ``layer``.
        layers: names of the layers to keep; None keeps every recorded one. The outputs are always kept.

    Attributes:
        n_images, n_bytes: what is kept.
        said_full: whether it was reported that images are left out.
    """

    def __init__(
        self, max_images: int, max_bytes: int, resolution: str = "unit", layers: Sequence[str] | None = None
    ) -> None:
        if resolution not in RESOLUTIONS:
            raise unknown_name("response_resolution", resolution, RESOLUTIONS)
        self.max_images, self.max_bytes = max_images, max_bytes
        self.measure = RESOLUTIONS[resolution]
        self.layers = None if layers is None else tuple(layers)
        self.n_images, self.n_bytes, self.said_full = 0, 0, False
        self.n_steps = 0
        self.classifier = ""
        self._trials: list[tuple[int, dict[str, Tensor]]] = []
        self._labels: list[Tensor] = []

    def open(self, trial: TrialShape, labels: Tensor | None = None) -> TrialRecorder | None:
        """A recorder for a trial; None when nothing more fits.

        Args:
            trial: the trial.
            labels: label of every output step, (B, T), or (B,) where all steps have it; None where it is not known.

        Raises:
            InputError: an unknown layer, or a trial of another length than those kept.
        """
        for layer in self.layers or ():
            if layer not in (*trial.layers, trial.classifier):
                raise unknown_name("layer", layer, trial.layers, key="store_layers")
        if self._trials and trial.n_steps != self.n_steps:
            raise InputError(
                f"responses of {self.n_steps} steps are kept and this trial has {trial.n_steps}; "
                "call clear_responses() between them"
            )
        room = min(trial.n_images, self.max_images - self.n_images)
        if room <= 0:
            self.say_full()
            return None
        return TrialRecorder(self, trial, room, labels)

    def append(
        self, trial: TrialShape, n_images: int, n_bytes: int, kept: dict[str, Tensor], labels: Tensor
    ) -> None:
        """Add what a trial left behind.

        Args:
            trial: its shape: steps, layers and classifier.
            n_images: images of it that are kept, N.
            n_bytes: what they take.
            kept: responses by name, (N, T, ...).
            labels: (N, T).
        """
        self.n_steps, self.classifier = trial.n_steps, trial.classifier
        self.n_images += n_images
        self.n_bytes += n_bytes
        self._trials.append((n_images, kept))
        self._labels.append(labels)

    def say_full(self) -> None:
        """State once that images are left out from now on."""
        if not self.said_full:
            self.said_full = True
            warnings.warn(
                f"responses of {self.n_images} images are kept ({self.n_bytes / 2**20:.1f} MiB) and no more will be; "
                f"the bounds are store_responses={self.max_images} images and max_stored_bytes={self.max_bytes}",
                stacklevel=2,
            )

    @property
    def labels(self) -> Tensor:
        """(N, T), :data:`NOT_SCORED` where a step does not count."""
        return torch.cat(self._labels)

    def responses(self) -> dict[str, Tensor]:
        """Return the responses by name, (N, T, ...); a layer that had not started in a trial is zero there."""
        shapes = {name: values for _, kept in self._trials for name, values in kept.items()}
        return {
            name: torch.cat(
                [
                    kept[name] if name in kept else like.new_zeros((n, *like.shape[1:]))
                    for n, kept in self._trials
                ]
            )
            for name, like in shapes.items()
        }


class TrialRecorder:
    """The engine's observer of one trial."""

    def __init__(self, recording: Recording, trial: TrialShape, room: int, labels: Tensor | None) -> None:
        self.recording, self.trial, self.n_images = recording, trial, room
        self._labels = labels
        self._kept: dict[str, Tensor] = {}
        self._n_bytes = 0

    def __call__(self, layer: str, frames: Frames) -> None:
        """Keep the activity of a layer over a piece of time."""
        if self.n_images and (self.recording.layers is None or layer in self.recording.layers):
            for name, values in self.recording.measure(layer, frames.apply(Tensor.detach)).items():
                self._write(name, values, frames.first, frames.end)

    def finish(self, outputs: Tensor) -> None:
        """Keep the outputs (B, T, K) and hand everything to the recording."""
        if self.n_images:
            self._write(self.trial.classifier, outputs.detach(), 0, self.trial.n_steps)
        n = self.n_images
        if n:
            kept = {name: values[:n] for name, values in self._kept.items()}
            self.recording.append(self.trial, n, self._n_bytes, kept, self._timed_labels(n))
        if n < self.trial.n_images:
            self.recording.say_full()
        self.n_images = 0  # the engine may compute parts again for the gradient; they are kept already

    def _write(self, name: str, values: Tensor, first: int, end: int) -> None:
        if name not in self._kept:
            shape = (self.trial.n_steps, *values.shape[2:])
            per_image = math.prod(shape) * values.element_size()
            free = self.recording.max_bytes - self.recording.n_bytes - self._n_bytes
            self.n_images = min(self.n_images, free // per_image)
            if not self.n_images:
                return
            self._kept[name] = torch.zeros((self.n_images, *shape), dtype=values.dtype)
            self._n_bytes += self.n_images * per_image
        self._kept[name][:, first:end] = values[: len(self._kept[name])]

    def _timed_labels(self, n: int) -> Tensor:
        wanted = (self.trial.n_images, self.trial.n_steps)
        labels = self._labels
        if labels is not None and labels.dim() == 1:
            labels = labels.unsqueeze(1).expand(-1, self.trial.n_steps)
        if labels is None or tuple(labels.shape) != wanted:
            return torch.full((n, self.trial.n_steps), NOT_SCORED)
        return labels[:n].cpu()
