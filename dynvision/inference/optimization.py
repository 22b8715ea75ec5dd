"""What makes a loaded model faster; each function says what it has done, for ``model_info``.

Fused batch normalisation: (W x - m) / sqrt(v + eps) g + b is one convolution with W g / sqrt(v + eps).
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from dynvision.errors import InputError
from dynvision.inference.config import DeviceConfig


def fuse_batch_norm(network: nn.Module) -> int:
    """Fuse each convolution that a batch normalisation follows in a ``Sequential``, in place; how many there were."""
    n_fused = 0
    for parent in network.modules():
        if not isinstance(parent, nn.Sequential):
            continue
        for (name, first), (after, second) in zip(
            list(parent.named_children()), list(parent.named_children())[1:], strict=False
        ):
            if (
                isinstance(first, nn.Conv2d)
                and isinstance(second, nn.BatchNorm2d)
                and second.track_running_stats
            ):
                parent._modules[name] = fuse_conv_bn_eval(first, second)
                parent._modules[after] = nn.Identity()
                n_fused += 1
    return n_fused


def order_channels_last(network: nn.Module) -> bool:
    """Order the memory of a network with convolutions in two dimensions, and in no more, by pixels; whether it was done."""
    kinds = {type(module) for module in network.modules()}
    if nn.Conv2d not in kinds or kinds & {nn.Conv3d, nn.ConvTranspose3d}:
        return False
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return True


def quantize_linear(network: nn.Module) -> nn.Module:
    """A copy of a network with 8-bit weights in its linear layers; their inputs are quantised as they come.

    Raises:
        InputError: this torch does not offer it any more.
    """
    try:
        from torch.ao.quantization import quantize_dynamic
    except ImportError:
        raise InputError(
            f"optimization.enable_quantization=True, which torch {torch.__version__} does not offer; set it to False"
        ) from None
    return quantize_dynamic(network, {nn.Linear}, dtype=torch.qint8)


def allow_tf32() -> None:
    """Let matrix products and convolutions of this process round to TF32, and cuDNN choose by speed."""
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True


def limit_memory(config: DeviceConfig, device: torch.device) -> str:
    """Keep this process within its part of the GPU's memory."""
    if device.type != "cuda" or config.memory_fraction == 1:
        return ""
    torch.cuda.set_per_process_memory_fraction(config.memory_fraction, device)
    return f"at most {config.memory_fraction:g} of the memory"


def set_threads(number: int) -> str:
    """Set torch's threads, for the whole process; 0 leaves them."""
    if not number:
        return ""
    torch.set_num_threads(number)
    return f"{number} threads"
