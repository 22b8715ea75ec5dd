"""A layer that starts with zeros: it computes from the first step of a trial on, before anything has reached it.

    x'(t) = 0 for t < n_steps,   x'(t) = x(t) afterwards          t steps since the trial began

Without it a layer is silent until its first input arrives, and not even its bias is heard.
"""

from __future__ import annotations

from torch import Tensor, nn


class ZeroStart(nn.Module):
    """Zeros in place of the signal during the first steps, and wherever there is no signal yet.

    Args:
        shape: (C, H, W) of the signal.
        n_steps: steps, from the first of the trial, at which the signal is not heard even if it is there.
    """

    def __init__(self, shape: tuple[int, int, int], n_steps: int = 0) -> None:
        super().__init__()
        self.shape, self.n_steps = shape, n_steps

    def zeros(self, batch: int, like: Tensor) -> Tensor:
        """(B, C, H, W) of zeros of the dtype and on the device of ``like``."""
        return like.new_zeros((batch, *self.shape))

    def forward(self, x: Tensor) -> Tensor:
        """The signal as it goes on, as hooks hear it."""
        return x

    def extra_repr(self) -> str:
        return f"shape={self.shape}, n_steps={self.n_steps}"
