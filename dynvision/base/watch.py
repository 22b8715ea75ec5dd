"""What the engine tells those who listen, layer by layer, without changing anything that is computed.

    state      r(t), where the operation ``record`` stands
    drive      z(t), what the solver integrates: recurrence, skip and feedback included
    recurrent  R(r(t - t_recurrence)), the recurrent signal before it is merged into its target
    conv       output of the layer's own (last) convolution, before anything is merged into it

A layer that has no such quantity, or in which it has not started yet, tells nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from dynvision.base.frames import Frames
from dynvision.errors import unknown_name

Observer = Callable[[str, Frames], None]  # called with a layer's name and a piece of time
Watch = Mapping[str, Observer]  # by quantity
QUANTITIES = ("state", "drive", "recurrent", "conv")
INSIDE_SCAN = frozenset({"drive", "recurrent"})  # never there as a whole where a layer runs as one operation


def all_of(observers: Sequence[Observer]) -> Observer:
    """One observer that tells several."""

    def tell(layer: str, frames: Frames) -> None:
        for observer in observers:
            observer(layer, frames)

    return tell


def joined(*observers: Observer | None, watch: Watch | None = None) -> Watch:
    """Everyone who listens, by quantity: the observers to the state.

    Raises:
        InputError: an unknown quantity.
    """
    listeners: dict[str, list[Observer]] = {}
    for quantity, told in (*(watch or {}).items(), *(("state", observer) for observer in observers)):
        if quantity not in QUANTITIES:
            raise unknown_name("quantity", quantity, QUANTITIES, key="watch")
        if told is not None:
            listeners.setdefault(quantity, []).append(told)
    return {quantity: all_of(several) for quantity, several in listeners.items()}


def shifted(watch: Watch, by: int) -> Watch:
    """The same, on a clock that runs ``by`` steps ahead of the engine's."""
    return {quantity: _later(told, by) for quantity, told in watch.items()}


def _later(observer: Observer, by: int) -> Observer:
    return lambda layer, frames: observer(layer, frames.shifted(by))
