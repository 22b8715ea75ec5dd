"""Batch normalisation in time. While it trains, a layer is normalised over the batch of each step by itself.

That is what the textbook loop does, so it depends neither on the device nor on how time is cut into blocks. The idle state
is computed for one null image, of which there are no statistics: it uses the running ones, as everything does in eval mode.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


def normalizes_over_batch(module: nn.Module) -> bool:
    """Whether anything in a module is normalised by the statistics of what it is given."""
    return any(isinstance(part, _BatchNorm) and part.training for part in module.modules())


@contextmanager
def running_statistics(model: nn.Module) -> Iterator[None]:
    """Normalise by the running statistics."""
    changed = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.training]
    for module in changed:
        module.training = False
    try:
        yield
    finally:
        for module in changed:
            module.training = True
