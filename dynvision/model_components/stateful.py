"""Operations with a memory of their own: how they tell the engine.

An operation in ``layer_operations`` that subclasses :class:`StatefulOperation` runs step by step, in the order of time.
Every other module is taken to be stateless and runs once over a block of time.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class StatefulOperation(nn.Module):
    """An operation that carries a state from step to step. The engine keeps the state."""

    needs_activity = False  # whether step() wants the layer's own activity one step ago
    on_output = (
        False  # whether it acts on what others hear of the layer, and not on what the layer itself remembers
    )

    def start(self) -> Any:
        """The state before the first step of a trial; called once per layer, in the order of the layers."""
        return None

    def step(self, x: Tensor, state: Any, r: Tensor | None) -> tuple[Tensor, Any]:
        """One step.

        Args:
            x: signal at this step, (B, C, H, W).
            state: what the last step returned, or :meth:`start`.
            r: the layer's activity one step ago, None before it has started or where it is not needed.

        Returns:
            The signal and the new state.
        """
        raise NotImplementedError

    def forward(self, x: Tensor, state: Any, r: Tensor | None) -> tuple[Tensor, Any]:
        """:meth:`step`, as hooks hear it."""
        return self.step(x, state, r)

    def run(self, x: Tensor, n: int, state: Any) -> tuple[Tensor, Any]:
        """Several steps, for an operation that does not need the layer's activity.

        Args:
            x: signal at n steps, (n B, C, H, W), time-major.
            n: number of steps.
            state: as for :meth:`step`.

        Returns:
            The signal, (n B, ...), and the state after the last step.
        """
        results = []
        for frame in x.split(len(x) // n):
            y, state = self.step(frame, state, None)
            results.append(y)
        return (results[0] if n == 1 else torch.cat(results)), state
