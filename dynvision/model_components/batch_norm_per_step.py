"""Batch normalisation with statistics and parameters of its own at each step.

    y(t) = (x(t) - mean_t) / sqrt(var_t + eps) * weight_t + bias_t          t steps since the layer's start

Source: Spoerer et al. (2020), PLoS Computational Biology 16:e1008215; after Liao & Poggio (2016), arXiv 1604.03640.
"""

from __future__ import annotations

from torch import Tensor, nn

from dynvision.model_components.timed import TimedOperation


class BatchNormPerStep(TimedOperation):
    """One batch normalisation a step; steps beyond the last one share it.

    Args:
        n_channels: C.
        n_steps: normalisations, >= 1.
    """

    def __init__(self, n_channels: int, n_steps: int) -> None:
        super().__init__()
        self.n_steps = n_steps
        self.norms = nn.ModuleList(nn.BatchNorm2d(n_channels) for _ in range(n_steps))

    def at(self, x: Tensor, step: int) -> Tensor:
        return self.norms[min(step, self.n_steps - 1)](x)  # type: ignore[no-any-return]
