"""A bounded cache of results by the content of their inputs: equal hashes, equal inputs.

An input that cannot be hashed has an empty hash, and its result is not kept. A path is hashed by the present content of its
file, a picture by everything that determines its pixels. Only the exact types listed here are hashed: a masked array, a
sparse tensor or an object of a subclass may hold data that its base class does not show.
"""

from __future__ import annotations

import copy
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

T = TypeVar("T")
ORIENTATION = 0x0112  # the tag of EXIF
MOST_BYTES = 2**26  # of a file that is hashed; to read a larger one takes longer than to use it
SCALARS = (bytes, bool, int, float, type(None))
Parts = list[bytes]


class ContentCache:
    """Results by the hash of their inputs. Each caller gets a copy, so that no caller changes the result of another.

    Args:
        entries: states how many results are kept at most; 0 keeps none.
    """

    def __init__(self, entries: Callable[[], int]) -> None:
        self._entries = entries
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, Any] = OrderedDict()
        self._hits = self._misses = 0

    def __len__(self) -> int:
        return len(self._kept)

    def counts(self) -> dict[str, int]:
        """Return how often a result was kept (``hits``) and was not (``misses``), and how many are kept (``entries``)."""
        return {"hits": self._hits, "misses": self._misses, "entries": len(self)}

    def get_or_make(self, key: Callable[[], str], make: Callable[[], T]) -> T:
        """Return the result for a key, made now if it is not kept.

        Args:
            key: gives the hash; called only if something is kept at all. An empty one is never kept.
            make: makes the result.
        """
        entries = self._entries()
        if not entries:
            if self._kept:
                self.clear()
            return make()
        name = key()
        with self._lock:
            if name in self._kept:
                self._hits += 1
                self._kept.move_to_end(name)
                return _copy(self._kept[name])
            self._misses += 1
        made = make()
        if name:
            with self._lock:
                self._kept[name] = _copy(made)
                while len(self._kept) > entries:
                    self._kept.popitem(last=False)
        return made

    def clear(self) -> None:
        """Remove every result; the counts stay."""
        with self._lock:
            self._kept.clear()


def _copy(value: T) -> T:
    return value.clone() if isinstance(value, Tensor) else copy.deepcopy(value)  # type: ignore[return-value]


def input_hash(inputs: Any) -> str:
    """Hash of an input; empty for an object of a kind that is not known."""
    parts: Parts = []
    try:
        return _digest(parts) if _collect(inputs, parts) else ""
    except RecursionError:  # nested without end
        return ""


def _digest(parts: Parts) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()


def _collect(value: Any, parts: Parts) -> bool:
    """Add the content of a value to the parts; return whether that was possible."""
    kind = type(value)
    if kind in (Tensor, torch.nn.Parameter):
        return _collect_tensor(value, parts)
    if kind is np.ndarray and not value.dtype.hasobject:
        # The text of a structured type has the names, types and offsets of its fields, in any order.
        about = (str(value.dtype) if value.dtype.names else value.dtype.str, value.shape)
        parts += [b"array", repr(about).encode(), value.tobytes()]
    elif isinstance(value, Image.Image):
        parts += [b"image", *_about_image(value), value.tobytes()]
    elif kind is str or isinstance(value, Path):
        return _collect_text(value, parts)
    elif kind in SCALARS:
        parts += [kind.__name__.encode(), value if isinstance(value, bytes) else repr(value).encode()]
    elif kind is dict:
        parts.append(f"mapping {len(value)}".encode())
        return all(_collect(part, parts) for item in value.items() for part in item)
    elif kind in (list, tuple):
        parts.append(f"{kind.__name__} {len(value)}".encode())
        return all(_collect(part, parts) for part in value)
    else:
        return False
    return True


def _about_image(image: Image.Image) -> list[bytes]:
    """Return what determines the pixels of a picture beside its bytes."""
    palette = (image.palette.mode, bytes(image.palette.palette)) if image.palette else None
    shown = (image.mode, image.size, image.format, image.info.get("transparency"))
    return [repr((*shown, image.getexif().get(ORIENTATION))).encode(), repr(palette).encode()]


def _collect_text(value: str | Path, parts: Parts) -> bool:
    """A file by what it holds, a text that is no path by itself; a folder, or a path to nothing, is not hashed."""
    try:
        path = Path(value)
        if path.is_file():
            if path.stat().st_size > MOST_BYTES:
                return False
            parts += [b"file", str(value).encode(errors="surrogateescape"), path.read_bytes()]
            return True
        is_path = isinstance(value, Path) or path.exists()
    except (OSError, ValueError):  # too long for a path, or not readable: what it holds is not known
        return False
    parts += [b"text", str(value).encode(errors="surrogatepass")]
    return not is_path


def _collect_tensor(tensor: Tensor, parts: Parts) -> bool:
    if tensor.layout != torch.strided or tensor.is_meta or tensor.is_quantized:
        return False
    about = (str(tensor.device), str(tensor.dtype), tuple(tensor.shape))
    values = tensor.detach().resolve_conj().resolve_neg().cpu().contiguous().flatten().view(torch.uint8)
    parts += [b"tensor", str(about).encode(), values.numpy().tobytes()]
    return True
