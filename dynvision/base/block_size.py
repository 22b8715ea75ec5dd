"""How many steps to compute at once. This changes speed and memory, never results."""

from __future__ import annotations

import math

import torch

from dynvision.base.frames import Frames
from dynvision.base.plan import Plan

# Image positions (steps x images x height x width) in a block on a GPU: full kernels, and maps that stay within the reach
# of 32-bit indices and, without gradients, within a few GB for tens of channels.
MOST_POSITIONS = 2**25
MOST_POSITIONS_WITHOUT_GRADIENT = 3 * 2**20


def choose_block_steps(plan: Plan, frames: Frames) -> int:
    """Length of a block for a stretch of input.

    On a GPU few large launches win, so a block is as long as memory allows. On a CPU convolutions are the bound and a
    block must fit the cache, so a block is as long as the recurrent delay, the longest stretch that needs no cutting
    inside a layer.
    """
    if frames.values.device.type == "cpu":
        delays = [layer.lateral_delay for layer in plan.layers if layer.lateral_delay is not None]
        return min(delays) if delays else 1 if any(layer.step for layer in plan.layers) else frames.n
    most = MOST_POSITIONS if torch.is_grad_enabled() else MOST_POSITIONS_WITHOUT_GRADIENT
    height, width = frames.values.shape[-2:]
    longest = max(1, most // (frames.batch * height * width))
    n_blocks = math.ceil(frames.n / longest)
    return math.ceil(frames.n / n_blocks)  # blocks of equal length
