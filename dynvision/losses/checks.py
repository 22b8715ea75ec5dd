"""What a batch and its loss must fulfil, and when that is looked at.

To look at a value waits until a GPU has computed it, and in the meantime nothing is launched. So the conditions of a
training step are collected there, and their outcome is looked at after the backward pass has been launched, before the
weights are changed. On a CPU they are looked at where they stand.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


class Checks:
    """The conditions of one batch.

    Args:
        later: whether to collect them; otherwise each is looked at where it stands.

    Attributes:
        conditions: those that were collected, booleans without axes.
    """

    def __init__(self, later: bool = False) -> None:
        self.later = later
        self.conditions: list[Tensor] = []

    def require(self, condition: Tensor, error: Callable[[], Exception]) -> None:
        """Raise an error unless a condition holds, a boolean without axes; or collect it."""
        if self.later:
            self.conditions.append(condition)
        elif not bool(condition):
            raise error()


class Verdict:
    """Whether a batch was fine: copied to the host without waiting, and looked at later.

    Args:
        fine: a boolean on the device.
        explain: raises what was not fine.
    """

    def __init__(self, fine: Tensor, explain: Callable[[], Any]) -> None:
        self._fine = fine.to("cpu", non_blocking=True)
        self._arrived = torch.cuda.current_stream(fine.device).record_event() if fine.is_cuda else None
        self._explain = explain

    def __reduce__(self) -> Any:
        return type(None), ()  # a copy of a model has no batch to look at

    def look(self) -> None:
        """Wait for it, and explain what was not fine."""
        if self._arrived is not None:
            self._arrived.synchronize()
        if not bool(self._fine):
            self._explain()
