"""Run one experiment on one trained network: every test image in every condition, in one process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor

from dynvision.base import TemporalBase
from dynvision.config.experiment import ExperimentConfig
from dynvision.config.run import RunConfig, changed_in_test
from dynvision.config.training import ExecutionConfig
from dynvision.data import DataModule
from dynvision.data.loader import ImageLoader
from dynvision.data.manifest import Manifest
from dynvision.device import choose_device
from dynvision.errors import InputError
from dynvision.experiments.noise import PixelScale
from dynvision.experiments.outcomes import outcomes
from dynvision.experiments.progress import Progress
from dynvision.experiments.protocol import Condition, condition, times_ms
from dynvision.experiments.recorder import ResponseRecorder
from dynvision.experiments.screen import Screen
from dynvision.experiments.settings import NetworkSetting, network_settings
from dynvision.experiments.tables import PERFORMANCE, RESPONSES, TableWriter
from dynvision.experiments.trial import run_conditions
from dynvision.files import atomic_path, remove_leftovers
from dynvision.models.build import build_model
from dynvision.models.weights import load_weights, read_weights


@dataclass(frozen=True)
class ExperimentFiles:
    """What an experiment reads and writes.

    Attributes:
        weights: the run's ``model.safetensors``.
        data: folder that ``convert`` wrote.
        responses, performance: the Parquet files to write.
    """

    weights: Path
    data: Path
    responses: Path
    performance: Path


@dataclass(frozen=True)
class Batch:
    """Test images with their indices in the source and their labels."""

    images: Tensor
    labels: Tensor
    indices: np.ndarray

    def on_screen(self, scale: PixelScale, device: torch.device) -> Screen:
        """The images, ready to be shown."""
        return Screen(self.images.to(device), torch.from_numpy(self.indices).to(device), scale)


def run_experiment(
    name: str,
    experiment: ExperimentConfig,
    run: RunConfig,
    execution: ExecutionConfig,
    files: ExperimentFiles,
) -> None:
    """Show every test image in every condition and write the two tables.

    Args:
        name: name of the experiment, for the tables.
        experiment: what is shown and recorded.
        run: the configuration that the network was trained with.
        execution: loader, device and batch size.
        files: where everything is.

    Raises:
        InputError: weights of another run, damaged data, or a protocol that is not on the time grid.
    """
    remove_leftovers(files.responses, files.performance)
    pl.seed_everything(run.seed, workers=True, verbose=False)
    data = DataModule(
        files.data,
        run.data,
        batch_size=execution.test_batch_size,
        loader=execution.loader,
        num_workers=execution.num_workers,
        seed=run.seed,
    )
    device = choose_device(execution.accelerator)
    scale = pixel_scale(data.manifest, device)
    fixed = {"run_id": run.run_id, "experiment": name, "parameter": experiment.parameter}
    loader = data.test_dataloader()
    n_images = min(loader.n_images, experiment.n_images or loader.n_images)
    n_conditions = len(experiment.values)
    done = f"{n_images} of {n_images} images in {n_conditions} conditions"
    progress = Progress(f"{run.run_id}: {name}", n_images * n_conditions, done)
    with ExitStack() as stack:
        paths = [stack.enter_context(atomic_path(path)) for path in (files.responses, files.performance)]
        responses, performance = (
            stack.enter_context(closing(TableWriter(path, schema, fixed)))
            for path, schema in zip(paths, (RESPONSES, PERFORMANCE), strict=True)
        )
        for setting in network_settings(experiment):
            model = load_model(run, setting, data, files.weights).to(device)
            times = np.array(times_ms(experiment, model.dt))
            shown = [condition(experiment, value, model.dt) for value in setting.values]
            for batch in test_batches(loader, n_images):
                screen = batch.on_screen(scale, device)
                for case, recorder, logits in run_conditions(model, screen, shown):
                    append_responses(responses, case, recorder, batch, times)
                    append_performance(performance, case, logits, batch, times)
                    progress.add(len(batch.labels))


def load_model(run: RunConfig, setting: NetworkSetting, data: DataModule, weights: Path) -> TemporalBase:
    """The trained network with the model arguments of a test, ready to be tested."""
    tensors, header = read_weights(weights)
    if header.get("run_id", run.run_id) != run.run_id:
        raise InputError(f"weights {weights} are of run {header['run_id']}, not of {run.run_id}")
    changed = changed_in_test(run.model.args, setting.model_args)
    model = build_model(run, data.input_shape, data.n_classes, changed)
    load_weights(model, tensors, weights)
    return model.eval()


def pixel_scale(manifest: Manifest, device: torch.device) -> PixelScale:
    """The normalisation of a data folder's images."""
    sd = [value if value > 0 else 1.0 for value in manifest.sd]
    mean, scale = (
        torch.tensor(list(values), device=device).view(1, -1, 1, 1) for values in (manifest.mean, sd)
    )
    return PixelScale(mean, scale)


def test_batches(loader: ImageLoader, n_images: int) -> Iterator[Batch]:
    """The first test images, round robin over the classes, each exactly once."""
    indices = np.asarray(loader.image_indices)[:n_images]
    done = 0
    for images, labels in loader:
        here = indices[done : done + len(labels)]
        yield Batch(images[: len(here)], labels[: len(here)], here)
        done += len(here)
        if done >= n_images:
            return


def append_responses(
    table: TableWriter, case: Condition, recorder: ResponseRecorder, batch: Batch, times: np.ndarray
) -> None:
    """Append what the layers did: a row for each layer, image and step."""
    layers = list(recorder.mean)
    columns = {
        **_of_condition(case, times),
        "image": batch.indices[None, :, None],
        "label": batch.labels.numpy()[None, :, None],
        "layer": np.array(layers, dtype=object)[:, None, None],
        "mean": np.stack(list(recorder.mean.values())),
        "sd": np.stack(list(recorder.sd.values())),
    }
    table.append(columns, (len(layers), len(batch.indices), len(times)))


def append_performance(
    table: TableWriter, case: Condition, logits: Tensor, batch: Batch, times: np.ndarray
) -> None:
    """Append what the outputs say: a row for each image and step."""
    columns = {
        **_of_condition(case, times),
        "image": batch.indices[:, None],
        "label": batch.labels.numpy()[:, None],
        **outcomes(logits, batch.labels),
    }
    table.append(columns, (len(batch.indices), len(times)))


def _of_condition(case: Condition, times: np.ndarray) -> dict[str, np.ndarray]:
    return {
        "value": np.array(case.value),
        "time_ms": times,
        "stimulus_on": np.array(case.stimulus_on),
        "shown": np.array(case.shown, dtype=object),
    }
