"""DyRCNNx4 against the same model of DynVision 0.1.0, in turn, as ratios.

    pip download --no-deps dynvision==0.1.0 && unzip -d published dynvision-0.1.0-*.whl
    python benchmarks/dynvision_0_1.py published

Each side is a process of its own, since both packages have the same name; they take turns, a call each. Measured is
forward + backward of a batch of images shown for T steps of 2 ms, at the defaults of both. What DynVision 0.1.0 imports
and this run does not use (torchvision, wandb, ...) is replaced by stand-ins where it is not installed. Above 1, ours is
faster.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.abc
import importlib.machinery
import importlib.util
import logging
import statistics
import subprocess
import sys
import time
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

ROOT = Path(__file__).parent.parent
PRECISIONS = ("float32", "bfloat16")
UNUSED = ("torchvision", "torchsummary", "wandb", "ffcv", "cv2", "plotly")


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("published", help="folder that holds the package dynvision of version 0.1.0")
    parser.add_argument("--pixels", type=int, default=32, help="height and width in px")
    parser.add_argument("--steps", type=int, default=20, help="steps of 2 ms")
    parser.add_argument("--batch", type=int, default=16, help="images")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments)
        return
    folders = {"ours": ROOT, "0.1.0": Path(arguments.published)}
    sides = {name: Side(folder, arguments) for name, folder in folders.items()}
    times: dict[tuple[str, str], list[float]] = {}
    for repeat in range(arguments.repeats + 1):
        for name, side in sides.items():
            for precision in PRECISIONS:
                seconds = side.call(precision)
                if repeat:  # the first call of each warms up
                    times.setdefault((name, precision), []).append(seconds)
    print(
        f"{arguments.pixels} px, T {arguments.steps}, batch {arguments.batch}, {arguments.threads} threads\n"
    )
    print("| | s, median | s, fastest | times 0.1.0 in float32 | pair by pair |")
    print("|---|---|---|---|---|")
    reference = times["0.1.0", "float32"]
    for (name, precision), measured in times.items():
        pairs = sorted(theirs / ours for ours, theirs in zip(measured, reference, strict=True))
        ratio = statistics.median(reference) / statistics.median(measured)
        print(
            f"| {name}, {precision} | {statistics.median(measured):.3f} | {min(measured):.3f} | {ratio:.2f} "
            f"| {pairs[0]:.2f} to {pairs[-1]:.2f} |"
        )


class Side:
    """A process that holds one of the two packages and times a call whenever it is asked to."""

    def __init__(self, folder: Path, arguments: argparse.Namespace) -> None:
        sizes = [f"--{name}={getattr(arguments, name)}" for name in ("pixels", "steps", "batch", "threads")]
        command = [sys.executable, __file__, str(folder.resolve()), *sizes, "--serve"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def call(self, precision: str) -> float:
        """Seconds of one forward + backward."""
        assert self.process.stdin is not None and self.process.stdout is not None
        print(precision, file=self.process.stdin, flush=True)
        return float(self.process.stdout.readline())


def serve(arguments: argparse.Namespace) -> None:
    """Read precisions, print seconds."""
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    logging.disable(logging.WARNING)
    model_class = find_model(Path(arguments.published))
    shape = (3, arguments.pixels, arguments.pixels)
    model = model_class(n_classes=10, input_dims=(arguments.steps, *shape))
    images = torch.randn(arguments.batch, 1, *shape)
    # Version 0.1.0 repeats a single frame itself when training with Lightning; here it is given the whole video.
    x = images[:, 0] if Path(arguments.published) == ROOT else images.repeat(1, arguments.steps, 1, 1, 1)
    for line in sys.stdin:
        print(timed(model, x, line.strip()), flush=True)


def timed(model: Callable[[Tensor], Tensor], x: Tensor, precision: str) -> float:
    """Seconds of forward + backward."""
    begun = time.perf_counter()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bfloat16"):
        outputs = model(x)
    outputs.float().sum().backward()
    return time.perf_counter() - begun


def find_model(folder: Path) -> Any:
    """The class DyRCNNx4 of the package in a folder."""
    sys.path.insert(0, str(folder))
    if folder == ROOT:
        from dynvision.models import DyRCNNx4

        return DyRCNNx4
    with contextlib.redirect_stdout(sys.stderr):
        import pytorch_lightning  # noqa: F401  (before the stand-ins, which it would take for the real thing)

        sys.meta_path.append(StandIns())
        import dynvision

        # The package of the models imports them all; only one of its files is wanted.
        models = types.ModuleType("dynvision.models")
        models.__path__ = [str(Path(dynvision.__path__[0]) / "models")]
        sys.modules["dynvision.models"] = models
        return importlib.import_module("dynvision.models.dyrcnn").DyRCNNx4


class StandIns(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Empty modules in place of packages that are not installed."""

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: Any = None) -> Any:
        """A specification for the packages named in ``UNUSED``."""
        wanted = name.partition(".")[0] in UNUSED
        return importlib.machinery.ModuleSpec(name, self, is_package=True) if wanted else None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        """A module whose every attribute is an empty class."""
        return _StandIn(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        """Nothing to run."""


class _StandIn(types.ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {"__init__": lambda self, *args, **kwargs: None})


if __name__ == "__main__":
    main()
