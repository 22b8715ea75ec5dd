"""Read a checkpoint from elsewhere: the tensors by name that are in it, and nothing that could run code."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dynvision.errors import InputError
from dynvision.files import what_it_is
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
    if not written_by_torch(path):
        raise InputError(
            f"checkpoint {path} cannot be read: it is {what_it_is(path)}; give a file that torch.save wrote"
        )
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
    return InputError(
        f"checkpoint {path} cannot be read ({why_unreadable(path, error)}); download or save it again"
    )


def written_by_torch(path: str | Path) -> bool:
    """Return whether a file begins as those of ``torch.save`` do: a ZIP archive, or a pickle of before version 1.6."""
    with open(path, "rb") as file:
        return file.read(2) in (b"PK", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")


def why_unreadable(path: str | Path, error: Exception) -> str:
    """Return why a file of ``torch.save`` cannot be read: what it is where it is something else, or what torch says."""
    if not written_by_torch(path):
        return f"it is {what_it_is(path)}"
    return str(error).splitlines()[0][:120] if str(error) else type(error).__name__
