"""Where models come from, and which class answers for them.

A file is loaded by the class that is registered for its suffix (an adapter). A network in memory is a `NetworkModel`, with
the preprocessing that came with it. Each source of downloads is a function in the registry that returns a loaded model:

``url``           a file, with its SHA-256, kept in ``data/models/{sha256}/`` (or below ``DYNVISION_DATA``)
``torchvision``   a published network, where torchvision is installed
``huggingface``   a classifier of images, where transformers is installed; safetensors only, and no code of the repository
``pytorch_hub``   ``repository/model``: runs the repository's own code, so that ``trust_repo=True`` must state that it may
"""

from __future__ import annotations

import importlib
import inspect
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import torch
from PIL import Image
from torch import Tensor, nn

from dynvision.data.downloads import dataset_folder, download_file
from dynvision.errors import InputError, unknown_name
from dynvision.files import file_sha256
from dynvision.inference.config import InferenceConfig
from dynvision.inference.inference_model import InferenceModel
from dynvision.inference.inputs import check_several, to_image
from dynvision.inference.prediction import ModelInferenceError, ModelLoadError, ModelMetadata
from dynvision.inference.run_model import RunModel
from dynvision.registry import Registry

N_CHANNELS = 3
BLACK = Image.new("RGB", (256, 256))
FOLDER = "folder"
Adapter = Callable[..., InferenceModel]
ADAPTERS: Registry[Adapter] = Registry("adapter of files")
ADAPTERS.add(FOLDER, RunModel)
ADAPTERS.add(".safetensors", RunModel)
CHECKPOINTS = (".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".bin")


def register_adapter(suffix: str, adapter: Adapter) -> None:
    """Let files with a suffix be loaded by a class of models; it is called with the configuration.

    Raises:
        InputError: there is one already.
    """
    ADAPTERS.add(suffix, adapter)


def find_adapter(path: Path) -> Adapter:
    """Return the class of models for a path.

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
            "with 'dynvision weights import', or subclass dynvision.inference.InferenceModel and read it with "
            "dynvision.models.weights.read_checkpoint"
        )
    if suffix == ".pt2":
        raise ModelLoadError(
            f"{path} is an exported program, which names the functions that it calls and so may run any code; where you "
            "trust it, subclass dynvision.inference.InferenceModel and read it with torch.export.load"
        )
    allowed = ", ".join(f"{name} of a run" if name == FOLDER else name for name in ADAPTERS)
    raise ModelLoadError(f"no model can be made of {path}; allowed: {allowed}")


class NetworkModel(InferenceModel):
    """A network that is in memory already.

    Args:
        config: where and how to run.
        network: takes a batch (B, ...) and returns a tensor with a row for each of its rows.
        metadata: what is recorded of it.
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
        """Refuse to load: the network is in memory already.

        Raises:
            ModelLoadError: always.
        """
        raise ModelLoadError(
            f"this model was made from a network; {model_path} would need a model of its own"
        )

    def preprocess(self, inputs: Any) -> Tensor:
        """Return one input as the network takes it, with a first axis for the batch.

        Raises:
            InputError: it is no image, or no tensor where nothing is known of the preprocessing.
        """
        if self._show is not None:
            shown = self._show(to_image(inputs, N_CHANNELS))
            return (shown if shown.dim() == 4 else shown[None]).to(self.device)
        if not isinstance(inputs, Tensor):
            raise InputError(
                f"this network does not state how an input of type {type(inputs).__name__} becomes a tensor; give a tensor "
                "as the network takes it, without the batch, or load the network with preprocess="
            )
        return inputs[None].to(self.device, copy=True)  # the network may begin with an operation in place

    def _listed(self, inputs: Any) -> list[Any]:
        if self._show is not None:
            check_several(inputs)
        return super()._listed(inputs)

    def cache_settings(self) -> Any:
        """Return the preprocessing, and the names of the classes."""
        return id(self._show), self.class_names

    def _create_dummy_input(self) -> Tensor:
        """Return a black picture as the network takes it, where that is known."""
        return self.preprocess(BLACK) if self._show is not None else super()._create_dummy_input()

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the outputs of a batch."""
        return self.get_model_for_inference()(inputs)

    def postprocess(self, outputs: Tensor) -> Any:
        """Return the class, its name, its probability and all others; without class names, the outputs as they are."""
        if not self.class_names:
            return outputs[0].clone()
        if not bool(outputs.isfinite().all()):
            raise ModelInferenceError("outputs are not finite, so that there are no probabilities")
        probabilities = outputs[0].softmax(dim=-1).tolist()
        chosen = max(range(len(probabilities)), key=probabilities.__getitem__)
        return {
            "class": chosen,
            "class_name": self.class_names[chosen],
            "confidence": probabilities[chosen],
            "probabilities": probabilities,
        }


Source = Callable[..., InferenceModel]
SOURCES: Registry[Source] = Registry("source", key="source")
MOST_BYTES = 2**32  # of a download, unless more is asked for
logger = logging.getLogger(__name__)


@SOURCES.register("url")
def from_url(
    model_id: str, config: InferenceConfig, sha256: str = "", max_bytes: int = MOST_BYTES, **settings: Any
) -> InferenceModel:
    """Load a file from an address. Its checksum is verified at each loading, from the net or from the disk.

    Args:
        model_id: the address, http or https.
        config: where and how to run.
        sha256: checksum of the file, 64 hexadecimal digits.
        max_bytes: a larger file is not downloaded.
        **settings: of the class that loads such a file, e.g. ``data`` of `RunModel`.
    """
    if "md5" in settings:
        raise InputError("md5= can be forged; give the file's SHA-256 in sha256=, as sha256sum prints it")
    if not isinstance(sha256, str) or not re.fullmatch("[0-9a-fA-F]{64}", sha256):
        raise InputError(f"sha256={sha256!r} must be the checksum of {model_id}, 64 hexadecimal digits")
    parts = urlsplit(model_id)
    file = Path(unquote(parts.path)).name
    if parts.scheme not in ("http", "https") or file in ("", "..") or "\0" in file:
        raise InputError(f"model_id={model_id!r} must be the http or https address of a file")
    path = dataset_folder("models") / sha256.lower() / file
    if path.is_file() and file_sha256(path) != sha256.lower():
        logger.warning("%s is not what was downloaded; it is downloaded again", path)
        path.unlink()
    if not path.is_file():
        logger.info("downloading %s to %s", model_id, path)
        download_file(model_id, path, sha256.lower(), max_bytes)
    adapter = find_adapter(path)
    check_settings(adapter, settings)
    model = adapter(config, **settings)
    model.load_model(path)
    return model


@SOURCES.register("torchvision")
def from_torchvision(
    model_id: str, config: InferenceConfig, pretrained: bool = True, **arguments: Any
) -> InferenceModel:
    """Load a network of torchvision by its name, with the transforms and classes of its weights."""
    models = _needed("torchvision.models", "torchvision")
    known = models.list_models()
    if model_id not in known:
        raise InputError(
            f"torchvision has no model {model_id!r}; torchvision.models.list_models() has them all"
        )
    weights = models.get_model_weights(model_id).DEFAULT if pretrained else None
    network = models.get_model(model_id, weights=weights, **arguments)
    show, names = (weights.transforms(), weights.meta["categories"]) if weights else (None, ())
    return NetworkModel(config, network, _metadata(model_id, "torchvision", len(names)), show, names)


class Logits(nn.Module):
    """The logits of a network of transformers, whose outputs are an object."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        return self.network(pixel_values=images).logits


@SOURCES.register("huggingface")
def from_huggingface(model_id: str, config: InferenceConfig, **arguments: Any) -> InferenceModel:
    """Load a classifier of images by its repository; ``revision=`` fixes its version."""
    transformers = _needed("transformers", "transformers")
    processor = transformers.AutoImageProcessor.from_pretrained(model_id, **arguments)
    network = transformers.AutoModelForImageClassification.from_pretrained(
        model_id, use_safetensors=True, **arguments
    )
    labels = network.config.id2label
    names = tuple(labels[index] for index in range(len(labels)))

    def show(picture: Any) -> Tensor:
        return processor(images=picture, return_tensors="pt")["pixel_values"]

    return NetworkModel(config, Logits(network), _metadata(model_id, "transformers", len(names)), show, names)


@SOURCES.register("pytorch_hub")
def from_hub(
    model_id: str,
    config: InferenceConfig,
    trust_repo: bool = False,
    preprocess: Callable[[Any], Tensor] | None = None,
    **arguments: Any,
) -> InferenceModel:
    """Load a network of a repository with a ``hubconf.py``, on GitHub or in a local folder.

    Args:
        model_id: ``owner/repository/model``, ``owner/repository:branch/model`` or ``folder/model``.
        config: where and how to run.
        trust_repo: whether the repository's code may run here.
        preprocess: makes of a picture (RGB) what the network takes.
        **arguments: of the model.
    """
    repository, _, name = model_id.rpartition("/")
    if not repository or not name:
        raise InputError(
            f"model_id={model_id!r} must be repository/model, e.g. pytorch/vision:v0.10.0/resnet18"
        )
    if not trust_repo:
        raise InputError(
            f"to load {name} from {repository} runs the code of that repository; where you trust it, pass trust_repo=True"
        )
    where = "local" if Path(repository).is_dir() else "github"
    network = torch.hub.load(repository, name, source=where, trust_repo=True, **arguments)
    if not isinstance(network, nn.Module):
        raise InputError(f"{model_id} is a {type(network).__name__} and no network")
    return NetworkModel(config, network, _metadata(name, "pytorch_hub"), preprocess)


def check_settings(function: Callable[..., Any], settings: Mapping[str, Any]) -> None:
    """Refuse settings that an adapter or a source does not have.

    Raises:
        InputError: with the nearest name.
    """
    parameters = list(inspect.signature(function).parameters.values())
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return
    known = [parameter.name for parameter in parameters[1:]]  # the first is the configuration
    for name in settings:
        if name not in known:
            raise (
                unknown_name("setting", name, known)
                if known
                else InputError(f"unknown setting {name!r}; such a model has none")
            )


def _needed(module: str, package: str) -> Any:
    """Import a module of a package that may be absent."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ModelLoadError(
            f"this source needs the package {package}, which cannot be imported here ({error}); pip install {package}"
        ) from None


def _metadata(name: str, kind: str, n_classes: int = 0) -> ModelMetadata:
    return ModelMetadata(name, "", kind, (), (n_classes,) if n_classes else ())
