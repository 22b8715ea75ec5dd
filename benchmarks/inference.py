"""Latency and rate of answers: the bare loop, `predict`, `predict_batch`, asynchronous, and the server, in one process.

    python benchmarks/inference.py results/runs/RUN
    python benchmarks/inference.py results/runs/RUN --batch 1 4 16 64 --seconds 5

The bare loop is what a user would write: preprocess the images, run the network on them, take the softmax to NumPy. Each
row is one way at one number of images at once: p50, p95 and p99 of the time until all of them are answered, in ms, images
answered in a second, and the rate relative to the bare loop, whose calls take turns with those of the other ways so that
both see the same machine. Last come the medians of the processor time of both, of all threads, in ms, and their ratio,
which on a CPU does not depend on what else the machine does. The overhead of `predict` is the difference of its medians.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import io
import platform
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from PIL import Image

import dynvision
from dynvision.inference import InferenceConfig, Predictor
from dynvision.inference.server import Server

Way = Callable[[list[Any]], object]


def main() -> None:
    """Measure what the arguments ask for and print a Markdown table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", help="a trained run")
    parser.add_argument("--batch", nargs="+", type=int, default=[1, 4, 16, 64], help="images at once")
    parser.add_argument("--seconds", type=float, default=2.0, help="for each row, s")
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    largest = max(arguments.batch)
    config = InferenceConfig(
        device={"device_type": arguments.device},
        batch={"batch_size": largest, "max_batch_size": largest, "dynamic_batching": True, "timeout_ms": 2},
    )
    predictor = dynvision.load(arguments.run, config=config)
    predictor.warmup(3)
    c, h, w = predictor.metadata.input_shape
    pixels = np.random.default_rng(0).integers(0, 256, (largest, h, w, c), dtype=np.uint8)
    print(
        f"{predictor.metadata.model_type}, {h} px, {predictor.device}, {torch.get_num_threads()} threads,",
        end=" ",
    )
    print(f"torch {torch.__version__}, {platform.processor() or platform.machine()}\n")
    print(
        "| images at once | way | p50 (ms) | p95 | p99 | images/s | of the bare loop "
        + "| processor (ms) | bare loop | ratio |\n"
        + "|---" * 10
        + "|"
    )
    server = Server(predictor, port=0)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        for batch in arguments.batch:
            images = list(pixels[:batch])
            for name, way in ways(predictor, server, batch).items():
                report(batch, name, images, way, lambda given: bare(predictor, given), arguments.seconds)
    finally:
        server.stop()
        thread.join()


def bare(predictor: Predictor, images: list[Any]) -> object:
    """What one would write without the frame."""
    with torch.inference_mode():
        logits = predictor.model(torch.cat([predictor.preprocess(image) for image in images]))
        return logits.double().softmax(dim=-1).cpu().numpy()


def ways(predictor: Predictor, server: Server, batch: int) -> dict[str, Way]:
    """All ways to get the answers of several images, by name."""

    async def ask(images: list[Any]) -> list[Any]:
        return await asyncio.gather(*map(predictor.predict_async, images))

    def post(image: Any) -> bytes:
        file = io.BytesIO()
        Image.fromarray(image.squeeze()).save(file, "BMP")  # which is fast to write and to read
        connection = http.client.HTTPConnection(*server.server_address[:2])
        connection.request("POST", "/predict", file.getvalue())
        read = connection.getresponse().read()
        connection.close()
        return read

    clients = ThreadPoolExecutor(batch)
    single: dict[str, Way] = {"predict": lambda images: predictor.predict(images[0])} if batch == 1 else {}
    return {
        **single,
        "predict_batch": predictor.predict_batch,
        "predict_async": lambda images: asyncio.run(ask(images)),
        "server": lambda images: list(clients.map(post, images)),
    }


def report(batch: int, name: str, images: list[Any], way: Way, loop: Way, seconds: float) -> None:
    """Print one row."""
    calls = {"loop": loop, "way": way}
    clock: dict[str, list[float]] = {which: [] for which in calls}
    processor: dict[str, list[float]] = {which: [] for which in calls}
    for _ in range(3):
        way(images)
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(clock["way"]) < 20:
        for which, call in calls.items():
            begin = time.perf_counter(), time.process_time()
            call(images)
            clock[which].append(1000 * (time.perf_counter() - begin[0]))
            processor[which].append(1000 * (time.process_time() - begin[1]))
    p50, p95, p99 = np.percentile(clock["way"], [50, 95, 99])
    of_loop, taken = float(np.median(clock["loop"])) / p50, float(np.median(processor["way"]))
    of_bare = float(np.median(processor["loop"]))
    print(
        f"| {batch} | {name} | {p50:.2f} | {p95:.2f} | {p99:.2f} | {1000 * batch / p50:.0f} | {of_loop:.2f} "
        f"| {taken:.2f} | {of_bare:.2f} | {of_bare / taken:.2f} |",
        flush=True,
    )


if __name__ == "__main__":
    main()
