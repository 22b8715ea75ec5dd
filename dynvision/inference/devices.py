"""The device and precision of a model, and measurements of its time and memory.

count, mean, min and max are of everything since the last reset; p95, the value that 95 % do not exceed, is of the latest
1,000 (by linear interpolation between the two nearest ranks).
"""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np
import psutil
import torch
from pytorch_lightning.plugins.precision import DoublePrecision, MixedPrecision, Precision
from torch import nn
from torch.profiler import ProfilerActivity, profile

from dynvision.errors import InputError
from dynvision.inference.config import DeviceConfig

logger = logging.getLogger(__name__)
MB = 2.0**20


def target_device(config: DeviceConfig) -> torch.device:
    """Return the device that a configuration asks for.

    Raises:
        InputError: there is no such GPU, or half precision is asked for without one.
    """
    # To ask CUDA begins it, and forks want it not begun: nothing is asked where a CPU is wanted.
    there = torch.cuda.device_count() if config.device_type != "cpu" and torch.cuda.is_available() else 0
    if config.device_type == "cuda" and not there:
        raise InputError("device.device_type=cuda, but torch finds no GPU here; set it to auto or cpu")
    if config.use_fp16 and not there:
        raise InputError("device.use_fp16=True needs a GPU; set it to False on a CPU")
    if not there:
        return torch.device("cpu")
    if config.device_index >= there:
        raise InputError(
            f"device.device_index={config.device_index}, but torch finds {there} GPUs here, counted from 0"
        )
    return torch.device("cuda", config.device_index)


def precision_of(name: str, device: torch.device, use_fp16: bool) -> tuple[str, Precision]:
    """Return the floating-point precision of a run, as in its own test: its name, and Lightning's plugin.

    Args:
        name: the run's ``training.precision``.
        device: where it is computed.
        use_fp16: half precision is asked for, which replaces it.
    """
    if use_fp16:
        return "16", Precision()  # autocast is in the context of every inference
    if name == "16-mixed" and device.type == "cpu":
        logger.warning("training.precision=16-mixed needs a GPU; the network computes in 32 bits")
        return "32, since 16-mixed needs a GPU", Precision()
    if name in ("bf16-mixed", "16-mixed"):
        return name, MixedPrecision(name, device.type)  # type: ignore[arg-type]
    return name, DoublePrecision() if name == "64" else Precision()


def memory_usage(network: nn.Module | None, device: torch.device) -> dict[str, float]:
    """Return memory in MB (2^20 bytes) and numbers of parameters; the values of a GPU are 0 on a CPU.

    Args:
        network: None counts no parameters.
        device: where it is.
    """
    on_gpu = device.type == "cuda"
    parameters = list(network.parameters()) if network is not None else []
    buffers = list(network.buffers()) if network is not None else []
    return {
        "gpu_allocated_mb": torch.cuda.memory_allocated(device) / MB if on_gpu else 0.0,
        "gpu_reserved_mb": torch.cuda.memory_reserved(device) / MB if on_gpu else 0.0,
        "gpu_max_allocated_mb": torch.cuda.max_memory_allocated(device) / MB if on_gpu else 0.0,
        "cpu_memory_mb": psutil.Process().memory_info().rss / MB,
        "total_params": sum(p.numel() for p in parameters),
        "trainable_params": sum(p.numel() for p in parameters if p.requires_grad),
        "model_size_mb": sum(t.nbytes for t in (*parameters, *buffers)) / MB,
    }


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
        """Add a value."""
        self.count += 1
        self.total += value
        self.least, self.most = min(self.least, value), max(self.most, value)
        self.latest.append(value)

    def summary(self) -> dict[str, float]:
        """Return count, mean, min, max and p95; there must be a value."""
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
        """Add a value to a series."""
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
        """Return every series that has values, and ``error_counts``."""
        with self._lock:
            series = {name: series.summary() for name, series in self._series.items()}
            return {**series, "error_counts": dict(self._errors)}

    def reset(self) -> None:
        """Remove all values and errors."""
        with self._lock:
            self._series.clear()
            self._errors.clear()


def profiled(function: Callable[[], T], device: torch.device) -> tuple[T, dict[str, float]]:
    """Return a function's result and its slowest operations: time in ms, without the operations that they call."""
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device.type == "cuda" else [])]
    with profile(activities=activities) as profiler:
        made = function()
    times = {
        event.key: (event.self_cpu_time_total + event.self_device_time_total) / 1000
        for event in profiler.key_averages()
    }
    slowest = sorted(times, key=lambda name: -times[name])[:SHOWN]
    return made, {name: times[name] for name in slowest}
