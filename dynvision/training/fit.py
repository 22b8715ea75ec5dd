"""Fit a run's model, keep the weights that are best by validation, and test them once."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import signal
import socket
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from safetensors import SafetensorError

from dynvision.base import BaseModel
from dynvision.base.core_model import choose_device
from dynvision.base.monitoring import NotFinite
from dynvision.base.optimization import Epoch
from dynvision.config.run import RunConfig
from dynvision.config.training import BEST, LAST, ExecutionConfig, epoch_file
from dynvision.data import DataModule
from dynvision.errors import InputError
from dynvision.files import remove_leftovers, write_text
from dynvision.models.build import build_model
from dynvision.models.weights import read_training_checkpoint, save_weights
from dynvision.runs.made_from import OF_TRAINING, TRAINED, file_hash, made_from, of_training
from dynvision.training.checkpoints import MODES, kind_of_weights, last_checkpoint, provenance
from dynvision.training.log import TrainingLog
from dynvision.training.pretrained import prepare
from dynvision.training.trainer import (
    describe_learning_rate,
    describe_processes,
    end_started_processes,
    images_per_process,
    make_trainer,
)


@torch.inference_mode()
def test_accuracy(model: BaseModel, data: DataModule, trainer: pl.Trainer) -> dict[str, Any]:
    """Accuracy on the test images: at the last step that is scored, and as the mean over all scored steps."""
    model.eval()
    device = model.device
    last, every, n_images, not_finite = 0.0, 0.0, 0, NotFinite()
    with trainer.strategy.precision_plugin.forward_context():
        for images, labels in data.test_dataloader():
            images = trainer.strategy.precision_plugin.convert_input(images.to(device))
            batch = images, labels.to(device)
            outputs = model.respond(batch, shuffle=False)
            not_finite(model, batch, outputs.finite)
            valid, correct = outputs.scored, outputs.correct
            final = valid.shape[1] - 1 - valid.flip(1).int().argmax(dim=1)
            last += float(correct.gather(1, final[:, None]).sum())
            every += float((correct.sum(dim=1) / valid.sum(dim=1).clamp_min(1)).sum())
            n_images += len(labels)
    not_finite.warn("test")
    return {
        "test_accuracy": last / n_images,
        "test_accuracy_over_time": every / n_images,
        "n_images": n_images,
    }


WEIGHTS, LOG, TEST = OUTPUTS = OF_TRAINING
HELD = ".held"  # by the process that trains


def train_run(run: RunConfig, execution: ExecutionConfig, data_folder: Path, run_folder: Path) -> None:
    """Train a run, resuming from its last checkpoint if there is one.

    Args:
        run: the frozen configuration.
        execution: loader, devices and logger.
        data_folder: what ``convert`` wrote.
        run_folder: receives ``checkpoints/``, ``training.csv``, ``test.json``, ``model.safetensors`` and, last,
            ``trained.json``.

    Raises:
        InputError: data, checkpoint or configuration cannot be used, the loss is not finite, or another process trains
            this run.
    """
    with _alone(run_folder):
        _train_run(run, execution, data_folder, run_folder)


@contextlib.contextmanager
def _alone(run_folder: Path) -> Iterator[None]:
    """Hold a run's folder by a lock of the kernel, which a process that ends loses, however it ends."""
    if any(os.environ.get(name, "0") != "0" for name in ("LOCAL_RANK", "SLURM_PROCID")):
        yield  # one of several processes that train together; the first of them holds the folder
        return
    run_folder.mkdir(parents=True, exist_ok=True)
    path = run_folder / HELD
    with contextlib.ExitStack() as stack:
        while True:
            file = stack.enter_context(open(path, "a+", encoding="utf-8"))
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno not in (errno.EACCES, errno.EAGAIN):
                    raise InputError(
                        f"{path} cannot be locked: {error.strerror}; train on another file system"
                    ) from None
                file.seek(0)
                holder = file.read().strip() or "of unknown number"
                raise InputError(
                    f"run {run_folder.name} is being trained by another process ({holder}); wait until it ends, or end it"
                ) from None
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                    break
            file.close()  # its holder removed it in the meantime
        stack.callback(path.unlink, missing_ok=True)
        file.truncate(0)
        file.write(f"{os.getpid()} on {socket.gethostname()}")
        file.flush()
        yield


