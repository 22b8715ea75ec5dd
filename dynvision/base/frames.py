"""A stretch of time of one signal, with time folded into the batch.

Axes: n steps, B batch, C channels, H height, W width. ``values`` is (n B, C, H, W), time-major, or (B, C, H, W) where the
signal is the same at every step: what needs no memory is then computed once for the whole stretch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Merge = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Frames:
    """A signal at the steps ``first`` to ``first + n - 1`` of the engine's clock."""

    first: int
    n: int
    values: Tensor
    constant: bool = False

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
        return [self.values] * self.n if self.constant else self.values.split(self.batch)

    def shifted(self, by: int) -> Frames:
        """The same signal on a clock that runs ``by`` steps ahead."""
        return Frames(self.first + by, self.n, self.values, self.constant) if by else self

    def between(self, first: int, end: int) -> Frames:
        """The steps from ``first`` up to ``end``, which must lie inside."""
        assert self.first <= first < end <= self.end
        if first == self.first and end == self.end:
            return self
        if self.constant:
            return Frames(first, end - first, self.values, True)
        batch = self.batch
        at = slice((first - self.first) * batch, (end - self.first) * batch)
        return Frames(first, end - first, self.values[at])

    def head(self, length: int) -> Frames:
        """The first ``length`` steps, or all if there are fewer."""
        return self.between(self.first, min(self.first + length, self.end))

    def cut(self, length: int) -> list[Frames]:
        """The signal in pieces of at most ``length`` steps."""
        if self.n <= length:
            return [self]
        firsts = range(self.first, self.end, length)
        if self.constant:
            return [self.between(first, min(first + length, self.end)) for first in firsts]
        pieces = self.values.split(length * self.batch)
        return [Frames(f, p.shape[0] // self.batch, p) for f, p in zip(firsts, pieces, strict=True)]


def join(pieces: Sequence[Frames]) -> Frames:
    """Pieces that follow each other as one."""
    if len(pieces) == 1:
        return pieces[0]
    values = torch.cat([piece.folded() for piece in pieces])
    return Frames(pieces[0].first, sum(piece.n for piece in pieces), values)


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
