"""How long a comparison with a recording takes, and what a large file of units needs.

    python benchmarks/recordings.py                      8 layers, 4 areas, 200 x 200 times; 50, 100 and 200 images
    python benchmarks/recordings.py --units              102,400 units at 200 times of 24 images, of which 1,000 are read

Both are in processor time on one thread. A comparison is a whole call of `dynvision.recordings.compare`: RDMs of both,
scores, noise ceilings and tables; a shuffle is what each permutation of the images adds to it. Memory is the largest
resident memory of a process of its own above that of its imports.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
import xarray

sys.path.insert(0, str(Path(__file__).parent.parent))

from dynvision.experiments.tables import UnitWriter  # noqa: E402
from dynvision.recordings import compare, labelled_responses, open_responses  # noqa: E402

N_CHANNELS = 100  # of a layer and of an area
N_SHUFFLES = 20
TEN_MILLION = 10**7


def main() -> None:
    """Measure what the arguments ask for and print a Markdown table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", nargs="+", type=int, default=[50, 100, 200])
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--areas", type=int, default=4)
    parser.add_argument("--times", type=int, default=200, help="times of both sides")
    parser.add_argument("--units", action="store_true", help="a large file of units instead")
    parser.add_argument("--n-units", type=int, default=102_400, help="units in the file")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.units:
        read_large_file(arguments.n_units, arguments.times)
        return
    print("| images | scores | s | s for 10^7 | MB | scores of shuffled images a second |")
    print("|--:|--:|--:|--:|--:|--:|")
    for n in arguments.images:
        sides = [
            responses(label, of, n, repeats, arguments.times)
            for label, of, repeats in (("layer", arguments.layers, 1), ("area", arguments.areas, 2))
        ]
        plain, megabytes = in_a_process(compared, *sides, 0)
        shuffled, _ = in_a_process(compared, *sides, N_SHUFFLES)
        scores = arguments.layers * arguments.areas * arguments.times**2
        rate = N_SHUFFLES * scores / max(shuffled - plain, 1e-6)
        print(
            f"| {n} | {scores:,} | {plain:.1f} | {plain * TEN_MILLION / scores:.0f} | {megabytes:,.0f} | {rate:.1e} |",
            flush=True,
        )


def responses(label: str, n_labels: int, n_images: int, n_repetitions: int, n_times: int) -> xarray.Dataset:
    """Noise, of so many layers or areas."""
    random = np.random.default_rng(n_labels)
    shape = (n_images * n_repetitions, n_labels * N_CHANNELS, n_times)
    images = np.tile(np.arange(n_images), n_repetitions)
    names = np.repeat([f"{label}{k}" for k in range(n_labels)], N_CHANNELS)
    values = random.normal(size=shape).astype(np.float32)
    return labelled_responses(values, 2.0 * np.arange(1, n_times + 1), {"image": images}, {label: names})


def compared(model: xarray.Dataset, brain: xarray.Dataset, n_permutations: int) -> None:
    """One comparison by RSA."""
    compare(model, brain, n_permutations=n_permutations)


def read_large_file(n_units: int, n_times: int) -> None:
    """Write a file of units as an experiment does, and read a sample of them."""
    shape, n_images, n_drawn = (n_units // 1024, 32, 32), 24, 1000
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "units.parquet"
        fixed = {"run_id": "run", "experiment": "contrast", "parameter": "contrast"}
        writer, random = UnitWriter(path, {"V1": shape}, fixed), np.random.default_rng(0)
        for image in range(n_images):
            activity = random.normal(size=(1, n_times, *shape)).astype(np.float32)
            batch = SimpleNamespace(indices=np.array([image]), labels=torch.tensor([image % 10]))
            writer.append(
                1.0, SimpleNamespace(units={"V1": activity}), batch, 2.0 * np.arange(1, n_times + 1)
            )
        writer.close()
        seconds, megabytes = in_a_process(read_units, path, n_drawn)
        print("| units | times | images | GB | units read | s | MB |")
        print("|--:|--:|--:|--:|--:|--:|--:|")
        print(
            f"| {np.prod(shape):,} | {n_times} | {n_images} | {path.stat().st_size / 1e9:.2f} | {n_drawn:,} | "
            f"{seconds:.1f} | {megabytes:,.0f} |"
        )


def read_units(path: Path, n_units: int) -> None:
    """Read a sample of units into memory."""
    open_responses(path, n_units=n_units).load()


def in_a_process(function, *arguments) -> tuple[float, float]:  # type: ignore[no-untyped-def]
    """Processor time (s) of a call in a process of its own, and by how much its memory grows there (MB)."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as process:
        return process.submit(_measured, function, arguments).result()


def _measured(function, arguments) -> tuple[float, float]:  # type: ignore[no-untyped-def]
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    function(*arguments)
    seconds = time.process_time() - start
    return seconds, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e3


if __name__ == "__main__":
    main()
