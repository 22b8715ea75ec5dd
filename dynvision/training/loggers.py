"""Where a training is logged beside ``training.csv``, by the name in ``execution.logger``."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import Logger

from dynvision.config.run import RunConfig
from dynvision.config.training import ExecutionConfig
from dynvision.errors import InputError


def make_logger(run: RunConfig, execution: ExecutionConfig, run_folder: Path, goes_on: bool) -> Logger | None:
    """The further logger, or None.

    Args:
        run: the frozen configuration, which is logged too.
        execution: says which logger.
        run_folder: receives its files.
        goes_on: whether the training goes on from a checkpoint.

    Raises:
        InputError: the logger is not installed, or is to log online and cannot.
    """
    return LOGGERS[execution.logger](run, execution, run_folder, goes_on)


def _nowhere(run: RunConfig, execution: ExecutionConfig, run_folder: Path, goes_on: bool) -> None:
    return None


def _wandb(run: RunConfig, execution: ExecutionConfig, run_folder: Path, goes_on: bool) -> Logger:
    """W&B, offline unless told otherwise. The id of the run is also W&B's, so that a training goes on in the same run."""
    os.environ.setdefault("WANDB_SILENT", "true")  # it is not to ask for an account, either
    try:
        import wandb
    except ModuleNotFoundError:
        raise _absent("wandb") from None
    from pytorch_lightning.loggers import WandbLogger

    online = execution.wandb_mode == "online"
    settings: dict[str, Any] = {"resume": "allow"} if online and goes_on else {}
    logger = WandbLogger(
        project="dynvision",
        name=run.run_id,
        id=run.run_id,
        save_dir=str(run_folder),
        offline=not online,
        config=run.model_dump(mode="json"),
        **settings,
    )
    try:
        assert logger.experiment is not None  # connects now, not in the middle of the training
    except wandb.Error as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise InputError(
            f"W&B cannot log online ({reason}); set execution.wandb_mode: offline, or run wandb login first"
        ) from None
    return logger


def _tensorboard(run: RunConfig, execution: ExecutionConfig, run_folder: Path, goes_on: bool) -> Logger:
    from pytorch_lightning.loggers import TensorBoardLogger

    try:
        return TensorBoardLogger(str(run_folder), name="tensorboard", version="")
    except ModuleNotFoundError:
        raise _absent("tensorboard") from None


def _absent(name: str) -> InputError:
    return InputError(
        f"execution.logger={name}, but {name} is not installed; run 'pip install {name}', or set it to csv"
    )


LOGGERS: dict[str, Callable[[RunConfig, ExecutionConfig, Path, bool], Logger | None]] = {
    "csv": _nowhere,
    "none": _nowhere,
    "wandb": _wandb,
    "tensorboard": _tensorboard,
}
