"""Read a checkpoint from elsewhere: the tensors by name that are in it, and nothing that could run code."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dynvision.errors import InputError
from dynvision.models.weights import read_weights

WRAPPERS = ("state_dict", "model_state_dict", "model")  # keys under which a checkpoint may hold the weights
PREFIXES = ("module.", "_orig_mod.")  # of data-parallel training and of compiled models


def read_checkpoint(path: str | Path) -> dict[str, Tensor]:
    """The weights of a checkpoint by their published names.

    Args:
        path: a ``.safetensors`` file, or what ``torch.save`` wrote: a state dict, or a dictionary with one in it.

    Raises:
        InputError: the file is missing or damaged, holds more than data, or holds no weights.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"there is no checkpoint {path}")
    content: Any = read_weights(path)[0] if path.suffix == ".safetensors" else _load(path)
    for wrapper in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
            break
    if not isinstance(content, Mapping) or not content:
        raise InputError(
            f"checkpoint {path} holds no weights by name; save model.state_dict() with torch.save"
        )
    strange = [str(name) for name, tensor in content.items() if not isinstance(tensor, Tensor)]
    if strange:
        raise InputError(
            f"checkpoint {path} holds more than weights ({', '.join(strange[:5])}); save model.state_dict() alone"
        )
    tensors = {str(name): tensor for name, tensor in content.items()}
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    return tensors


def _load(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "weights_only" not in str(error) and "Unsupported" not in str(error):
            raise _damaged(path, error) from None
        raise InputError(
            f"checkpoint {path} is a pickle of more than tensors, which would run code when it is read; where you trust "
            "it, load it with the program that wrote it and save model.state_dict() alone"
        ) from None
    except (EOFError, RuntimeError, ValueError, KeyError, IndexError) as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> InputError:
    reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
    return InputError(f"checkpoint {path} cannot be read ({reason}); download or save it again")
