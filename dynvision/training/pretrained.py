"""Begin a training with weights that are there already, and train a part of the model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Any

import pytorch_lightning as pl
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from dynvision.config.training import TrainingConfig
from dynvision.errors import InputError, unknown_name
from dynvision.files import file_sha256
from dynvision.models.weights import load_weights, read_weights
from dynvision.runs import check_pretrained


def prepare(model: nn.Module, training: TrainingConfig) -> dict[str, str]:
    """Load the weights that the configuration names, and freeze all parameters but those that are to be trained.

    Returns:
        The file and the SHA-256 of its content, for the header of the trained weights; empty where there is no file.

    Raises:
        InputError: the file cannot be read, a weight is missing, unexpected or of another shape, or a pattern matches
            nothing.
    """
    check_pretrained(training)
    path = training.init_with_pretrained
    if path is not None:
        _load(model, path, training.pretrained_except)
    if training.trainable:
        names = [name for name, _ in model.named_parameters()]
        trained = _matching(names, training.trainable, "training.trainable")
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name in trained)
    if path is None:
        return {}
    return {"pretrained": path, "pretrained_sha256": file_sha256(path)}


class FrozenStatistics(pl.Callback):
    """Keep the running statistics of normalisations whose parameters are frozen, and normalise by them."""

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        for module in pl_module.modules():
            own = list(module.parameters(recurse=False))
            if isinstance(module, _BatchNorm) and own and not any(p.requires_grad for p in own):
                module.eval()


def _load(model: nn.Module, path: str, exceptions: Sequence[str]) -> None:
    found, _ = read_weights(path)
    own = model.state_dict()
    left_out = _matching([*own, *found], exceptions, "training.pretrained_except")
    tensors = {name: tensor for name, tensor in found.items() if name not in left_out}
    kept = {name: tensor for name, tensor in own.items() if name in left_out}
    try:
        load_weights(model, {**tensors, **kept}, path)
    except InputError as error:
        raise InputError(
            f"{error}; name the parameters to begin at random in training.pretrained_except"
        ) from None


def _matching(names: Iterable[str], patterns: Sequence[str], key: str) -> set[str]:
    """Return the names that match any of the patterns, each of which must match one."""
    known = list(dict.fromkeys(names))
    matched: set[str] = set()
    for pattern in patterns:
        found = {name for name in known if fnmatchcase(name, pattern)}
        if not found:
            raise unknown_name("parameter", pattern, known, key=key)
        matched |= found
    return matched
