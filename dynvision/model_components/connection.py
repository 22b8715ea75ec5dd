"""Connections between layers: skip (earlier to later) and feedback (later to earlier).

    h(t) = resize( W_1x1 r_source(t - t_connection) )      merged into the target's drive

The 1 x 1 convolution is there where the channels differ. Nearest-neighbour resizing commutes with it, so the smaller
of the two resolutions is convolved. Shapes are known at construction. A pathway has a module of its own in place of both.
"""

from __future__ import annotations

import math

from torch import Tensor, nn

from dynvision.functional.maps import find_merge, resize_nearest
from dynvision.model_components.convolution import Convolve
from dynvision.model_components.timing import Delayed


class Connection(Delayed):
    """A delayed connection from a source layer into the signal of a target layer: ``h = transform(r_source)``.

    Args:
        source: name of the source layer.
        t_connection: delay in ms.
        dt: as of :class:`Clocked`.
        merge: ``additive`` or ``multiplicative``.
    """

    delay_name = "t_connection"

    def __init__(
        self, source: str, t_connection: float = 0.0, dt: float | None = None, merge: str = "additive"
    ) -> None:
        super().__init__(t_connection, dt)
        self.source = source
        self.merge_name = merge
        self.merge = find_merge(merge)
        if dt is not None:
            self.check_dt(self.dt)

    def transform(self, r: Tensor) -> Tensor:
        """The source's activity (B, C_source, H, W) as the target receives it, (B, C, H', W')."""
        raise NotImplementedError

    def forward(self, x: Tensor | None, r: Tensor | None) -> Tensor | None:
        """Merge the delayed activity of the source into ``x``; what is absent (None) leaves the other as it is."""
        if r is None:
            return x
        h = self.transform(r)
        return h if x is None else self.merge(x, h)


class PointwiseConnection(Connection):
    """A connection by a 1 x 1 convolution, where the channels differ, and resizing.

    Args:
        source: name of the source layer.
        in_channels: channels of the source.
        out_channels: channels of the target.
        size: (H, W) of the target.
        t_connection: delay in ms.
        dt: as of :class:`Clocked`.
        merge: ``additive`` or ``multiplicative``.
    """

    def __init__(
        self,
        source: str,
        in_channels: int,
        out_channels: int,
        size: tuple[int, int],
        t_connection: float = 0.0,
        dt: float | None = None,
        merge: str = "additive",
    ) -> None:
        super().__init__(source, t_connection, dt, merge)
        self.size: tuple[int, int] = (size[0], size[1])
        self.conv = nn.Conv2d(in_channels, out_channels, 1) if in_channels != out_channels else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Truncated normal weights with sd ``min(0.001, 1 / sqrt(c_in c_out))``, biases 0."""
        if self.conv is not None:
            sd = min(0.001, 1.0 / math.sqrt(self.conv.in_channels * self.conv.out_channels))
            nn.init.trunc_normal_(self.conv.weight, std=sd, a=-2 * sd, b=2 * sd)
            nn.init.zeros_(self.conv.bias)  # type: ignore[arg-type]

    def transform(self, r: Tensor, convolve: Convolve | None = None) -> Tensor:
        """The source's activity (B, C_in, H_s, W_s) as the target receives it, (B, C_out, *size)."""
        shrinks = self.size[0] * self.size[1] < r.shape[-2] * r.shape[-1]
        if shrinks:
            r = resize_nearest(r, self.size)
        if self.conv is not None:
            r = self.conv(r) if convolve is None else convolve(self.conv, r)
        return r if shrinks else resize_nearest(r, self.size)


class Skip(PointwiseConnection):
    """From an earlier to a later layer; a delay of 0 receives this step's activity."""

    delay_name = "t_skip"


class Feedback(PointwiseConnection):
    """From a later to an earlier layer; the delay is at least dt."""

    delay_name = "t_feedback"
    shortest_delay_is_dt = True


class Pathway(Connection):
    """A connection through a module of its own, e.g. a strided convolution, from the source's maps to the target's.

    Args:
        source: name of the source layer.
        path: maps (B, C_source, H_source, W_source) to (B, C, H, W) of the target; the identity where they are alike.
        t_connection, dt, merge: as for :class:`Connection`.
    """

    def __init__(
        self,
        source: str,
        path: nn.Module,
        t_connection: float = 0.0,
        dt: float | None = None,
        merge: str = "additive",
    ) -> None:
        super().__init__(source, t_connection, dt, merge)
        self.path = path

    def transform(self, r: Tensor) -> Tensor:
        return self.path(r)  # type: ignore[no-any-return]
