"""The kernels of scans equal the loop over steps, gradients included.

With ``TEST_DEVICE=cpu TRITON_INTERPRET=1`` Triton interprets them on a CPU.
"""

from __future__ import annotations

import contextlib
import os
from typing import Any

import pytest
import torch
from torch import Tensor

from dynvision.functional import leaky_steps, outlets
from dynvision.functional.outlets import Outlets
from dynvision.functional.recurrent_scan import Recurrence, recurrent_scan, scan_with_outlets
from tests.gpu.device import DEVICE, NEEDS_GPU

INTERPRETED = leaky_steps.HAS_TRITON and os.environ.get("TRITON_INTERPRET") == "1"
pytestmark = [
    *NEEDS_GPU,
    pytest.mark.skipif(DEVICE == "cpu" and not INTERPRETED, reason="needs Triton, on a CPU its interpreter"),
]
BATCH, CHANNELS, DELAY = 2, 8, 3


@pytest.fixture(autouse=True)
def kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels are used for everything but double precision."""
    monkeypatch.setattr(leaky_steps, "has_kernel", lambda r: r.dtype != torch.float64)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    if DEVICE == "cpu":
        for name in ("device", "device_of"):
            monkeypatch.setattr(torch.cuda, name, lambda x: contextlib.nullcontext())


def maps(generator: torch.Generator, rows: int) -> Tensor:
    x = torch.randn(rows * BATCH, CHANNELS, 8, 12, generator=generator, dtype=torch.float64)
    return x.to(DEVICE).contiguous(memory_format=torch.channels_last)


def results(
    n: int, dtype: torch.dtype, constant: bool, remembered: int, bias: bool, **given: Any
) -> list[Tensor]:
    """The activity and the gradients of all inputs, in double precision."""
    generator = torch.Generator().manual_seed(0)
    z, history = maps(generator, 1 if constant else n), maps(generator, remembered) if remembered else None
    weight = 0.1 * torch.randn(CHANNELS, CHANNELS, 3, 3, generator=generator, dtype=torch.float64)
    offset = torch.randn(CHANNELS, generator=generator, dtype=torch.float64)
    up = maps(generator, n)
    inputs = [
        None if x is None else x.to(DEVICE, dtype).requires_grad_() for x in (z, history, weight, offset)
    ]
    z, history, weight, offset = inputs  # type: ignore[assignment]
    recurrence = Recurrence(weight, offset if bias else None, (1, 1), 1, DELAY)
    r = recurrent_scan(z, n, BATCH, None, 0.4, recurrence=recurrence, history=history, **given)
    wanted = [x for x in (z, history, weight, offset if bias else None) if x is not None]
    return [r.detach().double(), *(g.double() for g in torch.autograd.grad(r, wanted, up.to(dtype)))]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("rectified", ["state", "none"])
@pytest.mark.parametrize("remembered", [0, 1, 3])
@pytest.mark.parametrize(("n", "constant"), [(1, False), (5, False), (7, True), (9, False)])
def test_kernels_equal_the_loop(n: int, constant: bool, remembered: int, rectified: str, bias: bool) -> None:
    """The last steps hear less of the recurrence than a whole delay, and the first ones nothing or the history."""
    settings = {"constant": constant, "remembered": remembered, "bias": bias, "rectified": rectified}
    found = results(n, torch.float32, **settings)
    for one, other in zip(found, results(n, torch.float64, **settings), strict=True):
        assert (one - other).norm() <= 2e-5 * (1 + other.norm())


@pytest.mark.parametrize("rectified", ["state", "drive", "none"])
def test_what_is_not_a_number_stays_so(rectified: Any) -> None:
    n, generator = 5, torch.Generator().manual_seed(0)
    z = maps(generator, n).float()
    z[BATCH, 1, 2, 3] = torch.nan  # of the first image at the second step
    found = recurrent_scan(z, n, BATCH, None, 0.4, rectified)
    expected = recurrent_scan(z.double(), n, BATCH, None, 0.4, rectified)
    assert int(expected.isnan().sum()) == n - 1 and torch.equal(found.isnan(), expected.isnan())


def taken(made: Outlets, twice: bool, own: bool, loose: bool, dtype: torch.dtype) -> list[Tensor]:
    """A sum over r and what is made of it, its gradients, and the gradients of these."""
    generator = torch.Generator().manual_seed(1)
    n = 7
    z = (maps(generator, n) * 3).round().to(dtype).requires_grad_()
    weight = (0.1 * torch.randn(CHANNELS, CHANNELS, 3, 3, generator=generator, dtype=torch.float64)).to(
        DEVICE, dtype
    )
    given = (z, n, BATCH, None, 0.5, "state", Recurrence(weight.requires_grad_(), None, (1, 1), 1, DELAY))
    if own:
        found = scan_with_outlets(made, *given)
    else:
        r = recurrent_scan(*given)
        pooled = None if made.pool is None else torch.nn.functional.max_pool2d(r, *made.pool)
        rows, columns = made.every or (1, 1)
        found = (r, pooled, r[..., ::rows, ::columns] if made.every else None)
    loss = torch.zeros((), dtype=dtype, device=DEVICE)
    for x in found[not loose :]:
        if x is not None:
            up = torch.randn(x.shape, generator=generator, dtype=torch.float64).to(DEVICE, dtype)
            loss = loss + (x * up).sum() + (x.square().sum() if twice else 0)
    wanted = (z, weight)
    grads = torch.autograd.grad(loss, wanted, create_graph=twice)
    second = torch.autograd.grad(sum(g.square().sum() for g in grads), wanted) if twice else ()
    return [loss.detach(), *grads, *second]


OUTLETS = {
    "pooled": Outlets(pool=(3, 2, 1)),
    "picked": Outlets(every=(4, 2)),
    "picked alike": Outlets(every=(2, 2)),
    "both": Outlets((3, 2, 1), (2, 4)),
    "windows of two": Outlets(pool=(2, 2, 0)),
    "wide windows": Outlets(pool=(5, 3, 2)),
    "every pixel in nine windows": Outlets(pool=(3, 1, 1)),
}


CASES = [
    (name, False, loose, gathers) for name in OUTLETS for loose in (False, True) for gathers in (False, True)
]


@pytest.mark.parametrize(("name", "twice", "loose", "gathers"), [*CASES, ("both", True, True, True)])
def test_gradients_of_maps_made_of_r_are_gathered(
    name: str, twice: bool, loose: bool, gathers: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ties included: half of the units are 0."""
    monkeypatch.setattr(outlets, "MOST_WINDOWS", outlets.MOST_WINDOWS if gathers else 0)
    found = taken(OUTLETS[name], twice, True, loose, torch.float32)
    for one, other in zip(found, taken(OUTLETS[name], twice, False, loose, torch.float64), strict=True):
        assert (one - other).norm() <= 1e-4 * (1 + other.norm())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize(("kernel", "stride", "padding"), [(3, 2, 1), (2, 2, 0), (15, 4, 7)])
