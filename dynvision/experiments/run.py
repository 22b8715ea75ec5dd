"""Run one experiment on one trained network: every test image in every condition, in one process.

One network answers for all values, unless the network itself is what varies. Its weights are the best ones of the run, or
those of an epoch of its training, from the checkpoints that it kept. How far the job is stands in a line that moves on a
terminal, and now and then in a plain line of a log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor

from dynvision.base import TemporalBase
from dynvision.base.core_model import choose_device
from dynvision.base.trial_pieces import PiecewiseTrials, release_graphs
from dynvision.config.experiment import ExperimentConfig
from dynvision.config.run import RunConfig, changed_in_test
from dynvision.config.training import LAST, ExecutionConfig
from dynvision.data import DataModule
from dynvision.errors import InputError
from dynvision.experiments.batches import Batch, Room, each_batch, pixel_scale
from dynvision.experiments.tables import ExperimentWriter, TrialRecord, images_within
from dynvision.experiments.trial import (
    Responses,
    ShownTrials,
    draws_at_the_start,
    from_idle_state,
    layer_shapes,
    show_trials,
)
from dynvision.files import remove_leftovers
from dynvision.models.build import build_model
from dynvision.models.weights import load_run_weights, load_weights, read_training_checkpoint
from dynvision.noise import PixelScale
from dynvision.runs.made_from import file_hash, made_from, of_responses
from dynvision.text import Progress
from dynvision.trials import Trial
from dynvision.trials.presentation import experiment_trial
from dynvision.units import ms_to_steps


@dataclass(frozen=True)
class ExperimentFiles:
    """What an experiment reads and writes.

    Attributes:
        weights: the run's ``model.safetensors``; checkpoints are in the folder ``checkpoints`` beside it.
        data: folder that ``convert`` wrote.
        responses, performance: the Parquet files to write.
    """

    weights: Path
    data: Path
    responses: Path
    performance: Path

    @property
    def units(self) -> Path:
        """The Parquet file of the units, beside the responses; written only if they are asked for."""
        return self.responses.with_name("units.parquet")


def run_experiment(
    name: str,
    experiment: ExperimentConfig,
    run: RunConfig,
    execution: ExecutionConfig,
    files: ExperimentFiles,
) -> None:
    """Show every test image in every condition and write the tables.

    Args:
        name: name of the experiment, for the tables.
        experiment: what is shown and recorded.
        run: the configuration that the network was trained with.
        execution: loader, device and batch size.
        files: where everything is.

    Raises:
        InputError: weights of another run, damaged data, or a protocol that is not on the time grid.
    """
    remove_leftovers(files.responses, files.performance, files.units)
    files.units.unlink(missing_ok=True)  # of an earlier call, which asked for them
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
    classes = experiment.classes(data.manifest.source)
    loader = data.test_dataloader(classes)
    if classes:
        print(f"{run.run_id}: {name}: {data.manifest.taken(classes)}", flush=True)
    scale = pixel_scale(loader, device)
    n_images = min(loader.n_images, experiment.n_images or loader.n_images)
    n_values = len(experiment.values)
    networks = network_settings(experiment)
    fixed = {"run_id": run.run_id, "experiment": name, "parameter": experiment.parameter}
    done = f"{n_images} of {n_images} images in {n_values} conditions"
    progress = Progress(f"{run.run_id}: {name}", n_images * n_values, "trials", done)
    room = Room.on(device, execution.test_batch_size, data.input_shape[-2] * data.input_shape[-1])
    model = load_network(run, experiment, networks[0], data, files.weights).to(device)
    n_kept, shapes = kept_units(experiment, model, n_images)
    # An experiment over checkpoints reads those beside the weights, which a training that resumes has not written yet.
    weights = file_hash(files.weights) if files.weights.exists() else ""
    inputs = of_responses(experiment, run.data.name, weights, data.manifest.identity)
    with (
        made_from(files.responses.with_suffix(".json"), inputs),
        ExperimentWriter(files.responses, files.performance, files.units, fixed, shapes) as writer,
    ):
        for index, network in enumerate(networks):
            if index:
                model = load_network(run, experiment, network, data, files.weights).to(device)
            trials = [experiment_trial(experiment, value, model.dt) for value in network.values]
            session = Session(model, trials, scale, n_kept, progress, index * n_images)
            times = np.array(trials[0].times_ms)  # of every trial
            for batch in each_batch(loader, n_images, max(trial.n_others for trial in trials)):
                for part, records in room.each_part(batch, session.show):
                    writer.append(records, part, times)


@dataclass(frozen=True)
class Session:
    """A network and what it is shown.

    Attributes:
        model: in eval mode.
        trials: in which each image is shown.
        scale: of the images' pixels.
        n_kept: images of which every unit is kept.
        progress: logs every trial.
        n_before: trials that are done when the session begins.
        exploded: values at which some activity was not finite.
    """

    model: TemporalBase
    trials: list[Trial]
    scale: PixelScale
    n_kept: int
    progress: Progress
    n_before: int
    exploded: set[float] = field(default_factory=set)

    @cached_property
    def _from_idle_state(self) -> PiecewiseTrials:
        return from_idle_state(self.model)

    def show(self, part: Batch, at_once: int = 1) -> Callable[[], Iterator[TrialRecord]]:
        """Show images in every trial, so many trials at once.

        Returns:
            A function whose records come in turn; they wait for a GPU, so that the next images can be shown before.

        Raises:
            torch.OutOfMemoryError: the memory of a GPU does not suffice, without graphs either.
        """
        try:
            return self._show(part, at_once)
        except torch.OutOfMemoryError:
            if not release_graphs(self.model):
                raise
        torch.cuda.empty_cache()  # out of the except block, which would hold on to the tensors of the trial
        print(
            "the memory of the GPU does not suffice beside CUDA graphs; continuing without them", flush=True
        )
        return self._show(part, at_once)

    def _show(self, part: Batch, at_once: int) -> Callable[[], Iterator[TrialRecord]]:
        n_kept = min(max(self.n_kept - part.first, 0), len(part))
        # Noise of a network's own is drawn for every batch.
        runs = from_idle_state(self.model) if draws_at_the_start(self.model) else self._from_idle_state
        n_before = self.n_before + part.first * len(self.trials)
        records: list[TrialRecord] = []
        waiting: list[ShownTrials] = []
        for trials in show_trials(runs, part.on_screen(self.scale), self.trials, n_kept, at_once):
            if trials.copied is None:  # on a CPU they are computed by now
                records += self._records(trials, n_before + len(records) * len(part))
            else:
                waiting.append(trials)
        return partial(self._in_turn, records, waiting, n_before)

    def _in_turn(
        self, records: Sequence[TrialRecord], waiting: Sequence[ShownTrials], n_before: int
    ) -> Iterator[TrialRecord]:
        yield from records
        for trials in waiting:
            yield from self._records(trials, n_before)
            n_before += len(trials.trials) * trials.extent.n_images

    def _records(self, shown: ShownTrials, n_before: int) -> Iterator[TrialRecord]:
        for number, (trial, responses, logits) in enumerate(shown.results(), 1):
            self._log_not_finite(trial, responses)
            self.progress.at(n_before + number * shown.extent.n_images)
            yield TrialRecord(trial, responses, logits)

    def _log_not_finite(self, trial: Trial, responses: Responses) -> None:
        """Log once a value where activity stops being a number; it is measured up to there."""
        found = responses.first_not_finite()
        if found is not None and trial.value not in self.exploded:
            self.exploded.add(trial.value)
            layer, step = found
            print(
                f"{self.progress.what}: at value {trial.value:g} the activity of layer {layer} is not finite from "
                f"{trial.times_ms[step]:g} ms on; tables have no number there, and no guess",
                flush=True,
            )


def kept_units(
    experiment: ExperimentConfig, model: TemporalBase, n_images: int
) -> tuple[int, dict[str, tuple[int, ...]]]:
    """Return of how many images every unit is kept, and the shape of each layer; 0 and nothing if none is asked for."""
    if experiment.save_responses == "none":
        return 0, {}
    n_steps = experiment_trial(experiment, experiment.values[0], model.dt).n_steps
    shapes = layer_shapes(model, n_steps)
    n_kept = images_within(experiment.save_responses_mb, shapes, n_steps, len(experiment.values), n_images)
    print(
        f"units of {n_kept} of {n_images} images are kept (save_responses_mb={experiment.save_responses_mb:g})"
    )
    return n_kept, shapes


@dataclass(frozen=True)
class NetworkSetting:
    """A network and what is asked of it.

    Attributes:
        model_args: arguments that apply instead of the run's.
        checkpoint: epoch whose weights are used; None for the best ones.
        values: values of the parameter.
    """

    model_args: dict[str, Any]
    checkpoint: int | None
    values: tuple[bool | float, ...]


def network_settings(experiment: ExperimentConfig) -> list[NetworkSetting]:
    """Return the networks of an experiment, in the order of its values."""
    if experiment.find_parameter().kind in ("stimulus", "noise"):
        return [NetworkSetting(experiment.model_args, None, experiment.values)]
    settings = [(value, experiment.at(value)) for value in experiment.values]
    return [NetworkSetting(setting.model_args, setting.checkpoint, (value,)) for value, setting in settings]


def load_network(
    run: RunConfig, experiment: ExperimentConfig, setting: NetworkSetting, data: DataModule, weights: Path
) -> TemporalBase:
    """Return the trained network with the model arguments of a test, in eval mode.

    Args:
        run: the configuration that it was trained with.
        experiment: the test; a model's own times count from its stimulus onset, after the idle time.
        setting: what the test changes.
        data: what it is shown.
        weights: the run's ``model.safetensors``; checkpoints are in the folder ``checkpoints`` beside it.

    Raises:
        InputError: the weights are of another run, or not those of this model.
    """
    changed = changed_in_test(run.model.args, setting.model_args, experiment.parameter)
    model = build_model(run, data.input_shape, data.n_classes, changed)
    model.onset_steps = ms_to_steps(experiment.baseline_ms, model.dt, "baseline_ms")
    if setting.checkpoint is None:
        load_run_weights(model, weights, run.run_id)
    else:
        folder = weights.parent / "checkpoints"
        load_weights(model, *checkpoint_weights(folder, setting.checkpoint, run.run_id))
    return model.eval()


def checkpoint_weights(folder: Path, epoch: int, run_id: str) -> tuple[dict[str, Tensor], Path]:
    """Return the weights at the end of an epoch, and the file that they are from.

    Args:
        folder: the run's ``checkpoints/``.
        epoch: the epoch, counted from 1.
        run_id: the run that the checkpoint has to be of.

    Raises:
        InputError: the run kept no checkpoint of that epoch, or its file is damaged or of another run.
    """
    found: dict[int, tuple[dict[str, Tensor], Path]] = {}
    for path in sorted(
        set(folder.glob("*.ckpt")) - {folder / LAST}
    ):  # that one may be of the middle of an epoch
        content = read_training_checkpoint(path, run_id)
        found.setdefault(content["epoch"] + 1, (content["state_dict"], path))  # Lightning counts from 0
    if epoch not in found:
        kept = ", ".join(str(number) for number in sorted(found)) or "none"
        raise InputError(
            f"run {run_id} kept no checkpoint of epoch {epoch} in {folder} (epochs kept: {kept}); set "
            "execution.checkpoint_every to keep one every so many epochs and train again, or change the values"
        )
    return found[epoch]
