"""Costs of a model: parameters, multiplications and state, counted without computing; time and memory, measured.

Counts are of one image of the size that the model was made for. A multiplication with its addition (MAC) is counted in
convolutions and matrix products alone. An image is a whole trial, with everything that the engine saves: what does not
change in time is computed once. A step is one frame of streaming inference, which saves nothing. The tables of
``docs/models.md`` stand between two comments each, which stay.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import platform
import re
import resource
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from dynvision.base import TemporalBase
from dynvision.base.plan import Plan
from dynvision.config.models import find_model
from dynvision.errors import InputError
from dynvision.files import write_text
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
        macs_per_image = trial_macs(model, image)
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
        state_values=0
        if _is_stateless(plan)
        else sum(t.numel() for t in state.compact(plan.horizon).tensors()),
    )


@torch.no_grad()
def trial_macs(model: TemporalBase, image: Tensor) -> int:
    """Count the multiplications of a trial; model, in eval mode, and image (1, C, H, W) are on the device ``meta``."""
    model.block_steps = model.n_timesteps + model.n_residual_timesteps
    counted = _count(lambda: model(image))
    model.block_steps = None
    return counted


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


COUNTS, TIMES, TRAINED = "counts", "times", "trained"


def counts_row(counted: Footprint) -> str:
    """A model's row of the table of counts."""
    channels, height, _ = counted.image
    cells = (
        f"`{counted.name}`",
        f"{channels} x {height} px, {counted.n_classes}",
        f"{counted.n_steps}",
        f"{counted.n_parameters:,}",
        f"{counted.macs_per_step / 1e6:,.1f}",
        f"{counted.macs_per_image / 1e9:,.3f}",
        f"{counted.state_values:,}",
    )
    return table_row(cells)


def counts_table(counted: Sequence[Footprint]) -> str:
    """Counts as a table in Markdown."""
    head = ("model", "channels, px, classes", "steps", "parameters", "MMAC a step", "GMAC an image", "state")
    return "\n".join([table_row(head), "|---|---|--:|--:|--:|--:|--:|", *map(counts_row, counted)])


def times_table(measured: Sequence[Timing]) -> str:
    """Measurements as a table in Markdown, with the machine above it."""
    machine = (
        f"One thread of {_processor()}, torch {torch.__version__.partition('+')[0]}, float32, one image."
    )
    rows = [table_row((f"`{m.name}`", f"{m.milliseconds:,.0f}", f"{m.megabytes:,.0f}")) for m in measured]
    return "\n".join([machine, "", table_row(("model", "ms a trial", "MB")), "|---|--:|--:|", *rows])


def replace_block(path: Path, block: str, text: str) -> None:
    """Write a table in its place in a page.

    Raises:
        InputError: the page does not exist, or has no such place.
    """
    page = read_page(path)
    start, end = _marks(block)
    if start not in page or end not in page:
        raise InputError(f"{path} has no place for a table; put {start} and {end} into it, each on a line")
    before, after = page.partition(start)[0], page.partition(end)[2]
    write_text(path, f"{before}{start}\n\n{text}\n\n{end}{after}")


def read_block(path: Path, block: str) -> str:
    """The table in its place in a page."""
    start, end = _marks(block)
    return read_page(path).partition(start)[2].partition(end)[0].strip()


def read_page(path: Path) -> str:
    """A page as text.

    Raises:
        InputError: it does not exist.
    """
    if not path.is_file():
        raise InputError(f"there is no page {path}")
    return path.read_text(encoding="utf-8")


def _marks(block: str) -> tuple[str, str]:
    return f"<!-- {block}: written by dynvision models -->", f"<!-- end of {block} -->"


def table_row(cells: Sequence[str]) -> str:
    """Return a row of a table in Markdown."""
    return f"| {' | '.join(cells)} |"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*:\s*(.+)", info.read_text()) if info.is_file() else None
    return " ".join(found[1].split()) if found else platform.machine()
