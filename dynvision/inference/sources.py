"""Where models can be downloaded from; each source is a function in the registry that returns a loaded model.

``url``           a file, with its SHA-256, kept in ``data/models/{sha256}/`` (or below ``DYNVISION_DATA``)
``torchvision``   a published network, where torchvision is installed
``huggingface``   a classifier of images, where transformers is installed; safetensors only, and no code of the repository
``pytorch_hub``   ``repository/model``: runs the repository's own code, so that ``trust_repo=True`` must say that it may
"""

from __future__ import annotations

import hashlib
import http.client
import importlib
import inspect
import logging
import re
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import torch
from torch import Tensor, nn

from dynvision.data.downloads import CHUNK_BYTES, TIMEOUT_S, dataset_folder
from dynvision.errors import InputError, unknown_name
from dynvision.files import atomic_path
from dynvision.inference.adapters import NetworkModel, find_adapter
from dynvision.inference.base_model import BaseModel
from dynvision.inference.config import InferenceConfig
from dynvision.inference.metadata import ModelLoadError, ModelMetadata

Source = Callable[..., BaseModel]
SOURCES: dict[str, Source] = {}
MOST_BYTES = 2**32  # of a download, unless more is asked for
logger = logging.getLogger(__name__)


def source(name: str) -> Callable[[Source], Source]:
    """Register a source; a name that is taken is an error."""

    def register(function: Source) -> Source:
        if name in SOURCES:
            raise ValueError(f"there is a source {name!r} already")
        SOURCES[name] = function
        return function

    return register


@source("url")
def from_url(
    model_id: str, config: InferenceConfig, sha256: str = "", max_bytes: int = MOST_BYTES, **settings: Any
) -> BaseModel:
    """A file from an address. Its checksum is verified whenever it is loaded, from the net or from the disk.

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
        _download(model_id, path, sha256.lower(), max_bytes)
    adapter = find_adapter(path)
    check_settings(adapter, settings)
    model = adapter(config, **settings)
    model.load_model(path)
    return model


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, which may be larger than the memory."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _download(url: str, path: Path, sha256: str, max_bytes: int) -> None:
    """A file from an address, whole and with its checksum, or not at all.

    Raises:
        InputError: it cannot be had, is larger than allowed, or is another file.
    """
    too_large = (
        f"{url} has more than max_bytes={max_bytes} bytes; where that is right, pass a larger max_bytes="
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    logger.info("downloading %s to %s", url, path)
    digest, n_bytes = hashlib.sha256(), 0
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as response, atomic_path(path) as temporary:
            if int(response.headers.get("Content-Length") or 0) > max_bytes:
                raise InputError(too_large)
            with open(temporary, "wb") as file:
                while chunk := response.read(CHUNK_BYTES):
                    n_bytes += len(chunk)
                    if n_bytes > max_bytes:
                        raise InputError(too_large)
                    digest.update(chunk)
                    file.write(chunk)
            if digest.hexdigest() != sha256:
                raise InputError(
                    f"what came from {url} is not the file: its SHA-256 is {digest.hexdigest()}, not {sha256}"
                )
    except (OSError, http.client.HTTPException) as error:  # URLError, too
        raise InputError(f"{url} cannot be downloaded ({getattr(error, 'reason', '') or error})") from None


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
    """A module of a package that may be absent."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ModelLoadError(
            f"this source needs the package {package}, which cannot be imported here ({error}); pip install {package}"
        ) from None


def _metadata(name: str, kind: str, n_classes: int = 0) -> ModelMetadata:
    return ModelMetadata(name, "", kind, (), (n_classes,) if n_classes else ())
