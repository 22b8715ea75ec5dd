"""Weights in files: safetensors of our own, and checkpoints from elsewhere.

Ours have what built them in the header, and names and shapes must fit, or nothing is loaded. Of a checkpoint from elsewhere
the tensors by name are read, and nothing that could run code.
"""

from __future__ import annotations

import json
import pickle
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from dynvision.errors import InputError
from dynvision.files import atomic_path, opened_weights, what_it_is
from dynvision.text import first_few


def save_weights(model: nn.Module, path: str | Path, metadata: Mapping[str, str]) -> None:
    """Write a model's weights, whole or not at all.

    Args:
        model: its ``state_dict`` is written.
        path: the ``.safetensors`` file.
        metadata: text for the header, e.g. the run id and its configuration.
    """
    tensors = {
        name: tensor.detach().cpu().contiguous().clone() for name, tensor in model.state_dict().items()
    }
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata=dict(metadata))
        _sort_header(temporary)


def _sort_header(path: Path) -> None:
    """Write the header with its keys sorted, so that equal weights are equal files; safetensors shuffles them.

    The sorted header takes the place of the other, padded to its length, so that the tensors after it are not moved.
    """
    with open(path, "r+b") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        found = json.loads(file.read(length))
        header = json.dumps(found, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        assert len(header) <= length, "safetensors writes its header without spaces and in UTF-8"
        file.seek(8)
        file.write(header.ljust(length))


def read_weights(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Weights and header of a file; errors as of `opened_weights`."""
    with opened_weights(path) as file:
        return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118


def load_weights(model: nn.Module, tensors: Mapping[str, Tensor], origin: str | Path) -> None:
    """Put weights into a model.

    Args:
        model: receives them.
        tensors: weights by name, all of them and no others.
        origin: where they are from, for errors.

    Raises:
        InputError: a weight is missing, unexpected or of another shape; each is named.
    """
    wanted = model.state_dict()
    wrong = [f"missing {name}" for name in wanted if name not in tensors]
    wrong += [f"unexpected {name}" for name in tensors if name not in wanted]
    wrong += [
        f"{name} has shape {tuple(tensors[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in tensors and tensors[name].shape != tensor.shape
    ]
    if wrong:
        raise InputError(f"weights {origin} are of another model: {first_few(wrong, 5, '; ')}")
    model.load_state_dict(dict(tensors))


def load_run_weights(model: nn.Module, path: str | Path, run_id: str) -> dict[str, str]:
    """Put the weights of a run into its model.

    Args:
        model: receives them.
        path: the run's ``model.safetensors``.
        run_id: the run that they have to be of.

    Returns:
        The header of the file.

    Raises:
        InputError: they are missing, damaged, of another run, or not those of this model.
    """
    tensors, header = read_weights(path)
    if header.get("run_id", run_id) != run_id:
        raise InputError(f"weights {path} are of run {header['run_id']}, not of {run_id}")
    load_weights(model, tensors, path)
    return header


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


def read_training_checkpoint(path: str | Path, run_id: str) -> dict[str, Any]:
    """Read a checkpoint of a training of this project; its tensors stay mapped from the file until they are used.

    Args:
        path: the ``.ckpt`` file.
        run_id: the run that it has to be of.

    Returns:
        ``epoch``, counted from 0, ``state_dict``, ``dynvision`` (of `training.checkpoints`), and what Lightning adds.

    Raises:
        InputError: the file is damaged or of another run.
        FileNotFoundError: it is not there.
    """
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        content["epoch"], content["state_dict"]
        owner = content.get("dynvision", {}).get("run_id", "an unknown run")
    except FileNotFoundError:
        raise
    except Exception as error:  # torch raises many kinds for a damaged file; all mean the same to the user
        reason = why_unreadable(path, error)
        raise InputError(f"checkpoint {path} cannot be read ({reason}); delete it and train again") from None
    if owner != run_id:
        raise InputError(f"checkpoint {path} is of {owner}, not of {run_id}; delete it and train again")
    return content


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
    """Return why a file of ``torch.save`` cannot be read: what it is where it is something else, or torch's message."""
    if not written_by_torch(path):
        return f"it is {what_it_is(path)}"
    # The first sentence: torch goes on with what its developers would want to know.
    return str(error).splitlines()[0].partition(". ")[0][:120] if str(error) else type(error).__name__
