"""Signals in time: stretches of frames, the recent activity of layers, the state of a model, and what a trial shows.

Axes: n steps, B batch, T frames, C channels, H height, W width. The values of a stretch are (n B, C, H, W), time folded
into the batch, time-major; or (B, C, H, W) where the signal is the same at every step: what needs no memory is then
computed once for the whole stretch. States are values: a step returns a new one and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from dynvision.base.inputs import Origin

Merge = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Frames:
    """A signal at the steps ``first`` to ``first + n - 1`` of the engine's clock.

    Attributes:
        outlets: maps made of it already, at the same steps, by what made them (:func:`~dynvision.base.scans.outlets_of`).
    """

    first: int
    n: int
    values: Tensor
    constant: bool = False
    outlets: Mapping[Hashable, Tensor] = field(default_factory=dict)

    @property
    def end(self) -> int:
        """The step after the last one."""
        return self.first + self.n

    @property
    def batch(self) -> int:
        """B."""
        return self.values.shape[0] if self.constant else self.values.shape[0] // self.n

    def apply(self, function: Callable[[Tensor], Tensor]) -> Frames:
        """The signal after a stateless function of maps."""
        return Frames(self.first, self.n, function(self.values), self.constant)

    def folded(self) -> Tensor:
        """All steps, (n B, C, H, W)."""
        if not self.constant or self.n == 1:
            return self.values
        return self.values.repeat(self.n, *[1] * (self.values.dim() - 1))

    def steps(self) -> Sequence[Tensor]:
        """One (B, C, H, W) for each step."""
        if self.constant:
            return [self.values] * self.n
        if torch.compiler.is_exporting():  # the number of steps must not follow from a batch of unknown size
            return self.values.unflatten(0, (self.n, -1)).unbind(0)
        return self.values.split(self.batch)

    def shifted(self, by: int) -> Frames:
        """The same signal on a clock that runs ``by`` steps ahead."""
        return replace(self, first=self.first + by) if by else self

    def between(self, first: int, end: int) -> Frames:
        """The steps from ``first`` up to ``end``, which must lie inside."""
        assert self.first <= first < end <= self.end
        if first == self.first and end == self.end:
            return self
        if self.constant:
            return Frames(first, end - first, self.values, True)
        batch = self.batch
        at = slice((first - self.first) * batch, (end - self.first) * batch)
        outlets = {key: made[at] for key, made in self.outlets.items()}
        return Frames(first, end - first, self.values[at], outlets=outlets)

    def outlet(self, key: Hashable) -> Frames | None:
        """What was made of the signal already; None where it was not."""
        return Frames(self.first, self.n, self.outlets[key]) if key in self.outlets else None

    def head(self, length: int) -> Frames:
        """The first ``length`` steps, or all if there are fewer."""
        return self.between(self.first, min(self.first + length, self.end))

    def cut(self, length: int) -> list[Frames]:
        """The signal in pieces of at most ``length`` steps."""
        if self.n <= length:
            return [self]
        firsts = range(self.first, self.end, length)
        if self.constant or torch.compiler.is_exporting():
            return [self.between(first, min(first + length, self.end)) for first in firsts]
        pieces = self.values.split(length * self.batch)
        return [Frames(f, p.shape[0] // self.batch, p) for f, p in zip(firsts, pieces, strict=True)]


class Once:
    """Functions of signals that are the same at every step: computed for the first block, and kept for the others."""

    def __init__(self) -> None:
        self._known: dict[Hashable, tuple[Tensor, Tensor]] = {}

    def apply(self, key: Hashable, function: Callable[[Tensor], Tensor], x: Frames) -> Frames:
        """``function`` of a constant signal; ``key`` states whose function it is."""
        values, result = self._known.get(key, (None, None))
        if values is not x.values or result is None:
            result = function(x.values)
            self._known[key] = (x.values, result)
        return Frames(x.first, x.n, result, constant=True)


def join(pieces: Sequence[Frames]) -> Frames:
    """Pieces that follow each other as one."""
    if len(pieces) == 1:
        return pieces[0]
    values = torch.cat([piece.folded() for piece in pieces])
    common = set.intersection(*(set(piece.outlets) for piece in pieces))
    outlets = {key: torch.cat([piece.outlets[key] for piece in pieces]) for key in common}
    return Frames(pieces[0].first, sum(piece.n for piece in pieces), values, outlets=outlets)


def in_pieces(
    signal: Frames | None, begin: int, end: int, length: int
) -> list[tuple[Frames | None, int, int]]:
    """The steps from ``begin`` to ``end`` in pieces of at most ``length``, each with the part of the signal that is there.

    Args:
        signal: ends at ``end``; None while there is none.
        begin, end, length: in steps.

    Returns:
        For each piece its signal or None, its first step, and the step after its last.
    """
    if signal is not None and signal.first == begin:
        return [(piece, piece.first, piece.end) for piece in signal.cut(length)]
    bounds = [(first, min(first + length, end)) for first in range(begin, end, length)]
    return [(_clip(signal, first, last), first, last) for first, last in bounds]


def _clip(signal: Frames | None, first: int, end: int) -> Frames | None:
    if signal is None or signal.first >= end:
        return None
    return signal.between(max(first, signal.first), end)


def merge_frames(x: Frames | None, h: Frames | None, merge: Merge) -> Frames | None:
    """Merge ``h`` into ``x`` where both are there; where one is absent the other passes as it is.

    Args:
        x, h: two signals that end at the same step, or None.
        merge: of two maps, ``x`` first.

    Returns:
        The signal from the step on at which the first of the two is there; None if neither is.
    """
    if x is None or h is None:
        return h if x is None else x
    assert x.end == h.end
    both = max(x.first, h.first)
    earlier = x if x.first < both else h
    tail = _merge_aligned(x.between(both, x.end), h.between(both, h.end), merge)
    return tail if earlier.first == both else join([earlier.between(earlier.first, both), tail])


def _merge_aligned(x: Frames, h: Frames, merge: Merge) -> Frames:
    if x.constant == h.constant:
        return Frames(x.first, x.n, merge(x.values, h.values), x.constant)
    if x.constant:  # one map against n of them: broadcast over time instead of copying
        values = merge(x.values, h.values.unflatten(0, (h.n, h.batch)))
    else:
        values = merge(x.values.unflatten(0, (x.n, x.batch)), h.values)
    return Frames(x.first, x.n, values.flatten(0, 1))


def each_step(module: nn.Module, x: Frames | None, h: Frames | None, first: int, end: int) -> Frames | None:
    """``module(x, h)`` at every step from ``first`` to ``end`` at which one of the two is there."""
    results: list[Tensor] = []
    for t in range(first, end):
        given = [None if s is None or t < s.first else s.between(t, t + 1).values for s in (x, h)]
        if any(signal is not None for signal in given):
            results.append(module(*given))
    return Frames(end - len(results), len(results), stack(results)) if results else None


def stack(steps: Sequence[Tensor]) -> Tensor:
    """Steps as one tensor, time folded into the batch."""
    return steps[0] if len(steps) == 1 else torch.cat(list(steps))


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

    @property
    def kind(self) -> tuple[torch.dtype, torch.device]:
        """Type and device of a trace that has begun."""
        newest = self.pieces[-1].values
        return newest.dtype, newest.device

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
        operations: states of stateful operations, by (layer, operation): maps (B, ...), or of no axis where it is one for
            all images, as a seed is.
        origin: of the plan that it began with; a plan of another origin cannot resume from it.
    """

    age: int
    batch: int
    traces: dict[str, Trace] = field(default_factory=dict)
    drives: dict[str, tuple[Tensor, ...]] = field(default_factory=dict)
    operations: dict[tuple[str, str], Any] = field(default_factory=dict)
    origin: Origin | None = None

    def map(self, function: Any) -> ModelState:
        """The state with a function applied to every tensor in it."""
        return replace(
            self,
            traces={name: trace.map(function) for name, trace in self.traces.items()},
            drives={name: tuple(function(z) for z in drives) for name, drives in self.drives.items()},
            operations={k: function(s) if isinstance(s, Tensor) else s for k, s in self.operations.items()},
        )

    def tensors(self) -> list[Tensor]:
        """Every tensor in it, in the order in which :meth:`map` meets them."""
        found: list[Tensor] = []
        self.map(lambda x: found.append(x) or x)  # type: ignore[func-returns-value]
        return found

    def with_tensors(self, tensors: Sequence[Tensor]) -> ModelState:
        """The state with other tensors in the places of its own, in the order of :meth:`tensors`."""
        rest = iter(tensors)
        return self.map(lambda x: next(rest))

    @property
    def layout(self) -> tuple[object, ...]:
        """Everything but the values of its tensors; equal for states of equal structure."""
        pieces = [(name, *((p.first, p.n, p.constant) for p in t.pieces)) for name, t in self.traces.items()]
        others = [(key, isinstance(value, Tensor) or repr(value)) for key, value in self.operations.items()]
        drives = tuple((name, len(values)) for name, values in self.drives.items())
        return self.age, self.batch, tuple(pieces), drives, tuple(others)

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
    return x.expand(batch, *x.shape[1:]) if x.dim() and x.shape[0] == 1 else x


