"""Updates per second of trainings that share a GPU, each a process of its own, as ``execution.pack`` has them.

    python benchmarks/pack.py
    python benchmarks/pack.py --models DyRCNNx4 --pixels 32 --batch 16 --trainings 1 4 16

The trainings are those of ``dynvision train`` on the bundled digits, a seed each. Counted are the epochs that end while
all of them train: from the moment in which the last has ended its first epoch, in which it captures its graphs, until the
first has ended all. An update counts with the validation and the checkpoints that belong to it.

"x first" is how long they take for an update of each, against the first row. They take the GPU in turns, unless
NVIDIA's MPS runs (``nvidia-cuda-mps-control -d``): then kernels of several processes run at once.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.engine import processor  # noqa: E402
from dynvision.config.run import RunConfig  # noqa: E402
from dynvision.config.section import validate  # noqa: E402
from dynvision.config.yaml_text import to_yaml  # noqa: E402
from dynvision.data.conversion import convert_dataset  # noqa: E402
from dynvision.data.manifest import read_manifest  # noqa: E402
from dynvision.errors import InputError  # noqa: E402

TRAIN = "import sys; from dynvision.cli import main; sys.exit(main(sys.argv[1:]))"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="+", default=["DyRCNNx4"])
    parser.add_argument("--pixels", type=int, default=32)
    parser.add_argument("--batch", type=int, default=16, help="images")
    parser.add_argument("--precision", nargs="+", default=["32"], choices=["32", "bf16-mixed", "16-mixed"])
    parser.add_argument("--trainings", nargs="+", type=int, default=[1, 4, 16], help="at the same time")
    parser.add_argument("--epochs", type=int, default=12, help="of each training")
    parser.add_argument("--batches", type=int, default=0, help="of an epoch; 0 takes all")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    print(f"{processor(arguments.device)}; torch {torch.__version__}; {os.cpu_count()} CPUs\n")
    print("| model | px | batch | precision | trainings | updates/s, all | ms an update, each | x first |")
    print("|" + "---|" * 8)
    with tempfile.TemporaryDirectory() as folder:
        for model in arguments.models:
            for precision in arguments.precision:
                first = 0.0
                for n in arguments.trainings:
                    rate = together(n, model, precision, Path(folder), arguments)
                    first = first or rate / n
                    row = [model, arguments.pixels, arguments.batch, precision, n]
                    row += [f"{rate:.0f}", f"{1e3 * n / rate:.1f}", f"{n * first / rate:.2f}"]
                    print("| " + " | ".join(map(str, row)) + " |", flush=True)


def together(n: int, model: str, precision: str, folder: Path, arguments: argparse.Namespace) -> float:
    """Updates per second of n trainings together, while all of them train."""
    data = folder / "data"
    configs = []
    for seed in range(n):
        values = {
            "model": {"name": model},
            "data": {"resolution": arguments.pixels, "split_seed": 0},
            "training": {
                "batch_size": arguments.batch,
                "precision": precision,
                "epochs": arguments.epochs,
                "limit_batches": arguments.batches,
            },
            "seed": seed,
        }
        run = validate(RunConfig, values, "")
        configs.append(folder / f"{seed}.yaml")
        configs[-1].write_text(to_yaml(run))
        if not data.exists():
            convert_dataset(run.data.images, data)
    n_batches = -(-read_manifest(data).split("train").n_images // arguments.batch)
    n_batches = min(n_batches, arguments.batches or n_batches)
    with tempfile.TemporaryDirectory(dir=folder) as runs:
        ends = epoch_ends(configs, data, Path(runs), arguments.device)
    begun, ended = max(own[0] for own in ends), min(own[-1] for own in ends)
    n_epochs = sum(begun < end <= ended for own in ends for end in own)
    if n_epochs < n:
        raise InputError("a training ended before the last had begun; raise --epochs")
    return n_epochs * n_batches / (ended - begun)


def epoch_ends(configs: Sequence[Path], data: Path, runs: Path, device: str) -> list[list[float]]:
    """Train at the same time; when each epoch of each training ended, s."""
    ends: list[list[float]] = [[] for _ in configs]
    pack = ["--accelerator", "cpu"] if device == "cpu" else ["--pack", str(len(configs))]
    processes = []
    for config in configs:
        command = [sys.executable, "-c", TRAIN, "train", "--config", str(config), "--data", str(data)]
        command += ["--output", str(runs / config.stem), *pack]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment))

    def listen(process: subprocess.Popen[str], own: list[float]) -> None:
        assert process.stdout is not None
        own += [time.perf_counter() for line in process.stdout if ": epoch " in line]

    listeners = [threading.Thread(target=listen, args=pair) for pair in zip(processes, ends, strict=True)]
    for listener in listeners:
        listener.start()
    for listener, process in zip(listeners, processes, strict=True):
        listener.join()
        process.wait()
    for process in processes:
        if process.returncode:
            raise InputError(f"a training ended with status {process.returncode}")
    return ends


if __name__ == "__main__":
    main()
