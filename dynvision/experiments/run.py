"""Run one experiment on one trained network: every test image in every condition, in one process."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor

from dynvision.base import Frames, ModelState, TemporalBase
from dynvision.base.plan import Plan
from dynvision.config.experiment import ExperimentConfig
from dynvision.config.run import RunConfig
from dynvision.config.training import ExecutionConfig
from dynvision.data import DataModule
from dynvision.device import choose_device
from dynvision.errors import InputError
from dynvision.experiments.protocol import Condition, conditions, times_ms
from dynvision.experiments.recorder import ResponseRecorder
from dynvision.experiments.tables import PERFORMANCE, RESPONSES, TableWriter
from dynvision.files import atomic_path, remove_leftovers
from dynvision.models.build import build_model
from dynvision.models.weights import load_weights, read_weights


def run_experiment(
    name: str,
    experiment: ExperimentConfig,
    run: RunConfig,
    execution: ExecutionConfig,
    weights: Path,
    data_folder: Path,
    responses: Path,
    performance: Path,
) -> None:
    """Show every test image in every condition and write the two tables.

    Args:
        name: name of the experiment, for the tables.
        experiment: what is shown and recorded.
        run: the configuration that the network was trained with.
        execution: loader, device and batch size.
        weights: the run's ``model.safetensors``.
        data_folder: what ``convert`` wrote.
        responses, performance: the Parquet files to write.

    Raises:
        InputError: weights of another run, damaged data, or a protocol that is not on the time grid.
    """
    device = choose_device(execution.accelerator)
    remove_leftovers(responses, performance)
    pl.seed_everything(run.seed, workers=True, verbose=False)
    data = DataModule(
        data_folder,
        run.data,
        batch_size=execution.test_batch_size,
        loader=execution.loader,
        num_workers=execution.num_workers,
        seed=run.seed,
    )
    model = load_model(run, experiment, data, weights)
    model.to(device)
    shown = conditions(experiment, model.dt)
    times = np.array(times_ms(experiment, model.dt))
    fixed = {"run_id": run.run_id, "experiment": name, "parameter": experiment.parameter}
    loader = data.test_dataloader()
    indices = np.asarray(loader.image_indices)
    done = 0
    with ExitStack() as stack:
        response_path = stack.enter_context(atomic_path(responses))
        performance_path = stack.enter_context(atomic_path(performance))
        response_table = stack.enter_context(closing(TableWriter(response_path, RESPONSES, fixed)))
        performance_table = stack.enter_context(closing(TableWriter(performance_path, PERFORMANCE, fixed)))
        for images, labels in loader:
            image = indices[done : done + len(labels)]
            for condition, recorder, logits in run_conditions(model, images, shown):
                _append_responses(response_table, condition, recorder, image, labels.numpy(), times)
                _append_performance(performance_table, condition, logits, image, labels.numpy(), times)
            done += len(labels)
            _progress(f"{run.run_id}: {name}", done, len(indices), len(shown))


def load_model(run: RunConfig, experiment: ExperimentConfig, data: DataModule, weights: Path) -> TemporalBase:
    """The trained network with the experiment's own model arguments, ready to be tested."""
    tensors, header = read_weights(weights)
    if header.get("run_id", run.run_id) != run.run_id:
        raise InputError(f"weights {weights} are of run {header['run_id']}, not of {run.run_id}")
    model = build_model(run, data.input_shape, data.n_classes, experiment.model_args)
    load_weights(model, tensors, weights)
    return model.eval()


@torch.inference_mode()
def run_conditions(
    model: TemporalBase, images: Tensor, shown: list[Condition]
) -> Iterator[tuple[Condition, ResponseRecorder, Tensor]]:
    """Show a batch in every condition.

    Args:
        model: in eval mode.
        images: normalised images, (B, C, H, W).
        shown: the conditions.

    Yields:
        The condition, what its layers did, and the outputs (B, n_steps, K).
    """
    images = images.to(next(model.parameters()).device)
    plan = model.plan()
    begin = model.initial_state(len(images), plan)
    for condition in shown:
        recorder = ResponseRecorder(model.chain, len(images), condition.n_steps)
        logits = _show(model, plan, begin, images, condition, recorder)
        yield condition, recorder, logits


def _show(
    model: TemporalBase,
    plan: Plan,
    state: ModelState,
    images: Tensor,
    shown: Condition,
    recorder: ResponseRecorder,
) -> Tensor:
    outputs = []
    for stretch in shown.stretches:
        contrast = stretch.contrast
        frame = model.null_input(len(images)) if contrast is None else images * contrast
        logits, state = model.advance(Frames(0, stretch.n_steps, frame, constant=True), state, plan, recorder)
        recorder.offset += stretch.n_steps
        outputs.append(logits)
    return torch.cat(outputs, dim=1)


def _append_responses(
    table: TableWriter,
    condition: Condition,
    recorder: ResponseRecorder,
    image: np.ndarray,
    label: np.ndarray,
    times: np.ndarray,
) -> None:
    layers = list(recorder.mean)
    columns = {
        "value": np.array(condition.value),
        "image": image[None, :, None],
        "label": label[None, :, None],
        "layer": np.array(layers, dtype=object)[:, None, None],
        "time_ms": times,
        "stimulus_on": np.array(condition.stimulus_on),
        "mean": np.stack(list(recorder.mean.values())),
        "sd": np.stack(list(recorder.sd.values())),
    }
    table.append(columns, (len(layers), len(image), len(times)))


def _append_performance(
    table: TableWriter,
    condition: Condition,
    logits: Tensor,
    image: np.ndarray,
    label: np.ndarray,
    times: np.ndarray,
) -> None:
    probability = logits.float().softmax(dim=-1).cpu().numpy()
    guess = probability.argmax(axis=-1)
    columns = {
        "value": np.array(condition.value),
        "image": image[:, None],
        "label": label[:, None],
        "time_ms": times,
        "stimulus_on": np.array(condition.stimulus_on),
        "guess": guess,
        "correct": guess == label[:, None],
        "confidence": probability.max(axis=-1),
        "label_confidence": np.take_along_axis(probability, label[:, None, None], axis=-1)[..., 0],
    }
    table.append(columns, guess.shape)


def _progress(what: str, done: int, total: int, n_conditions: int) -> None:
    end = "\r" if sys.stdout.isatty() and done < total else "\n"
    if sys.stdout.isatty() or done == total:
        print(f"{what}: {done} of {total} images in {n_conditions} conditions", end=end, flush=True)
