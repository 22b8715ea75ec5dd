"""Analyse the dynamics of one trained run: load it once, write a table for each question."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from dynvision.analysis.fourier import decay_time
from dynvision.analysis.tables import write_table
from dynvision.base import TemporalBase
from dynvision.base.core_model import choose_device
from dynvision.config.run import RunConfig
from dynvision.config.training import ExecutionConfig
from dynvision.data import DataModule, read_manifest
from dynvision.dynamics.spectrum import layer_spectra
from dynvision.dynamics.timescales import noise_autocorrelation
from dynvision.dynamics.trajectories import compare_unrollings, layer_trajectories
from dynvision.errors import InputError
from dynvision.files import remove_leftovers
from dynvision.models.build import build_model
from dynvision.models.weights import load_run_weights
from dynvision.runs.made_from import DYNAMICS as DYNAMICS_RECORD
from dynvision.runs.made_from import file_hash, made_from, of_dynamics

N_IMAGES = 8
PULSE_STEPS = 30  # of the trajectories
SETTLE_STEPS = 200  # until the operating point
UNROLLED_STEPS = 60


@dataclass(frozen=True)
class Subject:
    """A trained network in double precision, and the images that it is shown."""

    model: TemporalBase
    images: Tensor
    labels: list[int]
    indices: list[int]


def _trajectories(subject: Subject) -> pd.DataFrame:
    dt = subject.model.dt
    pulse, before = PULSE_STEPS * dt, 2 * dt
    return layer_trajectories(
        subject.model, subject.images, subject.labels, subject.indices, pulse, before, 2 * pulse
    )


DYNAMICS: dict[str, Callable[[Subject], pd.DataFrame]] = {
    "spectrum": lambda shown: layer_spectra(shown.model, shown.images[:1], SETTLE_STEPS, shown.indices[0]),
    "autocorrelation": lambda shown: noise_autocorrelation(shown.model),
    "trajectories": _trajectories,
    "unrolling": lambda shown: compare_unrollings(shown.model, shown.images, UNROLLED_STEPS),
}
TIMESCALES = "timescales"


def analyse_dynamics(
    run: RunConfig,
    weights: Path,
    data_folder: Path,
    output: Path,
    execution: ExecutionConfig,
    n_images: int = N_IMAGES,
) -> dict[str, pd.DataFrame]:
    """Analyse one run and write its tables.

    Args:
        run: the configuration that the network was trained with.
        weights: the run's ``model.safetensors``.
        data_folder: what ``convert`` wrote.
        output: folder for ``{name}.parquet``, a name of :data:`DYNAMICS` or ``timescales``.
        execution: loader and device.
        n_images: test images that are shown.

    Returns:
        The tables by name (see :mod:`dynvision.dynamics`).

    Raises:
        InputError: weights of another run, or damaged data.
    """
    remove_leftovers(*(output / f"{name}.parquet" for name in (*DYNAMICS, TIMESCALES)))
    subject = load_subject(run, weights, data_folder, execution, n_images)
    tables: dict[str, pd.DataFrame] = {}
    for name, analyse in DYNAMICS.items():
        try:
            tables[name] = analyse(subject)
        except InputError as error:
            if name != "unrolling":
                raise
            print(f"{run.run_id}: no comparison of unrollings, since {error}", flush=True)
            numbers = ("time_ms", "biological", "engineering", "largest_difference", "shift_ms")
            empty = {column: pd.Series(dtype=float) for column in numbers}
            tables[name] = pd.DataFrame({"layer": pd.Series(dtype=str)} | empty)
    tables[TIMESCALES] = timescales(tables["spectrum"], tables["autocorrelation"])
    identity = read_manifest(data_folder, run.data.images).identity
    with made_from(output / DYNAMICS_RECORD, of_dynamics(file_hash(weights), identity, n_images)):
        for name, table in tables.items():
            table.insert(0, "run_id", run.run_id)
            write_table(table, output / f"{name}.parquet")
            print(f"{run.run_id}: {name}, {len(table)} rows", flush=True)
    return tables


def load_subject(
    run: RunConfig, weights: Path, data_folder: Path, execution: ExecutionConfig, n_images: int
) -> Subject:
    """Load the trained network in double precision with its first test images.

    Args:
        run: the run.
        weights: its ``model.safetensors``.
        data_folder: its converted images.
        execution: loader and accelerator.
        n_images: how many images, from the first on.

    Raises:
        InputError: weights of another run, or damaged data.
    """
    data = DataModule(
        data_folder, run.data, batch_size=n_images, loader=execution.loader, num_workers=1, seed=run.seed
    )
    model = build_model(run, data.input_shape, data.n_classes)
    load_run_weights(model, weights, run.run_id)
    device = choose_device(execution.accelerator)
    precision = torch.float32 if device.type == "mps" else torch.float64
    model = model.to(device, precision).eval()
    loader = data.test_dataloader()
    indices = np.asarray(loader.image_indices)[:n_images]
    images, labels = next(iter(loader))
    return Subject(model, images.to(device, precision), labels.tolist(), indices[: len(labels)].tolist())


def timescales(spectrum: pd.DataFrame, autocorrelation: pd.DataFrame) -> pd.DataFrame:
    """Return one row a layer: how fast its step forgets, and how long its units remember noise."""
    first = spectrum[spectrum["rank"] == 1].set_index(["layer", "point"])
    rows = []
    for layer in spectrum["layer"].cat.categories:
        if (layer, "stimulus") not in first.index:
            continue
        free, held = first.loc[(layer, "all_active")], first.loc[(layer, "stimulus")]
        course = autocorrelation[autocorrelation["layer"] == layer].sort_values("lag_ms")
        lags = course["lag_ms"].to_numpy()
        rows.append(
            {
                "layer": layer,
                "spectral_radius": free["modulus"],
                "stable": bool(free["modulus"] < 1),
                "leading_ms": free["time_constant_ms"],
                "stimulus_radius": held["modulus"],
                "stimulus_ms": held["time_constant_ms"],
                "autocorrelation_ms": decay_time(course["mean"].to_numpy(), lags[1] - lags[0]),
            }
        )
    table = pd.DataFrame(rows)
    table["layer"] = pd.Categorical(table["layer"], list(spectrum["layer"].cat.categories))
    return table
