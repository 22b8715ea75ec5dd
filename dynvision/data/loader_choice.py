"""Which loader reads, given ``execution.loader`` and the size of the data."""

from __future__ import annotations

from typing import Literal

from dynvision.data.ffcv_import import use_ffcv

LoaderName = Literal["auto", "ffcv", "torch", "memory"]
MEMORY_BYTES = 512 * 2**20  # data of up to this size are kept in memory: CIFAR takes 176 MiB


def choose_loader(loader: LoaderName, n_bytes: int) -> Literal["ffcv", "torch", "memory"]:
    """The loader to use; ``auto`` takes memory for small data, otherwise FFCV where it is installed, otherwise torch.

    Args:
        loader: what was asked for.
        n_bytes: size of all images as they are kept in memory.

    Raises:
        InputError: FFCV is asked for and cannot be imported.
    """
    if loader == "torch" or loader == "memory":
        return loader
    if loader == "auto" and n_bytes <= MEMORY_BYTES:
        return "memory"
    return "ffcv" if use_ffcv(loader) else "torch"