def stretches(
    x: Tensor, null: Tensor, shown: Sequence[bool], cuts: Collection[int]
) -> Iterator[tuple[int, Frames]]:
    """Yield the input in stretches of time.

    Args:
        x: videos (B, T, C, H, W), or images (B, 1, C, H, W) that stand still.
        null: the null input, (B, C, H, W).
        shown: whether the input is on at each step; elsewhere the null input is.
        cuts: steps before which a stretch ends, besides those at which the input goes on or off.

    Yields:
        The first step of a stretch, and its frames on a clock of their own that begins with 0.
    """
    bounds = [0, *(t for t in range(1, len(shown)) if shown[t] != shown[t - 1] or t in cuts)]
    for first, end in zip(bounds, [*bounds[1:], len(shown)], strict=True):
        if not shown[first]:
            yield first, Frames(0, end - first, null, constant=True)
        elif x.shape[1] == 1:
            yield first, Frames(0, end - first, x[:, 0], constant=True)
        else:
            yield first, Frames(0, end - first, x[:, first:end].transpose(0, 1).flatten(0, 1))


def every(length: int, n: int) -> range:
    """Steps at which a stretch of ``n`` is cut every ``length`` steps; none for a length of 0."""
    return range(length, n, length) if length else range(0)


def gather_logits(
    outputs: Sequence[Frames],
    frames: Frames,
    read_out: Callable[[Tensor], Tensor],
    n_classes: Callable[[], int],
) -> Tensor:
    """Outputs of every step, zero before the first activity has arrived.

    Args:
        outputs: the last layer's activity at the steps at which there is any, in their order.
        frames: the input of n steps that they answer to, from step 0 on.
        read_out: maps (n B, C, H, W) to (n B, K).
        n_classes: gives K, where there is no activity to state this.

    Returns:
        (B, n, K).
    """
    logits = []
    for output in outputs:
        read = output.apply(read_out)
        stacked = read.values.unflatten(0, (1 if read.constant else read.n, -1)).transpose(0, 1)
        logits.append(stacked.expand(-1, output.n, -1) if read.constant else stacked)
    missing = outputs[0].first if outputs else frames.n
    if missing:
        like = logits[0] if logits else frames.values.new_zeros((frames.batch, 1, n_classes()))
        logits.insert(0, like.new_zeros((frames.batch, missing, like.shape[-1])))
    return torch.cat(logits, dim=1)
