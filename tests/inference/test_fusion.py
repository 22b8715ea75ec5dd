"""Batch normalisation is fused with the convolution that it follows in the forward pass, and with no other."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tests.inference.convolutions import IMAGE, expected, network, plain


def test_fusion_takes_the_normalisation_into_the_convolution() -> None:
    model = plain(optimization={"optimization_level": "balanced"})
    model.optimize_for_inference()
    assert model.model_info["optimizations"] == {
        "memory_format": "channels last",
        "fusion": "2 batch normalisations fused",
    }
    assert not any(isinstance(module, nn.BatchNorm2d) for module in model.model.modules())
    assert torch.allclose(model.predict(IMAGE), expected(), atol=1e-5)
    model.optimize_for_inference()  # again, with nothing left to fuse
    assert torch.allclose(model.predict(IMAGE), expected(), atol=1e-5)


class Odd(nn.Module):
    """What stands side by side in a container is not what follows each other in the forward pass."""

    def __init__(self, case: str) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.case = case
        self.parts = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3))
        self.norm = nn.BatchNorm2d(3)
        self.again = self.parts[1]
        for norm in (self.parts[1], self.norm):
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.2, 3)

    def forward(self, x: Tensor) -> Tensor:
        convolution, norm = self.parts
        if self.case == "before":
            x = convolution(norm(x))
        elif self.case == "between":
            x = norm(convolution(x).relu())
        elif self.case == "twice":
            x = norm(convolution(norm(convolution(x))))
        elif self.case == "elsewhere, too":
            made = convolution(x)
            x = norm(made) + made
        elif self.case == "two names":
            x = self.again(norm(convolution(x)))
        elif self.case == "two norms":
            x = norm(convolution(x)) + self.norm(convolution(x))
        elif self.case == "by value":
            x = norm(convolution(x)) if x.sum() > 0 else convolution(x)
        elif self.case == "held apart":
            x = self.norm(convolution(x))
        return x.mean(dim=(2, 3))


@pytest.mark.parametrize(
    ("case", "fused"),
    [
        ("before", None),
        ("between", None),
        ("twice", None),
        ("elsewhere, too", None),
        ("two names", None),
        ("two norms", None),
        ("by value", "not fused: the network cannot be traced or run with a made-up input (symbolically traced"),
        ("held apart", "1 batch normalisations fused"),
    ],
)  # fmt: skip
def test_fusion_follows_the_forward_pass(case: str, fused: str | None) -> None:
    model = plain(optimization={"optimization_level": "balanced"})
    model.model = Odd(case).eval()
    answer = model.predict(IMAGE)
    model.optimize_for_inference()
    said = model.model_info["optimizations"].get("fusion")
    assert said is None if fused is None else said.startswith(fused)
    assert torch.allclose(model.predict(IMAGE), answer, atol=1e-5)


def test_fusion_finds_what_no_container_shows() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm1, self.conv1 = nn.BatchNorm2d(3), nn.Conv2d(3, 3, 3, padding=1)
            self.conv2, self.norm2 = nn.Conv2d(3, 3, 3, padding=1, bias=False), nn.BatchNorm2d(3)

        def forward(self, x: Tensor) -> Tensor:
            return (self.norm2(self.conv2(self.norm1(self.conv1(x)).relu())) + x).relu()

    model = plain(optimization={"optimization_level": "balanced"})
    model.model = nn.Sequential(*(Block() for _ in range(4)), nn.AdaptiveAvgPool2d(2), nn.Flatten())
    answer = model.predict(IMAGE)
    model.optimize_for_inference()
    assert model.optimizations["fusion"] == "8 batch normalisations fused"
    assert torch.allclose(model.predict(IMAGE), answer, atol=1e-5)


def test_fusion_is_undone_where_the_outputs_would_change(monkeypatch: pytest.MonkeyPatch) -> None:
    from dynvision.inference import optimization

    wrong = lambda convolution, norm: nn.Conv2d(3, 3, 3, padding=1)  # noqa: E731
    monkeypatch.setattr(optimization, "fuse_conv_bn_eval", wrong)
    model = plain(optimization={"optimization_level": "balanced"})
    model.model = Odd("held apart").eval()
    answer = model.predict(IMAGE)
    model.optimize_for_inference()
    assert model.optimizations["fusion"] == "not fused: the outputs would change by more than rounding"
    assert torch.allclose(model.predict(IMAGE), answer, atol=1e-5)


@pytest.mark.parametrize("shape", [(3, 12, 12), (3, 64, 64)])
def test_a_network_that_changes_its_input_is_compared_with_an_unchanged_one(shape: tuple[int, ...]) -> None:
    class InPlace(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rest = network()

        def forward(self, x: Tensor) -> Tensor:
            return self.rest(x.mul_(2).add_(1))

    model = plain(optimization={"optimization_level": "balanced"})
    model.model = InPlace().eval()
    answer = model.predict(torch.ones(shape))
    model.optimize_for_inference()
    assert model.optimizations["fusion"] == "2 batch normalisations fused"
    assert torch.allclose(model.predict(torch.ones(shape)), answer, atol=1e-5)


def test_a_module_with_another_forward_is_not_fused() -> None:
    """Which the made-up input need not show."""
    model = plain(optimization={"optimization_level": "balanced"})
    model.model = nn.Sequential(
        nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    ).eval()
    convolution = model.model[0]
    plainly = convolution.forward
    convolution.forward = lambda x: plainly(x) * (1 if x.shape[-1] == 64 else 5)
    answer = model.predict(IMAGE)
    model.optimize_for_inference()
    assert "fusion" not in model.optimizations
    assert torch.allclose(model.predict(IMAGE), answer, atol=1e-5)
