"""Where pulses begin in a protocol of one or two pulses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Pulses:
    """Onsets of the pulses of a condition, as numbers of samples.

    Attributes:
        first: onset of the first pulse.
        second: onset of the second; None in a condition of a single pulse.
    """

    first: int
    second: int | None


def find_pulses(stimulus_on: np.ndarray) -> list[Pulses | None]:
    """The pulses of every condition.

    The length of a pulse is that of the shortest first one. A longer one is two pulses without a gap.

    Args:
        stimulus_on: whether the stimulus was on, (V, T).

    Returns:
        One for each condition; None where the stimulus was never on.
    """
    edges = np.diff(np.pad(stimulus_on.astype(np.int8), ((0, 0), (1, 1))), axis=-1)
    onsets = [np.flatnonzero(row == 1) for row in edges]
    offsets = [np.flatnonzero(row == -1) for row in edges]
    lengths = [int(off[0] - on[0]) for on, off in zip(onsets, offsets, strict=True) if len(on)]
    pulse = min(lengths, default=0)
    found: list[Pulses | None] = []
    for on, off in zip(onsets, offsets, strict=True):
        if not len(on):
            found.append(None)
            continue
        first = int(on[0])
        second = int(on[1]) if len(on) > 1 else first + pulse if off[0] - first > pulse else None
        found.append(Pulses(first, second))
    return found
