"""Ways to make a loaded model faster, and checks of its weights.

Fused batch normalisation: (W x - m) / sqrt(v + eps) g + b is one convolution with W g / sqrt(v + eps). Which convolution
a normalisation follows is read from the trace of a forward pass, never from the order in which modules are held.
"""

from __future__ import annotations

import itertools
import logging
from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from dynvision.base import TemporalBase
from dynvision.errors import InputError, message_of
from dynvision.inference.prediction import ModelInferenceError

logger = logging.getLogger(__name__)
CONVOLUTIONS = {nn.Conv1d: nn.BatchNorm1d, nn.Conv2d: nn.BatchNorm2d, nn.Conv3d: nn.BatchNorm3d}
SIDE = 64  # of a made-up input, px, or steps of a sequence
Pair = tuple[str, str]  # names of a convolution and of the normalisation that follows it


def check_weights(network: nn.Module) -> None:
    """Check that all weights are numbers.

    Raises:
        ModelInferenceError: a parameter is not finite, a buffer not-a-number, or a tensor has no values at all.
    """
    for name, tensor in itertools.chain(network.named_parameters(), network.named_buffers()):
        if tensor.is_meta:
            raise ModelInferenceError(f"{name} of the network has no values; load weights first")
        if not (tensor.is_floating_point() or tensor.is_complex()):
            continue
        wrong = tensor.isnan() if not isinstance(tensor, nn.Parameter) else ~tensor.isfinite()
        if bool(wrong.any()):
            raise ModelInferenceError(
                f"{name} of the network holds NaN or Inf, so that there is no answer; its training diverged, or its file "
                "is damaged"
            )


def fuse_batch_norm(network: nn.Module, example: Tensor) -> tuple[list[Pair], str]:
    """Fuse each convolution with the batch normalisation that alone follows it in the forward pass, in place.

    Args:
        network: in evaluation mode.
        example: an input that it takes, of values that matter, so that outputs before and after can be compared.

    Returns:
        The pairs that were fused, and why there are none: the network cannot be traced, does not take the example, or
        changes its outputs by more than rounding, in which case it is as it was.
    """
    try:
        with torch.inference_mode():
            before = network(example.clone())  # it may begin with an operation in place
        pairs = _pairs(network)
        undo = fuse_pairs(network, pairs)
        with torch.inference_mode():
            after = network(example.clone())
    except Exception as error:  # a network from outside may raise anything when it is traced
        reason = message_of(error)[:200]
        return [], f"not fused: the network cannot be traced or run with a made-up input ({reason})"
    if not pairs:
        return [], ""
    if not _close(before, after):
        for name, module in undo.items():
            _put(network, name, module)
        return [], "not fused: the outputs would change by more than rounding"
    return pairs, ""


def fuse_pairs(network: nn.Module, pairs: Sequence[Pair]) -> dict[str, nn.Module]:
    """Fuse pairs by their names, in place; the modules that were replaced, by name."""
    replaced: dict[str, nn.Module] = {}
    for first, second in pairs:
        convolution, norm = network.get_submodule(first), network.get_submodule(second)
        replaced |= {first: convolution, second: norm}
        _put(network, first, fuse_conv_bn_eval(convolution, norm))  # type: ignore[type-var, arg-type]
        _put(network, second, nn.Identity())
    return replaced


def _pairs(network: nn.Module) -> list[Pair]:
    """Find convolutions, called once, whose output goes only to one batch normalisation, called once."""
    modules = dict(network.named_modules())
    if not any(type(module) in CONVOLUTIONS.values() for module in modules.values()):
        return []
    nodes = fx.symbolic_trace(network).graph.nodes
    # By module and not by name: a module that is held under two names is called twice.
    calls = Counter(id(modules[str(node.target)]) for node in nodes if node.op == "call_module")
    pairs = []
    for node in nodes:
        if node.op != "call_module" or len(node.args) != 1 or not isinstance(node.args[0], fx.Node):
            continue
        norm, source = modules[str(node.target)], node.args[0]
        if source.op != "call_module" or len(source.users) > 1:
            continue
        convolution = modules[str(source.target)]
        plain = type(norm) is CONVOLUTIONS.get(type(convolution)) and not (
            _changed(convolution) or _changed(norm)
        )
        if plain and norm.track_running_stats and calls[id(norm)] == calls[id(convolution)] == 1:
            pairs.append((str(source.target), str(node.target)))
    return pairs


def _changed(module: nn.Module) -> bool:
    """Return whether more happens in a call than the class's forward: hooks, computed parameters, another forward."""
    own_calls = module._forward_hooks or module._forward_pre_hooks or "forward" in vars(module)
    return bool(own_calls) or hasattr(module, "parametrizations")


def _put(network: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, own = name.rpartition(".")
    setattr(network.get_submodule(parent), own, module)


def _close(before: Any, after: Any) -> bool:
    """Return whether outputs agree but for rounding: within 1e-4 of the largest (of half precision, 2e-2)."""
    if not isinstance(before, Tensor) or not isinstance(after, Tensor) or before.shape != after.shape:
        return False
    tolerance = 1e-4 if before.dtype in (torch.float32, torch.float64) else 2e-2
    limit = tolerance * float(before.abs().max()) if before.numel() else 0.0
    return bool(torch.isfinite(after).all()) and bool(((before - after).abs() <= limit).all())


def order_channels_last(network: nn.Module) -> bool:
    """Order the memory of a network with convolutions in two dimensions, and in no more, by pixels; whether it was done."""
    kinds = {type(module) for module in network.modules()}
    if nn.Conv2d not in kinds or kinds & {nn.Conv3d, nn.ConvTranspose3d}:
        return False
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return True


def quantize_linear(network: nn.Module) -> nn.Module:
    """Return a copy of a network with 8-bit weights in its linear layers; their inputs are quantised in each call.

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


def dummy_shape(network: nn.Module) -> tuple[int, ...]:
    """Return the shape of an input for the first layer that states one, otherwise that of an image.

    (1, C, 64, 64) for a convolution in two dimensions, (1, C, 64) in one, (1, F) for a linear layer.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            return (1, module.in_channels, SIDE, SIDE)
        if isinstance(module, nn.Conv1d):
            return (1, module.in_channels, SIDE)
        if isinstance(module, nn.Linear):
            return (1, module.in_features)
    return (1, 3, SIDE, SIDE)


def floating_type(network: nn.Module) -> torch.dtype:
    """Return the type of the first floating-point weight; float32 where there is none."""
    of_weights: list[Tensor] = [p for p in network.parameters() if p.is_floating_point()]
    return of_weights[0].dtype if of_weights else torch.float32


class CompiledNetwork:
    """A compiled network that runs uncompiled, with one warning, where the compiler fails.

    torch compiles at the first call, so that is where it fails: without a C++ compiler or Triton, or for code that it does
    not understand. Every other error is the network's own and is raised.

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
            outputs = self._compiled(*inputs, **named)
            # A graph of a GPU writes the next outputs over these.
            return outputs.clone() if isinstance(outputs, Tensor) and outputs.is_cuda else outputs
        except self._errors as error:
            failure = message_of(error)[:200]
        outputs = self.network(*inputs, **named)  # where this fails, too, the error is not the compiler's
        self.failure = failure
        logger.warning("torch.compile failed (%s); the model runs uncompiled", failure)
        return outputs
