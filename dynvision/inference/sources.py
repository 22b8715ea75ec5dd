"""Where models can be downloaded from; each source is a function in the registry that returns a loaded model.

``url``           a file, with its checksum, kept in ``data/models/{md5}/`` (or below ``DYNVISION_DATA``)
``torchvision``   a published network, where torchvision is installed
``huggingface``   a classifier of images, where transformers is installed; safetensors only, and no code of the repository
``pytorch_hub``   ``repository/model``: runs the repository's own code, so that ``trust_repo=True`` must say that it may
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import torch
from torch import Tensor, nn

from dynvision.data.downloads import Download, dataset_folder, fetch
from dynvision.errors import InputError
from dynvision.inference.adapters import NetworkModel, find_adapter
from dynvision.inference.base_model import BaseModel
from dynvision.inference.config import InferenceConfig
from dynvision.inference.metadata import ModelLoadError, ModelMetadata

Source = Callable[..., BaseModel]
SOURCES: dict[str, Source] = {}


def source(name: str) -> Callable[[Source], Source]:
    """Register a source; a name that is taken is an error."""

    def register(function: Source) -> Source:
        if name in SOURCES:
            raise ValueError(f"there is a source {name!r} already")
        SOURCES[name] = function
        return function

    return register


@source("url")
def from_url(model_id: str, config: InferenceConfig, md5: str = "", **settings: Any) -> BaseModel:
    """A file from an address.

    Args:
        model_id: the address.
        config: where and how to run.
        md5: checksum of the file.
        **settings: of the class that loads such a file, e.g. ``data`` of `RunModel`.
    """
    file = Path(unquote(urlsplit(model_id).path)).name
    if not md5 or not file:
        raise InputError(f"model_id={model_id!r} must be the address of a file, with its checksum in md5=")
    (path,) = fetch((Download(file, model_id, md5),), dataset_folder("models") / md5)
    model = find_adapter(path)(config, **settings)
    model.load_model(path)
    return model


@source("torchvision")
def from_torchvision(
    model_id: str, config: InferenceConfig, pretrained: bool = True, **arguments: Any
) -> BaseModel:
    """A network of torchvision by its name, with the transforms and classes of its weights."""
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


@source("huggingface")
def from_huggingface(model_id: str, config: InferenceConfig, **arguments: Any) -> BaseModel:
    """A classifier of images by its repository; ``revision=`` fixes its version."""
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


@source("pytorch_hub")
def from_hub(
    model_id: str,
    config: InferenceConfig,
    trust_repo: bool = False,
    preprocess: Callable[[Any], Tensor] | None = None,
    **arguments: Any,
) -> BaseModel:
    """A network of a repository with a ``hubconf.py``, on GitHub or in a folder here.

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


def _needed(module: str, package: str) -> Any:
    """A module of a package that may be absent."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ModelLoadError(
            f"this source needs the package {package}, which cannot be imported here ({error}); pip install {package}"
        ) from None


def _metadata(name: str, kind: str, n_classes: int = 0) -> ModelMetadata:
    return ModelMetadata(name, "", kind, (), (n_classes,) if n_classes else ())
