"""How long predictions take, what memory they take, and what went wrong; measured, never estimated.

count, mean, min and max are of everything since the last reset; p95, the value that 95 % do not exceed, is of the latest
1,000 (by linear interpolation between the two nearest ranks).
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile

T = TypeVar("T")
SHOWN = 10  # operations of a profile
KEPT = 1000  # latest values from which p95 is taken


class Series:
    """Values of one kind."""

    def __init__(self) -> None:
        self.count, self.total = 0, 0.0
        self.least, self.most = math.inf, -math.inf
        self.latest: deque[float] = deque(maxlen=KEPT)

    def add(self, value: float) -> None:
        """Take in a value."""
        self.count += 1
        self.total += value
        self.least, self.most = min(self.least, value), max(self.most, value)
        self.latest.append(value)

    def summary(self) -> dict[str, float]:
        """count, mean, min, max, p95; there must be a value."""
        return {
            "count": self.count,
            "mean": self.total / self.count,
            "min": self.least,
            "max": self.most,
            "p95": float(np.percentile(self.latest, 95)),
        }


class Statistics:
    """Series by name, and errors by class. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._series: dict[str, Series] = {}
        self._errors: Counter[str] = Counter()

    def add(self, name: str, value: float) -> None:
        """Take in a value of a series."""
        with self._lock:
            self._series.setdefault(name, Series()).add(value)

    @contextlib.contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Time a block in s; a block that fails is not counted."""
        start = time.perf_counter()
        yield
        self.add(name, time.perf_counter() - start)

    def count_error(self, error: Exception) -> None:
        """Count an error by its class."""
        with self._lock:
            self._errors[type(error).__name__] += 1

    @contextlib.contextmanager
    def errors_counted(self) -> Iterator[None]:
        """Count an error that leaves the block."""
        try:
            yield
        except Exception as error:
            self.count_error(error)
            raise

    def summary(self) -> dict[str, Any]:
        """Every series that has values, and ``error_counts``."""
        with self._lock:
            series = {name: series.summary() for name, series in self._series.items()}
            return {**series, "error_counts": dict(self._errors)}

    def reset(self) -> None:
        """Forget everything."""
        with self._lock:
            self._series.clear()
            self._errors.clear()


def profiled(function: Callable[[], T], device: torch.device) -> tuple[T, dict[str, float]]:
    """What a function returns, and its slowest operations: time in ms without what they call, on the CPU and the GPU."""
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device.type == "cuda" else [])]
    with profile(activities=activities) as profiler:
        made = function()
    times = {
        event.key: (event.self_cpu_time_total + event.self_device_time_total) / 1000
        for event in profiler.key_averages()
    }
    slowest = sorted(times, key=lambda name: -times[name])[:SHOWN]
    return made, {name: times[name] for name in slowest}
