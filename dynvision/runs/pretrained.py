"""Weights that a training begins with."""

from __future__ import annotations

from pathlib import Path

from dynvision.config.training import TrainingConfig
from dynvision.errors import InputError


def check_pretrained(training: TrainingConfig) -> None:
    """Check that there is a file of weights to begin with, where the configuration names one.

    Raises:
        InputError: there is none, or it is of a kind that must be imported first.
    """
    path = training.init_with_pretrained
    if path is None:
        if training.pretrained_except:
            raise InputError(
                "training.pretrained_except needs training.init_with_pretrained, the file that weights are taken from"
            )
        return
    if not path.endswith(".safetensors"):
        raise InputError(
            f"training.init_with_pretrained={path} must be a .safetensors file; turn a published checkpoint into one with "
            "'dynvision weights import'"
        )
    if not Path(path).is_file():
        raise InputError(f"training.init_with_pretrained: there is no file {path}")
