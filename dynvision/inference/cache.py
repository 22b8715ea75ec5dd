"""A bounded memory of what was made of what, by content: the latest entries stay."""

from __future__ import annotations

import copy
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, TypeVar

from torch import Tensor

T = TypeVar("T")


class ContentCache:
    """Results by the hash of what they were made from. Each caller gets a copy, so that nobody changes another's.

    Args:
        entries: most results that are kept; 0 keeps none.
    """

    def __init__(self, entries: int) -> None:
        self.entries = entries
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, Any] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def get_or_make(self, key: Callable[[], str], make: Callable[[], T]) -> T:
        """The result for a key, made now if it is not kept.

        Args:
            key: gives the hash; called only if something is kept at all. An empty one is never kept.
            make: makes the result.
        """
        name = key() if self.entries else ""
        if not name:
            return make()
        with self._lock:
            if name in self._kept:
                self._kept.move_to_end(name)
                return _copy(self._kept[name])
        made = make()
        with self._lock:
            self._kept[name] = _copy(made)
            if len(self._kept) > self.entries:
                self._kept.popitem(last=False)
        return made

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._kept.clear()


def _copy(value: T) -> T:
    return value.clone() if isinstance(value, Tensor) else copy.deepcopy(value)  # type: ignore[return-value]
