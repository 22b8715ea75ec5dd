"""Liquid time-constant layers beside those of the authors' package ncps, in one process: forward and backward of a batch.

python -m benchmarks.neurons [--units 128] [--steps 100] [--batch 32] [--repeats 5] [--device cpu]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import ncps.torch
import ncps.wirings
import torch

from dynvision.neurons import LTC, Wiring

FEATURES = 16


def measure(layer: Callable, inputs: torch.Tensor) -> tuple[float, float]:
    """Seconds of one forward and backward pass: by the clock, and of the processor."""
    wait = torch.cuda.synchronize if inputs.is_cuda else lambda: None
    wait()
    wall, processor = time.perf_counter(), time.process_time()
    outputs, _ = layer(inputs)
    outputs.square().sum().backward()
    wait()
    return time.perf_counter() - wall, time.process_time() - processor


def main() -> None:
    """Print a table: the first pass, and the median of the others."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name, default in (("units", 128), ("steps", 100), ("batch", 32), ("repeats", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()
    torch.manual_seed(0)
    full, sparse = ncps.wirings.FullyConnected(given.units), ncps.wirings.AutoNCP(given.units, 8)
    inputs = torch.rand(given.batch, given.steps, FEATURES, device=given.device)
    layers: dict[str, Callable] = {}
    for name, wiring in (("full", full), ("AutoNCP", sparse)):
        layers[f"ncps, {name}"] = ncps.torch.LTC(FEATURES, wiring)
        own = Wiring(wiring.adjacency_matrix, wiring.sensory_adjacency_matrix, wiring.output_dim)
        layers[f"dynvision, {name}"] = LTC(FEATURES, own)
    unfused = LTC(FEATURES, given.units)
    unfused.rnn_cell.fused = False
    layers["dynvision, full, not fused"] = unfused
    if inputs.is_cuda:
        for name, wiring in (("full", full), ("AutoNCP", sparse)):
            own = Wiring(wiring.adjacency_matrix, wiring.sensory_adjacency_matrix, wiring.output_dim)
            layers[f"dynvision, {name}, CUDA graph"] = LTC(FEATURES, own)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {given.device}")
    print(f"{'layer':28} {'synapses':>8}  first pass (s)  then: clock (s)  processor (s)")
    for name, layer in layers.items():
        cell = layer.to(given.device)
        if "graph" in name:
            cell = torch.cuda.make_graphed_callables(cell, (inputs,))
        first, _ = measure(cell, inputs)
        wall, processor = zip(*(measure(cell, inputs) for _ in range(given.repeats)), strict=True)
        synapses = full.synapse_count if "full" in name else sparse.synapse_count
        numbers = f"{first:14.2f}  {statistics.median(wall):15.3f}  {statistics.median(processor):13.3f}"
        print(f"{name:28} {int(synapses):8}  {numbers}", flush=True)


if __name__ == "__main__":
    main()
