"""An optimised model on disk: ``model.safetensors``, and ``optimized.json`` to look at: configuration, what was done."""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

import dynvision
from dynvision.errors import InputError
from dynvision.files import write_text
from dynvision.inference.config import InferenceConfig
from dynvision.inference.optimization import fuse_batch_norm
from dynvision.models.weights import load_weights, read_weights, save_weights

logger = logging.getLogger(__name__)
WEIGHTS, ABOUT = "model.safetensors", "optimized.json"


def save(folder: Path, network: nn.Module, config: InferenceConfig, done: Mapping[str, str]) -> None:
    """Write a model's weights, its configuration and what was done to it."""
    about = {
        "dynvision": dynvision.__version__,
        "optimizations": dict(done),
        "config": config.model_dump(mode="json"),
    }
    save_weights(network, folder / WEIGHTS, {"fused": "yes" if "fusion" in done else "no"})
    write_text(folder / ABOUT, json.dumps(about, indent=2) + "\n")


def load(folder: Path, network: Any, done: dict[str, str]) -> Any:
    """A copy of a network with the weights of a folder; None, and a warning, where they cannot be used.

    Args:
        folder: what `save` wrote.
        network: a network of the same kind; it stays as it is.
        done: what was done to it; told what is done now.
    """
    try:
        tensors, header = read_weights(folder / WEIGHTS)
        made = copy.deepcopy(network)
        to_fuse = header.get("fused") == "yes" and "fusion" not in done
        n_fused = fuse_batch_norm(made.eval()) if to_fuse else 0
        load_weights(made, tensors, folder / WEIGHTS)
    except InputError as error:
        logger.warning("no optimised state is loaded: %s", error)
        return None
    if n_fused:
        done["fusion"] = f"{n_fused} batch normalisations fused"
    return made
