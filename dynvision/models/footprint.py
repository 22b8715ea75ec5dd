"""What a model costs: parameters, multiplications and state, counted without computing; time and memory, measured.

Counts are of one image of the size that the model was made for. A multiplication with its addition (MAC) is counted in
convolutions and matrix products alone. An image is a whole trial, with everything that the engine saves: what does not
change in time is computed once. A step is one frame of streaming inference, which saves nothing.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import resource
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from dynvision.base import ModelState, TemporalBase
from dynvision.base.plan import Plan
from dynvision.config.models import find_model
from dynvision.errors import InputError
from dynvision.models import create, model_class

N_TIMED = 3  # trials, of which the median counts
LONG = 2.0  # s; a longer trial is measured once


@dataclass(frozen=True)
class Footprint:
    """Counts of a model.

    Attributes:
        name: it.
        image: (C, H, W).
        n_classes: number of classes.
        n_steps: steps of a presentation.
        n_parameters: number of parameters.
        macs_per_step: multiplications of a step of streaming inference.
        macs_per_image: multiplications of a trial.
        state_values: numbers that the model carries from step to step, for one image.
    """

    name: str
    image: tuple[int, int, int]
    n_classes: int
    n_steps: int
    n_parameters: int
    macs_per_step: int
    macs_per_image: int
    state_values: int


@dataclass(frozen=True)
class Timing:
    """A trial with one image on one thread of a CPU: processor time in ms, and memory above that of the libraries in MB."""

    name: str
    milliseconds: float
    megabytes: float


@torch.no_grad()
def footprint(name: str) -> Footprint:
    """Count what a registered model costs with its default arguments, on tensors without content."""
    entry = find_model(name)
    with torch.device("meta"):
        model = _typical(name)
        image = torch.empty(1, *entry.image)
        model.block_steps = model.n_timesteps + model.n_residual_timesteps
        macs_per_image = _count(lambda: model(image))
        model.block_steps = None
        plan = model.plan()
        state = model.initial_state(1, plan)
        for _ in range(plan.settled):
            _, state = model.step(image, state, plan)
        macs_per_step = _count(lambda: model.step(image, state, plan))
    return Footprint(
        name=name,
        image=entry.image,
        n_classes=entry.n_classes,
        n_steps=model.n_timesteps,
        n_parameters=sum(parameter.numel() for parameter in model.parameters()),
        macs_per_step=macs_per_step,
        macs_per_image=macs_per_image,
        state_values=0 if _is_stateless(plan) else _size(state.compact(plan.horizon)),
    )


def timing(name: str) -> Timing:
    """Measure a trial in a process of its own.

    Raises:
        InputError: the process has ended before its time.
    """
    with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as process:
        try:
            seconds, kilobytes = process.submit(_measure, name).result()
        except BrokenProcessPool:
            raise InputError(
                f"the measurement of {name} ended without a result, perhaps for want of memory"
            ) from None
    return Timing(name, seconds * 1e3, kilobytes / 1024)


@torch.no_grad()
def _measure(name: str) -> tuple[float, int]:
    torch.set_num_threads(1)
    # What the libraries take is not the model's.
    create("DyRCNNx2", input_dims=(1, 1, 8, 8), n_classes=2)(torch.zeros(1, 1, 8, 8))
    model_class(name)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    torch.manual_seed(0)
    model = _typical(name)
    image = torch.randn(1, *find_model(name).image)
    seconds: list[float] = []
    while len(seconds) < N_TIMED and max(seconds, default=0.0) < LONG:
        start = time.process_time()  # other programs do not count
        model(image)
        seconds.append(time.process_time() - start)
    return statistics.median(seconds), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before


def _typical(name: str) -> TemporalBase:
    entry = find_model(name)
    n_steps = entry.args.model_fields["n_timesteps"].default
    return create(name, input_dims=(n_steps, *entry.image), n_classes=entry.n_classes).eval()


def _is_stateless(plan: Plan) -> bool:
    """Whether every step is computed from this step's image alone."""
    operations = [
        o for layer in plan.layers for o in (*layer.block, *layer.lateral, *layer.step, *layer.output)
    ]
    return plan.settled == 2 and not {o.kind for o in operations} & {"recur", "connect", "solve", "stateful"}


class _NoModules(contextlib.nullcontext[None]):
    """In place of the counter's record of modules, whose hooks would have a model called step by step."""

    parents = frozenset({"Global"})


def _count(run: Any) -> int:
    counter = FlopCounterMode(display=False)
    counter.mod_tracker = _NoModules()  # type: ignore[assignment]
    with counter:
        run()
    return counter.get_total_flops() // 2


def _size(state: ModelState) -> int:
    tensors: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        tensors.append(tensor)
        return tensor

    state.map(keep)
    return sum(tensor.numel() for tensor in tensors)
