"""Mean and sd of maps by one kernel equal those in float64, wherever the maps lie in memory.

With ``TEST_DEVICE=cpu TRITON_INTERPRET=1`` Triton interprets it on a CPU.
"""

from __future__ import annotations

import contextlib
import os

import pytest
import torch
from torch import Tensor

from dynvision.functional.leaky_steps import HAS_TRITON
from tests.gpu.device import DEVICE, NEEDS_GPU

INTERPRETED = HAS_TRITON and os.environ.get("TRITON_INTERPRET") == "1"
pytestmark = [
    *NEEDS_GPU,
    pytest.mark.skipif(DEVICE == "cpu" and not INTERPRETED, reason="needs Triton, on a CPU its interpreter"),
]


def mean_sd(maps: Tensor) -> Tensor:
    from dynvision.functional import mean_sd_triton

    with pytest.MonkeyPatch.context() as patch:
        if DEVICE == "cpu":
            patch.setattr(torch.cuda, "device_of", lambda x: contextlib.nullcontext())
        return mean_sd_triton.mean_sd(maps).double().cpu()


def expected(maps: Tensor) -> Tensor:
    sd, mean = torch.std_mean(maps.cpu().double().abs().flatten(1), dim=1, correction=0)
    return torch.stack([mean, sd])


SHAPES = [(3, 36, 16, 16), (2, 5, 7, 3), (4, 1, 1, 1), (1, 17, 1, 1), (5, 529, 2, 2), (2, 4100, 1, 2)]
TYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16]


def maps_of(shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(DEVICE, dtype)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("shape", [*SHAPES, (6, 40), (3, 2, 5000)])
def test_of_maps_of_every_type_and_size(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    maps = maps_of(shape, dtype)
    torch.testing.assert_close(mean_sd(maps), expected(maps), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_wherever_they_lie(shape: tuple[int, ...]) -> None:
    n, channels, height, width = shape
    wide = maps_of((2 * n, channels + 3, height, width)).contiguous(memory_format=torch.channels_last)
    lying = {
        "channels last": maps_of(shape).contiguous(memory_format=torch.channels_last),
        "turned": maps_of((n, width, channels, height)).permute(0, 2, 3, 1),
        "the first channels": wide[:n, :channels],
        "the last channels": wide[n:, 3:],
        "every other map": wide[::2],
        "a part of the columns": maps_of((n, channels, height, width + 1))[..., 1:],
        "the same at every place": maps_of((n, channels, 1, 1)).expand(shape),
    }
    for name, maps in lying.items():
        torch.testing.assert_close(
            mean_sd(maps), expected(maps), rtol=1e-5, atol=1e-6, msg=lambda text, n=name: n + text
        )


@pytest.mark.parametrize("mean", [1.0, 1e4])
@pytest.mark.parametrize("sd", [1e-2, 1.0])
def test_no_small_difference_of_large_sums_is_taken(mean: float, sd: float) -> None:
    """The sd is right to 1e-8 of the mean, which a difference of float32 squares would miss by four digits."""
    maps = (mean + sd * maps_of((4, 36, 32, 32), torch.float64)).float()
    of_mean, of_sd = (mean_sd(maps) - expected(maps)).abs().amax(dim=1).tolist()
    assert of_mean <= 2e-7 * (mean + sd) and of_sd <= 1e-6 * sd + 2e-8 * mean


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_not_finite_shows(bad: float) -> None:
    maps = maps_of((3, 4, 8, 8))
    maps[1, 2, 3, 4] = bad
    found = mean_sd(maps)
    assert found[:, [0, 2]].isfinite().all() and not found[:, 1].isfinite().any()
