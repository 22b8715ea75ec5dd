"""What memory a model and its process take."""

from __future__ import annotations

import psutil
import torch
from torch import nn

MB = 2.0**20


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
