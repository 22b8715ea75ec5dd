"""Which loader reads, and FFCV as an optional package: whether it can be used here, and an import that leaves no traces.

FFCV sets the number of torch's threads to that of its own, on import and again in each pass: a training on a CPU would
silently run on one thread. Here it is kept from doing so.
"""

from __future__ import annotations

import functools
import logging
import warnings
from typing import Any, Literal

from dynvision.errors import InputError, message_of

logger = logging.getLogger(__name__)


@functools.cache
def ffcv_failure() -> str | None:
    """Why FFCV cannot be imported, or None if it can. The first call takes seconds, since FFCV compiles on import."""
    import torch

    n_threads = torch.get_num_threads()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import ffcv  # noqa: F401
            from ffcv.pipeline.compiler import Compiler
    except (ImportError, OSError, AttributeError, RuntimeError) as error:
        return message_of(error)
    finally:
        torch.set_num_threads(n_threads)
    Compiler.set_num_threads = classmethod(_set_numba_threads)
    return None


def _set_numba_threads(compiler: Any, n_threads: int) -> None:
    import numba

    compiler.num_threads = n_threads
    numba.set_num_threads(n_threads)


def use_ffcv(loader: Literal["auto", "ffcv"]) -> bool:
    """Whether to use FFCV where it is asked for, or would be the fastest.

    Raises:
        InputError: FFCV is asked for and cannot be imported.
    """
    failure = ffcv_failure()
    if failure is None:
        return True
    if loader == "ffcv":
        raise InputError(
            f"execution.loader=ffcv, but FFCV cannot be imported here ({failure}); "
            "run make install, or set execution.loader: auto, memory or torch"
        )
    _warn_once(f"FFCV cannot be imported here ({failure}): images are read with the torch loader")
    return False


@functools.cache
def _warn_once(message: str) -> None:
    logger.warning(message)


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
