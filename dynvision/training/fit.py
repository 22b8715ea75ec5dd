"""Fit a run's model, keep the weights that are best by validation loss, and test them once."""

from __future__ import annotations

import json
import logging
import signal
import sys
import warnings
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from safetensors import SafetensorError

import dynvision
from dynvision.base import BaseModel
from dynvision.config.run import RunConfig, to_yaml
from dynvision.config.training import ExecutionConfig
from dynvision.data import DataModule
from dynvision.device import choose_device
from dynvision.errors import InputError
from dynvision.files import remove_leftovers, write_text
from dynvision.models.build import build_model
from dynvision.models.weights import save_weights
from dynvision.training.checkpoints import (
    BEST,
    LAST,
    AtomicCheckpointIO,
    keep_best,
    keep_last,
    last_checkpoint,
)
from dynvision.training.log import TrainingLog
from dynvision.training.random_state import RandomState

WEIGHTS, LOG, TEST = OUTPUTS = ("model.safetensors", "training.csv", "test.json")


def train_run(run: RunConfig, execution: ExecutionConfig, data_folder: Path, run_folder: Path) -> None:
    """Train a run, going on from its last checkpoint if there is one.

    Args:
        run: the frozen configuration.
        execution: loader, device and logger.
        data_folder: what ``convert`` wrote.
        run_folder: receives ``checkpoints/``, ``training.csv``, ``test.json`` and, last, ``model.safetensors``.

    Raises:
        InputError: data, checkpoint or configuration cannot be used, or the loss is not finite.
    """
    device = choose_device(execution.accelerator)
    _check_precision(run.training.precision, device)
    _quiet_lightning()
    checkpoints = run_folder / "checkpoints"
    checkpoints.mkdir(parents=True, exist_ok=True)
    remove_leftovers(*(run_folder / name for name in OUTPUTS), *(checkpoints / name for name in (BEST, LAST)))
    resumed_from = last_checkpoint(checkpoints, run.run_id)
    pl.seed_everything(run.seed, workers=True, verbose=False)
    data = DataModule(
        data_folder,
        run.data,
        batch_size=run.training.batch_size,
        loader=execution.loader,
        num_workers=execution.num_workers,
        seed=run.seed,
    )
    model = build_model(
        run, data.input_shape, data.n_classes, checkpoint_segments=execution.checkpoint_segments
    )
    log = TrainingLog(run_folder / LOG, run.run_id)
    several = execution.devices * execution.num_nodes > 1
    trainer = pl.Trainer(
        max_epochs=run.training.epochs,
        accelerator="gpu" if device.type == "cuda" else "cpu",
        devices=execution.devices,
        num_nodes=execution.num_nodes,
        strategy="ddp_find_unused_parameters_true"
        if several and execution.strategy == "auto"
        else execution.strategy,
        precision=run.training.precision,  # type: ignore[arg-type]
        gradient_clip_val=run.training.gradient_clip or None,
        callbacks=[log, RandomState(), keep_best(checkpoints), keep_last(checkpoints)],
        plugins=[AtomicCheckpointIO()],
        logger=_logger(run, execution, run_folder),
        deterministic=device.type == "cpu",
        num_sanity_val_steps=0,
        enable_progress_bar=sys.stderr.isatty(),
        enable_model_summary=False,
    )
    if resumed_from is not None:
        print(f"{run.run_id}: going on from {resumed_from}", flush=True)
    _fit(trainer, model, data, resumed_from)
    _load_weights_of(model, checkpoints / BEST)
    tested = test_accuracy(model, data, trainer)
    log.write()
    summary = {
        **tested,
        "seconds": round(sum(row["seconds"] for row in log.rows), 3),
        "epoch": _best_epoch(log),
    }
    write_text(run_folder / TEST, json.dumps(summary, indent=2) + "\n")
    _save(run, model, run_folder / WEIGHTS)
    # A training that is run again after its end, e.g. because the images have changed, begins anew.
    (checkpoints / LAST).unlink(missing_ok=True)
    print(
        f"{run.run_id}: test accuracy {tested['test_accuracy']:.4f} on {tested['n_images']} images",
        flush=True,
    )


