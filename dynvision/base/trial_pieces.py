"""Trials whose input comes in pieces, each trial from the same idle state: by a CUDA graph where there is a GPU.

    trial = [idle state, computed once for all trials] [piece of n_1 steps] [piece of n_2 steps] ...

A recorder observes the layers and keeps what is wanted of their activity. It works inside the graph, so that a replay hands
out what it kept, and no activity as a whole. A graph keeps a copy of its input: a trial is captured where all its pieces
fit into a bound together, and a longer one runs piece by piece, so that no trial is ever in memory as a whole.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from dynvision.base.cuda_graphs import MOST_GRAPHS, CudaGraphs, is_plain
from dynvision.base.frames import Frames, ModelState
from dynvision.base.observers import Watch, shifted
from dynvision.base.padded_channels import can_pad, pads_here
from dynvision.functional.maps import is_transformed

if TYPE_CHECKING:
    from dynvision.base.temporal_base import TemporalBase

MOST_BYTES = 2**28  # of the pieces of a trial that is captured


class Recorder(Protocol):
    """Keeps tensors of one trial. Its steps count from the first of the trial."""

    def __call__(self, layer: str, frames: Frames) -> None:
        """Take a piece of time of a layer's activity."""

    def tensors(self) -> dict[str, Tensor]:
        """Return what was kept, by name."""


class PiecewiseTrials:
    """Trials of one model, without gradients.

    Args:
        model: in eval mode; its weights and settings stay as they are.
    """

    def __init__(self, model: TemporalBase) -> None:
        self.model = model
        plan = model.plan()
        pads = pads_here(model.null_input(1)) and can_pad(plan)
        self.plan = replace(plan, padded=True) if pads else plan
        self._kinds: set[Hashable] = set()

    @cached_property
    def idle(self) -> ModelState:
        """The state in which every trial begins, of one image; what operations draw at its start is drawn once."""
        return self.model.initial_state(1, self.plan)

    def run(
        self,
        pieces: Iterable[Frames],
        open_recorder: Callable[[], Recorder] | None = None,
        key: Hashable = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Run one trial.

        Args:
            pieces: the input, in turn, each from step 0 of its own clock on; of B images each.
            open_recorder: makes a recorder of the layers' state; None records nothing.
            key: equal for recorders that keep the same; None runs without a graph where there is a recorder.

        Returns:
            Outputs (B, n_steps, n_classes) and what the recorder kept.
        """
        if self._captures and (open_recorder is None or key is not None):
            pieces = iter(pieces)
            given, is_whole = take(pieces, MOST_BYTES)
            if is_whole:
                return self._replay(given, open_recorder, key)
            pieces = itertools.chain(given, pieces)
        return self._through(pieces, self.idle, open_recorder)

    @property
    def _captures(self) -> bool:
        """Whether trials of this model may be captured, as in ``forward``."""
        model = self.model
        on_gpu = next(model.parameters()).is_cuda and model.cuda_graphs and not is_transformed()
        if not on_gpu or torch.is_grad_enabled() or self.plan.hooked or model._version_now().computes_weights:
            return False
        return all(map(is_plain, self.idle.operations.values()))

    def _through(
        self, pieces: Iterable[Frames], idle: ModelState, open_recorder: Callable[[], Recorder] | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """One piece after the other."""
        recorder = open_recorder and open_recorder()
        watch: Watch = {"state": recorder} if recorder else {}
        outputs: list[Tensor] = []
        state, n_done = None, 0
        for frames in pieces:
            state = idle.expand(frames.batch) if state is None else state
            logits, state = self.model.advance(frames, state, self.plan, watch=shifted(watch, n_done))
            outputs.append(logits)
            n_done += frames.n
        return torch.cat(outputs, dim=1), recorder.tensors() if recorder else {}

    def _replay(
        self, pieces: Sequence[Frames], open_recorder: Callable[[], Recorder] | None, key: Hashable
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """All pieces at once, by a graph once their kind has come a few times."""
        inputs = [*{id(piece.values): piece.values for piece in pieces}.values()]
        places = {id(values): place for place, values in enumerate(inputs)}
        layout = tuple((piece.n, piece.constant, places[id(piece.values)]) for piece in pieces)
        kind = (layout, tuple(values.shape for values in inputs), key)
        # More kinds than graphs would be captured over and over again.
        if kind not in self._kinds and len(self._kinds) >= MOST_GRAPHS:
            return self._through(pieces, self.idle, open_recorder)
        self._kinds.add(kind)

        def trial(tensors: Sequence[Tensor], watch: Watch) -> Tensor:
            shown = [Frames(0, n, tensors[place], constant) for n, constant, place in layout]
            idle = self.idle.with_tensors(tensors[len(inputs) :])
            logits, kept = self._through(shown, idle, open_recorder)
            for name, values in kept.items():
                watch["kept"](name, Frames(0, 1, values))
            return logits

        kept: dict[str, Tensor] = {}
        watch = {"kept": lambda name, frames: kept.update({name: frames.values})}
        given = [*inputs, *self.idle.tensors()]
        whole = ("pieces", layout, key, self.plan.key, self.idle.layout)
        return self.model._graphs.run(self.model._version_now(), whole, trial, given, watch), kept


def release_graphs(model: TemporalBase) -> bool:
    """Free the memory of all that was captured of a model, and capture nothing more; return whether there was anything."""
    held = len(model._graphs) > 0
    model.cuda_graphs, model._graphs = False, CudaGraphs()
    return held


def take(pieces: Iterator[Frames], most_bytes: int) -> tuple[list[Frames], bool]:
    """Return the first pieces, until they take more than so many bytes together, and whether these are all of them."""
    taken: list[Frames] = []
    n_bytes = 0
    for frames in pieces:
        taken.append(frames)
        n_bytes += frames.values.nbytes
        if n_bytes > most_bytes:
            return taken, False
    return taken, True
