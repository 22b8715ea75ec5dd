"""One dtype and one device for a model, those of its first parameter; and the models that need no Lightning."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from dynvision.base.monitoring import Monitoring
from dynvision.base.temporal_base import TemporalBase
from dynvision.errors import InputError, unknown_name

CREATION_METHODS: dict[str, Callable[..., Tensor]] = {
    "randn": torch.randn,
    "zeros": torch.zeros,
    "ones": torch.ones,
}


class DtypeDeviceCoordinator:
    """Creates tensors that fit a model, and brings all of a model to one dtype and device."""

    def create_aligned_tensor(
        self, size: Sequence[int], creation_method: str = "randn", **kwargs: Any
    ) -> Tensor:
        """A tensor of the model's dtype and device.

        Args:
            size: its shape.
            creation_method: ``randn``, ``zeros`` or ``ones``.
            **kwargs: further arguments of the torch function; they overrule dtype and device.

        Raises:
            InputError: an unknown creation method.
        """
        if creation_method not in CREATION_METHODS:
            raise unknown_name("creation_method", creation_method, CREATION_METHODS)
        like = self._reference()
        return CREATION_METHODS[creation_method](
            tuple(size), **{"dtype": like.dtype, "device": like.device, **kwargs}
        )

    def propagate_dtype_sync(self) -> None:
        """Bring all parameters and buffers to the dtype and device of the first parameter."""
        assert isinstance(self, nn.Module)
        like = self._reference()
        self.to(device=like.device, dtype=like.dtype)

    def _reference(self) -> Tensor:
        """The first floating-point parameter; a model without one is as torch creates tensors by default."""
        assert isinstance(self, nn.Module)
        return next((p for p in self.parameters() if p.is_floating_point()), torch.empty(0))


class CoreModel(TemporalBase, DtypeDeviceCoordinator):
    """Neural network with device coordination only."""


class MonitoredModel(TemporalBase, Monitoring, DtypeDeviceCoordinator):
    """Neural network with monitoring but no Lightning integration."""


def choose_device(accelerator: str) -> torch.device:
    """The device for ``execution.accelerator``: ``auto`` is a GPU if there is one.

    Raises:
        InputError: a GPU is asked for and there is none.
    """
    if accelerator == "gpu" and not torch.cuda.is_available():
        raise InputError("execution.accelerator=gpu, but torch finds no GPU here; set it to auto or cpu")
    return torch.device("cpu" if accelerator == "cpu" or not torch.cuda.is_available() else "cuda")
