"""Where a model computes, in which precision, and the memory that it takes."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

import psutil
import torch
from pytorch_lightning.plugins.precision import DoublePrecision, MixedPrecision, Precision
from torch import nn

from dynvision.errors import InputError
from dynvision.inference.config import DeviceConfig

logger = logging.getLogger(__name__)
MB = 2.0**20


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


def precision_of(name: str, device: torch.device, use_fp16: bool) -> tuple[str, Precision]:
    """The floating-point precision of a run, as its own test had it: its name, and Lightning's plugin.

    Args:
        name: the run's ``training.precision``.
        device: where it is computed.
        use_fp16: half precision is asked for, which replaces it.
    """
    if use_fp16:
        return "16", Precision()  # autocast is in the context of every inference
    if name == "16-mixed" and device.type == "cpu":
        logger.warning("training.precision=16-mixed needs a GPU; the network computes in 32 bits")
        return "32, since 16-mixed needs a GPU", Precision()
    if name in ("bf16-mixed", "16-mixed"):
        return name, MixedPrecision(name, device.type)  # type: ignore[arg-type]
    return name, DoublePrecision() if name == "64" else Precision()


def memory_usage(network: nn.Module | None, device: torch.device) -> dict[str, float]:
    """Memory in MB (2^20 bytes), and numbers of parameters; what is of a GPU is 0 on a CPU.

    Args:
        network: None counts no parameters.
        device: where it is.
    """
    on_gpu = device.type == "cuda"
    parameters = list(network.parameters()) if network is not None else []
    buffers = list(network.buffers()) if network is not None else []
    return {
        "gpu_allocated_mb": torch.cuda.memory_allocated(device) / MB if on_gpu else 0.0,
        "gpu_reserved_mb": torch.cuda.memory_reserved(device) / MB if on_gpu else 0.0,
        "gpu_max_allocated_mb": torch.cuda.max_memory_allocated(device) / MB if on_gpu else 0.0,
        "cpu_memory_mb": psutil.Process().memory_info().rss / MB,
        "total_params": sum(p.numel() for p in parameters),
        "trainable_params": sum(p.numel() for p in parameters if p.requires_grad),
        "model_size_mb": sum(t.nbytes for t in (*parameters, *buffers)) / MB,
    }
