"""What a model remembers between steps. States are values: a step returns a new one and changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from dynvision.base.frames import Frames, join


@dataclass(frozen=True)
class Trace:
    """The recent activity of one layer, as pieces that follow each other."""

    pieces: tuple[Frames, ...] = ()

    def append(self, piece: Frames) -> Trace:
        """The trace with one more piece at its end."""
        return Trace((*self.pieces, piece))

    def between(self, first: int, end: int) -> Frames | None:
        """Activity from ``first`` up to ``end``, as far as the layer had started; None if it had not."""
        found = [
            piece.between(max(first, piece.first), min(end, piece.end))
            for piece in self.pieces
            if piece.end > first and piece.first < end
        ]
        return join(found) if found else None

    def last(self) -> Tensor | None:
        """Activity at the newest step, (B, C, H, W); None before the layer has started."""
        if not self.pieces:
            return None
        newest = self.pieces[-1]
        return newest.values if newest.constant else newest.values[-newest.batch :]

    def bytes_per_step(self) -> int:
        """Memory of one step; 0 before the layer has started."""
        newest = self.last()
        return 0 if newest is None else newest.numel() * newest.element_size()

    def since(self, first: int, shift: int) -> Trace:
        """Without the pieces that end before ``first``, on a clock shifted by ``shift``."""
        return Trace(tuple(piece.shifted(shift) for piece in self.pieces if piece.end > first))

    def map(self, function: Any) -> Trace:
        """With a function applied to the maps of every piece."""
        return Trace(tuple(piece.apply(function) for piece in self.pieces))

    def compact(self, first: int) -> Trace:
        """Only the steps from ``first`` on, without holding on to the memory of earlier ones."""
        kept = [p.between(max(first, p.first), p.end) for p in self.pieces if p.end > first]
        return Trace(tuple(Frames(p.first, p.n, p.values.clone(), p.constant) for p in kept))


@dataclass(frozen=True)
class ModelState:
    """The state of a whole model.

    Attributes:
        age: steps since the trial began; it stops counting once every signal has arrived everywhere.
        batch: number of images, B.
        traces: recent activity by layer.
        drives: recent drives by layer, newest first, for solvers that use them.
        operations: states of stateful operations, by (layer, operation).
    """

    age: int
    batch: int
    traces: dict[str, Trace] = field(default_factory=dict)
    drives: dict[str, tuple[Tensor, ...]] = field(default_factory=dict)
    operations: dict[tuple[str, str], Any] = field(default_factory=dict)

    def map(self, function: Any) -> ModelState:
        """The state with a function applied to every tensor in it."""
        return replace(
            self,
            traces={name: trace.map(function) for name, trace in self.traces.items()},
            drives={name: tuple(function(z) for z in drives) for name, drives in self.drives.items()},
            operations={k: function(s) if isinstance(s, Tensor) else s for k, s in self.operations.items()},
        )

    def detach(self) -> ModelState:
        """The state with the gradient cut."""
        return self.map(torch.Tensor.detach)

    def compact(self, horizon: Mapping[str, int]) -> ModelState:
        """The state without the memory of steps that nothing reads any more.

        Args:
            horizon: how far back the activity of each layer is read, in steps.
        """
        traces = {name: trace.compact(self.age - horizon[name]) for name, trace in self.traces.items()}
        return replace(self, traces=traces)

    def expand(self, batch: int) -> ModelState:
        """The state of one image as that of ``batch`` images.

        Steps of the traces are separated first, since time is folded into the batch.
        """
        assert self.batch == 1
        if batch == 1:
            return self
        traces = {
            name: Trace(
                tuple(
                    Frames(piece.first + k, 1, _repeat(step, batch))
                    for piece in trace.pieces
                    for k, step in enumerate(piece.steps())
                )
            )
            for name, trace in self.traces.items()
        }
        return replace(self.map(lambda x: _repeat(x, batch)), batch=batch, traces=traces)


def _repeat(x: Tensor, batch: int) -> Tensor:
    return x.expand(batch, *x.shape[1:]) if x.shape[0] == 1 else x
