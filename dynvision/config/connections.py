"""Connections of a model by name, from layer to layer: ``V4->V1``.

    feedforward  V1->V2    from a layer to the next
    recurrent    V1->V1    from a layer to itself
    skip         V1->V4    from an earlier to a later layer
    feedback     V4->V1    from a later to an earlier layer

Where two lead from one layer to another, the kind stands in front: ``skip layer1->layer2``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from dynvision.errors import InputError, unknown_name

ARROW = "->"


class NamedConnection(NamedTuple):
    """A connection: its kind, one of the four above, and from where to where it leads."""

    kind: str
    source: str
    target: str

    @property
    def pair(self) -> str:
        """``V1->V4``."""
        return f"{self.source}{ARROW}{self.target}"


def feedforward_connections(layers: Sequence[str]) -> list[NamedConnection]:
    """Return the connections from each layer to the next."""
    return [NamedConnection("feedforward", source, target) for source, target in pairwise(layers)]


def find_connection(name: str, connections: Iterable[NamedConnection], key: str) -> NamedConnection:
    """Return a connection by name.

    Args:
        name: ``V1->V4``, or with its kind in front ``skip V1->V4``.
        connections: those that there are.
        key: the key that has the name, for errors.

    Raises:
        InputError: there is no connection of that name, or there are two.
    """
    known = list(dict.fromkeys(connections))
    *kind, pair = name.replace(f" {ARROW}", ARROW).replace(f"{ARROW} ", ARROW).split(" ")
    found = [c for c in known if c.pair == pair and kind in ([], [c.kind])]
    if len(found) == 1:
        return found[0]
    if found:
        forms = " or ".join(f"{c.kind} {c.pair}" for c in found)
        raise InputError(f"{key}={name!r} names {len(found)} connections; write {forms}")
    pairs = [c.pair for c in known]
    raise unknown_name(
        "connection", name, [p if pairs.count(p) == 1 else f"{c.kind} {p}" for c, p in zip(known, pairs, strict=True)],
        key=key,
    )  # fmt: skip


def check_pair(pair: str, allowed: Collection[tuple[str, str]], key: str) -> tuple[str, str]:
    """Return the layers of ``V1->V4``.

    Raises:
        InputError: no connection of this kind leads from the one to the other.
    """
    source, _, target = (part.strip() for part in pair.partition(ARROW))
    if (source, target) not in allowed:
        raise unknown_name("connection", pair, [ARROW.join(names) for names in allowed], key=key)
    return source, target
