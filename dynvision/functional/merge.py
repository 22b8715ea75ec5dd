"""How a lateral, skip or feedback signal ``h`` enters a signal ``x``.

additive         x + h
multiplicative   x (1 + tanh h)

A signal that has not started is absent (None), which is not zero: the other one passes as it is.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from dynvision.errors import unknown_name


def additive(x: Tensor, h: Tensor) -> Tensor:
    """``x + h``, each (B, C, H, W) or of shapes that broadcast to it."""
    return x + h


def multiplicative(x: Tensor, h: Tensor) -> Tensor:
    """``x (1 + tanh h)``, each (B, C, H, W) or of shapes that broadcast to it."""
    return x * (1.0 + h.tanh())


MERGES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "additive": additive,
    "multiplicative": multiplicative,
}


def find_merge(name: str) -> Callable[[Tensor, Tensor], Tensor]:
    """A merge by name.

    Raises:
        InputError: the name is not known.
    """
    if name not in MERGES:
        raise unknown_name("merge", name, MERGES)
    return MERGES[name]
