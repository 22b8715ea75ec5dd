"""From the last layer's activity to the outputs of every step."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from dynvision.base.frames import Frames


def gather_logits(
    outputs: Sequence[Frames], frames: Frames, read_out: Callable[[Tensor], Tensor], n_classes: int
) -> Tensor:
    """Outputs of every step, zero before the first activity has arrived.

    Args:
        outputs: the last layer's activity at the steps at which there is any, in their order.
        frames: the input of n steps that they answer to, from step 0 on.
        read_out: maps (n B, C, H, W) to (n B, K).
        n_classes: K, where there is no activity to say so.

    Returns:
        (B, n, K).
    """
    logits = []
    for output in outputs:
        read = output.apply(read_out)
        stacked = read.values.unflatten(0, (-1, frames.batch)).transpose(0, 1)
        logits.append(stacked.expand(-1, output.n, -1) if read.constant else stacked)
    missing = outputs[0].first if outputs else frames.n
    if missing:
        like = logits[0] if logits else frames.values.new_zeros((frames.batch, 1, n_classes))
        logits.insert(0, like.new_zeros((frames.batch, missing, like.shape[-1])))
    return torch.cat(logits, dim=1)
