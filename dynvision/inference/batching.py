"""How many inputs are answered at once, and in which order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

MEMORY_PART = 0.3  # of a GPU's memory, for the activity of a batch
SAFETY = 4  # how many times the memory of its input a sample may take in each layer
ACTIVITY_FACTOR = 16  # maps of activity for each map of the input, a rough figure for convolutional networks


def optimal_batch_size(sample_bytes: int, memory_bytes: int, largest: int) -> int:
    """As many samples as a part of a memory holds.

    Args:
        sample_bytes: of one preprocessed input.
        memory_bytes: of the GPU.
        largest: most that are allowed.
    """
    each = max(sample_bytes, 1) * ACTIVITY_FACTOR * SAFETY
    return max(1, min(largest, int(memory_bytes * MEMORY_PART / each)))


def by_shape(tensors: Sequence[Tensor]) -> list[list[int]]:
    """Positions of tensors that can share a batch: of equal type and shape behind the first axis, in order."""
    groups: dict[tuple[torch.dtype, tuple[int, ...]], list[int]] = {}
    for position, tensor in enumerate(tensors):
        groups.setdefault((tensor.dtype, tuple(tensor.shape[1:])), []).append(position)
    return list(groups.values())


def complexity(inputs: Any) -> int:
    """How much there is to process in an input: its elements, pixels, characters or bytes; 0 where that is not known."""
    if isinstance(inputs, Tensor):
        return inputs.numel()
    if isinstance(inputs, np.ndarray):
        return inputs.size
    if isinstance(inputs, Image.Image):
        return math.prod(inputs.size)
    if isinstance(inputs, (str, Path)):
        try:
            return Path(inputs).stat().st_size
        except (OSError, ValueError):  # a text, or a file that preprocessing will find missing
            return len(str(inputs))
    return len(inputs) if isinstance(inputs, (bytes, Sequence)) else 0
