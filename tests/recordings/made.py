"""A made network and a made recording of it: known units, at a known lag, with known noise."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import xarray

from dynvision.recordings import labelled_responses

STEP_MS = 4.0
LAYERS = ("V1", "IT")


def patterns(n_images: int, n_units: int, n_steps: int, rate: float, seed: int) -> np.ndarray:
    """Responses of units whose code changes in time, (images, units, times)."""
    random = np.random.default_rng(seed)
    codes = random.normal(size=(n_steps, n_images, n_units))
    course = rate * codes
    for step in range(1, n_steps):
        course[step] = (1 - rate) * course[step - 1] + rate * codes[step]
    return np.moveaxis(course, 0, 2).astype(np.float32)


def network(n_images: int = 12, n_units: int = 20, n_steps: int = 20) -> xarray.Dataset:
    """Two layers of different codes."""
    parts = [patterns(n_images, n_units, n_steps, 0.5, seed) for seed in range(len(LAYERS))]
    times = STEP_MS * np.arange(1, n_steps + 1)
    unit = {"layer": np.repeat(LAYERS, n_units)}
    return labelled_responses(np.concatenate(parts, axis=1), times, {"image": np.arange(n_images)}, unit)


def recording(
    model: xarray.Dataset,
    layer: str,
    lag_steps: int,
    noise: float = 0.1,
    n_repetitions: int = 4,
    n_channels: int = 30,
) -> xarray.Dataset:
    """Mixtures of a layer's units, so many steps later, repeated with independent noise."""
    random = np.random.default_rng(7)
    x = model["response"].values[:, model["layer"].values == layer]
    late = np.zeros_like(x)
    late[:, :, lag_steps:] = x[:, :, : x.shape[2] - lag_steps]
    # An orthogonal mixture keeps the geometry of the patterns.
    mixing, _ = np.linalg.qr(random.normal(size=(n_channels, x.shape[1])))
    clean = np.einsum("cu,iut->ict", mixing, late)
    values = np.concatenate([clean + noise * random.normal(size=clean.shape) for _ in range(n_repetitions)])
    images = np.tile(model["image"].values, n_repetitions)
    unit = {"area": np.full(n_channels, "V1-V3"), "electrode": np.arange(n_channels).astype(str)}
    shown = {"image": images, "repetition": np.repeat(np.arange(n_repetitions), len(x))}
    return labelled_responses(values.astype(np.float32), model["time_ms"].values, shown, unit)


def write_units(
    path: Path, shapes: dict[str, tuple[int, int, int]], values: list[float], n_images: int, n_steps: int
) -> dict[str, np.ndarray]:
    """A file as an experiment writes it; returns the activity by layer, (value, image, step, C, H, W)."""
    random = np.random.default_rng(3)
    schema = pa.schema(
        [
            *((name, pa.string()) for name in ("run_id", "experiment", "parameter")),
            ("value", pa.float64()),
            ("image", pa.int64()),
            ("label", pa.int64()),
            ("layer", pa.string()),
            ("time_ms", pa.float64()),
            ("units", pa.list_(pa.float32())),
        ],
        metadata={b"shapes": json.dumps(shapes)},
    )
    written = {
        layer: random.normal(size=(len(values), n_images, n_steps, *shape)).astype(np.float32)
        for layer, shape in shapes.items()
    }
    with pq.ParquetWriter(path, schema) as writer:
        for v, value in enumerate(values):
            for layer, activity in written.items():
                n = n_images * n_steps
                table = pd.DataFrame(
                    {
                        "run_id": "run", "experiment": "contrast", "parameter": "contrast", "value": value,
                        "image": np.repeat(np.arange(n_images), n_steps),
                        "label": np.repeat(np.arange(n_images) % 3, n_steps),
                        "layer": layer, "time_ms": np.tile(STEP_MS * np.arange(1, n_steps + 1), n_images),
                        "units": list(activity[v].reshape(n, -1)),
                    }
                )  # fmt: skip
                writer.write_table(pa.Table.from_pandas(table, schema=schema, preserve_index=False))
    return written