def _train_run(run: RunConfig, execution: ExecutionConfig, data_folder: Path, run_folder: Path) -> None:
    device = choose_device(execution.accelerator)
    checkpoints = run_folder / "checkpoints"
    checkpoints.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(run, run_folder, checkpoints)
    pl.seed_everything(run.seed, workers=True, verbose=False)
    training = run.training
    data = DataModule(
        data_folder,
        run.data,
        batch_size=images_per_process(training.batch_size, execution),
        loader=execution.loader,
        num_workers=execution.num_workers,
        seed=run.seed,
    )
    identity = data.manifest.identity
    inputs = of_training(run, identity)
    resumed_from = last_checkpoint(checkpoints, run.run_id, identity)
    model = build_model(
        run, data.input_shape, data.n_classes, checkpoint_segments=execution.checkpoint_segments
    )
    began_with = prepare(model, training)
    model.epoch = _epoch(run, execution, data)
    terms = model.loss_names if len(model.loss_names) > 1 else []
    log = TrainingLog(run_folder / LOG, run.run_id, terms)
    trainer = make_trainer(
        run, execution, device, run_folder, checkpoints, log, resumed_from is not None, identity
    )
    lines = (describe_processes(training, execution), describe_learning_rate(training))
    for line in (*lines, f"resuming from {resumed_from}" if resumed_from else ""):
        if line and trainer.is_global_zero:
            print(f"{run.run_id}: {line}", flush=True)
    if trainer.is_global_zero:  # what is there of an earlier training is replaced from now on
        (run_folder / TRAINED).unlink(missing_ok=True)
    _fit(trainer, model, data, resumed_from)
    if trainer.is_global_zero:
        with made_from(run_folder / TRAINED, inputs) as facts:
            _finish(run, trainer, model, data, log, run_folder, began_with)
            facts["weights"] = file_hash(run_folder / WEIGHTS)
            facts["date"] = datetime.now().isoformat(sep=" ", timespec="minutes")
        # A training that is run again after its end, e.g. because the images have changed, begins anew.
        (checkpoints / LAST).unlink(missing_ok=True)


def _finish(
    run: RunConfig,
    trainer: pl.Trainer,
    model: BaseModel,
    data: DataModule,
    log: TrainingLog,
    run_folder: Path,
    began_with: dict[str, str],
) -> None:
    """Test the best weights and write what remains."""
    checkpoints = run_folder / "checkpoints"
    model.load_state_dict(read_training_checkpoint(checkpoints / BEST, run.run_id)["state_dict"])
    tested = test_accuracy(model, data, trainer)
    log.write()
    summary = {
        **tested,
        "seconds": round(sum(row["seconds"] for row in log.rows), 3),
        "epoch": _best_epoch(log, run.training.best_by),
        "weights": kind_of_weights(run),
    }
    write_text(run_folder / TEST, json.dumps(summary, indent=2) + "\n")
    try:
        save_weights(model, run_folder / WEIGHTS, {**provenance(run), **data.manifest.header(), **began_with})
    except SafetensorError as error:  # of a full disk, for example: it is no OSError
        raise InputError(
            f"cannot write {run_folder / WEIGHTS} ({error}); run the same command again to continue"
        ) from None
    if len(log.rows) < run.training.epochs:
        print(
            f"{run.run_id}: stopped after epoch {len(log.rows)} of {run.training.epochs}, since {run.training.best_by} had "
            f"not become better for {run.training.early_stopping_patience} epochs",
            flush=True,
        )
    print(
        f"{run.run_id}: test accuracy {tested['test_accuracy']:.4f} on {tested['n_images']} images",
        flush=True,
    )


def _fit(trainer: pl.Trainer, model: BaseModel, data: DataModule, resumed_from: Path | None) -> None:
    """Train, with Ctrl-C as what it is: Lightning ends the process with status 1 and ignores further ones."""
    on_interrupt = signal.getsignal(signal.SIGINT)
    try:
        trainer.fit(model, datamodule=data, ckpt_path=resumed_from, weights_only=True)
    except InputError:
        end_started_processes(trainer)
        raise
    except SystemExit as end:
        if trainer.interrupted and end.code:
            raise KeyboardInterrupt from None
        raise
    except RuntimeError as error:
        if resumed_from is not None and "loading state_dict" in str(error):
            raise InputError(
                f"checkpoint {resumed_from} does not fit the model as it is now; delete it to train from the start"
            ) from None
        raise
    finally:
        signal.signal(signal.SIGINT, on_interrupt)


def _epoch(run: RunConfig, execution: ExecutionConfig, data: DataModule) -> Epoch:
    """What one process is shown in an epoch."""
    batch_size = images_per_process(run.training.batch_size, execution)
    n_images = -(-data.manifest.split("train").n_images // execution.n_processes)
    if run.training.limit_batches:
        n_images = min(n_images, run.training.limit_batches * batch_size)
    return Epoch(n_images, batch_size, run.training.accumulate_batches)


def _remove_leftovers(run: RunConfig, run_folder: Path, checkpoints: Path) -> None:
    """Remove what a training that was killed while writing has left behind."""
    every = [epoch_file(epoch) for epoch in range(1, run.training.epochs + 1)]
    remove_leftovers(
        *(run_folder / name for name in OUTPUTS), *(checkpoints / name for name in (BEST, LAST, *every))
    )


def _best_epoch(log: TrainingLog, best_by: str) -> int:
    best = {"min": min, "max": max}[MODES[best_by]]
    return int(best(log.rows, key=lambda row: row[best_by])["epoch"])
