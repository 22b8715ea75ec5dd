"""Weights on disk: safetensors, with what built them in the header. Names and shapes must fit, or nothing is loaded."""

from __future__ import annotations

import contextlib
import json
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from dynvision.errors import InputError
from dynvision.files import UNKNOWN_KIND, atomic_path, what_it_is


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
    """Write the header with its keys sorted, so that equal weights are equal files; safetensors shuffles them."""
    content = path.read_bytes()
    (length,) = struct.unpack_from("<Q", content)
    header = json.dumps(json.loads(content[8 : 8 + length]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)  # the tensors behind it stay aligned
    path.write_bytes(struct.pack("<Q", len(header)) + header + content[8 + length :])


def read_weights(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Weights and header of a file.

    Raises:
        InputError: the file is missing, damaged or no safetensors file.
    """
    with _opened(path) as file:
        return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118


def read_header(path: str | Path) -> dict[str, str]:
    """The header of a file of weights, which are not read; errors as of `read_weights`."""
    with _opened(path) as file:
        return dict(file.metadata() or {})


@contextlib.contextmanager
def _opened(path: str | Path) -> Iterator[Any]:
    if not Path(path).is_file():
        raise InputError(f"weights {path} do not exist; train the run first")
    try:
        with safe_open(str(path), framework="pt") as file:
            yield file
    except SafetensorError as error:
        kind = what_it_is(path)
        if kind != UNKNOWN_KIND:
            raise InputError(
                f"weights {path} cannot be read as safetensors, since the file is {kind}; replace it"
            ) from None
        raise InputError(
            f"weights {path} cannot be read as safetensors ({error}); delete the file and train the run again"
        ) from None


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
        listed = "; ".join(wrong[:5]) + (f"; and {len(wrong) - 5} more" if len(wrong) > 5 else "")
        raise InputError(f"weights {origin} are of another model: {listed}")
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
