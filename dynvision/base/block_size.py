"""How many steps to compute at once. This changes speed and memory, never results."""

from __future__ import annotations

from dynvision.base.frames import Frames
from dynvision.base.plan import Plan


def choose_block_steps(plan: Plan, frames: Frames) -> int:
    """Length of a block for a stretch of input.

    On a GPU few large launches win, so a block is the whole stretch. On a CPU convolutions are the bound and a block must
    fit the cache, so a block is as long as the recurrent delay, the longest stretch that needs no cutting inside a layer.
    """
    if frames.values.device.type != "cpu":
        return frames.n
    delays = [layer.lateral_delay for layer in plan.layers if layer.lateral_delay is not None]
    return min(delays) if delays else 1 if any(layer.step for layer in plan.layers) else frames.n
