"""A compiled network that goes on uncompiled, and says so once, where the compiler does not manage.

torch compiles at the first call, so that is where it fails: without a C++ compiler or Triton, or for code that it does not
understand. Every other error is the network's own and is raised.
"""

from __future__ import annotations

import logging
from typing import Any

import torch
from torch import nn

from dynvision.base import TemporalBase

logger = logging.getLogger(__name__)


class CompiledNetwork:
    """Calls the compiled network.

    Args:
        network: what is compiled.
        mode: of ``torch.compile``.

    Attributes:
        failure: why the network runs uncompiled; empty as long as it does not.
    """

    def __init__(self, network: nn.Module, mode: str) -> None:
        self.network = network
        self.failure = ""
        for module in network.modules():  # the compiler captures graphs itself, and captures do not nest
            if isinstance(module, TemporalBase):
                module.cuda_graphs = False
        self._compiled: Any = torch.compile(network, mode=mode, fullgraph=False, dynamic=False)
        from torch._dynamo.exc import TorchDynamoException  # slow to import, and needed only here

        self._errors = TorchDynamoException

    def __call__(self, *inputs: Any, **named: Any) -> Any:
        if self.failure:
            return self.network(*inputs, **named)
        try:
            return self._compiled(*inputs, **named)
        except self._errors as error:
            failure = " ".join(str(error).split())[:200] or type(error).__name__
        outputs = self.network(*inputs, **named)  # where this fails, too, the error is not the compiler's
        self.failure = failure
        logger.warning("torch.compile failed (%s); the model runs uncompiled", failure)
        return outputs
