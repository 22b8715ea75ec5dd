"""Weights of DynVision 0.1 (``trained*.pt``, a state dict): their names, and the arguments that follow from them.

| DynVision 0.1                                        | here                                                        |
|------------------------------------------------------|-------------------------------------------------------------|
| ``V1.conv``, ``V1.conv2``, ``addskip_V4.conv``, ...  | the same                                                    |
| ``classifier.2``                                     | ``classifier``                                              |
| ``V1.recurrence.conv`` (full)                        | ``V1.recurrence``                                           |
| ``V1.recurrence.depthwise_conv``, ``.pointwise_conv`` | ``V1.recurrence.0``, ``.1`` in their order                 |
| ``V1.recurrence.weight``, one number (self)          | the same, as a scalar                                       |
| ``V1.recurrence.conv`` (local)                       | the same                                                    |
| ``V1.recurrence.local_conv.conv``, ``.patchy_conv``  | ``V1.recurrence.0.conv``, ``.1``                            |
| ``supralin.n``, ``supralin.k``                       | arguments ``supralinearity``, ``supralinearity_gain``       |
| ``tau_V1``, ``tstep_V1.tau``                         | argument ``tau``; ``tstep_V1.tau`` if they differ by layer  |
| ``addskip_V4.source``, ``addfeedback_V1.source``     | a second name of the weights of the layer that it is        |
| ``n_residual_timesteps``, ``flat_*_mapping``         | left out: they follow from the delays and the shapes        |

Delays, dt, merges, nonlinearities and the target `middle` are not in the file; they are arguments of the model.
Source: the names that the published package DynVision 0.1.0 gives, read off its models.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from dynvision.errors import InputError

SHEET_MAPS = ("flat_plane_mapping", "flat_layer_mapping")
SUPRALINEARITY = {"supralin.n": "supralinearity", "supralin.k": "supralinearity_gain"}
TIME_CONSTANT = re.compile(r"(?:tau_|tstep_)(\w+?)(?:\.tau)?")
PARTS = {"depthwise_conv": "depthwise", "pointwise_conv": "pointwise"}


def wrote(state_dict: Mapping[str, Tensor]) -> bool:
    """Whether a state dict has the layout of DynVision 0.1."""
    return "n_residual_timesteps" in state_dict or "classifier.2.weight" in state_dict


def translate(state_dict: Mapping[str, Tensor], sources: Mapping[str, str]) -> dict[str, Tensor]:
    """Weights by the names of :class:`dynvision.models.DyRCNN`.

    Args:
        state_dict: tensors by their names in DynVision 0.1.
        sources: the layer that each connection, e.g. ``addskip_V4``, comes from.

    Raises:
        InputError: two names of the same weights have different values.
    """
    kind = arguments(state_dict)["recurrence_type"]
    translated: dict[str, Tensor] = {}
    for name, tensor in state_dict.items():
        if _is_no_weight(name):
            continue
        own = _own_name(_of_source(name, sources), kind)
        if kind == "self" and ".recurrence." in own:
            tensor = tensor.reshape(())
        if own in translated and not torch.equal(translated[own], tensor):
            raise InputError(f"{name} is a second name of {own} in the file, but has other values")
        translated[own] = tensor
    taus = _time_constants(state_dict)
    if len(set(taus.values())) > 1:
        translated |= {f"tstep_{layer}.tau": torch.tensor(tau) for layer, tau in taus.items()}
    return translated


def arguments(state_dict: Mapping[str, Tensor]) -> dict[str, Any]:
    """Arguments of :class:`dynvision.config.DyRCNNArgs` that follow from names and shapes.

    Raises:
        InputError: the time constant of a layer has two values.
    """
    first = next(name.partition(".")[0] for name in state_dict if name.endswith(".conv.weight"))
    parts = [
        name.removeprefix(f"{first}.recurrence.") for name in state_dict if name.startswith(f"{first}.rec")
    ]
    found: dict[str, Any] = {
        "recurrence_type": _recurrence_type(parts),
        "bias": f"{first}.conv.bias" in state_dict,
        "skip": any(name.startswith("addskip_") for name in state_dict),
        "feedback": "additive" if any(name.startswith("addfeedback_") for name in state_dict) else "none",
    }
    if found["recurrence_type"] in ("full", "depthpointwise", "pointdepthwise"):
        last = [part for part in parts if part.endswith("weight")][-1]
        target = state_dict[f"{first}.recurrence.{last}"].shape[0]
        out_channels, in_channels = state_dict[f"{first}.conv.weight"].shape[:2]
        if target == in_channels != out_channels:
            found["recurrence_target"] = "input"
    found |= {key: float(state_dict[name]) for name, key in SUPRALINEARITY.items() if name in state_dict}
    taus = _time_constants(state_dict)
    if taus:
        found["tau"] = next(iter(taus.values()))
        found["train_tau"] = len(set(taus.values())) > 1
    return found


def _recurrence_type(parts: list[str]) -> str:
    """From the names below ``recurrence`` of a layer, in the order in which the file has them."""
    if not parts:
        return "none"
    if any(part.startswith("local_conv") for part in parts):
        return "localdepthwise"
    if any(part in SHEET_MAPS for part in parts):
        return "local"
    if "weight" in parts:
        return "self"
    order = [PARTS[part.partition(".")[0]] for part in parts if part.partition(".")[0] in PARTS]
    steps = list(dict.fromkeys(order))
    return (
        {"depthwise": "depthpointwise", "pointwise": "pointdepthwise"}[steps[0]]
        if len(steps) == 2
        else "full"
    )


def _is_no_weight(name: str) -> bool:
    follows = name == "n_residual_timesteps" or name.endswith(SHEET_MAPS)
    return follows or name in SUPRALINEARITY or TIME_CONSTANT.fullmatch(name) is not None


def _of_source(name: str, sources: Mapping[str, str]) -> str:
    connection, _, rest = name.partition(".source.")
    return f"{sources[connection]}.{rest}" if rest and connection in sources else name


def _own_name(name: str, kind: str) -> str:
    name = re.sub(r"^classifier\.2\.", "classifier.", name)
    if kind == "full":
        return name.replace(".recurrence.conv.", ".recurrence.")
    if kind == "localdepthwise":
        return name.replace(".local_conv.conv.", ".0.conv.").replace(".patchy_conv.", ".1.")
    if kind in ("depthpointwise", "pointdepthwise"):
        depth, point = ("0", "1") if kind == "depthpointwise" else ("1", "0")
        return name.replace(".depthwise_conv.", f".{depth}.").replace(".pointwise_conv.", f".{point}.")
    return name


def _time_constants(state_dict: Mapping[str, Tensor]) -> dict[str, float]:
    taus: dict[str, float] = {}
    for name, tensor in state_dict.items():
        match = TIME_CONSTANT.fullmatch(name)
        if match:
            tau = float(tensor)
            if taus.setdefault(match[1], tau) != tau:
                raise InputError(
                    f"{name}={tau:g} ms contradicts another time constant of {match[1]} in the file"
                )
    return taus