def _fit(trainer: pl.Trainer, model: BaseModel, data: DataModule, resumed_from: Path | None) -> None:
    """Train, with Ctrl-C as what it is: Lightning ends the process with status 1 and ignores further ones."""
    on_interrupt = signal.getsignal(signal.SIGINT)
    try:
        trainer.fit(model, datamodule=data, ckpt_path=resumed_from, weights_only=True)
    except SystemExit:
        if trainer.interrupted:
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


@torch.inference_mode()
def test_accuracy(model: BaseModel, data: DataModule, trainer: pl.Trainer) -> dict[str, Any]:
    """Accuracy on the test images: at the last step that is scored, and as the mean over all scored steps."""
    model.eval()
    device = model.device
    last, every, n_images = 0.0, 0.0, 0
    with trainer.strategy.precision_plugin.forward_context():
        for images, labels in data.test_dataloader():
            images = trainer.strategy.precision_plugin.convert_input(images.to(device))
            outputs = model.respond((images, labels.to(device)), shuffle=False)
            valid = outputs.labels != outputs.ignore_index
            correct = (outputs.logits.argmax(dim=-1) == outputs.labels) & valid
            final = valid.shape[1] - 1 - valid.flip(1).int().argmax(dim=1)
            last += float(correct.gather(1, final[:, None]).sum())
            every += float((correct.sum(dim=1) / valid.sum(dim=1).clamp_min(1)).sum())
            n_images += len(labels)
    return {
        "test_accuracy": last / n_images,
        "test_accuracy_over_time": every / n_images,
        "n_images": n_images,
    }


def _load_weights_of(model: BaseModel, path: Path) -> None:
    model.load_state_dict(torch.load(path, map_location=model.device, weights_only=True)["state_dict"])


def _best_epoch(log: TrainingLog) -> int:
    return int(min(log.rows, key=lambda row: row["val_loss"])["epoch"])


def _save(run: RunConfig, model: BaseModel, path: Path) -> None:
    header = {"run_id": run.run_id, "config": to_yaml(run), "dynvision": dynvision.__version__}
    try:
        save_weights(model, path, header)
    except SafetensorError as error:  # of a full disk, for example: it is no OSError
        raise InputError(f"cannot write {path} ({error}); run the same command again to continue") from None


def _check_precision(precision: str, device: torch.device) -> None:
    if precision == "16-mixed" and device.type == "cpu":
        raise InputError("training.precision=16-mixed needs a GPU; on a CPU set it to 32, bf16-mixed or 64")


def _logger(run: RunConfig, execution: ExecutionConfig, run_folder: Path) -> Any:
    """W&B when asked for, offline unless told otherwise; ``training.csv`` is written in any case.

    Raises:
        InputError: W&B is to log online and cannot.
    """
    if execution.logger != "wandb":
        return False
    import wandb
    from pytorch_lightning.loggers import WandbLogger

    logger = WandbLogger(
        project="dynvision",
        name=run.run_id,
        id=run.run_id,
        save_dir=str(run_folder),
        offline=execution.wandb_mode == "offline",
        config=run.model_dump(mode="json"),
        resume="allow",
    )
    try:
        assert logger.experiment is not None  # connects now, not in the middle of the training
    except wandb.Error as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise InputError(
            f"W&B cannot log online ({reason}); set execution.wandb_mode: offline, or run wandb login first"
        ) from None
    return logger


def _quiet_lightning() -> None:
    """Silence advice about settings that are chosen here on purpose, and what libraries tell each other."""
    for name in ("pytorch_lightning", "lightning.pytorch", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in (
        ".*does not have many workers.*",
        ".*is smaller than the logging interval.*",
        ".*Checkpoint dir.*",
        ".*LeafSpec.*is deprecated.*",
    ):
        warnings.filterwarnings("ignore", message)
