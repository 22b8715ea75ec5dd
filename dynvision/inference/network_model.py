"""A network from elsewhere that answers, with the preprocessing that came with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor, nn

from dynvision.errors import InputError
from dynvision.inference.base_model import BaseModel
from dynvision.inference.config import InferenceConfig
from dynvision.inference.errors import ModelInferenceError, ModelLoadError
from dynvision.inference.image_input import to_image
from dynvision.inference.metadata import ModelMetadata

N_CHANNELS = 3
BLACK = Image.new("RGB", (256, 256))


class NetworkModel(BaseModel):
    """A network that is in memory already.

    Args:
        config: where and how to run.
        network: takes a batch (B, ...) and returns a tensor with a row for each of its rows.
        metadata: what is told of it.
        preprocess: makes of a picture (RGB) what the network takes, (C, H, W) or (1, C, H, W); without it the network is
            given tensors as it takes them, without the batch.
        class_names: where the outputs are those of classes, by class index.
    """

    def __init__(
        self,
        config: InferenceConfig,
        network: nn.Module,
        metadata: ModelMetadata,
        preprocess: Callable[[Any], Tensor] | None = None,
        class_names: Sequence[str] = (),
    ) -> None:
        super().__init__(config)
        self.metadata = metadata
        self.class_names = tuple(class_names)
        self._show = preprocess
        self.model = network.eval().to(self.device)
        self._is_loaded = True

    def load_model(self, model_path: str | Path) -> None:
        """Not possible: the network is there.

        Raises:
            ModelLoadError: always.
        """
        raise ModelLoadError(
            f"this model was made from a network; {model_path} would need a model of its own"
        )

    def preprocess(self, inputs: Any) -> Tensor:
        """One input as the network takes it, with a first axis for the batch.

        Raises:
            InputError: it is no image, or no tensor where nothing is known of the preprocessing.
        """
        if self._show is not None:
            shown = self._show(to_image(inputs, N_CHANNELS))
            return (shown if shown.dim() == 4 else shown[None]).to(self.device)
        if not isinstance(inputs, Tensor):
            raise InputError(
                f"this network does not say how an input of type {type(inputs).__name__} becomes a tensor; give a tensor "
                "as the network takes it, without the batch, or load the network with preprocess="
            )
        return inputs[None].to(self.device)

    def _create_dummy_input(self) -> Tensor:
        """A black picture as the network takes it, where that is known."""
        return self.preprocess(BLACK) if self._show is not None else super()._create_dummy_input()

    def forward(self, inputs: Tensor) -> Tensor:
        """Outputs of a batch."""
        return self.get_model_for_inference()(inputs)

    def postprocess(self, outputs: Tensor) -> Any:
        """Class, its name, its probability and those of all; where no classes are known, the outputs as they are.

        Raises:
            ModelInferenceError: the outputs are not finite, which is no class.
        """
        if not self.class_names:
            return outputs[0]
        if not outputs.isfinite().all():
            raise ModelInferenceError("the outputs of the network are not finite; there is no class to name")
        probabilities = outputs[0].softmax(dim=-1).tolist()
        chosen = max(range(len(probabilities)), key=probabilities.__getitem__)
        return {
            "class": chosen,
            "class_name": self.class_names[chosen],
            "confidence": probabilities[chosen],
            "probabilities": probabilities,
        }
