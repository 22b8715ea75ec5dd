"""Lesion or cooling of one connection: what it conveys is scaled, within a window of time.

    h'(t) = g h(t)      for start <= t < end,      h'(t) = h(t) otherwise          g gain from 0 to 1

h is what the connection adds to its target: of a recurrence, skip or feedback after its operator, bias included; of a
feedforward connection the input of the target's first operation. Times are from stimulus onset. A recurrence, skip or
feedback whose gain is 0 throughout is absent, and so does not start its target either. A target without feedforward
input starts as it would and computes from its biases and its other connections.

Source: Kietzmann et al. (2019), PNAS 116:21854, who compare networks with and without such connections; that one is
scaled in a window, as by cooling: ours.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dynvision.base.frames import Frames, join
from dynvision.base.operations import Operation, is_backward
from dynvision.config.model import lesion_window
from dynvision.config.models import NamedConnection, feedforward_connections, find_connection
from dynvision.errors import InputError
from dynvision.model_components.connection import Connection

if TYPE_CHECKING:
    from dynvision.base.architecture import Architecture


@dataclass(frozen=True)
class Gain:
    """A factor within a window of steps of the engine's clock; None where the window has no begin or no end."""

    value: float
    first: int | None = None
    end: int | None = None

    @property
    def silences(self) -> bool:
        """Whether nothing ever passes."""
        return self.value == 0 and self.first is None and self.end is None

    @property
    def settled(self) -> int:
        """Step from which on the gain stays as it is."""
        return max([0, *(at for at in (self.first, self.end) if at is not None)])

    def scale(self, x: Frames) -> Frames:
        """The signal with the factor where the window is."""
        first = x.first if self.first is None else min(max(self.first, x.first), x.end)
        end = x.end if self.end is None else max(min(self.end, x.end), first)
        bounds = [(x.first, first), (first, end), (end, x.end)]
        pieces = [x.between(*bound) if bound[0] < bound[1] else None for bound in bounds]
        if pieces[1] is not None:
            pieces[1] = pieces[1].apply(lambda values: self.value * values)
        return join([piece for piece in pieces if piece is not None])


def lesion_gain(model: Architecture) -> Gain:
    """The gain of a model's lesion on the clock of the engine.

    Raises:
        InputError: a gain outside of 0 to 1, or a window off the time grid or empty.
    """
    if not 0 <= model.lesion_gain <= 1:
        raise InputError(f"lesion_gain={model.lesion_gain:g} must be from 0 to 1")
    onset = model.idle_steps + model.onset_steps
    first, end = lesion_window(model.t_lesion_start, model.t_lesion_end, model.dt)
    return Gain(
        float(model.lesion_gain),
        None if first is None else first + onset,
        None if end is None else end + onset,
    )


def with_lesion(
    model: Architecture, found: dict[str, list[Operation]], gain: Gain
) -> tuple[dict[str, list[Operation]], str | None]:
    """The operations of a model with one of its connections lesioned.

    Args:
        model: names the connection (:mod:`dynvision.config.models`), and holds the modules.
        found: operations by layer, in the order of the layers.
        gain: what becomes of its signal.

    Returns:
        The operations, and the layer whose input is scaled, if the connection is a feedforward one.

    Raises:
        InputError: the model has no such connection, or it has hooks, which receive it as it is.
    """
    known = feedforward_connections(list(found))
    for layer, operations in found.items():
        known += [
            connection for operation in operations if (connection := _connection(model, layer, operation))
        ]
    lesioned = find_connection(model.lesion, known, "lesion")
    target = lesioned.target
    if lesioned.kind == "feedforward":
        return found, target
    changed: list[Operation] = []
    for operation in found[target]:
        concerned = _connection(model, target, operation) == lesioned
        changed += _lesioned(operation, gain, model.lesion) if concerned else [operation]
    return {**found, target: changed}, None


def _connection(model: Architecture, layer: str, operation: Operation) -> NamedConnection | None:
    if operation.kind in ("recur", "call"):
        return NamedConnection("recurrent", layer, layer)
    if operation.kind != "connect":
        return None
    module = operation.module
    assert isinstance(module, Connection)
    return NamedConnection("feedback" if is_backward(model, module, layer) else "skip", module.source, layer)


def _lesioned(operation: Operation, gain: Gain, name: str) -> list[Operation]:
    """The operation with a gain; none where it is silenced and does nothing else."""
    if gain.silences and operation.kind == "call" and hasattr(operation.module, "feedforward"):
        return [replace(operation, kind="apply")]
    if gain.silences:
        return []
    if operation.hooked:
        raise InputError(
            f"lesion={name!r} scales what hooks on this connection receive as it is; remove the hooks, or set "
            "lesion_gain: 0 without a window"
        )
    return [replace(operation, gain=gain)]
