"""Max-pooling as the engine calls it: by a kernel of ours on a GPU where that applies, otherwise by torch."""

from __future__ import annotations

from torch import Tensor, nn

from dynvision.functional.leaky_steps import HAS_TRITON
from dynvision.functional.maps import is_transformed


def max_pool(module: nn.MaxPool2d, x: Tensor) -> Tensor:
    """``module(x)``, (B, C, H, W) to (B, C, H', W')."""
    if HAS_TRITON and x.is_cuda and not is_transformed():
        from dynvision.functional import max_pool_triton

        if max_pool_triton.can_pool(module, x):
            sizes = module.kernel_size, module.stride, module.padding
            return max_pool_triton.max_pool(x, *sizes)  # type: ignore[arg-type]
    return module(x)  # type: ignore[no-any-return]
