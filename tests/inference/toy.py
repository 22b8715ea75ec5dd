"""A model of four numbers, whose answers can be computed by hand; a configuration and a picture for others."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from dynvision.inference import InferenceConfig, InferenceModel
from dynvision.models.weights import load_weights, read_checkpoint


def cpu(**sections: Any) -> InferenceConfig:
    """A configuration for the CPU."""
    return InferenceConfig(**{"device": {"device_type": "cpu"}, **sections})


class Weighted(InferenceModel):
    """1 x0 + 2 x1 + 3 x2 + 4 x3, or the sum of the elements weighed so, for longer inputs."""

    def __init__(self, config: InferenceConfig) -> None:
        super().__init__(config)
        self.seen: list[str] = []

    def cache_settings(self) -> Any:
        return ()  # what was seen changes no answer

    def load_model(self, model_path: str | Path) -> None:
        self.model = nn.Linear(4, 1, bias=False)
        load_weights(self.model, read_checkpoint(Path(model_path)), model_path)
        self._is_loaded = True

    def preprocess(self, inputs: Any) -> Tensor:
        self.seen.append("preprocess")
        return torch.tensor([inputs], dtype=torch.float32)

    def forward(self, inputs: Tensor) -> Tensor:
        self.seen.append(f"forward {len(inputs)}")
        network = self.get_model_for_inference()
        return sum(network(part) for part in inputs.split(4, dim=1))  # type: ignore[return-value]

    def postprocess(self, outputs: Tensor) -> dict[str, float]:
        self.seen.append("postprocess")
        return {"value": outputs.item()}


def weighted(folder: Path, **sections: Any) -> Weighted:
    """The model, loaded."""
    torch.save({"weight": torch.tensor([[1.0, 2.0, 3.0, 4.0]])}, folder / "weights.pt")
    model = Weighted(cpu(**sections))
    model.load_model(folder / "weights.pt")
    return model


def encoded(form: str) -> bytes:
    """A picture of 8 x 8 px, a diagonal, as a file."""
    file = io.BytesIO()
    Image.fromarray(np.eye(8, dtype=np.uint8) * 255).save(file, form)
    return file.getvalue()
