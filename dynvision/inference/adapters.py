"""Which class answers for what: for a file by what its path is (adapters are registered by the suffix of their files), and
for a network from elsewhere that is in memory, with the preprocessing that came with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor, nn

from dynvision.errors import InputError
from dynvision.inference.base_model import BaseModel
from dynvision.inference.config import InferenceConfig
from dynvision.inference.image_input import described, is_one_image, to_image
from dynvision.inference.metadata import ModelLoadError, ModelMetadata
from dynvision.inference.run_model import RunModel

N_CHANNELS = 3
BLACK = Image.new("RGB", (256, 256))
FOLDER = "folder"
Adapter = Callable[..., BaseModel]
ADAPTERS: dict[str, Adapter] = {FOLDER: RunModel, ".safetensors": RunModel}
CHECKPOINTS = (".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".bin")


def register_adapter(suffix: str, adapter: Adapter) -> None:
    """Let files with a suffix be loaded by a class of models; it is called with the configuration.

    Raises:
        ValueError: there is one already.
    """
    if suffix in ADAPTERS:
        raise ValueError(f"files {suffix} have an adapter already")
    ADAPTERS[suffix] = adapter


def find_adapter(path: Path) -> Adapter:
    """The class for a path.

    Raises:
        ModelLoadError: there is nothing, or no class for it.
    """
    if not path.exists():
        raise ModelLoadError(
            f"there is no model {path}; give the folder of a run, results/runs/RUN, or its model.safetensors"
        )
    suffix = FOLDER if path.is_dir() else path.suffix
    if suffix in ADAPTERS:
        return ADAPTERS[suffix]
    if suffix in CHECKPOINTS:
        raise ModelLoadError(
            f"{path} holds weights at best and no network, and may run code when it is read; convert published weights "
            "with 'dynvision weights import', or subclass dynvision.inference.BaseModel and read it with "
            "dynvision.models.checkpoint.read_checkpoint"
        )
    if suffix == ".pt2":
        raise ModelLoadError(
            f"{path} is an exported program, which names the functions that it calls and so may run any code; where you "
            "trust it, subclass dynvision.inference.BaseModel and read it with torch.export.load"
        )
    allowed = ", ".join(f"{name} of a run" if name == FOLDER else name for name in ADAPTERS)
    raise ModelLoadError(f"no model can be made of {path}; allowed: {allowed}")


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
        return inputs[None].to(self.device, copy=True)  # the network may begin with an operation in place

    def _listed(self, inputs: Any) -> list[Any]:
        if self._show is not None and is_one_image(inputs):
            raise InputError(
                f"predict_batch takes several images, and {described(inputs)} is one; give it to predict, or in a list"
            )
        return super()._listed(inputs)

    def cache_settings(self) -> Any:
        """The preprocessing, and the names of the classes."""
        return id(self._show), self.class_names

    def _create_dummy_input(self) -> Tensor:
        """A black picture as the network takes it, where that is known."""
        return self.preprocess(BLACK) if self._show is not None else super()._create_dummy_input()

    def forward(self, inputs: Tensor) -> Tensor:
        """Outputs of a batch."""
        return self.get_model_for_inference()(inputs)

    def postprocess(self, outputs: Tensor) -> Any:
        """Class, its name, its probability and those of all; where no classes are known, the outputs as they are."""
        if not self.class_names:
            return outputs[0].clone()
        probabilities = outputs[0].softmax(dim=-1).tolist()
        chosen = max(range(len(probabilities)), key=probabilities.__getitem__)
        return {
            "class": chosen,
            "class_name": self.class_names[chosen],
            "confidence": probabilities[chosen],
            "probabilities": probabilities,
        }
