"""Where to compute."""

from __future__ import annotations

import torch

from dynvision.errors import InputError


def choose_device(accelerator: str) -> torch.device:
    """The device for ``execution.accelerator``: ``auto`` is a GPU if there is one.

    Raises:
        InputError: a GPU is asked for and there is none.
    """
    if accelerator == "gpu" and not torch.cuda.is_available():
        raise InputError("execution.accelerator=gpu, but torch finds no GPU here; set it to auto or cpu")
    return torch.device("cpu" if accelerator == "cpu" or not torch.cuda.is_available() else "cuda")
