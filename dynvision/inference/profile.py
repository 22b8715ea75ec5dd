"""Which operations of a forward pass take the time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch.profiler import ProfilerActivity, profile

T = TypeVar("T")
SHOWN = 10


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
