"""Fit a run's model, keep the weights that are best by validation loss, and test them once."""

from __future__ import annotations

import json
import logging
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint

import dynvision
from dynvision.base import BaseModel
from dynvision.config.run import RunConfig, to_yaml
from dynvision.config.training import ExecutionConfig
from dynvision.data import DataModule
from dynvision.errors import InputError
from dynvision.files import write_text
from dynvision.models.build import build_model
from dynvision.models.weights import save_weights
from dynvision.training.log import TrainingLog
from dynvision.training.resume import last_checkpoint


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
    _quiet_lightning()
    checkpoints = run_folder / "checkpoints"
    checkpoints.mkdir(parents=True, exist_ok=True)
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
    model = build_model(run, data.input_shape, data.n_classes)
    log = TrainingLog(run_folder / "training.csv", run.run_id)
    best = ModelCheckpoint(
        dirpath=checkpoints,
        filename="best",
        monitor="val_loss",
        mode="min",
        save_last=True,
        enable_version_counter=False,
    )
    on_cpu = execution.accelerator == "cpu" or not torch.cuda.is_available()
    trainer = pl.Trainer(
        max_epochs=run.training.epochs,
        accelerator="cpu" if on_cpu else "gpu",
        devices=1,
        precision=run.training.precision,  # type: ignore[arg-type]
        gradient_clip_val=run.training.gradient_clip or None,
        callbacks=[log, best],
        logger=_logger(run, execution, run_folder),
        deterministic=on_cpu,
        num_sanity_val_steps=0,
        enable_progress_bar=sys.stderr.isatty(),
        enable_model_summary=False,
    )
    if resumed_from is not None:
        print(f"going on from {resumed_from}", flush=True)
    begun = time.monotonic()
    try:
        trainer.fit(model, datamodule=data, ckpt_path=resumed_from, weights_only=True)
    except RuntimeError as error:
        if "PytorchStreamWriter" in str(error) or "iostream" in str(error):
            raise InputError(f"cannot write to {checkpoints}: {error}; earlier checkpoints are kept") from None
        raise
    if trainer.interrupted:
        raise KeyboardInterrupt
    _load_best(model, Path(best.best_model_path))
    tested = test_accuracy(model, data, trainer)
    log.write()
    summary = {**tested, "seconds": round(time.monotonic() - begun, 3), "epoch": _epoch_of(best)}
    write_text(run_folder / "test.json", json.dumps(summary, indent=2) + "\n")
    save_weights(
        model,
        run_folder / "model.safetensors",
        {"run_id": run.run_id, "config": to_yaml(run), "dynvision": dynvision.__version__},
    )
    print(f"test accuracy {tested['test_accuracy']:.4f} on {tested['n_images']} images", flush=True)


@torch.inference_mode()
def test_accuracy(model: BaseModel, data: DataModule, trainer: pl.Trainer) -> dict[str, Any]:
    """Accuracy on the test images: at the last step that is scored, and as the mean over all scored steps."""
    model.eval()
    device = model.device
    last, every, n_images = 0.0, 0.0, 0
    with trainer.strategy.precision_plugin.forward_context():
        for images, labels in data.test_dataloader():
            outputs = model.respond((images.to(device), labels.to(device)), shuffle=False)
            valid = outputs.labels != outputs.ignore_index
            correct = (outputs.logits.argmax(dim=-1) == outputs.labels) & valid
            final = valid.shape[1] - 1 - valid.flip(1).int().argmax(dim=1)
            last += float(correct.gather(1, final[:, None]).sum())
            every += float((correct.sum(dim=1) / valid.sum(dim=1).clamp_min(1)).sum())
            n_images += len(labels)
    return {"test_accuracy": last / n_images, "test_accuracy_over_time": every / n_images, "n_images": n_images}


def _load_best(model: BaseModel, path: Path) -> None:
    if not path.is_file():
        raise InputError("training kept no checkpoint: the validation loss was never finite; lower the learning_rate")
    model.load_state_dict(torch.load(path, map_location=model.device, weights_only=True)["state_dict"])


def _epoch_of(best: ModelCheckpoint) -> int:
    content = torch.load(best.best_model_path, map_location="cpu", weights_only=True, mmap=True)
    return int(content["epoch"]) + 1


def _logger(run: RunConfig, execution: ExecutionConfig, run_folder: Path) -> Any:
    """W&B when asked for, offline unless told otherwise; ``training.csv`` is written in any case."""
    if execution.logger != "wandb":
        return False
    from pytorch_lightning.loggers import WandbLogger

    return WandbLogger(
        project="dynvision",
        name=run.run_id,
        id=run.run_id,
        save_dir=str(run_folder),
        offline=execution.wandb_mode == "offline",
        config=run.model_dump(mode="json"),
        resume="allow",
    )


def _quiet_lightning() -> None:
    """Silence advice about settings that are chosen here on purpose."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    for message in (".*does not have many workers.*", ".*is smaller than the logging interval.*", ".*Checkpoint dir.*"):
        warnings.filterwarnings("ignore", message)
