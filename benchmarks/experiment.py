"""What an experiment costs: images x steps per second against the engine's own limit; the time of a workflow by rule.

    python benchmarks/experiment.py                                  contrast and gaussiannoise on all models, 32 px
    python benchmarks/experiment.py --models DyRCNNx4 --experiments contrast duration_ecog --images 64
    python benchmarks/experiment.py --split results                  where the time of a finished workflow went

The engine's limit is the same network on the same stretches of input, in as many conditions at once, by CUDA graphs where
an experiment runs by them. It has no observer: no measures, no outcomes, no tables, nothing is copied to the host; and for
dynamic noise it is shown the image at each step. Both begin with an idle state that was computed before. On a GPU both run
once before they are measured, so that graphs are captured by then. They are measured in turn in one run; a ratio of 1 means
that an experiment costs nothing beside its network.

``--split`` reads what Snakemake wrote to ``results/benchmarks`` and the logs of the experiments, after

    snakemake --config model_name=DyRCNNx4 experiment=contrast
"""

from __future__ import annotations

import argparse
import copy
import re
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent.parent))

from dynvision.base import Frames  # noqa: E402
from dynvision.base.trial_pieces import PiecewiseTrials  # noqa: E402
from dynvision.config.experiment import ExperimentConfig  # noqa: E402
from dynvision.config.workflow import load_workflow_config  # noqa: E402
from dynvision.experiments.batches import Batch, Room  # noqa: E402
from dynvision.experiments.run import Session  # noqa: E402
from dynvision.experiments.screen import Screen, on_device  # noqa: E402
from dynvision.experiments.tables import ExperimentWriter  # noqa: E402
from dynvision.experiments.trial import from_idle_state, groups, side_by_side  # noqa: E402
from dynvision.models import create  # noqa: E402
from dynvision.noise import PixelScale  # noqa: E402
from dynvision.text import Progress  # noqa: E402
from dynvision.trials import Trial  # noqa: E402
from dynvision.trials.presentation import experiment_trials  # noqa: E402

CONFIG = Path(__file__).parent.parent / "config"
SHOWN_IN = re.compile(r"conditions in ([\d.]+) s$")
TRAINING_RULES = ("train",)


class Silent(Progress):
    """States nothing."""

    def __init__(self) -> None:
        super().__init__("", 1, "")

    def at(self, n_done: int) -> None:
        pass