def test_rectified_maps_of_16_bits_are_pooled_as_torch_does(
    kernel: int, stride: int, padding: int, dtype: torch.dtype
) -> None:
    """Ties, zeros beside the border of the map, the smallest numbers and infinity included."""
    from dynvision.functional.max_pool_triton import pool, spread

    generator = torch.Generator().manual_seed(0)
    values = torch.tensor([0.0, 0.0, 0.0, torch.finfo(dtype).tiny / 8, 0.5, 1.0, torch.inf], dtype=dtype)
    x = values[torch.randint(0, 7, (2, CHANNELS, 9, 10), generator=generator)].to(DEVICE)
    x = x.contiguous(memory_format=torch.channels_last)
    y, offsets = pool(x, kernel, stride, padding, True, rectified=True)
    assert offsets is not None
    exact = x.double().requires_grad_()
    expected = torch.nn.functional.max_pool2d(exact, kernel, stride, padding)
    assert torch.equal(y.double(), expected)
    x[1, 2, 4, 4] = torch.nan
    with_nan, _ = pool(x, kernel, stride, padding, True, rectified=True)
    exact_nan = torch.nn.functional.max_pool2d(x.double(), kernel, stride, padding)
    assert torch.equal(with_nan.double().nan_to_num(99), exact_nan.nan_to_num(99))
    up = torch.ones_like(y)
    (gradient,) = torch.autograd.grad(expected, exact, up.double())
    assert torch.equal(spread(up, offsets, x.shape, kernel, stride, padding).double(), gradient)


@pytest.mark.parametrize("twice", [False, True], ids=["once", "twice"])
@pytest.mark.parametrize("constant", [False, True])
def test_a_bias_of_the_drive_is_added_on_the_way(constant: bool, twice: bool) -> None:
    found = []
    for dtype in (torch.float32, torch.float64):
        generator, n = torch.Generator().manual_seed(0), 5
        z = maps(generator, 1 if constant else n).to(dtype).requires_grad_()
        bias = (
            torch.randn(CHANNELS, generator=generator, dtype=torch.float64).to(DEVICE, dtype).requires_grad_()
        )
        if dtype == torch.float32:
            r, *_ = scan_with_outlets(Outlets(), z, n, BATCH, None, 0.4, z_bias=bias)
        else:
            r = recurrent_scan(z + bias[:, None, None], n, BATCH, None, 0.4)
        grads = torch.autograd.grad(r.square().sum(), (z, bias), create_graph=twice)
        second = torch.autograd.grad(sum(g.square().sum() for g in grads), (z, bias)) if twice else ()
        found.append([r.detach(), *grads, *second])
    for one, other in zip(*found, strict=True):
        assert (one - other).norm() <= 1e-4 * (1 + other.norm())
