"""Convolutions of few channels by kernels of ours: as exact as torch's in 16 bits, in both directions."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from dynvision.functional.convolution import (
    conv2d,
    convolution,
    gradient_at_input,
    gradients_of_weights,
    is_narrow,
)

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here"),
]


def made(*shape: int, dtype: torch.dtype = torch.bfloat16) -> Tensor:
    x = torch.randn(shape, device="cuda", dtype=dtype)
    return x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x


def off(found: Tensor, exact: Tensor) -> float:
    return float((found.detach().double() - exact.detach()).norm() / exact.detach().norm())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize(
    ("batch", "channels", "out_channels", "height", "width"),
    [
        (3, 40, 40, 17, 13),
        (2, 40, 64, 8, 8),
        (70, 8, 16, 5, 31),
        (1, 16, 24, 1, 1),
        (300, 40, 40, 32, 32),
        (2, 40, 40, 6, 70),
    ],
)
def test_a_narrow_convolution_is_as_exact_as_torchs(
    batch: int, channels: int, out_channels: int, height: int, width: int, dtype: torch.dtype
) -> None:
    torch.manual_seed(0)
    x, weight = (
        made(batch, channels, height, width, dtype=dtype),
        made(out_channels, channels, 3, 3, dtype=dtype),
    )
    bias, grad = made(out_channels, dtype=dtype), made(batch, out_channels, height, width, dtype=dtype)
    assert is_narrow(weight, x, (1, 1), 1)
    exact_x, exact_weight = x.double().requires_grad_(), weight.double().requires_grad_()
    exact = nn.functional.conv2d(exact_x, exact_weight, bias.double(), padding=1)
    at_x, at_weight = torch.autograd.grad(exact, (exact_x, exact_weight), grad.double())
    bound = {torch.bfloat16: 4e-3, torch.float16: 5e-4}[dtype]
    assert off(convolution(weight, bias, (1, 1), 1, x)(x), exact) < bound
    found, at_bias = gradients_of_weights(grad, x, weight, (1, 1), 1, True)
    assert off(found, at_weight) < bound and at_bias is not None
    assert off(at_bias, grad.double().sum(dim=(0, 2, 3))) < bound
    assert torch.equal(found, gradients_of_weights(grad, x, weight, (1, 1), 1, True)[0]), (
        "another sum in every run"
    )
    if channels == out_channels:
        assert off(gradient_at_input(weight, (1, 1), 1, x)(grad, x), at_x) < bound


def test_maps_in_another_layout_are_convolved_as_they_are() -> None:
    torch.manual_seed(0)
    x, weight, grad = made(3, 40, 9, 11), made(40, 40, 3, 3), made(3, 40, 9, 11)
    other, other_grad = x.contiguous(), grad.contiguous()
    convolve = convolution(weight, None, (1, 1), 1, x)
    assert torch.equal(convolve(other), convolve(x))
    at_input = gradient_at_input(weight, (1, 1), 1, x)
    assert torch.equal(at_input(other_grad, other), at_input(grad, x))
    expected, _ = gradients_of_weights(grad, x, weight, (1, 1), 1, False)
    found, _ = gradients_of_weights(other_grad, x, weight, (1, 1), 1, False)
    assert torch.equal(found, expected)


@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(40, 64, 3, padding=1),
        nn.Conv2d(40, 40, 3, padding=1),
        nn.Conv2d(64, 128, 3, stride=2, padding=1),
        nn.Conv2d(40, 128, 1),
    ],
    ids=["narrow", "square", "strided", "pointwise"],
)
def test_with_autograd_values_gradients_and_second_derivatives_are_those_of_torch(conv: nn.Conv2d) -> None:
    torch.manual_seed(0)
    conv = conv.cuda()
    assert conv.bias is not None
    results = []
    x = made(6, conv.in_channels, 12, 12)
    for own in (True, False):
        inputs = [x.clone().requires_grad_(), conv.weight, conv.bias]
        if own:
            y = conv2d(conv, inputs[0], conv.weight, conv.bias, 1)
        else:
            with torch.autocast("cuda", torch.bfloat16):
                y = conv(inputs[0])
        first = torch.autograd.grad(y.float().square().sum(), inputs, create_graph=True)
        second = torch.autograd.grad(sum(g.float().square().sum() for g in first), inputs)
        results.append([y, *first, *second])
    for ours, theirs in zip(*results, strict=True):
        assert off(ours, theirs.double()) < 0.02
