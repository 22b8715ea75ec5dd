"""What a batch and its loss must fulfil, and when that is looked at.

To look at a value waits until a GPU has computed it, and in the meantime nothing is launched. So the conditions of a
training step are copied to the host together, and looked at after the backward pass has been launched, before the weights
are changed. On a CPU they are looked at where they stand.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


class Checks:
    """The conditions of one batch.

    Args:
        later: whether to look at them together, with :meth:`look`; otherwise each is looked at where it stands.
    """

    def __init__(self, later: bool = False) -> None:
        self.later = later
        self._errors: list[Callable[[], Exception]] = []
        self._conditions: list[Tensor] = []
        self._sent: Tensor | None = None
        self._arrived: Any = None

    def require(self, condition: Tensor, error: Callable[[], Exception]) -> None:
        """Raise an error unless a condition holds, a boolean without axes; of several errors the first."""
        if self.later:
            self._conditions.append(condition)
            self._errors.append(error)
        elif not bool(condition):
            raise error()

    def send(self) -> None:
        """Copy the conditions to the host, without waiting for them."""
        if self._conditions:
            self._sent = torch.stack(self._conditions).to("cpu", non_blocking=True)
            if self._conditions[0].is_cuda:
                self._arrived = torch.cuda.current_stream().record_event()

    def look(self) -> None:
        """Look at the conditions that were sent, once.

        Raises:
            Exception: the error of the first that does not hold.
        """
        sent, self._sent = self._sent, None
        if sent is None:
            return
        if self._arrived is not None:
            self._arrived.synchronize()
        for holds, error in zip(sent.tolist(), self._errors, strict=True):
            if not holds:
                raise error()
