"""How many steps to compute at once. This changes speed and memory, never results."""

from __future__ import annotations

import math

import torch

from dynvision.base.frames import Frames
from dynvision.base.plan import Plan
from dynvision.base.state import ModelState

# Image positions (steps x images x height x width) in a block on a GPU: full kernels, and maps that stay within the reach
# of 32-bit indices and, without gradients, within a few GB for tens of channels.
MOST_POSITIONS = 2**25
MOST_POSITIONS_WITHOUT_GRADIENT = 3 * 2**19
# Bytes of the widest layer's activity in a block: what a CPU's caches hold, and what a GPU has to spare without gradients.
MOST_BYTES_ON_CPU = 2**23
MOST_BYTES_WITHOUT_GRADIENT = 2**28


def choose_block_steps(plan: Plan, frames: Frames, state: ModelState) -> int:
    """Length of the next block of a stretch of input.

    On a GPU few large launches win, so a block is as long as memory allows. On a CPU convolutions are the bound and a
    block must fit the cache: it is the recurrent delay, the longest stretch that needs no cutting inside a layer, or
    longer where the maps are small, as is known once there was activity.
    """
    if frames.n == 1:
        return 1
    widest = max([0, *(trace.bytes_per_step() for trace in state.traces.values())])
    if frames.values.device.type == "cpu":
        if not any(layer.lateral or layer.step for layer in plan.layers):
            return frames.n
        delays = [layer.lateral_delay for layer in plan.layers if layer.lateral_delay is not None]
        return max(min(delays) if delays else 1, MOST_BYTES_ON_CPU // widest if widest else 0)
    height, width = frames.values.shape[-2:]
    positions = frames.batch * height * width
    if torch.is_grad_enabled():
        longest = MOST_POSITIONS // positions
    elif widest:
        longest = MOST_BYTES_WITHOUT_GRADIENT // widest
    else:
        longest = MOST_POSITIONS_WITHOUT_GRADIENT // positions
    n_blocks = math.ceil(frames.n / max(1, longest))
    return math.ceil(frames.n / n_blocks)  # blocks of equal length