def main() -> None:
    """Measure what the arguments ask for and print a Markdown table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="+", default=["DyRCNNx2", "DyRCNNx4", "DyRCNNx8"])
    parser.add_argument("--experiments", nargs="+", default=["contrast", "gaussiannoise"])
    parser.add_argument("--pixels", type=int, default=32, help="height and width in px")
    parser.add_argument("--channels", type=int, default=1)
    parser.add_argument("--images", type=int, default=64, help="images of a batch")
    parser.add_argument("--batches", type=int, default=4, help="batches of an experiment")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 leaves torch's choice")
    parser.add_argument("--split", type=Path, metavar="RESULTS", help="only: the time of a workflow by rule")
    arguments = parser.parse_args()
    if arguments.split:
        print_split(arguments.split)
        return
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    shown = load_workflow_config(CONFIG).experiments
    print(f"{arguments.device}, {torch.get_num_threads()} CPU threads, torch {torch.__version__}\n")
    print(
        "| model | experiment | px | images | conditions | steps | engine, images x steps / s | experiment | ratio |"
    )
    print("|" + "---|" * 9)
    for name in arguments.models:
        for experiment in arguments.experiments:
            print("| " + " | ".join(row(name, experiment, shown[experiment], arguments)) + " |", flush=True)


def row(name: str, title: str, experiment: ExperimentConfig, arguments: argparse.Namespace) -> list[str]:
    """One row of the table."""
    torch.manual_seed(0)
    pixels, device = arguments.pixels, torch.device(arguments.device)
    dims = (20, arguments.channels, pixels, pixels)
    model = create(name, input_dims=dims, n_classes=10, **experiment.model_args).to(device).eval()
    n = arguments.images
    images = torch.randn(n, *dims[1:])
    batch = Batch(images, torch.arange(n) % 10, np.arange(n))
    one = torch.ones((1, arguments.channels, 1, 1), device=device)
    shown = experiment_trials(experiment, model.dt)
    session = Session(model, shown, PixelScale(0.5 * one, 0.2 * one), 0, Silent(), 0)
    times = np.array(shown[0].times_ms)
    room = Room.on(device, n, pixels * pixels)

    def whole() -> None:
        with tempfile.TemporaryDirectory() as folder:
            paths = [Path(folder, f"{table}.parquet") for table in ("responses", "performance", "units")]
            fixed = {"run_id": name, "experiment": title, "parameter": experiment.parameter}
            with ExperimentWriter(*paths, fixed, {}) as results:
                for _ in range(arguments.batches):
                    for part, records in room.each_part(batch, session.show):
                        results.append(records, part, times)

    runs = from_idle_state(copy.deepcopy(model))  # whose graphs are in nobody's way

    def alone() -> None:
        for _ in range(arguments.batches):
            run_engine(runs, on_device(images, device), shown, room.n_conditions)

    alone()
    if device.type == "cuda":
        whole()
    limit, cost = in_turn(alone, whole, device, arguments.repeats)
    n_steps = arguments.batches * sum(condition.n_steps for condition in shown)
    rates = [n * n_steps / seconds for seconds in (limit, cost)]
    return [
        name,
        title,
        str(pixels),
        str(n),
        str(len(shown)),
        str(len(times)),
        *(f"{rate:,.0f}" for rate in rates),
        f"{rates[1] / rates[0]:.2f}",
    ]


@torch.inference_mode()
def run_engine(runs: PiecewiseTrials, images: torch.Tensor, shown: list[Trial], at_once: int) -> None:
    """The network on the stretches of every trial, so many trials at once, as fast as it runs: by a graph on a GPU."""
    null = runs.model.null_input(len(images))
    screen = Screen.of(images, images.device)
    for group in groups(shown, at_once):
        runs.run(side_by_side([shown_frames(screen, trial, null) for trial in group]))


def shown_frames(screen: Screen, trial: Trial, null: torch.Tensor) -> Iterator[Frames]:
    """What is shown in a trial, with the image at each step in place of noise."""
    for frames in screen.frames(replace(trial, noise=None), null):
        changes = trial.noise is not None and frames.values is not null
        yield Frames(0, frames.n, torch.cat(list(frames.steps()))) if changes else frames


def in_turn(
    first: Callable[[], None], second: Callable[[], None], device: torch.device, repeats: int
) -> tuple[float, float]:
    """Median seconds of two functions that are called in turn; on a CPU of the processor, whatever else it is used for."""
    clock = time.perf_counter if device.type == "cuda" else time.process_time
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        for function, times in zip((first, second), seconds, strict=True):
            start = clock()
            function()
            if device.type == "cuda":
                torch.cuda.synchronize()
            times.append(clock() - start)
    return statistics.median(seconds[0]), statistics.median(seconds[1])


def print_split(results: Path) -> None:
    """Print the wall time of each rule, and what of it the network was at work."""
    rules: dict[str, list[float]] = defaultdict(list)
    shown: dict[str, float] = defaultdict(float)
    for path in sorted((results / "benchmarks").rglob("*.tsv")):
        rule = path.relative_to(results / "benchmarks").parts[0].removesuffix(".tsv")
        header, *rows = (line.split("\t") for line in path.read_text().splitlines())
        rules[rule] += [float(fields[header.index("s")]) for fields in rows]
    for path in (results / "logs" / "experiment").rglob("*.log"):
        for line in path.read_text().splitlines():
            found = SHOWN_IN.search(line)
            shown["experiment"] += float(found[1]) if found else 0.0
    if not rules:
        sys.exit(f"{results} has no benchmarks; run snakemake first")
    print("| rule | jobs | wall time, s | network at work, s | everything else, s |")
    print("|---|---|---|---|---|")
    rest = 0.0
    for rule, seconds in sorted(rules.items(), key=lambda item: -sum(item[1])):
        total = sum(seconds)
        network = total if rule in TRAINING_RULES else shown[rule]
        rest += total - network
        print(f"| {rule} | {len(seconds)} | {total:.1f} | {network:.1f} | {total - network:.1f} |")
    print(
        f"\nOverhead outside of training and network: {rest:.1f} s (imports, tables, measures, figures, report)"
    )


if __name__ == "__main__":
    main()
