"""What an input is, as a hash of its content: equal hashes, equal inputs. An empty hash is of what cannot be hashed.

A path is hashed by what its file holds now. A picture is hashed by pixels, mode, palette and orientation.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

ORIENTATION = 0x0112  # the tag of EXIF
Parts = list[bytes]


def input_hash(inputs: Any) -> str:
    """Hash of an input; empty for an object of a kind that is not known."""
    parts: Parts = []
    return _digest(parts) if _collect(inputs, parts) else ""


def tensor_hash(tensor: Tensor) -> str:
    """Hash of a tensor: type, shape and values."""
    parts: Parts = []
    _add_tensor(tensor, parts)
    return _digest(parts)


def _digest(parts: Parts) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()


def _collect(value: Any, parts: Parts) -> bool:
    """Add what a value is to the parts; whether that was possible."""
    if isinstance(value, Tensor):
        _add_tensor(value, parts)
    elif isinstance(value, np.ndarray) and value.dtype != object:
        parts += [b"array", str((value.dtype.str, value.shape)).encode(), value.tobytes()]
    elif isinstance(value, Image.Image):
        about = (value.mode, value.size, value.getpalette(), value.getexif().get(ORIENTATION))
        parts += [b"image", str(about).encode(), value.tobytes()]
    elif isinstance(value, (str, Path)):
        return _collect_text(value, parts)
    elif value is None or isinstance(value, (bytes, bool, int, float)):
        parts += [type(value).__name__.encode(), value if isinstance(value, bytes) else repr(value).encode()]
    elif isinstance(value, Mapping):
        parts.append(f"mapping {len(value)}".encode())
        return all(_collect(part, parts) for item in value.items() for part in item)
    elif isinstance(value, (list, tuple)):
        parts.append(f"{type(value).__name__} {len(value)}".encode())
        return all(_collect(part, parts) for part in value)
    else:
        return False
    return True


def _collect_text(value: str | Path, parts: Parts) -> bool:
    """A file by what it holds, a text that is no path by itself; a folder, or a path to nothing, is not hashed."""
    try:
        path = Path(value)
        if path.is_file():
            parts += [b"file", str(value).encode(), path.read_bytes()]
            return True
        is_path = isinstance(value, Path) or path.exists()
    except (OSError, ValueError):  # too long for a path, or not readable: what it holds is not known
        return False
    parts += [b"text", str(value).encode(errors="surrogatepass")]
    return not is_path


def _add_tensor(tensor: Tensor, parts: Parts) -> None:
    about = (str(tensor.dtype), tuple(tensor.shape))
    values = tensor.detach().cpu().contiguous().flatten().view(torch.uint8)
    parts += [b"tensor", str(about).encode(), values.numpy().tobytes()]
