"""Operations that depend on the step: how they tell the engine."""

from __future__ import annotations

from torch import Tensor, nn


class TimedOperation(nn.Module):
    """A stateless operation that knows which step it is, counted from the start of its layer.

    Steps from the last of ``n_steps`` on are alike, so that the engine can compute them together.
    """

    n_steps: int

    def at(self, x: Tensor, step: int) -> Tensor:
        """The operation at one step.

        Args:
            x: signal, (B, C, H, W), or of several steps that are alike, (n B, C, H, W).
            step: steps since the layer's start, from 0 to ``n_steps - 1``.
        """
        raise NotImplementedError

    def forward(self, x: Tensor, step: int) -> Tensor:
        """:meth:`at`, as hooks hear it."""
        return self.at(x, step)
