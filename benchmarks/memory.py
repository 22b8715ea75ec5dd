"""How the memory of a trial grows with its length.

    python benchmarks/memory.py                          DyRCNNx4, 32 px, batch 16, 25 to 400 steps
    python benchmarks/memory.py --trial                  600 steps, 64 px, batch 32, responses recorded, no gradient

On a GPU the peak is the allocator's own; on a CPU it is the largest resident memory of a process of its own, less that of a
process that ran one step. The exponent is the slope of log memory on log steps from the middle of the table on.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import resource
import sys
from collections.abc import Callable
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent.parent))

from dynvision.models import create  # noqa: E402


def main() -> None:
    """Measure what the arguments ask for and print a Markdown table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="DyRCNNx4")
    parser.add_argument("--pixels", type=int, default=32, help="height and width in px")
    parser.add_argument("--batch", type=int, default=16, help="images")
    parser.add_argument("--steps", nargs="+", type=int, default=[25, 50, 100, 200, 400], help="steps of 2 ms")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--trial", action="store_true", help="the long recorded trial alone")
    arguments = parser.parse_args()
    if arguments.trial:
        peak = peak_bytes(recorded_trial, arguments.model, 600, 64, 32, arguments.device, 0)
        print(f"{arguments.model}, 600 steps, 64 px, batch 32, recorded, no gradient: {peak / 2**30:.2f} GiB")
        return
    print("| steps | kept MB | sqrt(T) segments | recomputed MB | no gradient, recorded MB |")
    print("|---|---|---|---|---|")
    columns: list[list[float]] = [[], [], []]
    for steps in arguments.steps:
        segments = round(math.sqrt(steps))
        runs = ((training_step, 0), (training_step, segments), (recorded_trial, 0))
        for column, (run, n) in zip(columns, runs, strict=True):
            shape = (steps, arguments.pixels, arguments.batch)
            column.append(peak_bytes(run, arguments.model, *shape, arguments.device, n))
        kept, recomputed, inference = (column[-1] / 1e6 for column in columns)
        print(f"| {steps} | {kept:.0f} | {segments} | {recomputed:.0f} | {inference:.0f} |", flush=True)
    slopes = [exponent(arguments.steps, column) for column in columns]
    print(f"| exponent | {slopes[0]:.2f} | | {slopes[1]:.2f} | {slopes[2]:.2f} |")


def exponent(steps: list[int], peaks: list[float]) -> float:
    """Slope of log memory on log steps between the middle and the end of a table."""
    middle = len(steps) // 2
    return math.log(peaks[-1] / peaks[middle]) / math.log(steps[-1] / steps[middle])


def training_step(name: str, steps: int, pixels: int, batch: int, device: str, segments: int) -> None:
    """Forward and backward of one batch."""
    model = create(name, input_dims=(steps, 3, pixels, pixels), n_classes=10, checkpoint_segments=segments)
    images = torch.randn(batch, 3, pixels, pixels, device=device)
    model.to(device)(images).sum().backward()


def recorded_trial(name: str, steps: int, pixels: int, batch: int, device: str, segments: int) -> None:
    """One trial without gradient, per-layer responses recorded."""
    model = create(
        name,
        input_dims=(steps, 3, pixels, pixels),
        n_classes=10,
        store_responses=batch,
        response_resolution="layer",
    )
    with torch.inference_mode():
        model.to(device)(torch.randn(batch, 3, pixels, pixels, device=device))


def peak_bytes(
    run: Callable[..., None], name: str, steps: int, pixels: int, batch: int, device: str, segments: int
) -> float:
    """Peak memory of a run; of the trial alone on a GPU, of the trial less that of one step on a CPU."""
    if device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        run(name, steps, pixels, batch, device, segments)
        return float(torch.cuda.max_memory_allocated())
    whole = resident_peak(run, name, steps, pixels, batch, device, segments)
    return whole - resident_peak(run, name, 1, pixels, batch, device, 0)


def resident_peak(*call: object) -> float:
    """Largest resident memory of a process of its own that makes a call."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_run_and_measure, call)


def _run_and_measure(run: Callable[..., None], *arguments: object) -> float:
    run(*arguments)
    return 1024.0 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main()
