"""A model with convolutions and batch normalisation, which hands tensors through."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dynvision.inference import InferenceModel
from tests.inference.toy import cpu


def network(seed: int = 0) -> nn.Sequential:
    """Convolutions with batch normalisation that has seen something."""
    torch.manual_seed(seed)
    made = nn.Sequential(
        nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU()),
        nn.Conv2d(4, 5, 3), nn.BatchNorm2d(5), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(20, 3),
    )  # fmt: skip
    made.train()
    with torch.no_grad():
        for _ in range(3):
            made(torch.randn(8, 3, 12, 12) * 3 + 1)
    return made


class Plain(InferenceModel):
    """Hands tensors through."""

    def load_model(self, model_path: str | Path = "") -> None:
        self.model = network()  # in training mode: nobody need think of it
        self._is_loaded = True

    def preprocess(self, inputs: Tensor) -> Tensor:
        return inputs[None].to(self.device)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.get_model_for_inference()(inputs)

    def postprocess(self, outputs: Tensor) -> Tensor:
        return outputs[0]


def plain(**sections: Any) -> Plain:
    model = Plain(cpu(**sections))
    model.load_model()
    return model


IMAGE = torch.linspace(-1, 2, 3 * 12 * 12).reshape(3, 12, 12)


def expected() -> Tensor:
    with torch.no_grad():
        return network().eval()(IMAGE[None])[0]
