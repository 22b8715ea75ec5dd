"""Where a model computes, and in which precision."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from dynvision.errors import InputError
from dynvision.inference.config import DeviceConfig


def target_device(config: DeviceConfig) -> torch.device:
    """The device that a configuration asks for.

    Raises:
        InputError: there is no such GPU, or half precision is asked for without one.
    """
    there = 0
    if (
        config.device_type != "cpu" and torch.cuda.is_available()
    ):  # to ask CUDA begins it, and forks want it not begun
        there = torch.cuda.device_count()
    if config.device_type == "cuda" and not there:
        raise InputError("device.device_type=cuda, but torch finds no GPU here; set it to auto or cpu")
    if config.use_fp16 and not there:
        raise InputError("device.use_fp16=True needs a GPU; set it to False on a CPU")
    if not there:
        return torch.device("cpu")
    if config.device_index >= there:
        raise InputError(
            f"device.device_index={config.device_index}, but torch finds {there} GPUs here, counted from 0"
        )
    return torch.device("cuda", config.device_index)


@contextlib.contextmanager
def inference_context(device: torch.device, use_fp16: bool) -> Iterator[None]:
    """No gradients, and half precision by autocast where that is asked for."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.inference_mode())
        if use_fp16:
            stack.enter_context(torch.amp.autocast(device.type, dtype=torch.float16))
        yield
