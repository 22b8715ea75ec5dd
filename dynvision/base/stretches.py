"""A trial, cut into the stretches of time that the engine runs one after the other.

    shown   [image .......][null ....][image ...][null: residual]
    cut     [      |      ][         ][         ][              ]     also where the gradient ends or is computed again

Axes: B batch, T frames, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from torch import Tensor

from dynvision.base.frames import Frames
from dynvision.trials import Trial


def stretches(x: Tensor, null: Tensor, trial: Trial, cuts: Collection[int]) -> Iterator[tuple[int, Frames]]:
    """What is on the screen from stretch to stretch.

    Args:
        x: videos (B, T, C, H, W), or images (B, 1, C, H, W) that stand still.
        null: the null input, (B, C, H, W).
        trial: its segments say where the input is on; elsewhere the null input is.
        cuts: steps before which a stretch ends, besides those at which the input goes on or off.

    Yields:
        The first step of a stretch, and its frames on a clock of their own that begins with 0.
    """
    shown = trial.visible
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
